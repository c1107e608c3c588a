"""A store: its published runs, and the tables of each. Delta Lake on disk or in object storage.

A run publishes all its tables at once: its row in ``runs`` names the Delta version of every table and
is written last (``publish``). Readers read the versions that a published run names, so a killed run leaves
nothing visible.

::

    STORE/runs                  the manifests
    STORE/store_info            schema versions, check of the key (``history``)
    STORE/<table>               as in schemas/contracts; what has rows of men by buckets of men (``by_man``)
    STORE/not_accepted/<table>  rows that were read and not accepted, with their fate
    STORE/state/<name>          what a run leaves for the next one (``state``)
    STORE/crosswalk             the patient number behind each pseudonym, encrypted (``crosswalk``)
    STORE/audit                 who opened the crosswalk
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from shlex import quote
from typing import Any
from urllib.parse import unquote

import polars as pl

from e2analytics.errors import ConfigurationError, StoreError, TooLittleDataError
from e2analytics.store.access import DeltaTables
from e2analytics.store.by_man import BUCKET, buckets_of
from e2analytics.store.history import STORE_INFO, StoredTable, history, stored_tables
from e2analytics.store.migrations import NOT_ACCEPTED, SCHEMA_VERSION, upgrade
from e2analytics.store.state import read_state
from e2analytics.store.stored_tables import StoredTables, dated
from e2analytics.tables.categoricals import to_categories
from e2analytics.tables.registry import (
    CANONICAL,
    CARRIED_OVER,
    TABLES,
    columns_of,
    order_of,
    schema_of,
)
from e2analytics.tables.snapshot import Snapshot, empty_not_accepted


class Store:
    """A folder, or an address of object storage, that holds the tables.

    Parameters
    ----------
    uri
        A path, or what Delta Lake takes for one (``s3://...``). ``file:///...`` is a path, so that both
        names of a folder have one lock.
    """

    def __init__(self, uri: str) -> None:
        path = unquote(uri.removeprefix("file://")) if uri.startswith("file:///") else uri
        self.uri = path.rstrip("/")
        self.delta = DeltaTables(self.uri)
        # Kept: it is asked for with every table, and never changes.
        self._n_buckets: int | None = None

    def exists(self) -> bool:
        """Tell whether anything was ever published here."""
        return self.delta.is_table("runs")

    def check(self, key_check: str | None = None) -> None:
        """Refuse a store of another version or another key.

        Raises
        ------
        StoreError
            If the store must be migrated first, is newer than this e2analytics, or cannot be read.
        ConfigurationError
            If it was written under another key.
        """
        if not self.exists():
            return
        version = self.schema_version()
        if version < SCHEMA_VERSION:
            raise StoreError(
                f"The store {self.uri} has schema version {version}; this e2analytics reads version "
                f"{SCHEMA_VERSION}. Migrate it: e2analytics store migrate --store {quote(self.uri)}"
            )
        if key_check is not None and self.key_check() != key_check:
            raise ConfigurationError(
                f"The store {self.uri} was written under another key. Set the key it was written "
                "with, or give another --store; nothing was read or written."
            )

    def check_exists(self) -> None:
        """Refuse an address without a store.

        Raises
        ------
        StoreError
            If nothing was ever published here.
        """
        if not self.exists():
            raise StoreError(
                f"There is no store at {self.uri}. "
                f"Make one: e2analytics run --drop DIR --store {quote(self.uri)}"
            )

    def schema_version(self) -> int:
        """Return the schema version of the store.

        Raises
        ------
        StoreError
            If it is newer than this e2analytics, or lost.
        """
        if not self.delta.is_table(STORE_INFO):
            raise StoreError(
                f"The store {self.uri} has lost its table {STORE_INFO}, which holds its key check and "
                "version. Restore it from a backup."
            )
        version = int(history(self.delta)["schema_version"][-1])
        if version > SCHEMA_VERSION:
            raise StoreError(
                f"The store {self.uri} has schema version {version}; this e2analytics reads version "
                f"{SCHEMA_VERSION}. Use a newer e2analytics."
            )
        return version

    def n_buckets(self) -> int | None:
        """Return into how many buckets of men the tables are divided; None if that was never written down."""
        if self._n_buckets is None and self.exists():
            known = history(self.delta)["n_buckets"].drop_nulls()
            self._n_buckets = int(known[0]) if len(known) else None
        return self._n_buckets

    def key_check(self) -> str:
        """Return the check of the key that the store was written under; empty if there is no store."""
        return str(history(self.delta)["key_check"][-1]) if self.exists() else ""

    def runs(self) -> pl.DataFrame:
        """Return the published runs, oldest first; none if there is no store yet."""
        if not self.exists():
            return pl.DataFrame(schema=schema_of("runs"))
        runs = [pl.DataFrame(schema=schema_of("runs")), self.delta.read("runs")]
        return pl.concat(runs, how="diagonal").sort("run_id")

    def published(self, as_of: date | None = None) -> dict[str, Any] | None:
        """Return the manifest of the last published run, or of the last one as of a day."""
        runs = self.runs()
        if as_of is not None:
            runs = runs.filter(pl.col("as_of") <= as_of).sort("as_of", "run_id")
        return runs.row(-1, named=True) if len(runs) else None

    def first_as_of(self, as_of: date) -> dict[str, Any] | None:
        """Return the manifest of the first run that flagged as of exactly this day."""
        runs = self.runs().filter((pl.col("as_of") == as_of) & (pl.col("part") != "ingest"))
        return runs.row(0, named=True) if len(runs) else None

    def table(self, name: str, run: Mapping[str, Any]) -> pl.DataFrame:
        """Return a table as a published run left it."""
        if name == "runs":
            return self.runs().filter(pl.col("run_id") <= run["run_id"])
        at = self.tables(run).get(name)
        if at is None:
            return pl.DataFrame(schema=schema_of(name))
        return dated(self.rows(name, at), name, run["as_of"]).sort(order_of(name))

    def pending(self, table: str, run: Mapping[str, Any]) -> pl.DataFrame:
        """Return the rows of a canonical table that a published run left in quarantine."""
        name = f"{NOT_ACCEPTED}/{table}"
        at = self.tables(run).get(name)
        if at is None:
            return empty_not_accepted(table)
        rows = self.rows(name, at)
        return rows.filter(pl.col("fate") == "quarantined").sort(order_of(table))

    def snapshot(self, as_of: date | None = None) -> Snapshot:
        """Return what is known before a run: all rows, models and limits; none before the first.

        What depends on the day (flags, curves) is that of the last run as of ``as_of`` or before, so
        that a run as of an earlier day neither sees nor changes what comes after it.
        """
        run = self.published()
        if run is None:
            return Snapshot()
        stored = self.tables(run)
        of_each = {name: (at, run["as_of"]) for name, at in stored.items()}
        that_day = self.published(as_of)
        goes_on = that_day is not None and that_day["run_id"] == run["run_id"]
        if not goes_on:
            of_day = {name for name in stored if name in TABLES and name not in CARRIED_OVER}
            of_each = {name: at for name, at in of_each.items() if name not in of_day}
            if that_day:
                there = self.tables(that_day)
                of_each |= {
                    name: (there[name], that_day["as_of"]) for name in of_day & there.keys()
                }
        not_accepted = {
            table: of_each[name]
            for table in CANONICAL
            if (name := f"{NOT_ACCEPTED}/{table}") in of_each
        }
        tables = {name: at for name, at in of_each.items() if name in TABLES}
        return Snapshot(
            StoredTables(self, tables, runs=self.runs()),
            StoredTables(self, not_accepted, folder=f"{NOT_ACCEPTED}/"),
            # The state is of the last run: one as of another day does not go on from it.
            read_state(lambda name: self.rows(name, stored[name]), stored) if goes_on else None,
        )

    def next_run_id(self) -> str:
        """Return the name of the next run."""
        return f"run-{len(self.runs()) + 1:06d}"

    def tables(self, run: Mapping[str, Any]) -> dict[str, StoredTable]:
        """Return where the tables of a published run are stored."""
        return stored_tables(run, history(self.delta))

    def rows(self, name: str, at: StoredTable) -> pl.DataFrame:
        """Return a stored table with the columns of today."""
        with self.delta.named_errors(name, "read"):
            return self.scan(name, at).collect()

    def categorical_rows(self, name: str, at: StoredTable) -> pl.DataFrame:
        """Return a stored table with the columns of today, its repeated texts as categories."""
        with self.delta.named_errors(name, "read"):
            return to_categories(self.scan(name, at)).collect(engine="streaming")

    def scan(self, name: str, at: StoredTable, men: pl.Series | None = None) -> pl.LazyFrame:
        """Return a stored table with the columns of today, to be read in part inside ``delta.named_errors``.

        Of ``men`` at least: files without any of them are left out.
        """
        stored = self.delta.scan(at.folder, at.version)
        if men is not None and BUCKET in stored.collect_schema():
            stored = stored.filter(pl.col(BUCKET).is_in(buckets_of(men, self.n_buckets() or 1)))
        rows = upgrade(name, stored, at.schema_version)
        # Rows that were not accepted, and states, have no contract of their own.
        return rows.select(columns_of(name)) if name in TABLES else rows.drop(BUCKET, strict=False)


def open_published(uri: str, as_of: date | None = None) -> tuple[Store, dict[str, Any]]:
    """Return a store and the manifest of the run to read.

    Raises
    ------
    StoreError
        If there is no store, or it is of another version.
    TooLittleDataError
        If no run was published up to ``as_of``.
    """
    store = Store(uri)
    store.check_exists()
    store.check()
    run = store.published(as_of)
    if run is None:
        first = store.runs()["as_of"][0]
        raise TooLittleDataError(
            f"The store {uri} has no run up to {as_of}; its first is as of {first}."
        )
    return store, run
