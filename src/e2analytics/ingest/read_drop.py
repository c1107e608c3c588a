"""Reads a drop: every file batch by batch, each row normalised and judged as soon as it is read.

In    a folder, the feed descriptions, the clinic's key, and the ledger of files read before
Out   :class:`Sources`: judged rows by table with pseudonyms, and what became of every file

A drop is an increment: files may be missing, and what it does not mention is unchanged. Text never
piles up: a file of any size is read in batches, and only typed rows are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import polars as pl

from e2analytics.errors import RefusedFileError
from e2analytics.feeds import drop, formats, lookups, mapping
from e2analytics.feeds.description import TEXT_COLUMNS, Feed, FileDescription
from e2analytics.feeds.drop import Found
from e2analytics.ingest import pseudonyms
from e2analytics.ingest.normalise.tables import normalise
from e2analytics.ingest.rules.judge import judge
from e2analytics.reference import schemas_folder
from e2analytics.settings import Settings
from e2analytics.tables.categoricals import to_categories
from e2analytics.tables.prefetch import prefetch
from e2analytics.tables.source import PROVENANCE

_HASH_DIGITS = 12
Look = Callable[[Found, FileDescription, pl.DataFrame, pl.DataFrame], None]
"""Is shown every batch of a file: its text rows with patients' own numbers, and the same rows judged."""


@dataclass(frozen=True)
class SourceFile:
    """What one file of a drop brought to one table.

    ``source_file`` names it everywhere but on the user's own terminal, which may show ``path``;
    ``named`` is a keyed hash of its name, by which a mended file is known again; ``described_by`` is
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


@dataclass(frozen=True)
class Sources:
    """What a drop brought.

    Attributes
    ----------
    rows
        Normalised and judged rows by table, patient identifiers already replaced.
    files
        The files that were read now, refused ones among them; one line for each table they fill.
    known
        Files whose content was read before: nothing is read from them again.
    unmatched
        Files that no feed describes.
    crosswalk
        ``patient_id, source_patient_id, namespace`` of the patients in them; kept encrypted only.
    """

    rows: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    files: tuple[SourceFile, ...] = ()
    known: tuple[Path, ...] = ()
    unmatched: tuple[Path, ...] = ()
    crosswalk: pl.DataFrame = field(
        default_factory=lambda: pseudonyms.Pseudonyms(b"").crosswalk(), repr=False
    )

    @classmethod
    def from_drop(
        cls,
        folder: Path,
        feeds: tuple[Feed, ...],
        key: bytes,
        *,
        ledger: pl.DataFrame | None = None,
        settings: Settings | None = None,
        today: date | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> Sources:
        """Read a drop.

        Parameters
        ----------
        folder
            The drop.
        feeds
            The feed descriptions to match its files against.
        key
            The key of :func:`e2analytics.key.read_key`.
        ledger
            The files that the store has read before. One of them is read again if it was refused, or
            if what describes it has changed since: what waited for that may come in.
        settings
            Give the time zone of times without an offset.
        today
            The day on which it is read; what lies after it cannot be.
        tell
            Called with the terminal's own words for each file that is read.

        Raises
        ------
        UnreadableError
            If the folder cannot be read.
        """
        reading = _Reading(key, ledger, settings or Settings(), today or date.today())
        return cls._read(drop.files(folder), feeds, reading, tell)

    @classmethod
    def from_files(
        cls,
        paths: Iterable[Path],
        feeds: tuple[Feed, ...],
        key: bytes,
        *,
        settings: Settings,
        today: date,
        look: Look,
        tell: Callable[[str], None] = lambda _: None,
    ) -> Sources:
        """Read some files as if they were one drop, wherever each lies.

        What is looked up in a companion is looked up in the file's own folder.

        Parameters
        ----------
        paths
            The files.
        feeds, key, settings, today, tell
            As for :meth:`from_drop`.
        look
            Is shown the rows; of a file that is refused later, too.
        """
        return cls._read(paths, feeds, _Reading(key, None, settings, today, look), tell)

    @classmethod
    def _read(
        cls,
        paths: Iterable[Path],
        feeds: tuple[Feed, ...],
        reading: _Reading,
        tell: Callable[[str], None],
    ) -> Sources:
        unmatched: list[Path] = []
        for path in paths:
            found = drop.recognise(feeds, path)
            if found is None or path.is_dir():
                unmatched.append(path)
                continue
            tell(f"Reading {path.name}")
            reading.take(found)
        return cls(
            reading.rows(),
            tuple(reading.files),
            tuple(reading.known),
            tuple(unmatched),
            reading.names.crosswalk(),
        )


def judged(table: str, text: pl.DataFrame, *, timezone: str, today: date) -> pl.DataFrame:
    """Return text rows of a table normalised and judged by its rules."""
    return judge(table, normalise(table, text, timezone=timezone), today=today)


class _Reading:
    """One reading of a drop, file after file."""

    def __init__(
        self,
        key: bytes,
        ledger: pl.DataFrame | None,
        settings: Settings,
        today: date,
        look: Look = lambda *_: None,
    ) -> None:
        self.names = pseudonyms.Pseudonyms(key)
        self.files: list[SourceFile] = []
        self.known: list[Path] = []
        self._key = key
        self._before = _ReadBefore(ledger)
        self._timezone = settings.timezone
        self._slips = settings.slips.model_dump_json(include={"decisions"})
        self._today = today
        self._look = look
        self._rows: dict[str, list[pl.DataFrame]] = {}

    def rows(self) -> dict[str, pl.DataFrame]:
        # In one piece each: whatever picks single rows later would put the pieces together every time.
        return {
            table: pl.concat(self._rows.pop(table), how="diagonal", rechunk=True)
            for table in list(self._rows)
        }

    def take(self, found: Found) -> None:
        """Read one file, unless it was read before; keep all of it or nothing."""
        try:
            drop.check_place(found.path, found.path.parent)
            state = _state(found.path)
            digest = _sha256(found.path)
            described_by = self._described_by(found)
        except RefusedFileError as refused:
            self.files.append(self._refused(found, refused))
            return
        lines = self._lines(found, digest, described_by)
        if any(self._before.is_done(line.source_file, described_by) for line in lines.values()):
            self.known.append(found.path)
            return
        lines = {
            table: replace(line, source_order=self._before.order(line.source_file))
            for table, line in lines.items()
        }
        content = _Content(found, lines, self._judged)
        try:
            content.read()
            if _state(found.path) != state:
                raise RefusedFileError("changed_while_read", "it was written to while it was read")
        except RefusedFileError as refused:
            self.files.append(replace(next(iter(lines.values())), refused=refused))
            return
        for line in content.lines():
            self._before.done(line.source_file, described_by)
            self.files.append(line)
        for table, frames in content.frames.items():
            self._rows.setdefault(table, []).extend(frames)

    def _judged(self, found: Found, kind: FileDescription, text: pl.DataFrame) -> pl.DataFrame:
        feed, named = found.feed, text
        if "patient_id" in text.columns:
            text = self.names.replace(
                text, feed.namespace, kind.id_prefixes(), kind.ids_with_the_patient_in()
            )
        timezone = feed.timezone or self._timezone
        rows = judged(kind.target, text, timezone=timezone, today=self._today)
        self._look(found, kind, named, rows)
        return rows

    def _lines(self, found: Found, digest: str, described_by: str) -> dict[str, SourceFile]:
        """Return the file's lines of the ledger, one for each table that it fills."""
        feed = found.feed.feed
        # The table is part of the name: one layout has files for several.
        return {
            table: SourceFile(
                found.path,
                f"{feed}-{table}-{digest[:_HASH_DIGITS]}",
                digest,
                feed,
                table,
                0,
                described_by,
                self._named(found.path),
            )
            for table in dict.fromkeys(kind.target for kind in found.kinds)
        }

    def _named(self, path: Path) -> str:
        return pseudonyms.keyed_hash(self._key, "file name", path.name)[:_HASH_DIGITS]

    def _refused(self, found: Found, refused: RefusedFileError) -> SourceFile:
        # What cannot be opened has no hash of its content: it is known by that of its name.
        line = next(iter(self._lines(found, self._named(found.path), "").values()))
        return replace(line, source_order=self._before.order(line.source_file), refused=refused)

    def _described_by(self, found: Found) -> str:
        """Return a digest of all that decides how a file's rows are read and judged."""
        digest = hashlib.sha256(found.feed.model_dump_json().encode())
        digest.update(self._timezone.encode())
        digest.update(self._slips.encode())
        for file in sorted((schemas_folder() / "reference").glob("*.yaml")):
            digest.update(file.read_bytes())
        for kind in found.kinds:
            for companion in lookups.companions(found.path.parent, kind):
                digest.update(_sha256(companion).encode())
        return digest.hexdigest()[:_HASH_DIGITS]


class _Content:
    """What one file holds, table by table."""

    def __init__(
        self,
        found: Found,
        lines: Mapping[str, SourceFile],
        judge: Callable[[Found, FileDescription, pl.DataFrame], pl.DataFrame],
    ) -> None:
        self.frames: dict[str, list[pl.DataFrame]] = {}
        self._found = found
        self._lines = lines
        self._judge = judge
        self._present: dict[int, dict[str, None]] = {}
        self._looked_up: dict[int, list[pl.DataFrame]] = {}
        self._lines_read: dict[str, list[pl.Series]] = {table: [] for table in lines}
        self._other_records: dict[str, None] = {}

    def read(self) -> None:
        feed = self._found.feed
        for record, rows in prefetch(formats.read(self._found.path, feed.format)):
            taking = self._kinds_of(record)
            if not taking:
                self._other_records[f"all of {record}"] = None
            for number, kind in taking.items():
                self._present.setdefault(number, {}).update(dict.fromkeys(rows.columns))
                if not self._missing(number):
                    self._take(number, kind, rows)
        for number in self._present:
            if missing := self._missing(number):
                raise RefusedFileError("missing_column", f"it has no column {', '.join(missing)}")

    def lines(self) -> list[SourceFile]:
        """Return the lines of the tables that it filled; of an empty file the first."""
        unused = tuple(self._unused())
        read = [
            replace(line, rows_read=_distinct(self._lines_read[table]), unused=unused)
            for table, line in self._lines.items()
        ]
        return [line for line in read if line.rows_read] or read[:1]

    def _kinds_of(self, record: str) -> dict[int, FileDescription]:
        """Return the first kind of each table that takes rows of this record."""
        first: dict[str, tuple[int, FileDescription]] = {}
        for number, kind in enumerate(self._found.kinds):
            if kind.takes(record):
                first.setdefault(kind.target, (number, kind))
        return dict(first.values())

    def _take(self, number: int, kind: FileDescription, rows: pl.DataFrame) -> None:
        if kind.lookups:
            rows = lookups.join(rows, kind, self._tables(number, kind))
        line = self._lines[kind.target]
        text = mapping.to_table(
            rows,
            self._found.feed,
            kind,
            source_file=line.source_file,
            source_order=line.source_order,
        )
        rows_judged = to_categories(self._judge(self._found, kind, text))
        self.frames.setdefault(kind.target, []).append(rows_judged)
        self._lines_read[kind.target].append(rows["source_line"])

    def _tables(self, number: int, kind: FileDescription) -> list[pl.DataFrame]:
        if number not in self._looked_up:
            self._looked_up[number] = lookups.tables(
                self._found.path.parent, self._found.feed, kind
            )
        return self._looked_up[number]

    def _missing(self, number: int) -> list[str]:
        kind, present = self._found.kinds[number], self._present[number]
        missing = [name for name in kind.required if name not in present]
        if kind.one_of and not set(kind.one_of) & set(present):
            missing.append(" or ".join(kind.one_of))
        return missing

    def _unused(self) -> list[str]:
        if any(kind.set_apart for kind in self._found.kinds) or len(self._found.kinds) > 1:
            return list(self._other_records)
        columns = [
            column
            for number, present in self._present.items()
            for column in present
            if column not in self._found.kinds[number].columns_used() | _READERS_OWN
        ]
        return [*columns, *self._other_records]


def _distinct(lines: list[pl.Series]) -> int:
    return pl.concat(lines).n_unique() if lines else 0


_READERS_OWN = {"source_line", "source_part", "short_line"}


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


def empty_rows(table: str) -> pl.DataFrame:
    """Return no text rows of a table, with all its columns."""
    types = {
        "source_line": pl.Int64,
        "source_part": pl.Int64,
        "source_order": pl.Int64,
        "short_line": pl.Boolean,
    }
    names = (
        *PROVENANCE,
        "short_line",
        "namespace",
        "imputed",
        "excluded",
        "unreadable",
        *TEXT_COLUMNS[table],
    )
    return pl.DataFrame(schema={name: types.get(name, pl.String()) for name in names})


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        # Not chained: the error quotes the file's name, which may be a patient's.
        raise RefusedFileError("unreadable_file", "it cannot be opened") from None


def _state(path: Path) -> tuple[int, int, int]:
    """Return what changes when a file is written to or replaced."""
    try:
        seen = path.stat()
    except OSError:
        raise RefusedFileError("unreadable_file", "it cannot be opened") from None
    return seen.st_ino, seen.st_size, seen.st_mtime_ns
