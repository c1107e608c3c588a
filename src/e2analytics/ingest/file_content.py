"""The content of one file, table by table.

In    a file with the feed that describes it, and a function that judges text rows
Out   judged rows by table; the lines of the ledger with the rows read and the columns that nothing uses

A file is kept as a whole or refused as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

import polars as pl

from e2analytics.errors import RefusedFileError
from e2analytics.feeds import formats, lookups, mapping
from e2analytics.feeds.columns import differences, renamings
from e2analytics.feeds.description import FileDescription, columns_named
from e2analytics.feeds.drop import Match
from e2analytics.feeds.no_rows import COLUMNS_OF_READERS
from e2analytics.feeds.one_table import OneTable
from e2analytics.ingest.source_file import SourceFile
from e2analytics.tables.categoricals import to_categories
from e2analytics.tables.prefetch import prefetch


class _Table(NamedTuple):
    """A table of a file: what describes it, by its place, and the record (the sheet) that holds it."""

    number: int
    record: str


class FileContent:
    """Reads one file.

    Parameters
    ----------
    match : Match
        The file and what describes it.
    lines : mapping of str to SourceFile
        Its lines of the ledger, by table.
    judge : callable
        Turns text rows into judged rows.

    Attributes
    ----------
    frames : dict
        Judged rows by table, batch by batch.
    """

    def __init__(
        self,
        match: Match,
        lines: Mapping[str, SourceFile],
        judge: Callable[[Match, FileDescription, pl.DataFrame], pl.DataFrame],
    ) -> None:
        self.frames: dict[str, list[pl.DataFrame]] = {}
        self._match = match
        self._lines = lines
        self._judge = judge
        self._present: dict[_Table, dict[str, None]] = {}
        self._looked_up: dict[int, list[pl.DataFrame]] = {}
        self._rows_read = dict.fromkeys(lines, 0)
        self._other_records: dict[str, None] = {}

    def read(self) -> None:
        """Read the file.

        Raises
        ------
        RefusedFileError
            With the rule that the file breaks.
        """
        feed, sheets = self._match.feed, dict[str, OneTable]()
        self._check_labels()
        for record, rows in prefetch(formats.read(self._match.path, feed.format)):
            kinds = self._kinds_of(record)
            if not kinds:
                self._other_records[f"all of {record}"] = None
            elif formats.of(feed.format).has_sheets:
                if record not in sheets:
                    sheets[record] = OneTable(rows.columns)
                sheets[record].check(rows)
            for number, kind in kinds.items():
                table = _Table(number, record)
                self._present.setdefault(table, {}).update(dict.fromkeys(rows.columns))
                if not self._missing(table):
                    self._add(number, kind, rows)
        self._check_columns()

    def lines(self) -> list[SourceFile]:
        """Return the lines of the tables that it filled; of an empty file, the first."""
        unused = tuple(self._unused())
        read = [
            replace(line, rows_read=self._rows_read[table], unused=unused)
            for table, line in self._lines.items()
        ]
        return [line for line in read if line.rows_read] or read[:1]

    def _check_columns(self) -> None:
        """Refuse a file of which a table lacks columns, or has one called nearly so.

        Every sheet counts for itself: what one has, another may lack. Where a description takes any sheet, one
        that has none of the columns is another table, and is told as unused.
        """
        lacking = {table: self._missing(table) for table in self._present}
        complete = {table.number for table, missing in lacking.items() if not missing}
        for table, missing in lacking.items():
            if missing and table.number in complete and self._is_another_table(table):
                self._other_records[f"all of {table.record}"] = None
            elif missing:
                raise RefusedFileError("missing_column", self._what_differs(table, missing))
            else:
                self._check_renamed(table)

    def _is_another_table(self, table: _Table) -> bool:
        kind = self._match.kinds[table.number]
        return kind.record == "*" and not kind.columns_used() & self._present[table].keys()

    def _kinds_of(self, record: str) -> dict[int, FileDescription]:
        """Return the first kind of each table that takes rows of this record."""
        first: dict[str, tuple[int, FileDescription]] = {}
        for number, kind in enumerate(self._match.kinds):
            if kind.takes(record):
                first.setdefault(kind.target, (number, kind))
        return dict(first.values())

    def _add(self, number: int, kind: FileDescription, rows: pl.DataFrame) -> None:
        rows = mapping.unpivoted(rows, kind)
        if kind.lookups:
            rows = lookups.join(rows, kind, self._tables(number, kind))
        line = self._lines[kind.target]
        text = mapping.to_table(
            rows,
            self._match.feed,
            kind,
            source_file=line.source_file,
            source_order=line.source_order,
        )
        rows_judged = to_categories(self._judge(self._match, kind, text))
        self.frames.setdefault(kind.target, []).append(rows_judged)
        self._rows_read[kind.target] += len(rows_judged)

    def _tables(self, number: int, kind: FileDescription) -> list[pl.DataFrame]:
        if number not in self._looked_up:
            self._looked_up[number] = lookups.tables(
                self._match.path.parent, self._match.feed, kind
            )
        return self._looked_up[number]

    def _missing(self, table: _Table) -> list[str]:
        kind, present = self._match.kinds[table.number], self._present[table]
        missing = [name for name in kind.required if name not in present]
        if kind.one_of and not set(kind.one_of) & set(present):
            missing.append(" or ".join(kind.one_of))
        return missing

    def _what_differs(self, table: _Table, missing: list[str]) -> str:
        used = self._match.kinds[table.number].columns_used() | COLUMNS_OF_READERS
        present = self._present[table]
        # A header without any column of the feed may be a row of data: none of its texts is told.
        is_header = bool(used & set(present))
        others = [name for name in present if name not in used] if is_header else []
        return f"of its columns {differences(missing, others)}"

    def _check_renamed(self, table: _Table) -> None:
        """Refuse a table that lacks a column where one is there that is called nearly so: without it rows mislead.

        An order whose stop date is called otherwise would seem to be in force.
        """
        kind, present = self._match.kinds[table.number], self._present[table]
        if not formats.of(self._match.feed.format).has_header_line or kind.unpivot is not None:
            return
        used = kind.columns_used() | COLUMNS_OF_READERS | set(kind.unused)
        there = present.keys() | {name for lookup in kind.lookups for name in lookup.columns}
        lacking = [
            names[0]
            for names in map(list, map(columns_named, kind.sources()))
            if names and not there & set(names)
        ]
        if renamed := renamings(lacking, [name for name in present if name not in used]):
            raise RefusedFileError("renamed_column", f"of its columns {renamed}")

    def _check_labels(self) -> None:
        """Refuse a file that calls a column otherwise than its feed does: it may be in another unit."""
        expected = {
            name: label for kind in self._match.kinds for name, label in kind.labels.items()
        }
        if not expected:
            return
        labels = formats.of(self._match.feed.format).labels(self._match.path)
        for name, label in expected.items():
            if name in labels and label.lower() not in labels[name].lower():
                raise RefusedFileError("other_label", f"its label of {name} does not say {label}")

    def _unused(self) -> list[str]:
        if any(kind.set_apart for kind in self._match.kinds) or len(self._match.kinds) > 1:
            return list(self._other_records)
        columns = [
            column
            for table, present in self._present.items()
            # Of a table on its side every column is one of results.
            if self._match.kinds[table.number].unpivot is None
            and f"all of {table.record}" not in self._other_records
            for column in present
            if column not in self._match.kinds[table.number].columns_used() | COLUMNS_OF_READERS
        ]
        return [*dict.fromkeys(columns), *self._other_records]
