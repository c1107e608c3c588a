"""Orders as the fills of a pharmacy: `schemas/feeds/pharmacy_dispensing.yaml`.

The dose is written in the sig alone. A fill ends 14 days after its supply, so an order that was stopped
is one whose supply ended 14 days before. Orders that are still open, shorter, or longer than a supply can
last, and negative doses are not carried. The number of an order becomes the
prescription's and the fill's.
"""

from pathlib import Path

import polars as pl

from e2analytics.simulate.exports.tables import US_DAY, Tables, dated, others

GRACE_DAYS = 14
SUPPLY_DAYS = (1, 1000)  # as in schemas/reference/drugs.yaml
HOW_OFTEN = {
    "1.0": "once weekly",
    "2.0": "twice weekly",
    "3.0": "three times weekly",
    "3.5": "every other day",
    "7.0": "daily",
}
STRENGTHS = {
    "anastrozole": "1 mg",
    "letrozole": "2.5 mg",
    "testosterone cypionate": "200 mg/mL",
    "testosterone enanthate": "200 mg/mL",
    "testosterone gel": "20.25 mg/1.25 g",
}


def write(folder: Path, tables: Tables) -> Tables:
    """Write the fills; return what is not carried."""
    orders = tables["medications"]
    supply_can_be = _days_supply().is_between(*SUPPLY_DAYS).fill_null(False)
    carried = supply_can_be & (pl.col("dose_mg").cast(pl.Float64) >= 0)
    orders.filter(carried).select(
        pl.col("order_id").alias("Rx Number"),
        pl.lit("0").alias("Fill Number"),
        pl.col("patient_id").alias("Patient ID"),
        pl.col("drug").alias("Drug Name"),
        pl.col("rxnorm").alias("RxNorm"),
        pl.col("drug").replace(STRENGTHS).alias("Strength"),
        _quantity().alias("Quantity"),
        _days_supply().alias("Days Supply"),
        _sig().alias("Sig"),
        dated("started_on", US_DAY).alias("Written Date"),
        dated("started_on", US_DAY).alias("Fill Date"),
        pl.lit("0").alias("Refills Remaining"),
        pl.lit("Dispensed").alias("Status"),
    ).write_csv(folder / "pharmacy_fills.csv")
    return {**others(tables, "medications"), "medications": orders.remove(carried)}


def _days_supply() -> pl.Expr:
    started, stopped = (
        pl.col(name).str.to_date("%Y-%m-%d", strict=False) for name in ("started_on", "stopped_on")
    )
    return (stopped - started).dt.total_days() - GRACE_DAYS


def _quantity() -> pl.Expr:
    """Return the tablets of the supply; of other forms nothing is said."""
    weekly_mg = pl.col("dose_mg").cast(pl.Float64) * pl.col("doses_per_week").cast(pl.Float64)
    strength = pl.col("drug").replace(STRENGTHS).str.extract(r"^([0-9.]+) mg$", 1)
    tablets = weekly_mg / 7 * _days_supply() / strength.cast(pl.Float64)
    return tablets.ceil().cast(pl.Int64)


def _sig() -> pl.Expr:
    """Return the sig with the dose in it."""
    dose = pl.col("dose_mg").cast(pl.Float64).cast(pl.String).str.replace(r"\.0$", "") + " mg "
    how_often = pl.coalesce(
        pl.col("sig").str.replace(r"^[0-9.]+ mg ", ""),
        pl.col("doses_per_week").replace(HOW_OFTEN),
    )
    return dose + how_often
