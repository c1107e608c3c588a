"""Brings tables of source rows up to date: writes them new, or merges what changed.

In    all rows of a canonical table after a run, slice by slice
Out   a Delta version of its table; ``labs`` is partitioned by the month of the draw

What changed is found from a hash of every row, so that neither the rows that are stored nor those that are
new need to be in memory at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Final, TypeVar

import polars as pl
import pyarrow as pa
from deltalake import write_deltalake
from deltalake.exceptions import CommitFailedError

from e2analytics.errors import StoreError
from e2analytics.store.access import DeltaTables
from e2analytics.store.delta import Part, write_new
from e2analytics.tables.categoricals import to_categories, to_contract_types
from e2analytics.tables.months import month_of, year_month
from e2analytics.tables.registry import MONTH_PARTITION
from e2analytics.tables.snapshot import categorical_rows, slices
from e2analytics.tables.source import ROW

_MONTH: Final = "month"
_HASH: Final = "row_hash"
_TRIES: Final = 3
_ROWS_OF_A_FILE: Final = 2_000_000
_Frame = TypeVar("_Frame", pl.DataFrame, pl.LazyFrame)


def merge(
    delta: DeltaTables,
    name: str,
    tables: Mapping[str, pl.DataFrame],
    table: str,
    published: int | None,
) -> int:
    """Insert, update and delete the rows that changed; return the version to publish.

    Parameters
    ----------
    delta
        The tables of the store.
    name
        Name of the stored table.
    tables
        Holds the rows as they shall be, under ``table``.
    table
        Name of the contract that the rows keep.
    published
        The version that the last run published; None if it had no such table.
    """
    if published is None:
        write_rows(delta, name, tables, table)
        return delta.version(name)
    delta.put_back(name, published)
    now = pl.concat(_hashes(_with_month(name, rows)) for rows in slices(tables, table))
    stored = _stored_hashes(delta, name, published)
    # A row read again may have moved to another month: there it is new, here it is gone.
    place = [column for column in now.columns if column != _HASH]
    changed = now.join(stored, on=now.columns, how="anti")
    gone = stored.join(now, on=place, how="anti")
    if changed.is_empty() and gone.is_empty():
        return published
    rows = pl.concat(
        _with_month(name, part).join(to_contract_types(changed, table), on=ROW, how="semi")
        for part in slices(tables, table)
    )
    leaving = to_contract_types(gone.drop(_HASH), table).with_columns(keep=pl.lit(False))
    changes = pl.concat([rows.with_columns(keep=pl.lit(True)), leaving], how="diagonal")
    _merge_changes(delta, name, published, changes)
    return delta.version(name)


def write_rows(
    delta: DeltaTables, name: str, tables: Mapping[str, pl.DataFrame], table: str
) -> None:
    """Write a table of source rows in place of whatever is there; parameters as of :func:`merge`."""
    with delta.named_errors(name, "written"), delta.one_writer(name):
        if delta.is_remote:
            _write_slices(delta, name, tables, table)
        else:
            rows = categorical_rows(tables, table)
            by = _MONTH if name in MONTH_PARTITION else None
            write_new(Path(delta.path(name)), rows.schema, _parts(name, rows), by)


def _write_slices(
    delta: DeltaTables, name: str, tables: Mapping[str, pl.DataFrame], table: str
) -> None:
    # Delta Lake alone can write to object storage.
    parts = (_with_month(name, rows) for rows in slices(tables, table))
    first = next(parts)
    schema = first.head(0).to_arrow().schema
    batches = (batch for part in chain([first], parts) for batch in part.to_arrow().to_batches())
    write_deltalake(
        delta.newest(name) or delta.path(name),
        pa.RecordBatchReader.from_batches(schema, batches),
        mode="overwrite",
        schema_mode="overwrite",
        partition_by=[_MONTH] if _MONTH in first.columns else None,
        commit_properties=delta.commit_properties(),
    )


def _stored_hashes(delta: DeltaTables, name: str, version: int) -> pl.DataFrame:
    with delta.named_errors(name, "read"):
        return _hashes(delta.scan(name, version)).collect(engine="streaming")


def _merge_changes(delta: DeltaTables, name: str, published: int, changes: pl.DataFrame) -> None:
    same_row = " AND ".join(f"t.{column} = s.{column}" for column in ROW)
    if _MONTH in changes.columns:
        # Naming the months keeps the merge to the partitions it touches.
        months = ", ".join(f"'{month}'" for month in changes[_MONTH].unique().sort())
        same_row = f"t.{_MONTH} IN ({months}) AND t.{_MONTH} = s.{_MONTH} AND {same_row}"
    columns = {column: f"s.{column}" for column in changes.columns if column != "keep"}
    for attempt in range(_TRIES):
        try:
            table = delta.put_back(name, published)
            with delta.named_errors(name, "written"):
                (
                    table.merge(
                        changes,
                        same_row,
                        source_alias="s",
                        target_alias="t",
                        commit_properties=delta.commit_properties(),
                    )
                    .when_matched_delete("NOT s.keep")
                    .when_matched_update(columns, "s.keep")
                    .when_not_matched_insert(columns, "s.keep")
                    .execute()
                )
            return
        except CommitFailedError:
            # Another process wrote the same partition in between, a vacuum for example.
            if attempt == _TRIES - 1:
                raise StoreError(
                    f"The table {name} of {delta.uri} was written by another process at the same "
                    "time. Run again; nothing was published."
                ) from None


def _hashes(rows: _Frame) -> _Frame:
    """Return the place of each row, and a hash of all its values."""
    names: list[str] = sorted(rows.collect_schema())
    place = [*ROW, *([_MONTH] if _MONTH in names else [])]
    return to_categories(rows.select(*place, pl.struct(names).hash(seed=0).alias(_HASH)))


def _parts(name: str, rows: pl.DataFrame) -> Iterator[Part]:
    """Yield the rows file by file: each month's, or so many that a part takes little memory."""
    if name not in MONTH_PARTITION:
        yield from (Part(part) for part in rows.iter_slices(_ROWS_OF_A_FILE))
        return
    months = (
        rows.lazy()
        .select(month=month_of(pl.col(MONTH_PARTITION[name])))
        .with_row_index("at")
        .group_by("month")
        .agg("at")
        .sort("month")
        .collect()
    )
    for month, at in zip(months["month"], months["at"], strict=True):
        yield Part(rows[at], year_month(month))


def _with_month(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    if name not in MONTH_PARTITION:
        return frame
    return frame.with_columns(pl.col(MONTH_PARTITION[name]).dt.strftime("%Y-%m").alias(_MONTH))
