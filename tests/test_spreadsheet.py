"""Workbooks: what is written stays what it is, and does not say when it was written."""

from datetime import date, datetime
from io import BytesIO
from pathlib import Path

import openpyxl
import pytest

from e2analytics.spreadsheet import Book, Share, Value, Wrapped


def read_back(values: list[Value]) -> list[openpyxl.cell.cell.Cell]:
    content = BytesIO()
    book = Book(content)
    book.write_row(book.add_sheet("S"), 0, values)
    book.close()
    return list(openpyxl.load_workbook(content)["S"][1])


def test_values_keep_their_types():
    cells = read_back([1, 0.5, Share(0.12), date(2026, 9, 30), True, None, "x", Wrapped("y")])

    assert [cell.value for cell in cells] == [
        *(1, 0.5, 0.12, datetime(2026, 9, 30), True, None, "x", "y")
    ]
    assert [cell.number_format for cell in cells[2:4]] == ["0.0%", "yyyy-mm-dd"]
    assert [bool(cell.alignment.wrap_text) for cell in cells[6:]] == [False, True]


@pytest.mark.parametrize("text", ["=1+1", "http://a.example", "12", "<r><t>a</b></r>", "_x0041_"])
def test_text_is_neither_formula_nor_link_nor_number_nor_markup(text: str):
    (cell,) = read_back([text])

    # The reader does not undo the escape that keeps the text of a code from becoming its letter.
    assert (cell.value.replace("_x005F", ""), cell.data_type, cell.hyperlink) == (text, "s", None)


def test_what_a_workbook_cannot_hold_is_left_out():
    letter, long = read_back(["a\x00b\x1fc", "x" * 40_000])

    assert letter.value == "abc"
    assert len(long.value) == 32_767


def test_a_file_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        Book(tmp_path / "nowhere" / "a.xlsx")
