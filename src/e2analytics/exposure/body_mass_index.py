"""Body mass index of a man: measured where a laboratory feed sends it, else from height and weight.

In    the accepted rows of labs; ``weight_kg`` and ``height_cm`` of patients
Out   kg/m2, by man or by scan pair

A pair takes the exact value nearest to its first scan, within two years. Where no day is asked for,
the last value counts, however old.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics.reference.names import BODY_MASS_INDEX

MOST_DAYS_FROM_SCAN: Final = 730
"""Our own rule: the longest time between a measured BMI and the scan that it describes."""


def from_height_and_weight() -> pl.Expr:
    """Return weight over height squared, kg/m2."""
    return pl.col("weight_kg") / (pl.col("height_cm") / 100) ** 2


def last_measured(labs: pl.DataFrame) -> pl.DataFrame:
    """Return the last ``measured_bmi`` of each man. Grain: patient_id."""
    return (
        labs.filter(pl.col("analyte") == BODY_MASS_INDEX)
        .sort("collected_on")
        .group_by("patient_id", maintain_order=True)
        .agg(measured_bmi=pl.col("value_low").last())
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
        results.filter((pl.col("analyte") == BODY_MASS_INDEX) & (away <= MOST_DAYS_FROM_SCAN))
        .sort(away, "collected_on")
        .unique("pair", keep="first", maintain_order=True)
        .select("pair", measured_bmi="value_low")
    )
