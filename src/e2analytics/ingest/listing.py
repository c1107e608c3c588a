"""Lists of medications without renewals: until when a list has carried each of its orders.

In    the reconciled rows of ``medications``, the ledger, the days of the runs
Out   the same rows with ``listed_on``

A list of what men take shows no refill: an order in it keeps its first day for years. It is in use for as long as the
list carries it, so that its age counts from the last file that did.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

import polars as pl

from e2analytics.tables.registry import key_of
from e2analytics.tables.vocabulary import NO_RENEWALS

_KEY: Final = key_of("medications")


def with_last_listing(
    medications: pl.DataFrame, files: pl.DataFrame, run_days: Mapping[str, date], as_of: date
) -> pl.DataFrame:
    """Return the rows with the day of the last run up to ``as_of`` that read a list with their order in it.

    Parameters
    ----------
    medications
        Reconciled rows, those that repeat or were superseded among them.
    files
        The ledger: ``source_file``, ``run_id``.
    run_days
        The as-of day of each run.
    as_of
        The day of this run.
    """
    of_lists = medications.filter(pl.col("renewals") == NO_RENEWALS)
    if of_lists.is_empty():
        return medications.with_columns(listed_on=pl.lit(None, dtype=pl.Date))
    read_on = files.select(
        "source_file",
        read_on=pl.col("run_id").replace_strict(dict(run_days), default=None, return_dtype=pl.Date),
    ).filter(pl.col("read_on") <= as_of)
    listed = (
        of_lists.select(*_KEY, pl.col("source_file").cast(pl.String))
        .join(read_on.unique("source_file"), on="source_file")
        .group_by(_KEY)
        .agg(listed_on=pl.col("read_on").max())
    )
    return medications.drop("listed_on", strict=False).join(
        listed, on=_KEY, how="left", maintain_order="left"
    )
