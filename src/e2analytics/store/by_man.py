"""Writes the tables that have rows of men, bucket by bucket: what did not change is not written.

In    the rows of some men, or of all; the version that the last run published
Out   a Delta version of the table, divided by ``bucket``: a keyed hash of the man, whose pseudonym is one already

A night brings rows of few men. Where it only adds to a bucket, these rows are one more file; where a row changes or goes,
the bucket is written again, as it is where it has many files. The files of all other buckets stay. Rows that name no
patient have a bucket of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl
from deltalake import DeltaTable, write_deltalake

from e2analytics.store.access import DeltaTables, PartitionSize
from e2analytics.store.delta import Part, write_files
from e2analytics.tables.categoricals import to_contract_types
from e2analytics.tables.registry import order_of
from e2analytics.tables.snapshot import is_of

BUCKET: Final = "bucket"
MEN_OF_A_BUCKET: Final = 2_000
"""Fewer make more files, of which a night with a correction writes fewer again."""
MOST_BUCKETS: Final = 256
_NOBODY: Final = "none"
_HEX_DIGITS: Final = (1, 7)
"""Of a pseudonym, after its ``p``: where they begin, and how many."""
_DIGITS: Final = 4
_ROWS_AT_ONCE: Final = 2_000_000
_MOST_FILES: Final = 30
"""Of a bucket; one that has more is written into one again when it next changes."""


def buckets_for(n_men: int) -> int:
    """Return into how many buckets a store of so many men is divided.

    >>> buckets_for(600), buckets_for(24_000), buckets_for(10_000_000)
    (1, 12, 256)
    """
    return max(1, min(MOST_BUCKETS, -(-n_men // MEN_OF_A_BUCKET)))


def bucket_of(n_buckets: int) -> pl.Expr:
    """Return the bucket of each ``patient_id``: by digits of the pseudonym, which a key has spread evenly."""
    digits = pl.col("patient_id").cast(pl.String).str.slice(*_HEX_DIGITS)
    number = digits.str.to_integer(base=16, strict=False).fill_null(0) % n_buckets
    named = number.cast(pl.String).str.zfill(_DIGITS)
    return pl.when(pl.col("patient_id").is_null()).then(pl.lit(_NOBODY)).otherwise(named)


def _named(number: int) -> str:
    return f"{number:0{_DIGITS}}"


def buckets_of(men: pl.Series, n_buckets: int) -> list[str]:
    """Return the buckets of some men, and that of rows that name no patient."""
    theirs = men.to_frame("patient_id").select(bucket_of(n_buckets)).to_series().unique()
    return sorted({*theirs, _NOBODY})


def put(
    delta: DeltaTables,
    name: str,
    rows: pl.DataFrame,
    table: str,
    *,
    men: pl.Series | None,
    published: int | None,
    n_buckets: int,
) -> int:
    """Write the rows of ``men`` in place of those that they had; return the version to publish.

    Parameters
    ----------
    delta
        The tables of the store.
    name
        Name of the stored table.
    rows
        All rows that these men have now, and all that name no patient; texts may be categories.
    table
        Name of the contract that the rows keep.
    men
        Pseudonyms; None: all men, so that what is not in ``rows`` goes.
    published
        The version that the last run published; None if it had no such table.
    n_buckets
        Into how many buckets the store is divided.
    """
    placed = rows.with_columns(bucket_of(n_buckets).alias(BUCKET))
    if published is None or delta.partitions(name) != [BUCKET]:
        _write_whole(delta, name, placed, table)
        return delta.version(name)
    then = delta.put_back(name, published)
    stored = _Stored(delta, name, published, placed, order_of(table))
    changes = [
        change
        for group in _groups(stored, men, n_buckets)
        for change in _changed(stored, placed, men, group)
    ]
    if not changes:
        return published
    with delta.named_errors(name, "written"):
        _write(delta, name, then, changes, table)
    return delta.version(name)


class _Change(NamedTuple):
    """Rows of a bucket: all that it has now, or those that are new beside what it had."""

    bucket: str
    rows: pl.DataFrame
    is_whole: bool


class _Stored:
    """A table as the last run published it, its repeated texts as categories where the new rows have them."""

    def __init__(
        self, delta: DeltaTables, name: str, version: int, like: pl.DataFrame, order: list[str]
    ) -> None:
        self._delta = delta
        self._name = name
        self._version = version
        self._like = like
        self.order = [BUCKET, *order]

    @cached_property
    def sizes(self) -> dict[str, PartitionSize]:
        """Rows and files of each bucket."""
        return self._delta.sizes(self._name, self._version, BUCKET)

    def read(self, buckets: Sequence[str], which: pl.Expr | None = None) -> pl.DataFrame:
        """Return the rows of some buckets, all or those for which ``which`` holds."""
        with self._delta.named_errors(self._name, "read"):
            rows = self._delta.scan(self._name, self._version).filter(pl.col(BUCKET).is_in(buckets))
            rows = rows if which is None else rows.filter(which)
            found = rows.select(self._like.columns).collect()
        return found.cast(self._like.schema)


def _groups(stored: _Stored, men: pl.Series | None, n_buckets: int) -> Iterator[list[str]]:
    """Yield the buckets that may have changed, so many together as take little memory."""
    sizes = stored.sizes
    concerned = {*sizes, *_all(n_buckets)} if men is None else {*buckets_of(men, n_buckets)}
    group: list[str] = []
    n_rows = 0
    for bucket in sorted(concerned):
        n_rows += sizes[bucket].n_rows if bucket in sizes else 0
        group.append(bucket)
        if n_rows > _ROWS_AT_ONCE:
            yield group
            group, n_rows = [], 0
    if group:
        yield group


def _all(n_buckets: int) -> list[str]:
    return [*(_named(number) for number in range(n_buckets)), _NOBODY]


def _changed(
    stored: _Stored, placed: pl.DataFrame, men: pl.Series | None, group: Sequence[str]
) -> Iterator[_Change]:
    """Yield the changes of the buckets of a group."""
    new = placed.filter(pl.col(BUCKET).is_in(group)).sort(stored.order)
    theirs = stored.read(group, None if men is None else is_of(men)).sort(stored.order)
    before, after = _by_bucket(theirs), _by_bucket(new)
    differ = []
    for bucket in group:
        was, now = (rows.get(bucket, new.clear()) for rows in (before, after))
        if was.equals(now):
            continue
        size = stored.sizes.get(bucket)
        added = now.join(was, on=now.columns, how="anti", nulls_equal=True)
        if size and size.n_files < _MOST_FILES and len(added) == len(now) - len(was):
            yield _Change(bucket, added, is_whole=False)
        else:
            differ.append(bucket)
    if not differ:
        return
    others = new.clear() if men is None else stored.read(differ, ~is_of(men))
    now = pl.concat([others, new.filter(pl.col(BUCKET).is_in(differ))])
    of_each = _by_bucket(now.sort(stored.order))
    for bucket in differ:
        yield _Change(bucket, of_each.get(bucket, now.clear()), is_whole=True)


def _by_bucket(rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    parts = rows.partition_by(BUCKET, as_dict=True, maintain_order=True)
    return {str(bucket): part for (bucket,), part in parts.items()}


def _write_whole(delta: DeltaTables, name: str, placed: pl.DataFrame, table: str) -> None:
    """Write a table in place of whatever is there."""
    with delta.named_errors(name, "written"):
        if delta.is_remote:
            with delta.commit(name) as properties:
                write_deltalake(
                    delta.newest(name) or delta.path(name),
                    to_contract_types(placed, table),
                    mode="overwrite",
                    schema_mode="overwrite",
                    partition_by=[BUCKET],
                    commit_properties=properties,
                )
            return
        ordered = placed.sort(BUCKET, *order_of(table)) if len(placed) else placed
        parts = (
            Part(of_bucket.drop(BUCKET), bucket)
            for bucket, of_bucket in _by_bucket(ordered).items()
        )
        write_files(Path(delta.path(name)), ordered.drop(BUCKET).schema, parts, BUCKET)


def _write(
    delta: DeltaTables, name: str, then: DeltaTable, changes: Sequence[_Change], table: str
) -> None:
    """Write the changes of a table's buckets; on disk in one commit."""
    whole = [change.bucket for change in changes if change.is_whole]
    if not delta.is_remote:
        parts = (Part(change.rows.drop(BUCKET), change.bucket) for change in changes)
        schema = changes[0].rows.drop(BUCKET).schema
        with delta.commit(name):
            write_files(Path(delta.path(name)), schema, parts, BUCKET, instead_of=whole)
        return
    rewritten, added = (
        [change.rows for change in changes if change.is_whole is is_whole]
        for is_whole in (True, False)
    )
    if rewritten:
        names = ", ".join(f"'{bucket}'" for bucket in whole)
        with delta.commit(name) as properties:
            write_deltalake(
                then,
                to_contract_types(pl.concat(rewritten), table),
                mode="overwrite",
                predicate=f"{BUCKET} IN ({names})",
                partition_by=[BUCKET],
                commit_properties=properties,
            )
        then.update_incremental()
    if added:
        with delta.commit(name) as properties:
            write_deltalake(
                then,
                to_contract_types(pl.concat(added), table),
                mode="append",
                partition_by=[BUCKET],
                commit_properties=properties,
            )
