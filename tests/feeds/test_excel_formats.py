"""What a sheet shows of a number, where its format is part of what it says."""

import io

import openpyxl
import pytest

from e2analytics.feeds import excel
from e2analytics.feeds.excel_formats import as_shown
from tests.feeds.conftest import read_bytes


@pytest.mark.parametrize(
    ("number", "number_format", "shown"),
    [
        ("5.25", "General", "5.25"),
        # Rounding, grouping, colours and currencies change nothing of a number.
        ("5.25", "0.0", "5.25"),
        ("1234.5", "#,##0.00", "1234.5"),
        ("12", "0", "12"),
        ("12", "_(* #,##0_);_(* (#,##0);_(* -_)", "12"),
        ("12", "[$$-409]#,##0.00", "12"),
        ("-2.8", "0.0;[Red]0.0", "-2.8"),
        ("1e-05", "0.00E+00", "1e-05"),
        # Leading zeros, and what stands between them.
        ("123", "0000000", "0000123"),
        ("123", "00000;-00000", "00123"),
        ("12345678", "0000000", "12345678"),
        ("123456789", "000-00-0000", "123-45-6789"),
        ("123", '"P"0000', "P0123"),
        ("123", "\\M0", "M123"),
        ("1.5", "0000", "1.5"),
        # Per cent.
        ("0.25", "0.0%", "25%"),
        ("0.452", "0%", "45.2%"),
        ("0.4523", "0.0 %", "45.23%"),
        ("-0.05", "0%", "-5%"),
        ("1", "0%", "100%"),
        # Marks and words.
        ("5", '"<"0.0', "<5"),
        ("5", '"< "0.0', "<5"),
        ("1500", "\\>0", ">1500"),
        ("4", '[<5]"<5";0.0', "<5"),
        ("6", '[<5]"<5";0.0', "6"),
        ("2.8", "-0.0", "-2.8"),
        ("0", '0.0;-0.0;"ND"', "ND"),
        ("12", '0.0" pmol/L"', "12 pmol/L"),
        ("1", '0" mg"', "1 mg"),
        ("5", '0.0"*"', "5*"),
        ("5", ";;;", "5"),
    ],
)
def test_a_number_is_read_as_its_cell_shows_it(number: str, number_format: str, shown: str):
    assert as_shown(number, number_format) == shown


def test_cells_of_a_workbook_are_read_as_they_are_shown():
    book = openpyxl.Workbook()
    book.active.append(["id", "fat", "value", "count", "on"])
    book.active.append([123, 0.25, 5.0, 12, 0.5])
    for place, number_format in enumerate(("0000000", "0.0%", '"<"0.0', "0", "General"), start=1):
        book.active.cell(2, place).number_format = number_format
    written = io.BytesIO()
    book.save(written)

    rows = read_bytes(excel, written.getvalue())

    assert rows.select("id", "fat", "value", "count", "on").rows() == [
        ("0000123", "25%", "<5", "12", "0.5")
    ]
