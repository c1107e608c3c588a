"""Reads Excel workbooks (.xlsx), every sheet.

In    a workbook whose sheets have a header line
Out   per sheet (``record``) every column as text, empty cells null, and ``source_line``: the number
      that Excel shows next to the row. Dates are ISO 8601, whole numbers have no decimal point, truth
      values are TRUE and FALSE, errors stay what Excel shows (#N/A). What the format of a cell says
      beside its number is read: leading zeros, %, marks (:mod:`e2analytics.feeds.excel_formats`)

A formula stays its text (``=A1*2``), so that rules reject it: the value that Excel saved with it may
be old or forged. Blank lines are no rows; lines before the header and cells to the right of it are
not read. A sheet that ends before its header has no columns, so that a feed that needs some refuses the
workbook. Refuses what is no workbook, or would become huge when unpacked.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime, time
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, NamedTuple

import openpyxl
import polars as pl
from openpyxl.cell.read_only import ReadOnlyCell
from openpyxl.worksheet._reader import WorkSheetParser
from openpyxl.worksheet.formula import ArrayFormula, DataTableFormula
from pydantic import Field

from e2analytics.errors import RefusedFileError
from e2analytics.feeds import excel_headers as headers
from e2analytics.feeds.batch import Batch
from e2analytics.feeds.columns import Repeated, named
from e2analytics.feeds.excel_formats import as_shown
from e2analytics.feeds.excel_headers import Line
from e2analytics.feeds.reader import Beginning, FormatOptions

BATCH_ROWS = 20_000
"""Rows that are read at once."""

_LAST_ROW: Final = 1_048_576  # of a sheet of Excel 2007 and later
_MOST_BYTES_INSIDE: Final = 1 << 30
_MOST_TIMES_LARGER: Final = 200
_FEWEST_BYTES_DOUBTED: Final = 1 << 24
_ARCHIVE: Final = b"PK\x03\x04"
_OLD_OR_LOCKED: Final = b"\xd0\xcf\x11\xe0"  # begins every OLE file
_LARGEST_EXACT: Final = 2.0**53
_NO_PART_OF_A_DATE: Final = re.compile(r'\[[^]]*]|"[^"]*"|\\.')


class Options(FormatOptions, frozen=True):
    """Where the header of every sheet stands, and over how many lines.

    Of a header of several lines a column is called by its group and its own name: ``Estradiol Result``.
    """

    kind: Literal["excel"] = "excel"
    header_line: int = Field(1, ge=1, le=1000)
    header_lines: int = Field(1, ge=1, le=5)
    repeated: Repeated = "refuse"


def read(path: Path, options: Options) -> Iterator[Batch]:
    """Yield the rows of a workbook, some of a sheet at a time.

    Raises
    ------
    RefusedFileError
        With the rule that the file breaks.
    """
    batches = _batches(path, options)
    while (batch := _next(batches)) is not None:
        yield batch


def header(path: Path, options: Options) -> dict[str, list[str]]:
    """Return the columns of each sheet; none where they are unknown."""
    try:
        with _quiet(), _opened(path) as book:
            tables = {sheet.title: _table(sheet, options) for sheet in book.worksheets}
            return {title: table.names for title, table in tables.items() if table}
    except Exception:
        return {}


def looks_like(beginning: Beginning) -> bool:
    """Return whether a file begins like a workbook, old and locked ones included."""
    return beginning.content.startswith((_ARCHIVE, _OLD_OR_LOCKED))


def _next(batches: Iterator[Batch]) -> Batch | None:
    try:
        with _quiet():
            return next(batches, None)
    except RefusedFileError:
        raise
    except Exception:
        # Not chained: the reader's message may quote a value.
        raise RefusedFileError("not_excel", "it is damaged") from None


@contextmanager
def _quiet() -> Iterator[None]:
    # What openpyxl warns of quotes cells.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _opened(path: Path) -> Iterator[openpyxl.Workbook]:
    try:
        file = path.open("rb")
    except OSError:
        # Not chained: the name of the file may be a patient's.
        raise RefusedFileError("unreadable_file", "it cannot be read") from None
    with file:
        _check_archive(file)
        with closing(openpyxl.load_workbook(file, read_only=True, keep_links=False)) as book:
            yield book


def _check_archive(file: BinaryIO) -> None:
    """Refuse what is no archive, or a small one that would become huge."""
    begins_with = file.read(len(_OLD_OR_LOCKED))
    if not begins_with:
        raise RefusedFileError("empty_file", "it holds nothing")
    if begins_with == _OLD_OR_LOCKED:
        raise RefusedFileError(
            "not_excel",
            "it is protected by a password or an old .xls; save it as .xlsx without a password",
        )
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except zipfile.BadZipFile:
        raise RefusedFileError("not_excel", "it is not a workbook, or cut off") from None
    unpacks_to_much = any(
        member.file_size > max(_FEWEST_BYTES_DOUBTED, member.compress_size * _MOST_TIMES_LARGER)
        for member in members
    )
    if unpacks_to_much or sum(member.file_size for member in members) > _MOST_BYTES_INSIDE:
        raise RefusedFileError("too_large_inside", "unpacked it is far larger than a workbook is")


class _Table(NamedTuple):
    names: list[str]
    lines: Iterator[Line]


def _batches(path: Path, options: Options) -> Iterator[Batch]:
    with _opened(path) as book:
        has_header = is_filled = False
        for sheet in book.worksheets:
            table = _table(sheet, options)
            if table is None:
                continue
            is_filled = True
            has_header |= bool(table.names)
            yield Batch(sheet.title, _frame(table.names, []))
            while lines := list(islice(table.lines, BATCH_ROWS)):
                yield Batch(sheet.title, _frame(table.names, lines))
        if not is_filled:
            raise RefusedFileError("empty_file", "its sheets hold nothing")
        if not has_header:
            raise RefusedFileError("missing_header", f"line {options.header_line} is not a header")


def _table(sheet: Any, options: Options) -> _Table | None:
    """Return the columns and rows of a sheet; no columns if it ends before its header."""
    every_line = _lines(sheet)
    if (first := next(every_line, None)) is None:
        return None
    lines: Iterator[Line] = (
        line for line in chain([first], every_line) if line.number >= options.header_line
    )
    first = next(lines, None)
    if first is None:
        return _Table([], lines)
    places = range(1, max(first.texts) + 1)
    if first.number > options.header_line:
        # No header, as on a cover sheet: the columns are called by their places.
        return _Table(named([None for _ in places]), chain([first], lines))
    header = {first.number: first.texts}
    if options.header_lines > 1:
        end = options.header_line + options.header_lines
        below = next(lines, None)
        while below is not None and below.number < end:
            header[below.number] = below.texts
            below = next(lines, None)
        lines = chain([below] if below else [], lines)
        first = Line(first.number, headers.joined(header, headers.merged(sheet)))
        places = range(1, max(first.texts) + 1)
    return _Table(named(map(first.texts.get, places), options.repeated), lines)


def _lines(sheet: Any) -> Iterator[Line]:
    """Yield the lines of a sheet that hold anything.

    The sheet's own iterator silently leaves out lines that are not in order.
    """
    book = sheet.parent
    with sheet._get_source() as source:
        parser = WorkSheetParser(
            source,
            sheet._shared_strings,
            epoch=book.epoch,
            date_formats=book._date_formats,
            timedelta_formats=book._timedelta_formats,
        )
        last = 0
        shows = _Formats(sheet)
        for number, cells in parser.parse():
            if not last < number <= _LAST_ROW:
                raise RefusedFileError("not_excel", "the lines of a sheet are not in order")
            last = number
            written = ((cell["column"], _text(cell, shows)) for cell in cells)
            if texts := {column: text for column, text in written if text}:
                yield Line(number, texts)


def _frame(names: list[str], lines: list[Line]) -> pl.DataFrame:
    columns = {
        name: pl.Series([line.texts.get(place) for line in lines], dtype=pl.String)
        for place, name in enumerate(names, start=1)
    }
    frame = pl.DataFrame(columns).with_columns(
        source_line=pl.Series([line.number for line in lines], dtype=pl.Int64),
        short_line=pl.lit(False),
    )
    is_blank = pl.all_horizontal(pl.col(names).is_null())  # filled only beyond the header
    return frame.filter(~is_blank) if names else frame


class _Formats(dict[int, str]):
    """The number format of each style of a sheet."""

    def __init__(self, sheet: Any) -> None:
        super().__init__()
        self._sheet = sheet

    def __missing__(self, style: int) -> str:
        self[style] = str(ReadOnlyCell(self._sheet, 1, 1, None, "n", style).number_format)
        return self[style]


def _text(cell: dict[str, Any], shows: _Formats) -> str | None:
    match cell["value"]:
        case None:
            return None
        case str() as text:
            return text.strip()
        case bool() as truth:
            return "TRUE" if truth else "FALSE"
        case float() as number if number.is_integer() and abs(number) < _LARGEST_EXACT:
            return as_shown(str(int(number)), shows[cell["style_id"]])
        case int() | float() as number:
            return as_shown(repr(number), shows[cell["style_id"]])
        case datetime() as at:
            is_day = at.time() == time.min and not _shows_time(shows[cell["style_id"]])
            return at.date().isoformat() if is_day else at.isoformat()
        case date() | time() as day_or_time:
            return day_or_time.isoformat()
        case ArrayFormula(text=formula):
            return str(formula)
        case DataTableFormula():
            return "="
        case duration:
            return str(duration)


@cache
def _shows_time(number_format: str) -> bool:
    return re.search("[hs]", _NO_PART_OF_A_DATE.sub("", number_format.lower())) is not None
