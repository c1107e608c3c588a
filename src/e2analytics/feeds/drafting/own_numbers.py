"""Finds the number of a row's own: of a result, a scan, an order.

In    what fills the other columns of a table, and some of its rows
Out   the source of the number, and how many rows have one for themselves alone

A number must be the same when the row is corrected, and another for every other row. A column that is called
so is taken; else the order's number is joined to the item's; else who, when and what are joined.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from e2analytics.feeds.description import Join, Source, columns_named
from e2analytics.feeds.drafting import vocabulary

OWN: Final = {
    "labs": "result_id",
    "dxa": "scan_id",
    "medications": "order_id",
    "events": "event_id",
}
_WHO_WHEN_WHAT: Final = {
    "labs": ("patient_id", "collected_at", "test_name"),
    "dxa": ("patient_id", "scanned_on", "site"),
    "medications": ("patient_id", "started_on", "drug"),
    "events": ("patient_id", "occurred_on", "kind"),
}
_ITEM: Final = {"labs": "test_name", "dxa": "site"}


def of(
    table: str, columns: Mapping[str, Source], rows: pl.DataFrame, labels: Mapping[str, str]
) -> tuple[str, Source, str] | None:
    """Return the number's column, its source and what shows it; none if nothing can be joined."""
    own = OWN[table]
    given = columns.get(own)
    candidates = [*([given] if given else []), *_joined(table, columns, rows, labels)]
    if candidates:
        best = max(candidates, key=lambda source: _counts(source, rows)[0])
        versions = ". TODO: are the others versions of these?" * (not _is_one_each(best, rows))
        return own, best, _evidence(best, rows) + versions
    last = _who_when_what(table, columns)
    if last is None:
        return None
    return own, last, f"{_evidence(last, rows)}. TODO: is there a number that a correction keeps?"


def why_not_one_each(source: Source, rows: pl.DataFrame) -> str:
    """Say how many rows share their number with another, or have none; empty if each has its own."""
    return "" if _is_one_each(source, rows) else _evidence(source, rows)


def _joined(
    table: str, columns: Mapping[str, Source], rows: pl.DataFrame, labels: Mapping[str, str]
) -> list[Source]:
    found = vocabulary.numbers(table, rows.columns, labels)
    given = columns.get(OWN[table])
    order = found.get("order") or (given if isinstance(given, str) else None)
    if order is None:
        return []
    items = [found.get("item"), _column(columns.get(_ITEM.get(table, "")))]
    return [order, *(Join(join=(order, item)) for item in items if item and item != order)]


def _who_when_what(table: str, columns: Mapping[str, Source]) -> Source | None:
    parts = [_column(columns.get(name)) for name in _WHO_WHEN_WHAT[table]]
    names = [name for name in parts if name is not None]
    return Join(join=tuple(names)) if len(names) == len(parts) else None


def _column(source: Source | None) -> str | None:
    return None if source is None else next(columns_named(source), None)


def _is_one_each(source: Source, rows: pl.DataFrame) -> bool:
    distinct, filled = _counts(source, rows)
    return distinct == filled == len(rows)


def _counts(source: Source, rows: pl.DataFrame) -> tuple[int, int]:
    columns = list(columns_named(source))
    given = rows.select(columns).filter(pl.col(columns[0]).is_not_null())
    return given.n_unique(), len(given)


def _evidence(source: Source, rows: pl.DataFrame) -> str:
    distinct, filled = _counts(source, rows)
    if distinct == len(rows):
        return f"each of {len(rows):,} rows has its own"
    empty = f", {len(rows) - filled:,} empty" * (filled < len(rows))
    return f"{distinct:,} different in {len(rows):,} rows{empty}"
