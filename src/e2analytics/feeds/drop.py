"""Reads a drop: a folder of suppliers' files, each matched to one feed.

In    a folder, the clinic's key, and the hashes of files read before
Out   :class:`Sources`: text rows by table with pseudonyms, and what became of every file

A drop is an increment: files may be missing, and what it does not mention is unchanged. Folders
inside the folder are not read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import polars as pl

from e2analytics import pseudonyms
from e2analytics.errors import RefusedFileError, UnreadableError
from e2analytics.feeds import delimited, mapping, sas
from e2analytics.feeds.description import TEXT_COLUMNS, Feed, FileDescription, match
from e2analytics.marker import MARKER_NAME

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

    ``source_file`` names it everywhere but on the user's own terminal, which may show ``path``.
    """

    path: Path
    source_file: str
    sha256: str
    feed: str
    target: str
    source_order: int
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
        known_hashes: Collection[str] = (),
        first_order: int = 0,
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
        known_hashes
            SHA-256 of the files that the store has read before.
        first_order
            The first free ``source_order`` of the store.

        Raises
        ------
        UnreadableError
            If the folder cannot be read.
        """
        known: list[Path] = []
        unmatched: list[Path] = []
        files: list[SourceFile] = []
        rows: dict[str, list[pl.DataFrame]] = {}
        seen = set(known_hashes)
        for path in _files(folder):
            found = match(feeds, path.name)
            if found is None:
                unmatched.append(path)
                continue
            content = _content(path)
            digest = hashlib.sha256(content).hexdigest()
            if digest in seen:
                known.append(path)
                continue
            seen.add(digest)
            feed, kind = found
            order = first_order + len(files)
            file, text = _read(path, content, digest, feed, kind, order)
            files.append(file)
            if text is not None:
                if "patient_id" in text.columns:
                    text = pseudonyms.pseudonymise(text, key, feed.namespace)
                rows.setdefault(kind.target, []).append(text)
        together = {target: pl.concat(frames) for target, frames in rows.items()}
        return cls(together, tuple(files), tuple(known), tuple(unmatched))


def empty_rows(target: str) -> pl.DataFrame:
    """Return no text rows of a table, with all its columns."""
    numbers = {"source_line": pl.Int64, "source_part": pl.Int64, "source_order": pl.Int64}
    names = (*mapping.PROVENANCE, "namespace", "imputed", "apart", *TEXT_COLUMNS[target])
    return pl.DataFrame(schema={name: numbers.get(name, pl.String()) for name in names})


def _files(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError as error:
        raise UnreadableError(
            f"The drop {folder} cannot be read ({error.strerror}). Give a folder of files with --drop."
        ) from None
    return [
        path
        for path in entries
        if path.is_file()
        and path.name != MARKER_NAME
        and not path.name.lower().startswith(_NO_DATA)
    ]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableError(
            f"{path} cannot be read ({error.strerror}). Give e2analytics the right to read it."
        ) from None


def _read(
    path: Path, content: bytes, digest: str, feed: Feed, kind: FileDescription, order: int
) -> tuple[SourceFile, pl.DataFrame | None]:
    # The table is part of the name: one layout has files for several.
    name = f"{feed.feed}-{kind.target}-{digest[:_HASH_DIGITS]}"
    file = SourceFile(path, name, digest, feed.feed, kind.target, order)
    try:
        raw = READERS[feed.format](content)
        _check_columns(raw, kind)
    except RefusedFileError as refused:
        return SourceFile(**{**file.__dict__, "refused": refused}), None
    text = mapping.to_table(
        raw, kind, namespace=feed.namespace, source_file=name, source_order=order
    )
    known = {*_columns_used(kind), "source_line"}
    extra = tuple(column for column in raw.columns if column not in known)
    return SourceFile(**{**file.__dict__, "rows_read": len(raw), "extra_columns": extra}), text


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
