"""Reads a drop: a folder of suppliers' files, each matched to one feed.

In    a folder, the clinic's key, and the hashes of files read before
Out   :class:`Sources`: text rows by table with pseudonyms, and what became of every file

A drop is an increment: files may be missing, and what it does not mention is unchanged. Folders
inside the folder are not read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import polars as pl

from e2analytics import pseudonyms
from e2analytics.errors import RefusedFileError, UnreadableError
from e2analytics.feeds import delimited, mapping, sas
from e2analytics.feeds.description import TEXT_COLUMNS, Feed, FileDescription, match
from e2analytics.marker import MARKER_NAME
from e2analytics.reference import schemas_folder

READERS: Final[Mapping[str, Callable[[bytes], pl.DataFrame]]] = {
    "delimited": delimited.read,
    "sas": sas.read,
}
_HASH_DIGITS = 12
_NO_DATA = (".", "readme")
"""How the names of files begin that come with data and are none: hidden ones, and a README."""


@dataclass(frozen=True)
class SourceFile:
    """One file of a drop that belongs to a feed.

    ``source_file`` names it everywhere but on the user's own terminal, which may show ``path``;
    ``described_by`` is a digest of the feed description and the reference tables it was read with.
    """

    path: Path
    source_file: str
    sha256: str
    feed: str
    target: str
    source_order: int
    described_by: str
    rows_read: int = 0
    refused: RefusedFileError | None = None
    extra_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sources:
    """What a drop brought.

    Attributes
    ----------
    rows
        Text rows by table, patient identifiers already replaced.
    files
        The files that were read now, refused ones among them.
    known
        Files whose content was read before: nothing is read from them again.
    unmatched
        Files that no feed describes.
    """

    rows: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    files: tuple[SourceFile, ...] = ()
    known: tuple[Path, ...] = ()
    unmatched: tuple[Path, ...] = ()

    @classmethod
    def from_drop(
        cls,
        folder: Path,
        feeds: tuple[Feed, ...],
        key: bytes,
        *,
        ledger: pl.DataFrame | None = None,
    ) -> Sources:
        """Read a drop.

        Parameters
        ----------
        folder
            The drop.
        feeds
            The feed descriptions to match its files against.
        key
            The key of :func:`e2analytics.pseudonyms.read_key`.
        ledger
            The files that the store has read before. One of them is read again if it was refused, or
            if what describes it has changed since: what waited for that may come in.

        Raises
        ------
        UnreadableError
            If the folder cannot be read.
        """
        read_before = _ReadBefore(ledger)
        known: list[Path] = []
        unmatched: list[Path] = []
        files: list[SourceFile] = []
        rows: dict[str, list[pl.DataFrame]] = {}
        for path in _files(folder):
            found = match(feeds, path.name)
            if found is None or path.is_dir():
                unmatched.append(path)
                continue
            file, text = _read(path, *found, key, read_before)
            if file is None:
                known.append(path)
                continue
            files.append(file)
            if text is not None:
                rows.setdefault(file.target, []).append(text)
        together = {target: pl.concat(frames) for target, frames in rows.items()}
        return cls(together, tuple(files), tuple(known), tuple(unmatched))


class _ReadBefore:
    """Which files need not be read again, and which place in the order each has."""

    def __init__(self, ledger: pl.DataFrame | None) -> None:
        rows = [] if ledger is None else ledger.rows(named=True)
        self._orders: dict[str, int] = {row["source_file"]: row["source_order"] for row in rows}
        self._done = {
            (row["source_file"], row["described_by"]) for row in rows if not row["refused"]
        }

    def is_done(self, name: str, described_by: str) -> bool:
        return (name, described_by) in self._done

    def done(self, name: str, described_by: str) -> None:
        self._done.add((name, described_by))

    def order(self, name: str) -> int:
        """Return the file's place; one that is read again keeps the place it had."""
        if name not in self._orders:
            self._orders[name] = max(self._orders.values(), default=-1) + 1
        return self._orders[name]


def empty_rows(target: str) -> pl.DataFrame:
    """Return no text rows of a table, with all its columns."""
    types = {
        "source_line": pl.Int64,
        "source_part": pl.Int64,
        "source_order": pl.Int64,
        "short_line": pl.Boolean,
    }
    names = (
        *mapping.PROVENANCE,
        "short_line",
        "namespace",
        "imputed",
        "apart",
        *TEXT_COLUMNS[target],
    )
    return pl.DataFrame(schema={name: types.get(name, pl.String()) for name in names})


def _files(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise UnreadableError(
            f"The drop {folder} cannot be read ({error.strerror}). Give a folder of files with --drop."
        ) from None
    # Folders are not read, but for one that is called like a file: it is told.
    return [
        path
        for path in entries
        if path.name != MARKER_NAME
        and not path.name.lower().startswith(_NO_DATA)
        and (path.suffix or not path.is_dir())
    ]


def _read(
    path: Path, feed: Feed, kind: FileDescription, key: bytes, read_before: _ReadBefore
) -> tuple[SourceFile | None, pl.DataFrame | None]:
    """Read one file: its line in the ledger, and its rows; no line if it was read before."""
    described_by = _described_by(feed)
    try:
        content = path.read_bytes()
    except OSError:
        # Not chained, and named by a keyed hash of its name: the name may be a patient's.
        digest = pseudonyms.keyed_hash(key, "file name", path.name)
        name = f"{feed.feed}-{kind.target}-{digest[:_HASH_DIGITS]}"
        refused = RefusedFileError("unreadable_file", "it cannot be opened")
        order = read_before.order(name)
        return SourceFile(
            path, name, digest, feed.feed, kind.target, order, described_by, 0, refused
        ), None
    digest = hashlib.sha256(content).hexdigest()
    # The table is part of the name: one layout has files for several.
    name = f"{feed.feed}-{kind.target}-{digest[:_HASH_DIGITS]}"
    if read_before.is_done(name, described_by):
        return None, None
    order = read_before.order(name)
    file = SourceFile(path, name, digest, feed.feed, kind.target, order, described_by)
    try:
        raw = READERS[feed.format](content)
        _check_columns(raw, kind)
    except RefusedFileError as refused:
        return replace(file, refused=refused), None
    read_before.done(name, described_by)
    text = mapping.to_table(
        raw, kind, namespace=feed.namespace, source_file=name, source_order=order
    )
    if "patient_id" in text.columns:
        text = pseudonyms.pseudonymise(text, key, feed.namespace, kind.id_prefixes())
    known = {*_columns_used(kind), "source_line", "short_line"}
    extra = tuple(column for column in raw.columns if column not in known)
    return replace(file, rows_read=len(raw), extra_columns=extra), text


def _described_by(feed: Feed) -> str:
    """Return a digest of all that decides how a file's rows are read and judged."""
    digest = hashlib.sha256(feed.model_dump_json().encode())
    for file in sorted((schemas_folder() / "reference").glob("*.yaml")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:_HASH_DIGITS]


def _check_columns(raw: pl.DataFrame, kind: FileDescription) -> None:
    missing = [name for name in kind.required if name not in raw.columns]
    if kind.one_of and not set(kind.one_of) & set(raw.columns):
        missing.append(" or ".join(kind.one_of))
    if missing:
        raise RefusedFileError("missing_column", f"it has no column {', '.join(missing)}")


def _columns_used(kind: FileDescription) -> set[str]:
    sources = [*kind.columns.values(), *(each for part in kind.parts for each in part.values())]
    used: set[str] = set(kind.required) | set(kind.one_of)
    for source in sources:
        used.add(source if isinstance(source, str) else getattr(source, "column", ""))
    return used
