"""Testosterone orders: on which days what a man takes of it changed.

In    the accepted rows of medications
Out   changes   grain patient_id, changed_on: a start, a stop, another product (which has its route) or dose
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics.exposure.concurrent_orders import side_by_side
from e2analytics.exposure.given_doses import without_covered
from e2analytics.reference import constants
from e2analytics.reference.drugs import gives_testosterone

_TAKEN: Final = ("drug", "dose_mg", "doses_per_week", "weekly_dose_mg")


def find_changes(medications: pl.DataFrame) -> pl.DataFrame:
    """Return the days on which the testosterone order changed.

    An order is in force until it is stopped or a later one begins. A renewal of the same, a few days late at
    the most, is no change. Of orders of one day the later row counts. Orders of one product on days of the week
    may be taken side by side (``concurrent_orders``): a change is a change of what they come to.
    """
    starts = pl.col("started_on")
    in_force = (
        without_covered(medications)
        .filter(gives_testosterone() & pl.col("stopped_on").ne_missing(starts))
        .sort("patient_id", "started_on", "source_order", "source_line")
    )
    orders = (
        _with_weekdays_added_up(in_force)
        .unique(["patient_id", "started_on"], keep="last", maintain_order=True)
        .with_columns(
            ended_on=pl.min_horizontal("stopped_on", starts.shift(-1).over("patient_id")),
            next_on=starts.shift(-1).over("patient_id"),
        )
    )
    late_by = (starts - pl.col("ended_on").shift(1).over("patient_id")).dt.total_days()
    differs = pl.any_horizontal(
        pl.col(name).ne_missing(pl.col(name).shift(1).over("patient_id")) for name in _TAKEN
    )
    is_new = differs | (late_by > constants.RENEWAL_GAP_DAYS.value).fill_null(True)
    pause = (pl.col("next_on") - pl.col("ended_on")).dt.total_days()
    is_last = pl.col("ended_on").is_not_null() & (
        (pause > constants.RENEWAL_GAP_DAYS.value) | pl.col("next_on").is_null()
    )
    return (
        pl.concat(
            [
                orders.filter(is_new).select("patient_id", changed_on="started_on"),
                orders.filter(is_last).select("patient_id", changed_on="ended_on"),
            ]
        )
        .unique()
        .sort("patient_id", "changed_on")
    )


def _with_weekdays_added_up(orders: pl.DataFrame) -> pl.DataFrame:
    on_days = pl.col("weekdays").is_not_null().any().over("patient_id", "drug")
    together = side_by_side(orders.filter(on_days)).rename({"ended_on": "stopped_on"})
    return pl.concat([orders.filter(~on_days), together], how="diagonal").sort(
        "patient_id", "started_on", maintain_order=True
    )


def count_until(rows: pl.DataFrame, changes: pl.DataFrame, day: str) -> pl.Series:
    """Return how often each row's man had changed his testosterone until its ``day``, that day included.

    >>> from datetime import date
    >>> rows = pl.DataFrame({"patient_id": ["a", "a"], "on": [date(2026, 1, 1), date(2026, 6, 1)]})
    >>> changes = pl.DataFrame({"patient_id": ["a"], "changed_on": [date(2026, 3, 1)]})
    >>> count_until(rows, changes, "on").to_list()
    [0, 1]
    """
    numbered = rows.select("patient_id", pl.col(day).alias("day")).with_row_index("row")
    until = (
        numbered.join(changes, on="patient_id")
        .filter(pl.col("changed_on") <= pl.col("day"))
        .group_by("row")
        .agg(n=pl.len())
    )
    counted = numbered.join(until, on="row", how="left", maintain_order="left")
    return counted["n"].fill_null(0).cast(pl.Int64).alias("testosterone_changes")
