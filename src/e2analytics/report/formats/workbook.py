"""The report's tables as a workbook, for those who want to calculate.

In    the outline of a page, and what stands at its edges
Out   an Excel file: a sheet ``README``, then one for each table; the same bytes for the same report

Numbers, shares and dates are typed; text that a spreadsheet could take for a formula stays text. What stands
in small print under a number on the page has a column of its own here.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from io import BytesIO
from typing import Final

from openpyxl import Workbook
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.cell.cell import Cell as SheetCell
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.worksheet import Worksheet

from e2analytics.report.formats.document import Cell, Document, Row, Table, plain_text
from e2analytics.report.formats.pdf import Edges
from e2analytics.report.formatting import NOTHING

Value = str | int | float | date | None

_NUMBER: Final = re.compile(r"([−+-]?)([\d,]+(?:\.\d+)?)( %)?")
_INTERVAL: Final = re.compile(rf"{_NUMBER.pattern} to {_NUMBER.pattern}")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_NO_SHEET_NAME: Final = re.compile(r"[\\/*?:\[\]']")
_LONGEST_SHEET_NAME: Final = 31
_OPENS_A_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_MODIFIED: Final = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*")
NOTE: Final = "note"


class Share(float):
    """A fraction that is shown in per cent."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as rows of typed values."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


def render_workbook(document: Document, edges: Edges) -> bytes:
    """Put every table of a document on a sheet of its own."""
    book = Workbook()
    contents = book.active
    assert isinstance(contents, Worksheet)  # noqa: S101 - a new workbook has one
    contents.title = "README"
    lines: list[tuple[Value, ...]] = [
        (document.title,),
        (edges.warning,),
        (edges.subject,),
        (edges.origin,),
        ("Empty cells: nothing to say. Shares are fractions shown in per cent.",),
        (),
        ("Sheet", "Section", "Table"),
    ]
    for number, (section, table) in enumerate(document.tables, start=1):
        name = _sheet_name(number, table.caption or section)
        lines.append((name, section, table.caption))
        fill(book.create_sheet(name), sheet_of(table))
    for number, line in enumerate(lines, start=1):
        _write(contents, number, line)
    contents["A1"].font = Font(bold=True)
    contents.column_dimensions["A"].width = contents.column_dimensions["B"].width = 34
    book.properties.creator = "e2analytics"
    book.properties.title = document.title
    return same_bytes(book, edges.as_of)


def sheet_of(table: Table) -> Sheet:
    """Return a table as one header and rows of values.

    A row that is one cell as wide as the table belongs to the row above it: it becomes a last column. Small
    print under a number, and either end of an interval, have columns of their own.
    """
    rows = _with_notes(table)
    names = _names(table)
    names += [NOTE] * (max(map(len, rows), default=0) - len(names))
    columns = [
        column
        for place, name in enumerate(names)
        for column in _columns(name, [row[place] if place < len(row) else None for row in rows])
    ]
    return Sheet(
        columns=tuple(name for name, _ in columns),
        rows=tuple(zip(*(values for _, values in columns), strict=True)),
    )


def _columns(name: str, cells: Sequence[Cell | None]) -> Iterator[tuple[str, list[Value]]]:
    values = [_value(cell) if cell else None for cell in cells]
    small = [_minor(cell) if cell else "" for cell in cells]
    yield from _ends(name, values)
    if any(small):
        yield from _ends(f"{name}, {NOTE}", [said or None for said in small])


def _ends(name: str, values: Sequence[Value]) -> Iterator[tuple[str, list[Value]]]:
    """Yield a column, or two where every value is an interval."""
    intervals = [_INTERVAL.fullmatch(str(value)) for value in values if value is not None]
    if not intervals or not all(intervals):
        yield name, list(values)
        return
    for place, end in enumerate(("from", "to")):
        yield f"{name}, {end}", [_end(str(value), place) if value else None for value in values]


def _end(interval: str, place: int) -> Value:
    found = _NUMBER.fullmatch(interval.split(" to ")[place])
    return _number(*found.groups()) if found else None


def _with_notes(table: Table) -> list[Row]:
    rows: list[Row] = []
    for row in table.body:
        if len(row) == 1 and row[0].colspan == table.n_columns > 1 and rows:
            rows[-1] = (*rows[-1], row[0])
        else:
            rows.append(row)
    return rows


def _names(table: Table) -> list[str]:
    """Say the name of every column, with what it is a part of."""
    names: list[list[str]] = [[] for _ in range(table.n_columns)]
    taken = [0] * table.n_columns
    for level, row in enumerate(table.head):
        free = iter([place for place in range(table.n_columns) if taken[place] <= level])
        for cell in row:
            for _ in range(cell.colspan):
                place = next(free)
                names[place].append(cell.text)
                taken[place] = level + cell.rowspan
    return [": ".join(parts) for parts in names]


def _minor(cell: Cell) -> str:
    return plain_text(tuple(run for run in cell.words if run.minor))


def _value(cell: Cell) -> Value:
    said = cell.exact or plain_text(tuple(run for run in cell.words if not run.minor))
    if said in ("", NOTHING):
        return None
    if _DAY.fullmatch(said):
        return date.fromisoformat(said)
    if cell.number and (found := _NUMBER.fullmatch(said)):
        return _number(*found.groups())
    return ILLEGAL_CHARACTERS_RE.sub("", said)


def _number(sign: str, digits: str, per_cent: str | None) -> int | float:
    plain = digits.replace(",", "")
    value: int | float = float(plain) if "." in plain or per_cent else int(plain)
    value = -value if sign in ("−", "-") else value
    return Share(value / 100) if per_cent else value


def fill(sheet: Worksheet, table: Sheet) -> None:
    """Write a table to an empty sheet."""
    _write(sheet, 1, table.columns)
    for cell in sheet[1]:
        cell.font = Font(bold=True)
        cell.alignment = Alignment(wrap_text=True, vertical="top")
    for number, row in enumerate(table.rows, start=2):
        _write(sheet, number, row)
    sheet.freeze_panes = "B2"
    for place, name in enumerate(table.columns, start=1):
        said = [str(row[place - 1] or "") for row in table.rows]
        longest = max([min(len(name), 18), *map(len, said)])
        sheet.column_dimensions[get_column_letter(place)].width = min(longest + 2, 60)


def _write(sheet: Worksheet, number: int, values: Sequence[Value]) -> None:
    for place, value in enumerate(values, start=1):
        cell = sheet.cell(number, place)
        assert isinstance(cell, SheetCell)  # noqa: S101 - nothing is merged here
        cell.value = value
        if isinstance(value, str):
            # Else openpyxl makes a formula of what begins with "=".
            cell.data_type = "s"
            cell.quotePrefix = value.startswith(_OPENS_A_FORMULA)
        elif isinstance(value, Share):
            cell.number_format = "0.0%"
        elif isinstance(value, date):
            cell.number_format = "yyyy-mm-dd"


def _sheet_name(number: int, said: str) -> str:
    name = f"{number:02d} {_NO_SHEET_NAME.sub(' ', said)}"
    if len(name) <= _LONGEST_SHEET_NAME:
        return name
    return name[: _LONGEST_SHEET_NAME + 1].rpartition(" ")[0]


def same_bytes(book: Workbook, as_of: date) -> bytes:
    """Write a workbook without the time at which it was written."""
    book.properties.created = datetime.combine(as_of, time())
    raw, fixed = BytesIO(), BytesIO()
    book.save(raw)
    stamp = f"{as_of.isoformat()}T00:00:00Z".encode()
    with zipfile.ZipFile(raw) as old, zipfile.ZipFile(fixed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            content = _MODIFIED.sub(rb"\g<1>" + stamp, old.read(name))
            entry = zipfile.ZipInfo(name, (as_of.year, as_of.month, as_of.day, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, content)
    return fixed.getvalue()
