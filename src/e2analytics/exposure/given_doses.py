"""Given doses: single doses beside the orders that they were given on.

In    the accepted rows of medications
Out   the same rows without the single doses that fall within an order of the same drug

An administration says that a dose was taken, not that the order ended: within an order it changes nothing. Without
an order it is a day on the drug, at an unknown dose a week.
"""

from __future__ import annotations

import polars as pl


def without_covered(medications: pl.DataFrame) -> pl.DataFrame:
    """Return the rows without the single doses within an order: rows of one day and no dose a week."""
    lasted = (pl.col("stopped_on") - pl.col("started_on")).dt.total_days()
    is_single = ((lasted == 1) & pl.col("weekly_dose_mg").is_null()).fill_null(False)
    rows = medications.with_row_index("row")
    orders = rows.filter(~is_single).select(
        "patient_id", "drug", ordered_on="started_on", until="stopped_on"
    )
    covered = (
        rows.filter(is_single)
        .select("row", "patient_id", "drug", "started_on")
        .join(orders, on=["patient_id", "drug"])
        .filter(
            (pl.col("ordered_on") <= pl.col("started_on"))
            & (pl.col("until").is_null() | (pl.col("until") > pl.col("started_on")))
        )
    )
    return rows.join(
        covered.select("row").unique(), on="row", how="anti", maintain_order="left"
    ).drop("row")
