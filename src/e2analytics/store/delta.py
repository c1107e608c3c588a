"""Writes a new Delta table of rows with categories: polars writes the Parquet files, Delta Lake the log.

In    frames of one schema; a text may be a category (``categoricals``)
Out   a table in a folder, in which every category is text again

Delta Lake's own writer takes the rows as plain text, which for ten million laboratory results needs three times
the time and the memory. Parquet keeps repeated texts as a dictionary, so the categories are never spelled out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import time
from typing import Final, NamedTuple
from uuid import uuid4

import polars as pl
from deltalake import DeltaTable, Schema
from deltalake.transaction import AddAction, RemoveAction

from e2analytics.tables.categoricals import TEXT
from e2analytics.tables.prefetch import prefetch

_ROWS_OF_A_GROUP: Final = 1 << 20


class Part(NamedTuple):
    """Rows of one file; ``key`` is their value of the partition column."""

    rows: pl.DataFrame
    key: str


def write_files(
    folder: Path,
    schema: pl.Schema,
    parts: Iterable[Part],
    by: str,
    instead_of: Sequence[str] | None = None,
) -> None:
    """Write a table in place of whatever is in ``folder``, or some of its partitions.

    Parameters
    ----------
    folder
        Of the table; made if it is not there.
    schema
        Of the rows, without the partition column.
    parts
        The rows, file by file.
    by
        Name of the partition column, which the rows do not have.
    instead_of
        The partitions whose files go as these come; None: all, and the columns of the table with them.
    """
    columns = {name: pl.String() if dtype == TEXT else dtype for name, dtype in schema.items()}
    none = pl.DataFrame(schema=columns | {by: pl.String()})
    stored = Schema.from_arrow(none.to_arrow().schema)
    if instead_of is None:
        table = DeltaTable.create(folder, stored, mode="overwrite", partition_by=by)
    else:
        table = DeltaTable(folder)
    # Selects the rows of the next file while the last one is written.
    added = [_added(folder, part, by) for part in prefetch(iter(parts)) if len(part.rows)]
    if instead_of is None:
        table.create_write_transaction([*added], "overwrite", stored, by)
    else:
        removed = _removed(table, by, instead_of)
        table.create_write_transaction([*added, *removed], "append", stored, by)


def _removed(table: DeltaTable, by: str, partitions: Sequence[str]) -> list[RemoveAction]:
    files = pl.DataFrame(table.get_add_actions(flatten=True))
    if files.is_empty() or not partitions:
        return []
    gone = files.filter(pl.col(f"partition.{by}").is_in(partitions))
    now = int(time() * 1000)
    return [
        RemoveAction(
            path, deletion_timestamp=now, data_change=True, size=size, partition_values={by: key}
        )
        for path, size, key in gone.select("path", "size_bytes", f"partition.{by}").iter_rows()
    ]


def _added(folder: Path, part: Part, by: str) -> AddAction:
    place = Path(f"{by}={part.key}", f"{uuid4()}.parquet")
    file = folder / place
    part.rows.write_parquet(
        file,
        # Level 1 is as small as the default, to 5 %, and quicker.
        compression="zstd",
        compression_level=1,
        # Large, as every group repeats the texts of its columns.
        row_group_size=_ROWS_OF_A_GROUP,
        # Of a group that holds nearly all values of its column they exclude nothing.
        statistics=False,
        mkdir=True,
    )
    facts = file.stat()
    return AddAction(
        place.as_posix(),
        size=facts.st_size,
        partition_values={by: part.key},
        modification_time=int(facts.st_mtime * 1000),
        data_change=True,
        stats=json.dumps({"numRecords": len(part.rows)}),
    )
