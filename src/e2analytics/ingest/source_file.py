"""One file of a drop: its line in the ledger, its digest, and whether it was read before."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import polars as pl

from e2analytics.errors import RefusedFileError

NO_FEED: Final = "no_feed"
"""Rule of a file that no feed takes; in the ledger also its feed and table."""

HASH_DIGITS: Final = 12
"""Digits of a hash in the name of a file: enough that no two files share them."""


@dataclass(frozen=True)
class SourceFile:
    """What one file of a drop brought to one table.

    ``source_file`` names it everywhere but on the user's own terminal, which may show ``path``;
    ``named`` is a keyed hash of its name, by which a corrected file is recognised; ``described_by`` is
    a digest of all that decides how its rows are read and judged.
    """

    path: Path
    source_file: str
    sha256: str
    feed: str
    table: str
    source_order: int
    described_by: str
    named: str
    rows_read: int = 0
    refused: RefusedFileError | None = None
    unused: tuple[str, ...] = ()

    @property
    def is_of_no_feed(self) -> bool:
        """Whether it could be read, and no feed takes it."""
        return self.refused is not None and self.refused.rule == NO_FEED


@dataclass(frozen=True)
class SideFile:
    """A file of a drop that is no data, what it is, and the keyed hash of its name."""

    path: Path
    kind: str
    named: str


class FilesReadBefore:
    """The files that need not be read again, and the place of each in the order of reading.

    Parameters
    ----------
    ledger
        The files that the store has read before.
    """

    def __init__(self, ledger: pl.DataFrame | None) -> None:
        rows = [] if ledger is None else ledger.rows(named=True)
        self._orders: dict[str, int] = {row["source_file"]: row["source_order"] for row in rows}
        self._done = {
            (row["source_file"], row["described_by"]) for row in rows if not row["refused"]
        }

    def is_done(self, name: str, described_by: str) -> bool:
        """Return whether a file was read under this description."""
        return (name, described_by) in self._done

    def add(self, name: str, described_by: str) -> None:
        """Note that a file was read under this description."""
        self._done.add((name, described_by))

    def order(self, name: str) -> int:
        """Return the file's place; one that is read again keeps the place it had."""
        if name not in self._orders:
            self._orders[name] = max(self._orders.values(), default=-1) + 1
        return self._orders[name]


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file.

    Raises
    ------
    RefusedFileError
        If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        # Not chained: the error quotes the file's name, which may be a patient's.
        raise RefusedFileError("unreadable_file", "it cannot be opened") from None


def state_of(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file is written to or replaced."""
    try:
        status = path.stat()
    except OSError:
        raise RefusedFileError("unreadable_file", "it cannot be opened") from None
    return status.st_ino, status.st_size, status.st_mtime_ns
