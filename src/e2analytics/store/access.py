"""The Delta tables at one address: read as they were at a version, and written.

An error names the table and the kind of error only: messages of polars and Delta Lake may quote values of
patients.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import unquote
from uuid import uuid4

import polars as pl
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import CommitProperties, Transaction

from e2analytics.errors import E2AnalyticsError, StoreError, is_stop
from e2analytics.store.lease import Fence

RUNS: Final = "runs"
"""Name of the table of manifests, whose last row makes a run visible."""

_HOLDER: Final = "e2analytics"
"""The application of Delta Lake's transactions, whose version is the token of the lease."""


# Delta Lake makes an address of a path and back: it takes %20 for a space, a bracket for that of a host.
_NOT_IN_A_PATH: Final = re.compile(r"%[0-9A-Fa-f]{2}|[\[\]\\\x00-\x1f\x7f\ud800-\udfff]")


def _check_name(uri: str) -> None:
    """Refuse a path that Delta Lake would fail on, or write elsewhere, and an address that tells a secret."""
    if "://" in uri and "?" in uri:
        raise StoreError(
            "The address of a store must not have a question mark: messages show it, and what follows may be "
            "a secret. Give keys and tokens in the environment; docs/object_storage.md names the variables."
        )
    path = f"{Path(uri).resolve()}"
    if "://" not in uri and (found := _NOT_IN_A_PATH.search(path)):
        raise StoreError(
            f"A store cannot lie under a path with {found.group()!a}: Delta Lake cannot write there. Give "
            "--store a path without brackets, backslashes, control characters and %XX, in UTF-8; nothing "
            "was written."
        )


_COMMIT: Final = "e2analyticsCommit"
"""What the log of a table in object storage calls the name of a commit."""


class _LocalTable(DeltaTable):
    """A table on disk whose files polars finds although its folder's name has a space or an umlaut.

    Delta Lake writes both as in an address (``%20``), which polars opens as it stands
    (https://github.com/pola-rs/polars/issues/20944).
    """

    def file_uris(self, *args: Any, **kwargs: Any) -> list[str]:
        return [unquote(uri) for uri in super().file_uris(*args, **kwargs)]


class PartitionSize(NamedTuple):
    """Rows and files of a partition of a table."""

    n_rows: int
    n_files: int


class DeltaTables:
    """A folder, or an address of object storage, with a Delta table in each folder.

    Parameters
    ----------
    uri
        A path, or what Delta Lake takes for one (``s3://...``).
    fence
        The right to write to object storage, which :func:`e2analytics.store.lock.writing` gives. A process that
        writes for the one that holds the store is handed its fence.

    Raises
    ------
    StoreError
        If Delta Lake cannot write to a path of this name; nothing was written.
    """

    def __init__(self, uri: str, fence: Fence | None = None) -> None:
        _check_name(uri)
        self.uri = uri
        self.fence = fence

    @property
    def is_remote(self) -> bool:
        """Whether the tables lie in object storage."""
        return "://" in self.uri

    def path(self, name: str) -> str:
        """Return the address of a table."""
        return f"{self.uri}/{name}"

    def is_table(self, name: str) -> bool:
        """Tell whether there is a table of this name."""
        with self.named_errors(name, "read"):
            return DeltaTable.is_deltatable(self.path(name))

    def version(self, name: str) -> int:
        """Return the newest version of a table."""
        with self.named_errors(name, "read"):
            return DeltaTable(self.path(name)).version()

    def read(self, name: str, version: int | None = None) -> pl.DataFrame:
        """Return all of a table as it was at a version; by default the newest."""
        with self.named_errors(name, "read"):
            return self.scan(name, version).collect()

    def scan(self, name: str, version: int | None) -> pl.LazyFrame:
        """Return a table as it was at a version, to be collected inside :meth:`named_errors`."""
        path = self.path(name)
        if self.is_remote:
            return pl.scan_delta(path, version=version)
        return pl.scan_delta(_LocalTable(path, version=version))

    def partitions(self, name: str) -> list[str]:
        """Return the columns by which a table is divided."""
        with self.named_errors(name, "read"):
            return DeltaTable(self.path(name)).metadata().partition_columns

    def sizes(self, name: str, version: int, column: str) -> dict[str, PartitionSize]:
        """Return how many rows and files each partition of a table had at a version."""
        with self.named_errors(name, "read"):
            table = DeltaTable(self.path(name), version=version)
            files = pl.DataFrame(table.get_add_actions(flatten=True))
            if files.is_empty():
                return {}
            counts = files.group_by(f"partition.{column}").agg(
                pl.col("num_records").sum(), pl.len().alias("n_files")
            )
            return {
                str(value): PartitionSize(int(n_rows or 0), int(n_files))
                for value, n_rows, n_files in counts.iter_rows()
            }

    def n_rows(self, name: str, version: int) -> int:
        """Return how many rows a table had at a version."""
        with self.named_errors(name, "read"):
            return int(self.scan(name, version).select(pl.len()).collect().item())

    def n_bytes(self, name: str, version: int) -> int:
        """Return how much disk the files of a table took at a version."""
        with self.named_errors(name, "read"):
            files = pl.DataFrame(DeltaTable(self.path(name), version=version).get_add_actions())
            return int(files["size_bytes"].sum())

    def newest(self, name: str) -> DeltaTable | None:
        """Open a table for a write that follows on what is in it now; None if there is no such table yet."""
        if self.fence:
            self.fence.check()
        if not DeltaTable.is_deltatable(self.path(name)):
            return None
        table = DeltaTable(self.path(name))
        if self.fence and (table.transaction_version(_HOLDER) or 0) > self.fence.token:
            raise self.fence.lost()
        return table

    def commit_properties(self) -> CommitProperties | None:
        """Return what lets a commit fail if the store was taken over, or the table written, since it was opened."""
        if self.fence is None:
            return None
        token = Transaction(_HOLDER, self.fence.token)
        name = {_COMMIT: uuid4().hex}
        return CommitProperties(name, app_transactions=[token], max_commit_retries=0)

    @contextmanager
    def commit(self, name: str) -> Iterator[CommitProperties | None]:
        """Give a commit to a table its properties, and turn its refusal into an error that says what to do.

        Raises
        ------
        StoreError
            If it was refused.
        """
        properties = self.commit_properties()
        try:
            yield properties
        except CommitFailedError:
            # Where the answer to a commit is lost, it is tried again and meets itself.
            if not self._has_arrived(name, properties):
                raise StoreError(
                    f"The table {name} of {self.uri} was written by another process at the same time. Run "
                    "again; nothing was published."
                ) from None

    def _has_arrived(self, name: str, commit: CommitProperties | None) -> bool:
        if commit is None or commit.custom_metadata is None:
            return False
        newest = DeltaTable(self.path(name)).history(1)[0]
        return bool(newest.get(_COMMIT) == commit.custom_metadata[_COMMIT])

    def write(self, name: str, frame: pl.DataFrame, mode: Literal["append", "overwrite"]) -> None:
        """Add to a table, or replace it and its columns; columns that it did not have are null before."""
        with self.named_errors(name, "written"), self.commit(name) as properties:
            table = self.newest(name) if self.fence else None
            write_deltalake(
                table or self.path(name),
                frame,
                mode=mode,
                schema_mode="merge" if mode == "append" else "overwrite",
                commit_properties=properties,
            )

    def put_back(self, name: str, version: int) -> DeltaTable:
        """Undo what was written after a version, by a run that was killed before it published for example.

        Returns
        -------
        DeltaTable
            The table with the rows of that version, for a write that follows on them.
        """
        with self.named_errors(name, "written"):
            table = self.newest(name) or DeltaTable(self.path(name))
            if table.version() != version:
                with self.commit(name) as properties:
                    table.restore(version, commit_properties=properties)
            return table

    @contextmanager
    def named_errors(self, name: str, done: str) -> Iterator[None]:
        """Turn any error into one that names the table, what could not be done, and the kind of error."""
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
