"""What we write for spreadsheets: text that stays text, and workbooks of the same bytes.

Out   CSV cells that no spreadsheet takes for a formula (OWASP, CSV injection); Excel workbooks without
      formulas or links, which do not say when they were written
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Literal

import polars as pl
from xlsxwriter import Workbook
from xlsxwriter.exceptions import FileCreateError
from xlsxwriter.worksheet import Worksheet

FORMULA: Final = r"^(?:[=@]|[+\-].*[^A-Za-z0-9.\-_])"
"""What a spreadsheet takes for a formula and acts on; a number such as -7 it only shows."""
_ESCAPED: Final = r"^(['=+\-@\t\r\n＝＋－＠])"
_OPENS_A_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_NOT_IN_XML: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_LONGEST_TEXT: Final = 32_767
"""Letters of a cell: the limit of the format."""
EPOCH: Final = datetime(1980, 1, 1)
"""The earliest time that a zip archive can say."""

Value = str | int | float | date | None
Style = Literal["plain", "bold", "header", "wrapped"]
"""How text looks."""
_STYLES: Final[dict[Style, dict[str, Any]]] = {
    "plain": {},
    "bold": {"bold": True},
    "header": {"bold": True, "text_wrap": True, "valign": "top"},
    "wrapped": {"text_wrap": True, "valign": "top"},
}


class Share(float):
    """A fraction that is shown in per cent."""


class Wrapped(str):
    """Text of several lines, as wide as its column."""

    __slots__ = ()


def harmless(text: pl.Expr) -> pl.Expr:
    """Put an apostrophe before what opens a formula, and before an apostrophe, so that it can be undone.

    Examples
    --------
    >>> cells = pl.DataFrame({"cell": ["=1+1", "@a", "'", "12 mg"]})
    >>> cells.select(harmless(pl.col("cell")))["cell"].to_list()
    ["'=1+1", "'@a", "''", '12 mg']
    """
    return text.str.replace(_ESCAPED, "'$1")


class Book:
    """An Excel workbook to be filled, each sheet from its top.

    Parameters
    ----------
    target
        A buffer, where values of patients are written: they stay in memory. Or a file: its rows wait in
        temporary files, so that a sheet of a million rows needs little memory.
    created
        The time at which the workbook says it was made; the format's first day by default.
    title
        Its title; none by default.

    Raises
    ------
    OSError
        If the file cannot be written.
    """

    def __init__(
        self, target: Path | BytesIO, *, created: datetime = EPOCH, title: str = ""
    ) -> None:
        in_memory = isinstance(target, BytesIO)
        # Opened here, so that what cannot be written is known before anything is.
        self._file = target if isinstance(target, BytesIO) else target.open("wb")
        self._book = Workbook(
            self._file,
            {
                "in_memory": in_memory,
                "constant_memory": not in_memory,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
            },
        )
        self._book.set_properties({"author": "e2analytics", "title": title, "created": created})
        self._share = self._book.add_format({"num_format": "0.0%"})
        self._day = self._book.add_format({"num_format": "yyyy-mm-dd"})
        self._time = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._text = {
            (style, quoted): self._book.add_format({**look, "quote_prefix": quoted})
            for style, look in _STYLES.items()
            for quoted in (False, True)
        }

    def add_sheet(self, name: str, widths: Sequence[float] = ()) -> Worksheet:
        """Add an empty sheet; ``widths`` are those of its first columns, in letters."""
        sheet = self._book.add_worksheet(name)
        for place, width in enumerate(widths):
            sheet.set_column(place, place, width)
        return sheet

    def write_row(
        self, sheet: Worksheet, row: int, values: Sequence[Value], style: Style = "plain"
    ) -> None:
        """Write ``values`` to a row, counted from 0; ``style`` is that of its text."""
        for column, value in enumerate(values):
            match value:
                case None:
                    continue
                case Wrapped():
                    self._write_text(sheet, row, column, value, "wrapped")
                case str():
                    self._write_text(sheet, row, column, value, style)
                case bool():
                    sheet.write_boolean(row, column, value)
                case datetime():
                    sheet.write_datetime(row, column, value, self._time)
                case date():
                    midnight = datetime.combine(value, time())
                    sheet.write_datetime(row, column, midnight, self._day)
                case Share():
                    sheet.write_number(row, column, value, self._share)
                case _:
                    sheet.write_number(row, column, value)

    def close(self) -> None:
        """Write the workbook to its target.

        Raises
        ------
        OSError
            If the file cannot be written.
        """
        try:
            self._book.close()
        except FileCreateError as error:
            raise OSError(*error.args[0].args) from None
        finally:
            if not isinstance(self._file, BytesIO):
                self._file.close()

    def _write_text(
        self, sheet: Worksheet, row: int, column: int, value: str, style: Style
    ) -> None:
        text = _NOT_IN_XML.sub("", value)[:_LONGEST_TEXT]
        # A cell that someone edits later is taken for a formula then, unless it is marked as text.
        look = self._text[style, text.startswith(_OPENS_A_FORMULA)]
        if text.startswith("<r>") and text.endswith("</r>"):
            # XlsxWriter would take it for its own markup and write it as it is; in pieces it is escaped.
            sheet.write_rich_string(row, column, text[:1], look, text[1:], look)
        else:
            sheet.write_string(row, column, text, look)
