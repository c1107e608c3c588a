"""The tables on disk: Delta Lake, published a run at a time. The only module that touches them.

A run publishes all its tables at once: its row in ``runs`` names the Delta version of every table and
is written last. Readers read the versions that a published run names, so a killed run leaves nothing
visible; the next one puts its leftovers back before it writes.

::

    STORE/runs                  the manifests
    STORE/store_info            schema version, check of the key
    STORE/<table>               as in schemas/contracts; labs by month of the draw
    STORE/not_accepted/<table>  rows that were read and not accepted, with their fate
    STORE/crosswalk             whose pseudonym is whose, encrypted row by row (``crosswalk``)
    STORE/audit                 who opened it
"""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from hashlib import sha256
from importlib.metadata import version as package_version
from itertools import chain
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from filelock import FileLock, Timeout

from e2analytics.errors import (
    ConfigurationError,
    E2AnalyticsError,
    StoreError,
    TooLittleDataError,
    is_stop,
)
from e2analytics.key import is_of_simulated_patients
from e2analytics.store.delta import Part, write_new
from e2analytics.tables.categoricals import compact, plain
from e2analytics.tables.months import month_of, spelled
from e2analytics.tables.registry import (
    CANONICAL,
    CARRIED_OVER,
    MONTH_PARTITION,
    TABLES,
    columns_of,
    order_of,
    schema_of,
)
from e2analytics.tables.snapshot import Outputs, Snapshot, compact_rows, slices
from e2analytics.tables.source import ROW

SCHEMA_VERSION: Final = 1
_MONTH: Final = "month"
_HASH: Final = "said"
_WAIT_SECONDS: Final = 5
_TRIES: Final = 3
_ROWS_OF_A_FILE: Final = 2_000_000
_Frame = TypeVar("_Frame", pl.DataFrame, pl.LazyFrame)


class Store:
    """A folder, or an address of object storage, that holds the tables.

    Parameters
    ----------
    uri
        A path, or what Delta Lake takes for one (``s3://...``).
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri.rstrip("/")

    # --- opening -----------------------------------------------------------------------------

    def exists(self) -> bool:
        """Tell whether anything was ever published here."""
        return self.is_table("runs")

    def check(self, key_check: str | None = None) -> None:
        """Refuse a store of another version or another key.

        Raises
        ------
        StoreError
            If the store was written by a newer or incompatible e2analytics, or cannot be read.
        ConfigurationError
            If it was written under another key.
        """
        if not self.exists():
            return
        if not self.is_table("store_info"):
            raise StoreError(
                f"The store {self.uri} has lost its table store_info, which tells its key and version. "
                "Restore it from a backup."
            )
        info = self.read("store_info", None).row(0, named=True)
        if info["schema_version"] != SCHEMA_VERSION:
            raise StoreError(
                f"The store {self.uri} has schema version {info['schema_version']}; this e2analytics "
                f"reads version {SCHEMA_VERSION}. Use the e2analytics that wrote it."
            )
        if key_check is not None and info["key_check"] != key_check:
            raise ConfigurationError(
                f"The store {self.uri} was written under another key. Set the key it was written "
                "with, or give another --store; nothing was read or written."
            )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the store: one publisher at a time.

        Raises
        ------
        StoreError
            If another run holds it; the message names the process.
        """
        folder = self._lock_folder()
        holder = folder / ".holder"
        # The operating system drops the lock with the process that held it.
        lock = FileLock(folder / ".lock", timeout=_WAIT_SECONDS)
        try:
            lock.acquire()
        except Timeout:
            by = holder.read_text(encoding="utf-8") if holder.is_file() else "another process"
            raise StoreError(
                f"The store {self.uri} is in use by {by}. Wait until it is done, then run again."
            ) from None
        except OSError as error:
            raise StoreError(
                f"The store {self.uri} cannot be written ({error.strerror}). "
                "Give e2analytics the right to write it, or another --store."
            ) from None
        try:
            holder.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()

    def _lock_folder(self) -> Path:
        if "://" in self.uri:
            folder = (
                Path(tempfile.gettempdir())
                / f"e2analytics-{sha256(self.uri.encode()).hexdigest()[:12]}"
            )
        else:
            folder = Path(self.uri)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The store {self.uri} cannot be made ({error.strerror}). Give another --store."
            ) from None
        return folder

    # --- reading -----------------------------------------------------------------------------

    def runs(self) -> pl.DataFrame:
        """Return the published runs, oldest first; none if there is no store yet."""
        if not self.exists():
            return pl.DataFrame(schema=schema_of("runs"))
        return self.read("runs", None).sort("run_id")

    def published(self, as_of: date | None = None) -> dict[str, Any] | None:
        """Return the manifest of the last published run, or of the last one as of a day."""
        runs = self.runs()
        if as_of is not None:
            runs = runs.filter(pl.col("as_of") <= as_of).sort("as_of", "run_id")
        return runs.row(-1, named=True) if len(runs) else None

    def first_as_of(self, as_of: date) -> dict[str, Any] | None:
        """Return the manifest of the first run that judged everything as of exactly this day."""
        runs = self.runs().filter((pl.col("as_of") == as_of) & (pl.col("part") != "ingest"))
        return runs.row(0, named=True) if len(runs) else None

    def table(self, name: str, run: Mapping[str, Any]) -> pl.DataFrame:
        """Return a table as a published run left it."""
        if name == "runs":
            return self.runs().filter(pl.col("run_id") <= run["run_id"])
        version = json.loads(run["table_versions"]).get(name)
        if version is None:
            return pl.DataFrame(schema=schema_of(name))
        return self.read(name, version).select(columns_of(name)).sort(order_of(name))

    def waiting(self, table: str, run: Mapping[str, Any]) -> pl.DataFrame:
        """Return the rows of a canonical table that a published run left in quarantine."""
        not_accepted = f"not_accepted/{table}"
        rows = self.read(not_accepted, json.loads(run["table_versions"])[not_accepted])
        return rows.filter(pl.col("fate") == "quarantined").sort(order_of(table))

    def snapshot(self, as_of: date | None = None) -> Snapshot:
        """Return what is known before a run: all rows, models and limits; none before the first.

        What depends on the day (flags, curves) is that of the last run as of ``as_of`` or before, so
        that a run as of an earlier day neither sees nor changes what comes after it.
        """
        run = self.published()
        if run is None:
            return Snapshot()
        versions = json.loads(run["table_versions"])
        not_accepted = {
            table: self._read_compact(f"not_accepted/{table}", versions[f"not_accepted/{table}"])
            for table in CANONICAL
        }
        tables = {
            name: self.table(name, run)
            for name in versions
            if name in CARRIED_OVER and name not in CANONICAL
        }
        tables |= {
            table: self._read_compact(table, versions[table]).select(columns_of(table))
            for table in CANONICAL
        }
        tables["runs"] = self.runs()
        if that_day := self.published(as_of):
            of_a_day = [name for name in versions if name in TABLES and name not in tables]
            tables |= {name: self.table(name, that_day) for name in of_a_day}
        return Snapshot(tables, not_accepted)

    # --- publishing --------------------------------------------------------------------------

    def next_run_id(self) -> str:
        """Return the name of the next run."""
        return f"run-{len(self.runs()) + 1:06d}"

    def publish(
        self,
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
        """Write every table, then the manifest that makes them visible.

        Must be called while :meth:`writing` holds the store. ``key_check`` is None where nothing was
        read, so that no key was needed. Returns the manifest.
        """
        before = self.published()
        versions = json.loads(before["table_versions"]) if before else {}
        now = {
            **{
                f"not_accepted/{table}": self._merge(
                    f"not_accepted/{table}", outputs.not_accepted, table, versions
                )
                for table in CANONICAL
            },
            **{table: self._merge(table, outputs.tables, table, versions) for table in CANONICAL},
            **{
                name: self._replace(name, outputs.tables[name], versions)
                for name in outputs.tables
                if name not in CANONICAL
            },
        }
        manifest = {
            "run_id": run_id,
            "as_of": as_of,
            "started_at": started_at,
            "finished_at": datetime.now(UTC),
            "simulated": is_of_simulated_patients(key_check or self._key_check()),
            "part": part,
            "outcome": outputs.outcome,
            "package_version": package_version("e2analytics"),
            "model_id": outputs.model_id,
            "inputs": json.dumps(inputs, sort_keys=True),
            "settings": json.dumps(settings, sort_keys=True),
            "counts": json.dumps(outputs.counts),
            "timings": json.dumps(outputs.timings),
            "table_versions": json.dumps(now, sort_keys=True),
        }
        if not before:
            info = {"schema_version": [SCHEMA_VERSION], "key_check": [key_check or ""]}
            self.write("store_info", pl.DataFrame(info), "overwrite")
        self.write("runs", pl.DataFrame([manifest], schema=schema_of("runs")), "append")
        return manifest

    def _key_check(self) -> str:
        return str(self.read("store_info", None)["key_check"][0]) if self.exists() else ""

    def _merge(
        self,
        name: str,
        tables: Mapping[str, pl.DataFrame],
        table: str,
        versions: Mapping[str, int],
    ) -> int:
        """Bring a table of source rows up to date: insert, update and delete what changed.

        What changed is found from a hash of every row, so that neither the rows that are stored nor
        those that are new need to be in memory at once.
        """
        if name not in versions:
            self._write_new(name, tables, table)
            return self._version(name)
        self._put_back(name, versions[name])
        now = pl.concat(_hashes(_with_month(name, rows)) for rows in slices(tables, table))
        stored = self._stored_hashes(name, versions[name])
        # A row read again may have moved to another month: there it is new, here it is gone.
        place = [column for column in now.columns if column != _HASH]
        changed = now.join(stored, on=now.columns, how="anti")
        gone = stored.join(now, on=place, how="anti")
        if changed.is_empty() and gone.is_empty():
            return versions[name]
        rows = pl.concat(
            _with_month(name, part).join(plain(changed, table), on=ROW, how="semi")
            for part in slices(tables, table)
        )
        leaving = plain(gone.drop(_HASH), table).with_columns(keep=pl.lit(False))
        self._merge_changes(
            name, pl.concat([rows.with_columns(keep=pl.lit(True)), leaving], how="diagonal")
        )
        return self._version(name)

    def _stored_hashes(self, name: str, version: int) -> pl.DataFrame:
        with self._told(name, "read"):
            scan = pl.scan_delta(self._path(name), version=version)
            return _hashes(scan).collect(engine="streaming")

    def _write_new(self, name: str, tables: Mapping[str, pl.DataFrame], table: str) -> None:
        with self._told(name, "written"):
            if "://" in self.uri:
                self._write_slices(name, tables, table)
            else:
                rows = compact_rows(tables, table)
                by = _MONTH if name in MONTH_PARTITION else None
                write_new(Path(self._path(name)), rows.schema, _parts(name, rows), by)

    def _write_slices(self, name: str, tables: Mapping[str, pl.DataFrame], table: str) -> None:
        # How to get to object storage Delta Lake alone knows.
        parts = (_with_month(name, rows) for rows in slices(tables, table))
        first = next(parts)
        schema = first.head(0).to_arrow().schema
        batches = (
            batch for part in chain([first], parts) for batch in part.to_arrow().to_batches()
        )
        write_deltalake(
            self._path(name),
            pa.RecordBatchReader.from_batches(schema, batches),
            mode="overwrite",
            schema_mode="overwrite",
            partition_by=[_MONTH] if _MONTH in first.columns else None,
        )

    def _merge_changes(self, name: str, news: pl.DataFrame) -> None:
        same_row = " AND ".join(f"t.{column} = s.{column}" for column in ROW)
        if _MONTH in news.columns:
            # Naming the months keeps the merge to the partitions it touches.
            months = ", ".join(f"'{month}'" for month in news[_MONTH].unique().sort())
            same_row = f"t.{_MONTH} IN ({months}) AND t.{_MONTH} = s.{_MONTH} AND {same_row}"
        columns = {column: f"s.{column}" for column in news.columns if column != "keep"}
        for attempt in range(_TRIES):
            try:
                with self._told(name, "written"):
                    (
                        DeltaTable(self._path(name))
                        .merge(news, same_row, source_alias="s", target_alias="t")
                        .when_matched_delete("NOT s.keep")
                        .when_matched_update(columns, "s.keep")
                        .when_not_matched_insert(columns, "s.keep")
                        .execute()
                    )
                return
            except CommitFailedError:
                # Somebody else wrote the same partition in between, a vacuum for example.
                if attempt == _TRIES - 1:
                    raise StoreError(
                        f"The table {name} of {self.uri} was written by somebody else at the same "
                        "time. Run again; nothing was published."
                    ) from None

    def _replace(self, name: str, frame: pl.DataFrame, versions: Mapping[str, int]) -> int:
        """Write a derived table anew, unless it says what it said before."""
        if name in versions:
            stored = self.read(name, versions[name]).select(frame.columns).sort(order_of(name))
            if stored.equals(frame.sort(order_of(name))):
                return versions[name]
        return self._overwrite(name, frame)

    def _overwrite(self, name: str, frame: pl.DataFrame) -> int:
        self.write(name, frame, "overwrite")
        return self._version(name)

    def _put_back(self, name: str, version: int) -> None:
        """Undo what a run wrote that was killed before it published."""
        with self._told(name, "written"):
            table = DeltaTable(self._path(name))
            if table.version() != version:
                table.restore(version)

    # --- Delta -------------------------------------------------------------------------------

    def _path(self, name: str) -> str:
        return f"{self.uri}/{name}"

    def is_table(self, name: str) -> bool:
        """Tell whether there is a table of this name."""
        with self._told(name, "read"):
            return DeltaTable.is_deltatable(self._path(name))

    def _version(self, name: str) -> int:
        with self._told(name, "read"):
            return DeltaTable(self._path(name)).version()

    def read(self, name: str, version: int | None) -> pl.DataFrame:
        """Return all of a table as it was at a version, or is."""
        with self._told(name, "read"):
            return pl.read_delta(self._path(name), version=version)

    def _read_compact(self, name: str, version: int) -> pl.DataFrame:
        with self._told(name, "read"):
            return compact(pl.scan_delta(self._path(name), version=version)).collect(
                engine="streaming"
            )

    def write(self, name: str, frame: pl.DataFrame, mode: Literal["append", "overwrite"]) -> None:
        """Add to a table, or replace it."""
        with self._told(name, "written"):
            write_deltalake(self._path(name), frame, mode=mode)

    @contextmanager
    def _told(self, name: str, done: str) -> Iterator[None]:
        """Tell by table and kind what went wrong below: messages from there may quote values."""
        try:
            yield
        except (CommitFailedError, E2AnalyticsError):
            raise
        except BaseException as error:  # a panic of polars or Delta Lake is no Exception
            if is_stop(error):
                raise
            raise StoreError(
                f"The table {name} of the store {self.uri} cannot be {done} "
                f"({type(error).__name__}). Check the address, the rights and the disk; if the table is "
                "damaged, restore the store from a backup."
            ) from None


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
    if not store.exists():
        raise StoreError(
            f"There is no store at {uri}. Make one: e2analytics run --drop DIR --store {uri}"
        )
    store.check()
    run = store.published(as_of)
    if run is None:
        first = store.runs()["as_of"].to_list()[0]
        raise TooLittleDataError(
            f"The store {uri} has no run up to {as_of}; its first is as of {first}."
        )
    return store, run


def _hashes(rows: _Frame) -> _Frame:
    """Return where each row stands, and a hash of all that it says."""
    names: list[str] = sorted(rows.collect_schema())
    place = [*ROW, *([_MONTH] if _MONTH in names else [])]
    return compact(rows.select(*place, pl.struct(names).hash(seed=0).alias(_HASH)))


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
        yield Part(rows[at], spelled(month))


def _with_month(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    if name not in MONTH_PARTITION:
        return frame
    return frame.with_columns(pl.col(MONTH_PARTITION[name]).dt.strftime("%Y-%m").alias(_MONTH))
