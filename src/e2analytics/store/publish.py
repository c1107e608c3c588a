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
from e2analytics.store.by_man import buckets_for, put
from e2analytics.store.migrations import NOT_ACCEPTED
from e2analytics.store.state import frames_of
from e2analytics.store.store import Store
from e2analytics.tables.registry import CANONICAL, OF_MEN, OF_THE_DAY, order_of, schema_of
from e2analytics.tables.snapshot import Outputs, categorical_rows


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
    # Once and for all: a man whose bucket changed would stand in two.
    n_buckets = (store.n_buckets() or 1) if before else buckets_for(len(outputs.tables["patients"]))
    versions = _write_tables(store.delta, outputs, published, as_of, n_buckets)
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
        history.begin(store.delta, key_check or "", n_buckets)
    store.delta.write("runs", pl.DataFrame([manifest], schema=schema_of("runs")), "append")
    return manifest


def _write_tables(
    delta: DeltaTables,
    outputs: Outputs,
    published: Mapping[str, int],
    as_of: date,
    n_buckets: int,
) -> dict[str, int]:
    versions = {}
    of_men = {
        f"{NOT_ACCEPTED}/{table}": (outputs.not_accepted, table) for table in outputs.not_accepted
    }
    of_men |= {table: (outputs.tables, table) for table in outputs.tables}
    for name, (tables, table) in of_men.items():
        if table in OF_MEN:
            versions[name] = put(
                delta,
                name,
                _without_the_day(_rows(tables, table), table, as_of),
                table,
                men=outputs.men,
                published=published.get(name),
                n_buckets=n_buckets,
            )
        else:
            rows = tables[table].sort(order_of(table))
            versions[name] = replace(delta, name, rows, published.get(name))
    left = frames_of(outputs.state) if outputs.state else {}
    for name, frame in left.items():
        versions[name] = replace(delta, name, frame, published.get(name))
    return versions


def _rows(tables: Mapping[str, pl.DataFrame], table: str) -> pl.DataFrame:
    # Of rows of suppliers there are many: they stay categories until they are written.
    return categorical_rows(tables, table) if table in CANONICAL else tables[table]


def _without_the_day(rows: pl.DataFrame, table: str, as_of: date) -> pl.DataFrame:
    """Leave out the day where it is that of the run: rows that do not change from day to day stay as they are."""
    return rows.with_columns(
        pl.when(pl.col(name) != as_of).then(name).alias(name) for name in OF_THE_DAY.get(table, ())
    )


def replace(delta: DeltaTables, name: str, frame: pl.DataFrame, published: int | None) -> int:
    """Write a table that is about many anew, unless nothing in it changed; return the version to publish.

    Its rows are in an order that is always the same.
    """
    if published is not None:
        stored = delta.read(name, published)
        if stored.columns == frame.columns and stored.equals(frame):
            return published
    delta.write(name, frame, "overwrite")
    return delta.version(name)
