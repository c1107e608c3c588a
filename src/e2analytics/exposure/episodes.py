"""Episodes: which aromatase inhibitor a man took when, and at which dose.

In    the accepted rows of medications
Out   episodes           grain patient_id, drug, started_on: a spell at one dose, ``ended_on`` excluded
      doses in interval  grain pair, dose: the share of a scan interval's days at each dose

Joins are equi-joins and filters: as-of joins need sorted input and only warn when it is not.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import polars as pl

from e2analytics.exposure.concurrent_orders import side_by_side
from e2analytics.exposure.given_doses import without_covered
from e2analytics.reference import constants
from e2analytics.reference.names import ANASTROZOLE, AROMATASE_INHIBITOR
from e2analytics.tables.patient_data import NEVER

_DAYS_OF_A_PIECE: Final = 91
_SPELL: Final = (
    "patient_id",
    "drug",
    "started_on",
    "ended_on",
    "weekly_dose_mg",
    "overlap",
    "ordered_on",
    "listed_on",
    "source_file",
    "source_line",
)


def find_episodes(medications: pl.DataFrame) -> pl.DataFrame:
    """Return the episodes of aromatase inhibitors: spells of one drug at one dose.

    An order is in force from its start until it is stopped or a later order of the same drug replaces
    it; ``overlap`` marks one that was replaced before it was stopped. Two orders of one day at different
    doses, and orders that name their days of the week, may be taken side by side: ``concurrent_orders`` adds
    them up, or leaves their dose unknown. A renewal at the same dose, at most a few days late, continues the
    episode, whose ``ordered_on`` is that of its last order. A single dose within an order replaces nothing.

    Parameters
    ----------
    medications
        Accepted orders.
    """
    of_one_day = ["patient_id", "drug", "started_on"]
    lasts = pl.col("stopped_on").fill_null(NEVER)
    orders = (
        without_covered(medications)
        .filter(
            (pl.col("drug_class") == AROMATASE_INHIBITOR)
            # Stopped on its first day, an order was never in force and replaces nothing.
            & pl.col("stopped_on").ne_missing(pl.col("started_on"))
        )
        .sort(*of_one_day, lasts, "source_order", "source_line")
    )
    doses_differ = pl.col("weekly_dose_mg").n_unique().over(of_one_day) > 1
    concurrent = (doses_differ | pl.col("weekdays").is_not_null()).any().over("patient_id", "drug")
    spells = pl.concat(
        [
            _replaced_in_turn(orders.filter(~concurrent)),
            side_by_side(orders.filter(concurrent)),
        ],
        how="diagonal",
    )
    # A dose of 0 mg holds the drug: it ends the spell before it and is none itself.
    in_force = spells.filter(pl.col("weekly_dose_mg").ne_missing(pl.lit(0.0)))
    return _merge_renewals(in_force.sort("patient_id", "drug", "started_on"))


def _replaced_in_turn(orders: pl.DataFrame) -> pl.DataFrame:
    next_start = pl.col("started_on").shift(-1).over("patient_id", "drug")
    return (
        orders.with_columns(
            ended_on=pl.min_horizontal("stopped_on", next_start),
            overlap=(pl.col("stopped_on") > next_start).fill_null(False),
            ordered_on="started_on",
        )
        # Two orders of one day: the last of them replaces the others before they were ever in force.
        .filter(pl.col("ended_on").is_null() | (pl.col("ended_on") > pl.col("started_on")))
        .select(*_SPELL)
    )


def _merge_renewals(orders: pl.DataFrame) -> pl.DataFrame:
    group = ["patient_id", "drug"]
    gap = (pl.col("started_on") - pl.col("ended_on").shift(1).over(group)).dt.total_days()
    goes_on = (pl.col("weekly_dose_mg") == pl.col("weekly_dose_mg").shift(1).over(group)) & (
        gap <= constants.RENEWAL_GAP_DAYS.value
    )
    return (
        orders.with_columns(spell=(~goes_on.fill_null(False)).cum_sum().over(group))
        .group_by([*group, "spell"], maintain_order=True)
        .agg(
            pl.col("started_on").first(),
            pl.col("ended_on", "weekly_dose_mg", "source_file", "source_line").last(),
            pl.col("overlap").any(),
            pl.col("ordered_on", "listed_on").last(),
        )
        .drop("spell")
    )


def present_dose(episodes: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Return the weekly dose of anastrozole in force on a day, else the last one; null where unknown.

    A man who stopped keeps his last dose: the drug acts until it is washed out.
    """
    in_force = pl.col("ended_on").is_null() | (pl.col("ended_on") > pl.lit(as_of))
    last = pl.col("weekly_dose_mg").last()
    return (
        episodes.filter((pl.col("drug") == ANASTROZOLE) & (pl.col("started_on") <= pl.lit(as_of)))
        .with_columns(in_force=in_force)
        .sort("patient_id", "in_force", "started_on")
        .group_by("patient_id", maintain_order=True)
        .agg(present_mg_per_week=last)
    )


def doses_in_interval(pairs: pl.DataFrame, episodes: pl.DataFrame) -> pl.DataFrame:
    """Return the doses of anastrozole held between two scans, each with its share of the days.

    Grain: pair (a row of ``pairs``, counted from 0), dose. ``weekly_dose_mg`` is 0 off the drug, null where
    unknown.
    """
    within = pairs.select(
        "patient_id",
        "site",
        "scan_id",
        "scanned_on",
        "scanned_on_2",
        length=(pl.col("scanned_on_2") - pl.col("scanned_on")).dt.total_days(),
    ).with_row_index("pair")
    start = pl.max_horizontal("scanned_on", "started_on")
    end = pl.min_horizontal("scanned_on_2", "ended_on")
    key = ["pair", "patient_id", "site", "scan_id"]
    on = (
        within.join(episodes.filter(pl.col("drug") == ANASTROZOLE), on="patient_id")
        .with_columns(days=(end - start).dt.total_days())
        .filter(pl.col("days") > 0)
        .group_by(*key, "length", "weekly_dose_mg")
        .agg(pl.col("days").sum())
    )
    # Whole days are summed: shares would differ in their last digit with the order of the sum.
    days_on = on.group_by("pair").agg(on=pl.col("days").sum())
    off = (
        within.join(days_on, on="pair", how="left", maintain_order="left")
        .with_columns(days=pl.col("length") - pl.col("on").fill_null(0), weekly_dose_mg=0.0)
        .filter(pl.col("days") > 0)
        .select(on.columns)
    )
    return (
        pl.concat([off, on])
        .select(*key, "weekly_dose_mg", share=pl.col("days") / pl.col("length"))
        .sort("pair", "weekly_dose_mg")
    )


def doses_on_days(pairs: pl.DataFrame, spells: pl.DataFrame) -> pl.DataFrame:
    """Return the doses held between two scans, spread over days of the interval.

    Grain pair, dose, ``on``: the middles of equal pieces of at most ``_DAYS_OF_A_PIECE``. The days of a dose
    have its share of ``doses_in_interval`` in equal parts; a dose that none of them has stands in the middle
    of the interval.
    """
    doses = doses_in_interval(pairs, spells)
    length = (pl.col("scanned_on_2") - pl.col("scanned_on")).dt.total_days()
    n_pieces = (length / _DAYS_OF_A_PIECE).ceil().clip(1).cast(pl.Int64)
    from_start = (pl.col("piece") + 0.5) * pl.col("length") / pl.col("n_pieces")
    days = (
        pairs.select("patient_id", "scanned_on", length=length, n_pieces=n_pieces)
        .with_row_index("pair")
        .with_columns(piece=pl.int_ranges("n_pieces"))
        .explode("piece")
        .with_columns(on=pl.col("scanned_on") + pl.duration(days=from_start.floor()))
    )
    in_force = (pl.col("started_on") <= pl.col("on")) & (
        pl.col("ended_on").is_null() | (pl.col("ended_on") > pl.col("on"))
    )
    on_drug = (
        days.join(spells.filter(pl.col("drug") == ANASTROZOLE), on="patient_id")
        .filter(in_force)
        .unique(["pair", "piece"], keep="first", maintain_order=True)
        .select("pair", "piece", "weekly_dose_mg", on_drug=True)
    )
    dosed = days.join(on_drug, on=["pair", "piece"], how="left", maintain_order="left").select(
        "pair",
        "on",
        weekly_dose_mg=pl.when("on_drug").then("weekly_dose_mg").otherwise(0.0),
    )
    middle = pairs.with_row_index("pair").select(
        "pair", middle=pl.col("scanned_on") + pl.duration(days=(length / 2).floor())
    )
    key = ["pair", "weekly_dose_mg"]
    return (
        doses.join(dosed, on=key, how="left", nulls_equal=True, maintain_order="left_right")
        .join(middle, on="pair", maintain_order="left")
        .with_columns(on=pl.coalesce("on", "middle"), share=pl.col("share") / pl.len().over(key))
        .drop("middle")
    )
