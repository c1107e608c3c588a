"""The history of a store's schema: ``store_info``, and the version that each run's tables are in.

One row per schema version that the store has had: ``schema_version``, ``key_check``, ``n_buckets`` (into how many
buckets of men the tables are divided; the first one that is known holds), and of a migration
``migrated_at``, ``migrated_run_id`` (the run that was the last one then) and ``table_versions`` (JSON: the
Delta versions at which that run's tables are in the new schema). Rows are only ever added.

A published run is not rewritten. The last run before a migration is read at the versions that the migration
wrote, and every earlier one at its own versions, upgraded when they are read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import polars as pl

from e2analytics.errors import StoreError
from e2analytics.store.access import DeltaTables
from e2analytics.store.migrations import SCHEMA_VERSION, name_today

STORE_INFO: Final = "store_info"
_SCHEMA: Final = {
    "schema_version": pl.Int64(),
    "key_check": pl.String(),
    "migrated_at": pl.Datetime("us", "UTC"),
    "migrated_run_id": pl.String(),
    "table_versions": pl.String(),
    "n_buckets": pl.Int64(),
}


class StoredTable(NamedTuple):
    """Where a table of a run is stored: folder, Delta version, and the schema version of its columns."""

    folder: str
    version: int
    schema_version: int


def history(delta: DeltaTables) -> pl.DataFrame:
    """Return the schema versions of a store, oldest first.

    Raises
    ------
    StoreError
        If the table is damaged.
    """
    rows = delta.read(STORE_INFO)
    if not _is_intact(rows):
        raise StoreError(
            f"The table {STORE_INFO} of the store {delta.uri}, which holds its key check and version, is "
            "damaged. Restore it from a backup."
        )
    # Stores of versions 1 and 2 have fewer columns.
    none = pl.DataFrame(schema=_SCHEMA)
    return pl.concat([none, rows], how="diagonal").sort("schema_version")


def _is_intact(rows: pl.DataFrame) -> bool:
    # A newer e2analytics may have added columns.
    kept = [name for name in _SCHEMA if name in rows.columns]
    return (
        {"schema_version", "key_check"} <= {*kept}
        and all(rows.schema[name] == _SCHEMA[name] for name in kept)
        and len(rows) > 0
        and not rows["schema_version"].has_nulls()
    )


def begin(delta: DeltaTables, key_check: str, n_buckets: int) -> None:
    """Write the first row, of a new store."""
    first = {"schema_version": SCHEMA_VERSION, "key_check": key_check, "n_buckets": n_buckets}
    delta.write(STORE_INFO, pl.DataFrame([first], schema=_SCHEMA), "overwrite")


def add(delta: DeltaTables, row: Mapping[str, Any]) -> None:
    """Add a row in one commit."""
    rows = pl.concat([history(delta), pl.DataFrame([row], schema=_SCHEMA)])
    # Newest first: e2analytics of version 1 looks at the first row, and so refuses the store.
    delta.write(STORE_INFO, rows.sort("schema_version", descending=True), "overwrite")


def stored_tables(run: Mapping[str, Any], schema: pl.DataFrame) -> dict[str, StoredTable]:
    """Return where the tables of a published run are stored, by today's names.

    Parameters
    ----------
    run
        Its manifest.
    schema
        The history of the store.
    """
    version, table_versions = _written(run, schema)
    return {
        name_today(folder, version): StoredTable(folder, number, version)
        for folder, number in json.loads(table_versions).items()
    }


def _written(run: Mapping[str, Any], schema: pl.DataFrame) -> tuple[int, str]:
    """Return the schema version of a run's tables, and their Delta versions."""
    for row in schema.sort("schema_version", descending=True).iter_rows(named=True):
        migrated = row["migrated_run_id"]
        if migrated is None or run["run_id"] > migrated:
            return row["schema_version"], run["table_versions"]
        if run["run_id"] == migrated:
            return row["schema_version"], row["table_versions"]
    raise AssertionError("a store's first schema version has no migration")
