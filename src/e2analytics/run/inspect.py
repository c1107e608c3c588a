"""Inspection of files before they are ingested: the feed of each, and the fates of its rows.

In    files, as if they were one drop into an empty store, and the feed descriptions
Out   :class:`Inspection`: of each file its feed and why, the mapping, fates, problems, unknown words, and
      for a layout that no feed describes the draft of a description

Runs the steps of a run up to ``take_in``, with a temporary key. Touches no store, and keeps no value of a
patient unless it is asked to show some.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import polars as pl

from e2analytics.errors import RefusedFileError, UnreadableError
from e2analytics.feeds import archives, drop, formats, recognition
from e2analytics.feeds.archives import Entry
from e2analytics.feeds.description import Feed, FileDescription, load_feeds, unsettled
from e2analytics.feeds.drafting import copy_of_tables, draft
from e2analytics.feeds.drop import Match
from e2analytics.feeds.side_files import kind_of
from e2analytics.feeds.text_columns import TEXT_COLUMNS
from e2analytics.ingest.intake import Intake
from e2analytics.ingest.read_drop import Sources
from e2analytics.ingest.source_file import SourceFile
from e2analytics.ingest.unrecognised_values import UnknownTexts
from e2analytics.reference.row_rules import UNKNOWN_PATIENT
from e2analytics.reference.simulation_marker import MARKER_NAME
from e2analytics.run.frames import Run
from e2analytics.run.steps import take_in
from e2analytics.settings import Settings
from e2analytics.tables.snapshot import Snapshot
from e2analytics.tables.vocabulary import FATES

FIRST_LINES: Final = 3
"""Lines that are named for each problem."""


@dataclass(frozen=True)
class Mapped:
    """How rows of a file become rows of one table.

    Attributes
    ----------
    kind
        The entry of the feed description.
    absent
        Columns that the entry names and the file lacks.
    first_rows
        The first rows as mapped, where values may be shown.
    """

    kind: FileDescription
    absent: frozenset[str]
    first_rows: pl.DataFrame | None


@dataclass(frozen=True)
class InspectedFile:
    """The findings about one file.

    Attributes
    ----------
    path
        The file.
    feed, why
        The feed that describes it, and by what it was recognised.
    nearest
        Other feeds, and what the file lacks to be theirs.
    mapped
        The entries of the feed that take its rows.
    refused
        Why nothing of it would be kept.
    is_repeated
        True if another of the files has the same content: this one would not be read.
    no_data
        What it is, if it is a file that a run passes over: a readme, a log.
    fates
        ``table, fate, why, n_rows`` of its rows: several of a line that holds several results.
    problems
        ``table, rule, severity, n_rows, lines, advice``: what waits, or comes in with a doubt.
    unknown
        ``table, what, text, n_rows`` of :mod:`e2analytics.ingest.unrecognised_values`.
    unused
        Columns, or whole records, that nothing uses.
    draft
        A description to start from, for a layout that no feed describes.
    """

    path: Path
    feed: Feed | None = None
    why: str = ""
    nearest: tuple[str, ...] = ()
    mapped: tuple[Mapped, ...] = ()
    refused: UnreadableError | None = None
    is_repeated: bool = False
    no_data: str | None = None
    fates: pl.DataFrame = field(default_factory=pl.DataFrame)
    problems: pl.DataFrame = field(default_factory=pl.DataFrame)
    unknown: pl.DataFrame = field(default_factory=pl.DataFrame)
    unused: tuple[str, ...] = ()
    draft: str | None = None


@dataclass(frozen=True)
class Inspection:
    """The findings about several files.

    ``patients_missing``: rows are in quarantine because no file among them has their patients.
    ``unsettled``: lines with TODO of the clinic's own descriptions.
    """

    files: tuple[InspectedFile, ...]
    patients_missing: bool
    unsettled: Mapping[Path, list[int]] = field(default_factory=dict)


def inspect(
    paths: Iterable[Path],
    settings: Settings,
    *,
    today: date,
    rows_shown: int = 0,
    new_feed: str | None = None,
    report_progress: Callable[[str], None] = lambda _: None,
) -> Inspection:
    """Inspect files as if they were one drop into an empty store.

    Parameters
    ----------
    paths
        The files, wherever each lies; the marker of a simulated drop is none.
    settings
        Name the folder of more feed descriptions, and the time zone.
    today
        The day on which they are read.
    rows_shown
        Number of rows of each table to keep as mapped; above 0, rare unknown texts are kept as well.
    new_feed
        Name of the feed that a draft describes. One file alone is then drafted even if a feed describes it.
    report_progress
        Called with a message on how far reading has come.

    Raises
    ------
    ConfigurationError
        If a feed description is wrong.
    """
    given = [path for path in dict.fromkeys(paths) if path.name != MARKER_NAME]
    with TemporaryDirectory(prefix="e2analytics-") as unpacked:
        side_files = settings.side_files
        entries = [
            replace(entry, no_data=entry.no_data or kind_of(entry.path, side_files))
            for entry in archives.opened(given, Path(unpacked), side_files)
        ]
        seen = _Collector(rows_shown, report_progress)
        return _inspection(entries, seen, settings, today, new_feed)


def _inspection(
    entries: list[Entry],
    seen: _Collector,
    settings: Settings,
    today: date,
    new_feed: str | None,
) -> Inspection:
    feeds = load_feeds(settings.feeds_folder)
    data = [entry.path for entry in entries if not entry.no_data and not entry.refused]
    sources = Sources.from_files(
        data,
        feeds,
        secrets.token_bytes(),
        settings=settings,
        today=today,
        on_batch=seen.add_batch,
        report_progress=seen.report_progress,
    )
    intake = take_in(sources, Snapshot(), Run(as_of=today, settings=settings, run_id="inspection"))
    read = _Fates(sources, intake)
    found = {path: _inspected(path, feeds, read, seen, new_feed) for path in data}
    if new_feed is not None and len(data) == 1:
        found[data[0]] = _drafted_anew(found[data[0]], new_feed)
    inspected = tuple(
        replace(found[entry.path], path=entry.shown)
        if entry.path in found
        else InspectedFile(entry.shown, no_data=entry.no_data, refused=entry.refused)
        for entry in entries
    )
    waits_for_patients = (intake.quarantine["rule"] == UNKNOWN_PATIENT).any()
    return Inspection(
        inspected,
        waits_for_patients and "patients" not in sources.rows,
        unsettled(settings.feeds_folder),
    )


class _Collector:
    """Rows and unknown texts of each file, collected while the files are read."""

    def __init__(self, rows_shown: int, report_progress: Callable[[str], None]) -> None:
        self.rows_shown = rows_shown
        self._unknown: dict[Path, UnknownTexts] = {}
        self._first_rows: dict[tuple[Path, int], pl.DataFrame] = {}
        self._n_rows: Counter[tuple[Path, str]] = Counter()
        self.report_progress = report_progress

    def add_batch(
        self, match: Match, kind: FileDescription, text: pl.DataFrame, judged: pl.DataFrame
    ) -> None:
        self._n_rows[match.path, kind.target] += len(text)
        n_rows = self._n_rows[match.path, kind.target]
        self.report_progress(f"Reading {match.path.name}: {n_rows:,} rows for {kind.target}")
        self._unknown.setdefault(match.path, UnknownTexts()).add(kind.target, text, judged)
        some = text.select("source_line", *TEXT_COLUMNS[kind.target]).head(self.rows_shown)
        place = match.path, id(kind)
        before = self._first_rows.get(place, some.clear())
        self._first_rows[place] = pl.concat([before, some]).head(self.rows_shown)

    def has(self, path: Path, kind: FileDescription) -> bool:
        return (path, id(kind)) in self._first_rows

    def unknown_texts(self, path: Path) -> pl.DataFrame:
        met = self._unknown.get(path, UnknownTexts())
        return met.counts(show_all=self.rows_shown > 0)

    def first_rows(self, path: Path, kind: FileDescription) -> pl.DataFrame | None:
        return self._first_rows.get((path, id(kind))) if self.rows_shown else None


class _Fates:
    """Fates and problems of rows, by file."""

    def __init__(self, sources: Sources, intake: Intake) -> None:
        self._sources = sources
        self._row_fates = intake.row_fates
        self._quarantine = intake.quarantine

    def is_repeated(self, path: Path) -> bool:
        return path in self._sources.known

    def files(self, path: Path) -> list[SourceFile]:
        return [file for file in self._sources.files if file.path == path]

    def fates(self, files: list[SourceFile]) -> pl.DataFrame:
        return (
            self._row_fates.filter(_is_of(files))
            .cast({"fate": pl.Enum(FATES)})
            .group_by("table", "fate", "why")
            .agg(n_rows=pl.col("n").sum())
            .sort("table", "fate", "why")
        )

    def problems(self, files: list[SourceFile]) -> pl.DataFrame:
        return (
            self._quarantine.filter(_is_of(files) & pl.col("source_line").is_not_null())
            .sort("source_line")
            .group_by("table", "rule", "severity", "advice")
            .agg(n_rows=pl.col("n_rows").sum(), lines=pl.col("source_line").head(FIRST_LINES))
            .sort("table", "n_rows", "rule", descending=[False, True, False])
        )


def _is_of(files: list[SourceFile]) -> pl.Expr:
    return pl.col("source_file").cast(pl.String).is_in([file.source_file for file in files])


def _inspected(
    path: Path, feeds: tuple[Feed, ...], read: _Fates, seen: _Collector, new_feed: str | None
) -> InspectedFile:
    match = drop.recognise(feeds, path) if path.exists() else None
    if match is None or path.is_dir():
        return _not_described(path, feeds, new_feed)
    files = read.files(path)
    refused = next((file.refused for file in files if file.refused), None)
    headers = formats.header(path, match.feed.format)
    return InspectedFile(
        path,
        feed=match.feed,
        why=recognition.reason(match),
        nearest=recognition.nearest(feeds, path, match),
        mapped=tuple(_mapped(match, headers, seen, refused)),
        refused=refused,
        is_repeated=read.is_repeated(path),
        fates=read.fates(files),
        problems=read.problems(files),
        unknown=seen.unknown_texts(path) if refused is None else pl.DataFrame(),
        unused=() if refused else tuple(_unused(match, headers, files)),
        draft=_draft_instead(match, headers, new_feed) if refused else None,
    )


def _not_described(path: Path, feeds: tuple[Feed, ...], new_feed: str | None) -> InspectedFile:
    if path.is_dir() or not path.exists():
        what = "it is a folder; give its files" if path.is_dir() else "there is no such file"
        return InspectedFile(path, refused=UnreadableError(what))
    try:
        drop.check_place(path, path.parent)
        return InspectedFile(
            path, nearest=recognition.nearest(feeds, path, None), draft=draft(path, new_feed)
        )
    except UnreadableError as refused:
        return InspectedFile(path, refused=refused)


def _draft_instead(
    match: Match, headers: Mapping[str, list[str]], new_feed: str | None
) -> str | None:
    """Return a draft for a refused file that lacks the columns of the feed its name stands for."""
    there = {name for names in headers.values() for name in names}
    if any(there.issuperset(kind.required) for kind in match.kinds):
        return None
    try:
        return draft(match.path, new_feed)
    except UnreadableError:
        return None


def _drafted_anew(file: InspectedFile, new_feed: str) -> InspectedFile:
    """Return what was found, with a draft even if a feed takes the file: its own, to be changed, if it is shipped."""
    if file.feed is None or file.draft is not None:
        return file
    if formats.of(file.feed.format).defines_columns:
        return replace(file, draft=draft(file.path, new_feed))
    copied = copy_of_tables(file.feed.feed, new_feed)
    return replace(file, draft=copied or draft(file.path, new_feed))


def _mapped(
    match: Match,
    headers: Mapping[str, list[str]],
    seen: _Collector,
    refused: RefusedFileError | None,
) -> Iterator[Mapped]:
    for kind in match.kinds:
        if not seen.has(match.path, kind) and refused is None:
            continue  # none of its rows came
        there = {name for record in headers if kind.takes(record) for name in headers[record]}
        there |= {name for lookup in kind.lookups for name in lookup.columns}
        if kind.unpivot is not None:
            there |= {kind.unpivot.heading, kind.unpivot.cell}
        absent = kind.columns_used() - there if there else set()
        yield Mapped(kind, frozenset(absent), seen.first_rows(match.path, kind))


def _unused(
    match: Match, headers: Mapping[str, list[str]], files: list[SourceFile]
) -> Iterator[str]:
    if formats.of(match.feed.format).defines_columns:
        yield from dict.fromkeys(name for file in files for name in file.unused)
        return
    for record, names in headers.items():
        taking = [kind for kind in match.kinds if kind.takes(record)]
        if not taking:
            yield f"all of {record}"
        elif not any(kind.set_apart or kind.unreadable or kind.unpivot for kind in taking):
            used = {name for kind in taking for name in kind.columns_used()}
            yield from (name for name in names if name not in used)
