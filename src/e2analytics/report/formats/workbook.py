"""The report's tables as a workbook, for those who want to calculate.

In    the document of a report, and what stands at its head and foot
Out   an Excel file: a sheet ``README``, then one for each table; the same bytes for the same report

Numbers, shares and dates are typed; text that a spreadsheet could take for a formula stays text. What stands
in small print under a number on the page has a column of its own here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from io import BytesIO
from typing import Final

from e2analytics.report.formats.document import Cell, Document, Row, Table, plain_text
from e2analytics.report.formats.pdf import Edges
from e2analytics.report.formatting import NOTHING
from e2analytics.spreadsheet import Book, Share, Value

_NUMBER: Final = re.compile(r"([−+-]?)([\d,]+(?:\.\d+)?)( %)?")
_INTERVAL: Final = re.compile(rf"{_NUMBER.pattern} to {_NUMBER.pattern}")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_NO_SHEET_NAME: Final = re.compile(r"[\\/*?:\[\]']")
_LONGEST_SHEET_NAME: Final = 31
_CONTENTS_WIDTH: Final = 34
NOTE: Final = "note"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table as rows of typed values."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]


def render_workbook(document: Document, edges: Edges) -> bytes:
    """Put every table of a document on a sheet of its own."""
    content = BytesIO()
    book = Book(content, created=datetime.combine(edges.as_of, time()), title=document.title)
    contents = book.add_sheet("README", (_CONTENTS_WIDTH, _CONTENTS_WIDTH))
    lines: list[tuple[Value, ...]] = [
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
        add_table(book, name, sheet_of(table))
    book.write_row(contents, 0, (document.title,), "bold")
    for number, line in enumerate(lines, start=1):
        book.write_row(contents, number, line)
    book.close()
    return content.getvalue()


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
    return said


def _number(sign: str, digits: str, per_cent: str | None) -> int | float:
    plain = digits.replace(",", "")
    value: int | float = float(plain) if "." in plain or per_cent else int(plain)
    value = -value if sign in ("−", "-") else value
    return Share(value / 100) if per_cent else value


def add_table(book: Book, name: str, table: Sheet) -> None:
    """Add a table as a sheet; its header and its first column stay in view."""
    sheet = book.add_sheet(name, [_width(table, place) for place in range(len(table.columns))])
    sheet.freeze_panes(1, 1)
    book.write_row(sheet, 0, table.columns, "header")
    for number, row in enumerate(table.rows, start=1):
        book.write_row(sheet, number, row)


def _width(table: Sheet, column: int) -> int:
    said = [str(row[column] or "") for row in table.rows]
    longest = max([min(len(table.columns[column]), 18), *map(len, said)])
    return min(longest + 2, 60)


def _sheet_name(number: int, said: str) -> str:
    name = f"{number:02d} {_NO_SHEET_NAME.sub(' ', said)}"
    if len(name) <= _LONGEST_SHEET_NAME:
        return name
    return name[: _LONGEST_SHEET_NAME + 1].rpartition(" ")[0]
