"""Keeps rows small while they are many: repeated texts as categories, 4 bytes each.

In    rows of a canonical table
Out   the same rows; every text but the row's own id is a category (:func:`compact`), or text again as
      the table's contract says (:func:`plain`)

Ten million laboratory results take 1.5 GB so, and 3 GB as text.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, TypeVar

import polars as pl

from e2analytics.contracts import schema_of

TEXT: Final = pl.Categorical(pl.Categories("e2analytics"))
_OWN_IDS: Final = frozenset({"result_id", "scan_id", "order_id", "event_id"})


_Frame = TypeVar("_Frame", pl.DataFrame, pl.LazyFrame)


def compact(rows: _Frame, *, but: Collection[str] = _OWN_IDS) -> _Frame:
    """Return ``rows`` with repeated texts as categories; texts in ``but`` stay as they are."""
    texts = [name for name, dtype in rows.collect_schema().items() if dtype == pl.String]
    return rows.with_columns(pl.col(name).cast(TEXT) for name in texts if name not in but)


def plain(rows: pl.DataFrame, table: str) -> pl.DataFrame:
    """Return ``rows`` in the types of the table's contract; other columns are text again."""
    types = schema_of(table)
    return rows.with_columns(
        pl.col(name).cast(types.get(name, pl.String()))
        for name, dtype in rows.schema.items()
        if dtype == TEXT
    )
