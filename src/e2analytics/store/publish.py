"""Publishes a run: writes all its tables, then the manifest that makes them visible.

In    the tables of a run, and the rows that were not accepted
Out   a Delta version of every table that changed, and a row in ``runs`` that names them all

Must be called while :func:`e2analytics.store.lock.writing` holds the store. A run that is killed before its
row in ``runs`` is written leaves nothing visible; the next one undoes what it wrote.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from importlib.metadata import version as package_version
from typing import Any

import polars as pl

from e2analytics.errors import StoreError
from e2analytics.key import is_of_simulated_patients
from e2analytics.store import history
from e2analytics.store.access import DeltaTables
from e2analytics.store.merge import merge
from e2analytics.store.migrations import NOT_ACCEPTED
from e2analytics.store.store import Store
from e2analytics.tables.registry import CANONICAL, order_of, schema_of
from e2analytics.tables.snapshot import Outputs


# Nine parameters: each of them is a fact of the manifest, given by name.
def publish(
    store: Store,
    outputs: Outputs,
    *,
    run_id: str,
    as_of: date,
    part: str,
    key_check: str | None,
    started_at: datetime,
    settings: Mapping[str, Any],
    inputs: Mapping[str, str],
) -> dict[str, Any]:
    """Write every table, then the manifest; return the manifest.

    ``key_check`` is None where nothing was read, so that no key was needed.
    """
    # A newer e2analytics may have migrated the store since the job was checked.
    store.check(key_check)
    if run_id != store.next_run_id():
        raise StoreError(
            f"Another run was published to {store.uri} while this one was at work, so this one was not. Run "
            "again."
        )
    before = store.published()
    published = {name: at.version for name, at in store.tables(before).items()} if before else {}
    versions = _write_tables(store.delta, outputs, published)
    manifest = {
        "run_id": run_id,
        "as_of": as_of,
        "started_at": started_at,
        "finished_at": datetime.now(UTC),
        "simulated": is_of_simulated_patients(key_check or store.key_check()),
        "part": part,
        "outcome": outputs.outcome,
        "package_version": package_version("e2analytics"),
        "model_id": outputs.model_id,
        "inputs": json.dumps(inputs, sort_keys=True),
        "settings": json.dumps(settings, sort_keys=True),
        "counts": json.dumps(outputs.counts),
        "timings": json.dumps(outputs.timings),
        "table_versions": json.dumps(versions, sort_keys=True),
    }
    if not before:
        history.begin(store.delta, key_check or "")
    store.delta.write("runs", pl.DataFrame([manifest], schema=schema_of("runs")), "append")
    return manifest


def _write_tables(
    delta: DeltaTables, outputs: Outputs, published: Mapping[str, int]
) -> dict[str, int]:
    versions = {}
    for table in CANONICAL:
        name = f"{NOT_ACCEPTED}/{table}"
        versions[name] = merge(delta, name, outputs.not_accepted, table, published.get(name))
    for table in CANONICAL:
        versions[table] = merge(delta, table, outputs.tables, table, published.get(table))
    for table in outputs.tables:
        if table not in CANONICAL:
            versions[table] = replace(delta, table, outputs.tables[table], published.get(table))
    return versions


def replace(delta: DeltaTables, table: str, frame: pl.DataFrame, published: int | None) -> int:
    """Write a derived table anew, unless nothing in it changed; return the version to publish."""
    if published is not None:
        stored = delta.read(table, published).select(frame.columns).sort(order_of(table))
        if stored.equals(frame.sort(order_of(table))):
            return published
    delta.write(table, frame, "overwrite")
    return delta.version(table)
