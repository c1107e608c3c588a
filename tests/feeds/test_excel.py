"""Workbooks: cells as Excel stores them, sheets as records, and what is refused."""

import io
import zipfile
from datetime import date, datetime
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2analytics.errors import RefusedFileError
from e2analytics.feeds import excel
from tests.feeds.conftest import read_bytes


def workbook(**sheets: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


def test_cells_become_text_as_a_person_would_write_them():
    content = workbook(
        Results=[
            ["id", "day", "at", "value", "flag"],
            ["a", date(2024, 3, 5), datetime(2024, 3, 5, 8, 30), 23.4, True],
            [None, None, None, None, None],
            ["b", None, None, 12, "<5.0"],
        ]
    )

    rows = read_bytes(excel, content)

    assert rows.select("id", "value", "flag", "source_line").rows() == [
        ("a", "23.4", "TRUE", 2),
        ("b", "12", "<5.0", 4),
    ]
    assert rows["day"][0].startswith("2024-03-05")
    assert rows["at"][0].startswith("2024-03-05T08:30")


def test_a_formula_stays_a_formula():
    rows = read_bytes(excel, workbook(Results=[["id", "value"], ["a", "=1+1"]]))

    assert rows["value"].to_list() == ["=1+1"]


def test_every_sheet_is_a_record(tmp_path):
    path = tmp_path / "book.xlsx"
    path.write_bytes(workbook(patients=[["id"], ["a"]], labs=[["id"], ["b"], ["c"]]))

    batches = list(excel.read(path, excel.Options()))

    read = [(batch.record, *batch.rows["id"]) for batch in batches if len(batch.rows)]
    assert read == [("patients", "a"), ("labs", "b", "c")]
    assert excel.header(path, excel.Options()) == {"patients": ["id"], "labs": ["id"]}


def test_a_sheet_that_ends_before_its_header_has_no_columns_and_is_told(tmp_path):
    path = tmp_path / "book.xlsx"
    path.write_bytes(workbook(cover=[["Report"]], empty=[], labs=[["Report"], [], ["id"], ["a"]]))
    options = excel.Options(header_line=3)

    batches = [(batch.record, len(batch.rows)) for batch in excel.read(path, options)]

    assert batches == [("cover", 0), ("labs", 0), ("labs", 1)]
    assert excel.header(path, options) == {"cover": [], "labs": ["id"]}


def zipped(name: str, content: bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(name, content)
    return written.getvalue()


def with_entities() -> bytes:
    written = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook(Results=[["id"], ["a"]]))) as whole,
        zipfile.ZipFile(written, "w") as file,
    ):
        for name in whole.namelist():
            part = whole.read(name)
            if name == "xl/workbook.xml":
                part = b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + part
            file.writestr(name, part)
    return written.getvalue()


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "empty_file"),
        (b"id,value\n", "not_excel"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600, "not_excel"),
        (zipped("readme.txt", b"no workbook"), "not_excel"),
        (zipped("xl/worksheets/sheet1.xml", b"0" * (1 << 26)), "too_large_inside"),
        (with_entities(), "not_excel"),
        (workbook(Results=[["id", "id"], ["a", "b"]]), "duplicate_column"),
        (workbook(Results=[], More=[]), "empty_file"),
        (workbook(Results=[["id", "value"], ["a", "1"]])[:-900], "not_excel"),
    ],
)
def test_what_cannot_be_trusted_is_refused(content: bytes, rule: str):
    with pytest.raises(RefusedFileError) as refused:
        read_bytes(excel, content)

    assert refused.value.rule == rule


@given(st.integers(0, 6_000), st.integers(0, 255))
def test_a_damaged_workbook_is_read_or_refused(place: int, byte: int):
    content = bytearray(workbook(Results=[["id", "value"], ["a", "1"]]))
    content[place % len(content)] = byte
    try:
        read_bytes(excel, bytes(content))
    except RefusedFileError:
        return


def columns(content: bytes, **options: Any) -> list[str]:
    names = read_bytes(excel, content, **options).columns
    return [name for name in names if name not in ("source_line", "short_line")]


def merged_workbook(rows: list[list[Any]], *ranges: str) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for each in ranges:
        book.active.merge_cells(each)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()


TWO_LINES = [
    ["Chart", "Drawn", "Estradiol", None, "Testosterone", None, "Comment"],
    [None, None, "Result", "Unit", "Result", "Unit", None],
    ["501", "2026-01-05", 21.5, "pg/mL", 700, "ng/dL", "x"],
]


def test_a_column_below_merged_cells_is_called_by_its_group_and_its_own_name():
    content = merged_workbook(TWO_LINES, "A1:A2", "B1:B2", "C1:D1", "E1:F1", "G1:G2")

    rows = read_bytes(excel, content, header_lines=2)

    assert columns(content, header_lines=2) == [
        "Chart", "Drawn", "Estradiol Result", "Estradiol Unit", "Testosterone Result",
        "Testosterone Unit", "Comment",
    ]  # fmt: skip
    assert rows.select("Estradiol Result", "Testosterone Unit", "source_line").rows() == [
        ("21.5", "ng/dL", 3)
    ]


def test_a_column_beside_merged_cells_is_of_no_group():
    rows = [
        ["Chart", "Estradiol", None, None],
        [None, "Result", "Unit", "Comment"],
        ["501", 1, "x", "y"],
    ]

    assert columns(merged_workbook(rows, "B1:C1"), header_lines=2) == [
        "Chart", "Estradiol Result", "Estradiol Unit", "Comment",
    ]  # fmt: skip


def test_without_merged_cells_a_group_goes_on_to_the_next():
    assert columns(workbook(Results=TWO_LINES), header_lines=2) == [
        "Chart", "Drawn", "Estradiol Result", "Estradiol Unit", "Testosterone Result",
        "Testosterone Unit", "Comment",
    ]  # fmt: skip


def test_a_header_of_two_lines_below_a_title():
    rows = [["Results of September"], [None], *TWO_LINES]

    assert columns(workbook(Results=rows), header_line=3, header_lines=2)[2] == "Estradiol Result"


def test_columns_of_one_name_are_numbered_where_the_description_says_so():
    content = workbook(Results=[["id", "Result", "Unit", "Result", "Unit"], ["a", 1, "x", 2, "y"]])

    assert columns(content, repeated="number") == [
        "id", "Result (1)", "Unit (1)", "Result (2)", "Unit (2)",
    ]  # fmt: skip
    with pytest.raises(RefusedFileError, match="same name"):
        read_bytes(excel, content)
