"""Reads a drop: every file batch by batch, each row normalised and judged as soon as it is read.

In    a folder, the feed descriptions, the clinic's key, and the ledger of files read before
Out   :class:`Sources`: judged rows by table with pseudonyms, and the outcome of every file

A drop is an increment: files may be missing, and what it does not mention is unchanged. Text does
not accumulate: a file of any size is read in batches, and only typed rows are kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import polars as pl

from e2analytics.errors import RefusedFileError
from e2analytics.feeds import archives, drop, formats, lookups, recognition
from e2analytics.feeds.archives import Entry
from e2analytics.feeds.description import Feed, FileDescription
from e2analytics.feeds.drop import Match
from e2analytics.feeds.text_columns import TEXT_COLUMNS
from e2analytics.ingest import pseudonyms
from e2analytics.ingest.file_content import FileContent
from e2analytics.ingest.normalise.tables import normalise
from e2analytics.ingest.rules.judge import judge
from e2analytics.ingest.source_file import (
    HASH_DIGITS,
    NO_FEED,
    FilesReadBefore,
    SideFile,
    SourceFile,
    digest_of,
    state_of,
)
from e2analytics.reference import schemas_folder
from e2analytics.settings import Settings
from e2analytics.tables.source import PROVENANCE

OnBatch: TypeAlias = Callable[[Match, FileDescription, pl.DataFrame, pl.DataFrame], None]
"""Called with every batch of a file: its text rows with patients' own numbers, and the same rows judged."""


@dataclass(frozen=True)
class Sources:
    """The content of a drop.

    Attributes
    ----------
    rows
        Normalised and judged rows by table, patient identifiers already replaced.
    files
        The files that were read now, refused ones among them; one line for each table they fill.
    known
        Files whose content was read before: nothing is read from them again.
    passed_over
        Files that are no data: readmes, checksums, logs.
    crosswalk
        ``patient_id, source_patient_id, namespace`` of the patients in them; kept encrypted only.
    """

    rows: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    files: tuple[SourceFile, ...] = ()
    known: tuple[Path, ...] = ()
    passed_over: tuple[SideFile, ...] = ()
    crosswalk: pl.DataFrame = field(
        default_factory=lambda: pseudonyms.Pseudonyms(b"").crosswalk(), repr=False
    )

    @property
    def unmatched(self) -> tuple[Path, ...]:
        """Files that no feed takes; each is refused under the rule ``no_feed``."""
        return tuple(file.path for file in self.files if file.is_of_no_feed)

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
        report_progress: Callable[[str], None] = lambda _: None,
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
            if its description has changed since: that may accept rows in quarantine.
        settings
            Give the time zone of times without an offset.
        today
            The day on which it is read; later dates are impossible.
        report_progress
            Called with a message for each file that is read; the terminal may name the file.

        Raises
        ------
        UnreadableError
            If the folder cannot be read.
        """
        settings = settings or Settings()
        reading = _DropReader(key, ledger, settings, today or date.today())
        entries = drop.entries(folder, settings.side_files)
        for path, kind in entries.passed_over.items():
            reading.pass_over(path, kind)
        # Of the user's own: nobody else reads what is unpacked.
        with TemporaryDirectory(prefix="e2analytics-") as unpacked:
            opened = archives.opened(entries.data, Path(unpacked), settings.side_files)
            return cls._read(opened, feeds, reading, report_progress)

    @classmethod
    def from_files(
        cls,
        paths: Iterable[Path],
        feeds: tuple[Feed, ...],
        key: bytes,
        *,
        settings: Settings,
        today: date,
        on_batch: OnBatch,
        report_progress: Callable[[str], None] = lambda _: None,
    ) -> Sources:
        """Read some files as if they were one drop, wherever each lies.

        What is looked up in a companion is looked up in the file's own folder.

        Parameters
        ----------
        paths
            The files.
        feeds, key, settings, today, report_progress
            As for :meth:`from_drop`.
        on_batch
            Called with the rows of every batch, also of a file that is refused later.
        """
        reading = _DropReader(key, None, settings, today, on_batch)
        return cls._read((Entry(path, path) for path in paths), feeds, reading, report_progress)

    @classmethod
    def _read(
        cls,
        entries: Iterable[Entry],
        feeds: tuple[Feed, ...],
        reading: _DropReader,
        report_progress: Callable[[str], None],
    ) -> Sources:
        # All are unpacked before the first is read: one may refer to another.
        for entry in list(entries):
            if entry.no_data is not None:
                reading.pass_over(entry.shown, entry.no_data)
                continue
            if entry.refused is not None:
                reading.refuse_unread(entry.shown, entry.refused)
                continue
            match = drop.recognise(feeds, entry.path)
            if match is None or entry.path.is_dir():
                reading.refuse_as_of_no_feed(entry, feeds)
                continue
            report_progress(f"Reading {entry.shown.name}")
            reading.read(match, entry.shown)
        return cls(
            reading.rows(),
            tuple(reading.files),
            tuple(reading.known),
            tuple(reading.passed_over),
            reading.names.crosswalk(),
        )


def judged(table: str, text: pl.DataFrame, *, timezone: str, today: date) -> pl.DataFrame:
    """Return text rows of a table normalised and judged by its rules."""
    return judge(table, normalise(table, text, timezone=timezone), today=today)


class _DropReader:
    """Reads a drop, file after file."""

    def __init__(
        self,
        key: bytes,
        ledger: pl.DataFrame | None,
        settings: Settings,
        today: date,
        on_batch: OnBatch = lambda *_: None,
    ) -> None:
        self.names = pseudonyms.Pseudonyms(key)
        self.files: list[SourceFile] = []
        self.known: list[Path] = []
        self.passed_over: list[SideFile] = []
        self._key = key
        self._before = FilesReadBefore(ledger)
        self._timezone = settings.timezone
        self._slips = settings.slips.model_dump_json(include={"decisions"})
        self._today = today
        self._on_batch = on_batch
        self._rows: dict[str, list[pl.DataFrame]] = {}
        self._digests: dict[tuple[Path, object], str] = {}

    def rows(self) -> dict[str, pl.DataFrame]:
        # In one chunk each: every later selection of single rows would join the chunks again.
        return {
            table: pl.concat(self._rows.pop(table), how="diagonal", rechunk=True)
            for table in list(self._rows)
        }

    def read(self, match: Match, shown: Path) -> None:
        """Read one file, unless it was read before; keep all of it or nothing.

        Parameters
        ----------
        match
            The file, where it can be read, and what describes it.
        shown
            How the user knows it.
        """
        try:
            drop.check_place(match.path, match.path.parent)
            state = state_of(match.path)
            digest = digest_of(match.path)
            described_by = self._described_by(match)
        except RefusedFileError as refused:
            self._add_refused(self._refused(match, shown, refused))
            return
        lines = self._lines(match, shown, digest, described_by)
        if any(self._before.is_done(line.source_file, described_by) for line in lines.values()):
            self.known.append(shown)
            return
        lines = {
            table: replace(line, source_order=self._before.order(line.source_file))
            for table, line in lines.items()
        }
        content = FileContent(match, lines, self._judged)
        try:
            content.read()
            if state_of(match.path) != state:
                raise RefusedFileError("changed_while_read", "it was written to while it was read")
        except RefusedFileError as refused:
            self._add_refused(replace(next(iter(lines.values())), refused=refused))
            return
        for line in content.lines():
            self._before.add(line.source_file, described_by)
            self.files.append(line)
        for table, frames in content.frames.items():
            self._rows.setdefault(table, []).extend(frames)

    def pass_over(self, path: Path, kind: str) -> None:
        """Note a file that is no data."""
        self.passed_over.append(SideFile(path, kind, self._named(path)))

    def refuse_as_of_no_feed(self, entry: Entry, feeds: Sequence[Feed]) -> None:
        """Refuse a file that no feed takes, with the nearest feed and what differs."""
        path = entry.path
        try:
            if path.is_dir():
                raise RefusedFileError("no_feed", "it is a folder, and a drop is flat")
            drop.check_place(path, path.parent)
            digest = digest_of(path)
            nearest = recognition.nearest(feeds, path, None)[:1]
            found = f"nearest is {nearest[0]}" if nearest else "no feed is near it"
            self.refuse_unread(entry.shown, RefusedFileError("no_feed", found), digest)
        except RefusedFileError as refused:
            self.refuse_unread(entry.shown, refused)

    def refuse_unread(
        self, shown: Path, refused: RefusedFileError, digest: str | None = None
    ) -> None:
        """Refuse a file before its feed is known; without a hash of its content that of its name stands in."""
        named = self._named(shown)
        digest = digest or named
        name = f"{NO_FEED}-{digest[:HASH_DIGITS]}"
        order = self._before.order(name)
        self._add_refused(
            SourceFile(shown, name, digest, NO_FEED, NO_FEED, order, "", named, refused=refused)
        )

    def _add_refused(self, file: SourceFile) -> None:
        # Of several with the same content one stands for all: the ledger has a line for each content.
        if file.source_file in {other.source_file for other in self.files}:
            self.known.append(file.path)
        else:
            self.files.append(file)

    def _judged(self, match: Match, kind: FileDescription, text: pl.DataFrame) -> pl.DataFrame:
        feed, named = match.feed, text
        if "patient_id" in text.columns:
            text = self.names.replace(
                text, feed.namespace, kind.id_prefixes(), kind.ids_with_the_patient_in()
            )
        timezone = feed.timezone or self._timezone
        rows = judged(kind.target, text, timezone=timezone, today=self._today)
        self._on_batch(match, kind, named, rows)
        return rows

    def _lines(
        self, match: Match, shown: Path, digest: str, described_by: str
    ) -> dict[str, SourceFile]:
        """Return the file's lines of the ledger, one for each table that it fills."""
        feed = match.feed.feed
        # The table is part of the name: one layout has files for several.
        return {
            table: SourceFile(
                shown,
                f"{feed}-{table}-{digest[:HASH_DIGITS]}",
                digest,
                feed,
                table,
                0,
                described_by,
                self._named(shown),
            )
            for table in dict.fromkeys(kind.target for kind in match.kinds)
        }

    def _named(self, path: Path) -> str:
        return pseudonyms.keyed_hash(self._key, "file name", path.name)[:HASH_DIGITS]

    def _refused(self, match: Match, shown: Path, refused: RefusedFileError) -> SourceFile:
        # A file that cannot be opened has no hash of its content: the hash of its name stands in.
        line = next(iter(self._lines(match, shown, self._named(shown), "").values()))
        return replace(line, source_order=self._before.order(line.source_file), refused=refused)

    def _described_by(self, match: Match) -> str:
        """Return a digest of all that decides how a file's rows are read and judged."""
        digest = hashlib.sha256(match.feed.model_dump_json().encode())
        digest.update(self._timezone.encode())
        digest.update(self._slips.encode())
        for file in sorted((schemas_folder() / "reference").glob("*.yaml")):
            digest.update(file.read_bytes())
        for kind in match.kinds:
            for companion in lookups.companions(match.path.parent, kind):
                digest.update(self._digest_of(companion).encode())
        for companion in formats.of(match.feed.format).companions(match.path):
            digest.update(self._digest_of(companion).encode())
        return digest.hexdigest()[:HASH_DIGITS]

    def _digest_of(self, companion: Path) -> str:
        # Kept: each file of Bulk Data may lean on all the others.
        key = (companion, state_of(companion))
        if key not in self._digests:
            self._digests[key] = digest_of(companion)
        return self._digests[key]


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
