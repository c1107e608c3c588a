"""Migrates a store to the schema version of today.

In    a store of an earlier schema version
Out   its current tables in new Delta versions with today's columns, and a row in ``store_info``

The tables are written first, and no run names them yet; the row in ``store_info`` then makes the switch in one
commit. A migration that fails or is killed leaves the old store to its readers, and running it again completes
it. One that fails also puts the tables back for the older e2analytics to write, as far as the disk lets it.
After a kill that one puts back tables of source rows itself, but cannot write over derived ones: these come
last, in the last moments of a migration, and after a kill among them migrate again before the next night.
Old versions stay on disk: earlier runs are read from them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import polars as pl

from e2analytics.errors import StoreError
from e2analytics.store import history
from e2analytics.store.by_man import buckets_for, put
from e2analytics.store.history import StoredTable
from e2analytics.store.lock import writing
from e2analytics.store.migrations import NOT_ACCEPTED, SCHEMA_VERSION, is_changed
from e2analytics.store.store import Store
from e2analytics.tables.registry import CANONICAL, OF_MEN
from e2analytics.tables.vocabulary import FATES

_COUNTS_EVERY_RESULT: Final = 3
"""Schema version since which the ledger counts the results of a line, not the line."""


@dataclass(frozen=True)
class Plan:
    """What a migration will write.

    Attributes
    ----------
    from_version, to_version
        Schema versions.
    rows
        By table: how many rows are written anew. Other tables are the same in both versions.
    """

    from_version: int
    to_version: int
    rows: dict[str, int]


def migrate(
    store: Store,
    *,
    announce: Callable[[Plan], None],
    report_progress: Callable[[str], None],
) -> bool:
    """Migrate a store to today's schema version; return False if it has that version already.

    Parameters
    ----------
    store
        The store, which is held meanwhile.
    announce
        Called with the plan before anything is written.
    report_progress
        Called with the name of each table before it is written.

    Raises
    ------
    StoreError
        If there is no store, it is newer than this e2analytics, in use, or cannot be read or written, or
        if the disk has no room for the tables.
    """
    store.check_exists()
    with writing(store.delta):
        from_version = store.schema_version()
        if from_version == SCHEMA_VERSION:
            return False
        run = store.runs().row(-1, named=True)
        tables = store.tables(run)
        changed = {
            name: tables[name]
            for name in sorted(tables, key=_is_derived)
            if is_changed(tables[name].folder, from_version)
        }
        _check_room(store, changed)
        announce(Plan(from_version, SCHEMA_VERSION, _rows(store, changed)))
        versions = {name: at.version for name, at in tables.items()}
        n_buckets = store.n_buckets() or buckets_for(_n_men(store, tables))
        try:
            for name, at in changed.items():
                report_progress(name)
                versions[name] = _rewrite(store, name, at, tables, n_buckets)
            history.add(
                store.delta,
                {
                    "schema_version": SCHEMA_VERSION,
                    "key_check": store.key_check(),
                    "migrated_at": datetime.now(UTC),
                    "migrated_run_id": run["run_id"],
                    "table_versions": json.dumps(versions, sort_keys=True),
                    "n_buckets": n_buckets,
                },
            )
        except BaseException:
            # So that the older e2analytics can go on writing to its store.
            _put_back(store, changed)
            raise
    return True


def _is_derived(name: str) -> bool:
    return _contract(name) not in CANONICAL


def _contract(name: str) -> str:
    return name.rpartition("/")[2]


def _check_room(store: Store, tables: dict[str, StoredTable]) -> None:
    if store.delta.is_remote:
        return
    needed = sum(store.delta.n_bytes(at.folder, at.version) for at in tables.values())
    free = shutil.disk_usage(store.uri).free
    if needed > free:
        raise StoreError(
            f"The store {store.uri} needs about {needed / 1e6:,.1f} MB more to be migrated; its disk has "
            f"{free / 1e6:,.1f} MB. Make room, then run the command again; nothing was written."
        )


def _rows(store: Store, tables: dict[str, StoredTable]) -> dict[str, int]:
    return {name: store.delta.n_rows(at.folder, at.version) for name, at in tables.items()}


def _put_back(store: Store, tables: dict[str, StoredTable]) -> None:
    # On a full disk not even this can be written: the error to tell is the one before.
    for at in tables.values():
        with suppress(StoreError):
            store.delta.put_back(at.folder, at.version)


def _n_men(store: Store, tables: dict[str, StoredTable]) -> int:
    patients = tables["patients"]
    return store.delta.n_rows(patients.folder, patients.version)


def _rewrite(
    store: Store, name: str, at: StoredTable, tables: dict[str, StoredTable], n_buckets: int
) -> int:
    """Write a table with today's columns; return its Delta version."""
    table = _contract(name)
    if table in OF_MEN:
        rows = store.categorical_rows(name, at) if table in CANONICAL else store.rows(name, at)
        put(store.delta, name, rows, table, men=None, published=None, n_buckets=n_buckets)
    else:
        rows = store.rows(name, at)
        if name == "files" and at.schema_version < _COUNTS_EVERY_RESULT:
            rows = _recounted(rows, store, tables)
        store.delta.write(name, rows, "overwrite")
    return store.delta.version(name)


def _recounted(files: pl.DataFrame, store: Store, tables: dict[str, StoredTable]) -> pl.DataFrame:
    """Count every result of a line that holds several, which was one row of the ledger before."""
    fates = pl.concat(
        [
            store.rows(name, tables[name]).select("source_file", fate=fate)
            for table in CANONICAL
            if table in tables
            for name, fate in (
                (table, pl.lit("accepted")),
                (f"{NOT_ACCEPTED}/{table}", pl.col("fate").cast(pl.String)),
            )
        ]
    )
    counts = fates.group_by("source_file").agg(
        pl.len().cast(pl.Int64).alias("rows_read"),
        *((pl.col("fate") == fate).sum().cast(pl.Int64).alias(fate) for fate in FATES),
    )
    return files.update(counts, on="source_file", how="left")
