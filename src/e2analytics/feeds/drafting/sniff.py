"""Tells how a file is written that no feed describes: its format, encoding, delimiter, header.

In    a file
Out   its format with options, and some rows of each of its tables: guesses from its beginning

A first line that may be a row of data is never used as a header: it may hold a patient.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl

from e2analytics.errors import RefusedFileError, UnreadableError
from e2analytics.feeds import delimited, formats, sas
from e2analytics.feeds.drafting import headings, vocabulary
from e2analytics.feeds.formats import FileFormat
from e2analytics.feeds.reader import Beginning, FormatOptions

SAMPLE_ROWS: Final = 1000
NO_HEADER: Final = (
    "none of its first lines looks like a header; ask its supplier for one with names of columns"
)
_FIRST_BYTES: Final = 1 << 16
_FIRST_LINES: Final = 60
_LAST_HEADER_LINE: Final = 20
_MOST_HEADER_LINES: Final = 2
_LONGEST_NAME: Final = 60
_FEWEST_COLUMNS: Final = 2
_DELIMITERS: Final = (",", ";", "\t", "|")
_LEAST_SHARE: Final = (
    0.6  # of lines with as many fields as most have: titles and blank lines differ
)
_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_DATE_OR_NUMBER: Final = re.compile(r"^[<>=\s]*[-+]?[\d.,:/\-\s]*\d[\d.,:/\-\sTZ+]*$")


class Sniffed(NamedTuple):
    """How a file is written.

    Attributes
    ----------
    options
        Its format.
    tables
        Some rows of each record; none for messages and resources, whose columns are the reader's.
    labels
        What the file says of its columns, beside their names.
    """

    options: FormatOptions
    tables: Mapping[str, pl.DataFrame]
    labels: Mapping[str, str] = {}


def sniff(path: Path) -> Sniffed:
    """Tell how a file is written.

    Raises
    ------
    UnreadableError
        If it is in no format that e2analytics reads, or has no header.
    """
    try:
        with path.open("rb") as file:
            first = file.read(_FIRST_BYTES)
    except OSError:
        raise RefusedFileError("unreadable_file", "it cannot be opened") from None
    if not first.strip():
        raise RefusedFileError("empty_file", "it holds nothing")
    beginning = Beginning(path, first)
    for each in formats.FORMATS.values():
        if each.reader.looks_like(beginning):
            return _of_format(each, path)
    return _sampled(path, _delimited(beginning))


def is_header(names: Sequence[str], rows: Sequence[Sequence[str | None]]) -> bool:
    """Return whether a line can only be a header: all of it names, and there is data below.

    >>> is_header(["MRN", "Result"], [["4711", "5.1"]])
    True
    >>> is_header(["4711", "5.1"], [["4712", "5.3"]]), is_header(["Smith", "high"], [["Jones", "low"]])
    (False, False)
    """
    given = [name.strip() for name in names if name.strip()]
    if vocabulary.columns("labs", given).get("test_name"):
        # A table of tests may have days for columns; what else stands there must be names.
        given = [name for name in given if not headings.is_day(name)]
    if len(given) < _FEWEST_COLUMNS or any(
        len(name) > _LONGEST_NAME or _DATE_OR_NUMBER.match(name) for name in given
    ):
        return False
    columns = [
        [row[place] or "" for row in rows if len(row) > place] for place in range(len(names))
    ]
    # A text that stands in its column again is data, and so is then what stands beside it.
    recurs = any(
        name.strip() and name in column for name, column in zip(names, columns, strict=True)
    )
    return not recurs and any(map(_holds_numbers, columns))


def _holds_numbers(column: list[str]) -> bool:
    given = [text for text in column if text.strip()]
    return bool(given) and 2 * sum(map(bool, map(_DATE_OR_NUMBER.match, given))) > len(given)


def _of_format(known: FileFormat, path: Path) -> Sniffed:
    options = known.options(kind=known.kind)
    if known.defines_columns:
        return Sniffed(options, {})
    if known.has_header_line:
        options = _with_best_header(known, path)
    return _sampled(path, options)


def _sampled(path: Path, options: FormatOptions) -> Sniffed:
    tables: dict[str, pl.DataFrame] = {}
    # A workbook's later sheets come last; of other formats the first rows are enough.
    some = None if formats.of(options).has_sheets else 1
    for record, rows in islice(formats.read(path, options), some):
        if record not in tables or tables[record].is_empty():
            tables[record] = rows.head(SAMPLE_ROWS).drop("source_line", "short_line")
    return Sniffed(options, tables, sas.labels(path) if isinstance(options, sas.Options) else {})


def _with_best_header(known: FileFormat, path: Path) -> FormatOptions:
    """Take the line as header whose names are best known, over all sheets."""
    several = (
        range(1, _MOST_HEADER_LINES + 1) if "header_lines" in known.options.model_fields else [1]
    )
    candidates = [
        known.options.model_validate(
            {"kind": known.kind, "header_line": line} | ({"header_lines": n} if n > 1 else {})
        )
        for n in several
        for line in range(1, _LAST_HEADER_LINE + 1)
    ]
    return max(candidates, key=lambda each: _known(known.reader.header(path, each)))


def _known(headers: Mapping[str, list[str]]) -> int:
    return sum(
        vocabulary.known(names)
        + 2 * len(headings.groups(names))
        + len(headings.measured(names, {}))
        for names in headers.values()
    )


def _delimited(beginning: Beginning) -> delimited.Options:
    lines = _LINE_END.split(beginning.text)
    if len(beginning.content) == _FIRST_BYTES:
        lines.pop()  # cut off, unless the file ends just there
    layouts = [_Layout.of(lines[:_FIRST_LINES], delimiter) for delimiter in _DELIMITERS]
    best = max(layouts, key=lambda layout: layout.share * (layout.n_fields - 1))
    if best.n_fields < _FEWEST_COLUMNS or best.share < _LEAST_SHARE:
        raise UnreadableError(
            "it is in no format that e2analytics reads: no table, no HL7, no FHIR, no SAS transport file"
        )
    header_line = best.header_line()
    if header_line is None:
        raise UnreadableError(NO_HEADER)
    return delimited.Options(
        delimiter=best.delimiter, encoding=beginning.encoding, header_line=header_line
    )


class _Layout(NamedTuple):
    """The first lines of a text, split by one delimiter."""

    delimiter: str
    rows: list[list[str]]
    n_fields: int
    share: float

    @classmethod
    def of(cls, lines: list[str], delimiter: str) -> _Layout:
        rows = [next(csv.reader([line], delimiter=delimiter), []) for line in lines]
        counts = Counter(len(row) for row in rows if any(field.strip() for field in row))
        n_fields, n_rows = counts.most_common(1)[0] if counts else (0, 0)
        return cls(delimiter, rows, n_fields, n_rows / max(counts.total(), 1))

    def header_line(self) -> int | None:
        """Return the line whose fields are best known as names; else the first that can be names."""
        candidates = [
            (line, row)
            for line, row in enumerate(self.rows[:_LAST_HEADER_LINE], start=1)
            if len(row) >= self.n_fields and is_header(row, self.rows[line:])
        ]
        if not candidates:
            return None
        return max(candidates, key=lambda each: (vocabulary.known(each[1]), -each[0]))[0]
