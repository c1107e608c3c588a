"""Footers and headers that are repeated are told apart from rows, and never become patients."""

from pathlib import Path

import openpyxl
import polars as pl
import pytest

from e2analytics.feeds.description import load_feeds
from e2analytics.feeds.no_rows import why_no_row
from e2analytics.ingest.read_drop import Sources
from e2analytics.tables.categoricals import to_contract_types
from tests.conftest import AS_OF, KEY

HEADER = ("result_id", "patient_id", "collected_at", "test_name", "value", "unit")
ROW = ("R1", "P1", "2026-01-05", "Estradiol", "21", "pg/mL")


def why(*first_cells: str | None, other: str | None = None) -> list[str | None]:
    rows = [dict.fromkeys(HEADER) | {"result_id": cell, "value": other} for cell in first_cells]
    found = why_no_row(pl.DataFrame(rows, schema=dict.fromkeys(HEADER, pl.String)))
    return [None] * len(rows) if found is None else found.cast(pl.String).to_list()


@pytest.mark.parametrize(
    "text",
    [
        "Total", "Grand total: 45", "Total results", "End of report", "*** END ***", "-- end --",
        "Printed on 2026-09-30", "Printed: 2026-09-30 by Smith", "Page 1 of 3", "(123 rows affected)",
        "45 records", "Confidential", "Report date: 2026-09-30", "Gesamt", "Seite 2", "Note: fasting",
    ],
)  # fmt: skip
def test_a_footer_is_known_by_its_words(text: str):
    assert why(text) == ["footer"]
    assert why(text, other="45") == ["footer"]


@pytest.mark.parametrize("text", ["P1", "1234", "Smith", "Totalis", "Endo-17", "2026-09-30", "E2"])
def test_a_number_or_a_name_alone_is_a_row_that_lacks_the_rest(text: str):
    assert why(text) == [None]


def test_a_full_row_is_no_footer_whatever_it_begins_with():
    full = pl.DataFrame([("Total testosterone", *ROW[1:])], schema=list(HEADER), orient="row")
    half = full.with_columns(unit=None, test_name=None, patient_id=None, result_id=pl.lit("Total"))

    assert why_no_row(full) is None
    assert why_no_row(half) is None


def test_a_header_once_more_is_no_row():
    rows = pl.DataFrame([ROW, HEADER, ROW], schema=list(HEADER), orient="row")
    found = why_no_row(rows)

    assert found is not None
    assert found.cast(pl.String).to_list() == [None, "repeated_header", None]


def fates(sources: Sources) -> list[tuple[str | None, str | None, str | None]]:
    rows = to_contract_types(sources.rows["labs"], "labs")
    return rows.select("excluded", "reject", "patient_id").rows()


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_no_footer_of_a_file_becomes_a_patient(tmp_path: Path, kind: str):
    lines = [HEADER, ROW, HEADER, ("Total", "1"), ("End of report",)]
    if kind == "csv":
        (tmp_path / "labs.csv").write_text("".join(",".join(line) + "\n" for line in lines))
    else:
        book = openpyxl.Workbook()
        book.active.title = "labs"
        for line in lines:
            book.active.append(line)
        book.save(tmp_path / "labs.xlsx")

    sources = Sources.from_drop(tmp_path, load_feeds(), KEY, today=AS_OF)

    (row, *others) = fates(sources)
    assert row[:2] == (None, None)
    assert others == [
        ("repeated_header", None, None), ("footer", None, None), ("footer", None, None),
    ]  # fmt: skip
    assert sources.crosswalk["source_patient_id"].to_list() == ["P1"]
    assert sources.files[0].rows_read == 4
