"""Every sheet of a table has its columns, or the workbook is refused: no row of it vanishes."""

from datetime import date
from pathlib import Path

import openpyxl
import pytest

from e2analytics.feeds.description import Feed, load_feeds
from e2analytics.ingest.read_drop import Sources
from tests.conftest import KEY

HEADER = ["result_id", "patient_id", "collected_at", "test_name", "value", "unit"]
RESULT = ["r1", "P1", "2026-09-05", "Estradiol", "6.0", "pg/mL"]
ORDERS = ["order_id", "patient_id", "drug", "dose_mg", "doses_per_week", "started_on"]
ORDER = ["m1", "P1", "anastrozole", "0.5", "2", "2026-01-05"]
ANY_SHEET = Feed.model_validate(
    {
        "feed": "any_sheet",
        "description": "Results on any sheet.",
        "format": {"kind": "excel"},
        "files": [
            {
                "target": "labs",
                "name": "*.xlsx",
                "header": HEADER[:2],
                "required": HEADER,
                "columns": {name: name for name in HEADER},
            }
        ],
    }
)


def read(
    folder: Path, sheets: dict[str, list[list[str]]], *feeds: Feed
) -> tuple[list[str], int, tuple[str, ...]]:
    """Return the rules that refuse a workbook, its rows, and what of it is not used."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, lines in sheets.items():
        sheet = book.create_sheet(title)
        for line in lines:
            sheet.append(line)
    book.save(folder / "book.xlsx")
    sources = Sources.from_drop(folder, feeds or load_feeds(), KEY, today=date(2026, 9, 30))
    (file,) = sources.files
    return [file.refused.rule] if file.refused else [], file.rows_read, file.unused


@pytest.mark.parametrize("first", ["labs", "labs 2026"])
def test_a_sheet_below_a_title_does_not_vanish_beside_a_good_one(first: str, tmp_path: Path):
    second = "labs 2026" if first == "labs" else "labs"
    sheets = {first: [["Export"], HEADER, RESULT], second: [HEADER, RESULT]}

    assert read(tmp_path, sheets) == (["missing_column"], 0, ())


def test_a_stop_date_of_another_name_is_seen_on_every_sheet(tmp_path: Path):
    sheets = {
        "medications": [[*ORDERS, "stopped_on"], [*ORDER, "2026-02-01"]],
        "medications old": [[*ORDERS, "stoped_on"], [*ORDER, "2026-02-01"]],
    }

    assert read(tmp_path, sheets) == (["renamed_column"], 0, ())


def test_good_sheets_of_one_table_are_all_read(tmp_path: Path):
    sheets = {"labs": [HEADER, RESULT], "labs old": [HEADER, ["r2", *RESULT[1:]]]}

    assert read(tmp_path, sheets) == ([], 2, ())


def test_where_any_sheet_is_taken_notes_are_told_as_unused_and_other_tables_are_not(tmp_path: Path):
    good = {"2026": [HEADER, RESULT]}

    assert read(tmp_path, {**good, "Notes": [["hello"], ["there"]]}, ANY_SHEET) == (
        [],
        1,
        ("all of Notes",),
    )
    assert read(tmp_path, {**good, "2025": [["Nr", *HEADER[1:]], RESULT]}, ANY_SHEET) == (
        ["missing_column"],
        0,
        (),
    )
