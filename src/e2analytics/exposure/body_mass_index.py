"""Body mass index of a man: measured where a laboratory feed sends it, else from height and weight.

In    the accepted rows of labs; ``weight_kg`` and ``height_cm`` of patients; body fat of scans
Out   kg/m2, by man or by scan pair

A pair takes the exact value nearest to its first scan, a draw the nearest value, both within two years. Where
no day is asked for, the last value counts, however old.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import polars as pl

from e2analytics.reference import constants
from e2analytics.reference.names import BODY_MASS_INDEX

MOST_DAYS_AWAY: Final = 730
"""Our own rule: the longest time between a measured BMI and the scan or draw that it describes."""


def from_height_and_weight() -> pl.Expr:
    """Return weight over height squared, kg/m2."""
    return pl.col("weight_kg") / (pl.col("height_cm") / 100) ** 2


def with_body_fat(labs: pl.DataFrame, patients: pl.DataFrame, dxa: pl.DataFrame) -> pl.DataFrame:
    """Return the results with a BMI for each scan of men whose weight has no date and whose body fat changed.

    Weight and height of ``patients`` count as those of the last scan that measured body fat. Other scans of the same
    scanner follow from it by ``constants.BODY_FAT_PER_BMI``. A man in whom no scan lies
    ``constants.BODY_FAT_CHANGE`` away from the last gets none, nor does one with a measured BMI.
    """
    of_man, scanner = ["patient_id"], ["patient_id", "scanner_id"]
    scans = (
        dxa.drop_nulls(["body_fat_pct", "scanner_id"])
        .group_by(*scanner, collected_on="scanned_on")
        .agg(fat=pl.col("body_fat_pct").mean())
        .sort(*of_man, "collected_on", "scanner_id")
    )
    last = scans.group_by(of_man, maintain_order=True).last()
    change = pl.col("fat") - pl.col("fat_last")
    measured = labs.filter(pl.col("analyte") == BODY_MASS_INDEX)
    derived = (
        scans.join(last, on=scanner, suffix="_last", maintain_order="left")
        .filter((change.abs() >= constants.BODY_FAT_CHANGE.value).any().over("patient_id"))
        .join(measured, on="patient_id", how="anti", maintain_order="left")
        .join(patients, on="patient_id", maintain_order="left")
        .with_columns(bmi=from_height_and_weight() + change / constants.BODY_FAT_PER_BMI.value)
        .drop_nulls("bmi")
        .select(
            pl.col("patient_id").cast(labs.schema["patient_id"]),
            "collected_on",
            analyte=pl.lit(BODY_MASS_INDEX).cast(labs.schema["analyte"]),
            value_low="bmi",
            value_high="bmi",
        )
    )
    return pl.concat([labs, derived], how="diagonal")


def last_measured(labs: pl.DataFrame) -> pl.DataFrame:
    """Return the last ``measured_bmi`` of each man. Grain: patient_id."""
    return (
        labs.filter(pl.col("analyte") == BODY_MASS_INDEX)
        .sort("collected_on")
        .group_by("patient_id", maintain_order=True)
        .agg(measured_bmi=pl.col("value_low").last())
    )


def nearest_to(rows: pl.DataFrame, labs: pl.DataFrame, day: str) -> pl.Series:
    """Return the value nearest to the ``day`` of each row's man; null without one within two years.

    >>> from datetime import date
    >>> labs = pl.DataFrame({"patient_id": ["a"] * 2, "value_low": [36.0, 26.0],
    ...                      "analyte": ["body_mass_index"] * 2,
    ...                      "collected_on": [date(2024, 1, 1), date(2026, 1, 1)]})
    >>> rows = pl.DataFrame({"patient_id": ["a", "a"], "on": [date(2025, 11, 1), date(2024, 2, 1)]})
    >>> nearest_to(rows, labs, "on").to_list()
    [26.0, 36.0]
    """
    measured = labs.filter(pl.col("analyte") == BODY_MASS_INDEX).select(
        pl.col("patient_id").cast(pl.String), on="collected_on", measured_bmi="value_low"
    )
    return (
        rows.select(pl.col("patient_id").cast(pl.String), on=day)
        .with_row_index("row")
        .sort("on")
        .join_asof(
            measured.sort("on", "measured_bmi"),
            on="on",
            by="patient_id",
            strategy="nearest",
            tolerance=timedelta(days=MOST_DAYS_AWAY),
            check_sortedness=False,
        )
        .sort("row")["measured_bmi"]
    )


def nearest_measured(results: pl.DataFrame) -> pl.DataFrame:
    """Return the ``measured_bmi`` nearest to the first scan of each pair. Grain: pair.

    Parameters
    ----------
    results
        Exact laboratory results of each pair's man, with ``pair`` and ``scanned_on``.
    """
    away = (pl.col("collected_on") - pl.col("scanned_on")).dt.total_days().abs()
    return (
        results.filter((pl.col("analyte") == BODY_MASS_INDEX) & (away <= MOST_DAYS_AWAY))
        .sort(away, "collected_on")
        .unique("pair", keep="first", maintain_order=True)
        .select("pair", measured_bmi="value_low")
    )
