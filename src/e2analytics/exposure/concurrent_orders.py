"""Orders of one drug side by side: on different days of the week they add up, on the same days the dose is unknown.

In    orders of men of whom two orders of the drug may be taken side by side
Out   what is in force between any two changes of these orders

A later order replaces one on the same days at the same dose (a renewal); where both name no day, it replaces
one of an earlier day, or of the same dose. An order of 0 mg ends all before it, and gives way to any later one.
Of all others it is not said that they ended: two that share a day, or of which one names no day, overlap, and
their dose is unknown while both are in force.
"""

from __future__ import annotations

from typing import Final

import polars as pl

_GROUP: Final = ["patient_id", "drug"]


def side_by_side(orders: pl.DataFrame) -> pl.DataFrame:
    """Return what is in force of orders that may be taken side by side.

    Parameters
    ----------
    orders
        Orders that were ever in force, sorted; ``weekdays`` as ``mon thu``.

    Returns
    -------
    DataFrame
        ``patient_id``, ``drug``, ``started_on``, ``ended_on``, ``weekly_dose_mg``, ``overlap``, ``ordered_on``,
        ``listed_on``, and the file and line of the last order.
    """
    until = _until_replaced(orders.with_row_index("row"))
    changes = pl.concat(
        [
            until.select(*_GROUP, from_on="started_on"),
            until.select(*_GROUP, from_on="ended_on").drop_nulls("from_on"),
        ]
    )
    spans = (
        changes.unique()
        .sort(*_GROUP, "from_on")
        .with_columns(to_on=pl.col("from_on").shift(-1).over(_GROUP))
    )
    days = pl.col("weekdays").str.split(" ")
    n_days = days.list.len().sum()
    adds_up = (pl.len() == 1) | (
        pl.col("weekdays").is_not_null().all() & (days.list.explode().n_unique() == n_days)
    )
    is_known = pl.col("weekly_dose_mg").is_not_null().all()
    return (
        spans.join(until, on=_GROUP)
        .filter(
            (pl.col("started_on") <= pl.col("from_on"))
            & (pl.col("ended_on").is_null() | (pl.col("ended_on") > pl.col("from_on")))
        )
        .sort(*_GROUP, "from_on", "row")
        .group_by(*_GROUP, "from_on", "to_on", maintain_order=True)
        .agg(
            # The last digits of a sum would differ with the order of its parts.
            weekly_dose_mg=pl.when(adds_up & is_known).then(
                pl.col("weekly_dose_mg").sum().round(9)
            ),
            overlap=~adds_up | pl.col("replaced_early").any(),
            ordered_on=pl.col("started_on").last(),
            listed_on=pl.col("listed_on").last(),
            source_file=pl.col("source_file").last(),
            source_line=pl.col("source_line").last(),
        )
        .rename({"from_on": "started_on", "to_on": "ended_on"})
    )


def _until_replaced(orders: pl.DataFrame) -> pl.DataFrame:
    """Add ``ended_on``: the day on which an order is stopped, or replaced by a later one."""
    later = orders.select(
        *_GROUP,
        later_row="row",
        replaced_on="started_on",
        later_days="weekdays",
        later_dose="weekly_dose_mg",
    )
    same_days = pl.col("weekdays").eq_missing(pl.col("later_days"))
    same_dose = pl.col("weekly_dose_mg") == pl.col("later_dose")
    is_later = pl.col("replaced_on") > pl.col("started_on")
    no_days = pl.col("weekdays").is_null() & pl.col("later_days").is_null()
    replaces = (
        (same_days & same_dose)
        | (no_days & is_later)
        | (pl.col("weekly_dose_mg") == 0)
        | (pl.col("later_dose") == 0)
    ).fill_null(False)
    replaced = (
        orders.join(later, on=_GROUP)
        .filter((pl.col("later_row") > pl.col("row")) & replaces)
        .group_by("row")
        .agg(pl.col("replaced_on").min())
    )
    return (
        orders.join(replaced, on="row", how="left")
        .with_columns(
            ended_on=pl.min_horizontal("stopped_on", "replaced_on"),
            replaced_early=(pl.col("stopped_on") > pl.col("replaced_on")).fill_null(False),
        )
        .filter(pl.col("ended_on").is_null() | (pl.col("ended_on") > pl.col("started_on")))
    )
