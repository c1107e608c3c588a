"""The workbook: every table of the report, typed, and inert."""

from __future__ import annotations

from datetime import date
from io import BytesIO
from typing import Any

import openpyxl
import polars as pl
import pytest

from e2analytics.report.content import build
from e2analytics.report.formats.document import Document, read_page
from e2analytics.report.formats.html import render_html
from e2analytics.report.formats.pdf import Edges
from e2analytics.report.formats.workbook import render_workbook

Tables = dict[str, pl.DataFrame]
EDGES = Edges("Do not send.", "North, September 2026", "e2analytics 1.0", date(2026, 9, 30))


def document_of(table: str) -> Document:
    return read_page(f"<html><title>T</title><body><h2>S</h2><table>{table}</table></body></html>")


def sheet_of(table: str) -> list[tuple[Any, ...]]:
    book = openpyxl.load_workbook(BytesIO(render_workbook(document_of(table), EDGES)))
    return list(book.worksheets[1].iter_rows(values_only=True))


HEAD = "<caption>C</caption><thead><tr><th>Who</th><th>What</th></tr></thead>"


def test_numbers_shares_days_and_gaps_are_typed():
    cells = ["1,234", "−0.5", "12 %", "2026-09-30", "–", "<5.0"]
    body = "".join(f"<tr><th>r</th><td class='n'>{cell}</td></tr>" for cell in cells).replace(
        "<5.0", "&lt;5.0"
    )

    _, *rows = sheet_of(f"{HEAD}<tbody>{body}</tbody>")

    values = [row[1] for row in rows]
    assert values[:3] == [1234, -0.5, 0.12]
    assert values[3].date() == date(2026, 9, 30)
    assert values[4:] == [None, "<5.0"]
    assert type(values[0]) is int


def test_the_exact_number_is_taken_where_the_page_gives_it():
    body = "<tr><th>r</th><td class='n' data-value='0.12345'>0.1</td></tr>"

    assert sheet_of(f"{HEAD}<tbody>{body}</tbody>")[1] == ("r", 0.12345)


def test_small_print_intervals_and_notes_have_columns_of_their_own():
    body = (
        "<tr><th>p1</th><td class='n'>4.3<span class='minor'>2.8 to 6.6</span></td></tr>"
        "<tr><td colspan='2'>rests on a line</td></tr>"
    )

    assert sheet_of(f"{HEAD}<tbody>{body}</tbody>") == [
        ("Who", "What", "What, note, from", "What, note, to", "note"),
        ("p1", 4.3, 2.8, 6.6, "rests on a line"),
    ]


def test_columns_under_a_common_heading_say_both():
    head = (
        "<thead><tr><th rowspan='2'>Man</th><th colspan='2'>Chance</th><th rowspan='2'>Flag</th></tr>"
        "<tr><th>low</th><th>red</th></tr></thead>"
    )

    assert sheet_of(f"{head}<tbody></tbody>") == [("Man", "Chance: low", "Chance: red", "Flag")]


@pytest.mark.parametrize("text", ["=1+1", '=HYPERLINK("x")', "+1", "-1+2", "@SUM(A1)"])
def test_text_is_never_a_formula(text: str):
    content = render_workbook(
        document_of(f"{HEAD}<tbody><tr><th>{text}</th><td>{text}</td></tr></tbody>"), EDGES
    )

    sheet = openpyxl.load_workbook(BytesIO(content)).worksheets[1]
    for cell in sheet[2]:
        assert (cell.value, cell.data_type, cell.quotePrefix) == (text, "s", True)


def test_every_table_of_the_report_has_a_sheet_that_the_readme_names(tables: Tables):
    document = read_page(render_html(build(tables, month="2026-09")))

    book = openpyxl.load_workbook(BytesIO(render_workbook(document, EDGES)))

    lines = [tuple(line) for line in book["README"].iter_rows(values_only=True)]
    assert ("Do not send.", None, None) in lines
    named = [line[0] for line in lines[7:]]
    assert named == book.sheetnames[1:]
    assert len(named) == len(document.tables)
    men = next(sheet for sheet in book if " Critical" in sheet.title)
    listed = tables["flags"].filter(pl.col("tier").is_in(["critical", "high"]))
    assert {row[0].value for row in men.iter_rows(min_row=2)} == set(listed["patient_id"])
