"""Sheets that hold several tables are refused; gaps within one table are none."""

from pathlib import Path
from typing import Any

import pytest

from e2analytics.errors import RefusedFileError
from e2analytics.feeds import excel
from e2analytics.feeds.description import load_feeds
from e2analytics.feeds.one_table import OneTable
from e2analytics.ingest.read_drop import Sources
from tests.conftest import AS_OF, KEY
from tests.feeds.conftest import read_bytes
from tests.feeds.test_excel import workbook


def checked(rows: list[list[Any]]) -> None:
    read = read_bytes(excel, workbook(Results=rows), repeated="number")
    OneTable(read.columns).check(read)


@pytest.mark.parametrize(
    "rows",
    [
        # Side by side, with the same key; with other columns, of which the right table is longer.
        [["MRN", "E2", None, "MRN", "T"], ["1", 20, None, "2", 700]],
        [
            ["MRN", "E2", None, "Code", "Unit"],
            ["1", 20, None, "a", "x"],
            [None, None, None, "b", "y"],
        ],
        # One below the other.
        [["MRN", "E2"], ["1", 20], ["2", 21], [None], ["Order", "Drug"], ["o", "anastrozole"]],
        [["MRN", "E2"], ["1", 20], [None], ["MRN", "Testosterone"], ["1", 700]],
    ],
)
def test_a_sheet_with_several_tables_is_refused(rows: list[list[Any]]):
    with pytest.raises(RefusedFileError) as refused:
        checked(rows)

    assert refused.value.rule == "several_tables"


@pytest.mark.parametrize(
    "rows",
    [
        # A column to part two groups of one table; empty cells on either side are no other table.
        [
            ["MRN", "E2", None, "Unit", "Lab"],
            ["1", 20, None, "x", "y"],
            ["2", 21, None, None, None],
        ],
        [["MRN", "E2"], ["1", 20], [None], ["2", 21]],
        [["MRN", "E2", "Lab"], ["1", 20, "x"], [None], ["Printed by", "Smith"]],
        [["MRN", "E2"], ["1", 20], [None], ["MRN", "E2"], ["2", 21]],
        [["Name", "Lab"], ["Smith", "x"], [None], ["Jones", "y"]],
    ],
)
def test_a_sheet_with_gaps_is_one_table(rows: list[list[Any]]):
    checked(rows)


LABS = [
    ["result_id", "patient_id", "collected_at", "test_name", "value", "unit"],
    ["R1", "P1", "2026-01-05", "Estradiol", 21, "pg/mL"],
]
LEGEND = [[None], ["Code", "Meaning", "Text", "More", "And", "More still"]]


def test_only_sheets_that_a_feed_takes_are_refused(tmp_path: Path):
    for name, sheets in {
        "fine": {"labs": LABS, "notes": LABS + LEGEND},
        "wrong": {"labs": LABS + LEGEND},
    }.items():
        (tmp_path / f"{name}.xlsx").write_bytes(workbook(**sheets))

    sources = Sources.from_drop(tmp_path, load_feeds(), KEY, today=AS_OF)

    assert {file.path.name: file.refused and file.refused.rule for file in sources.files} == {
        "fine.xlsx": None,
        "wrong.xlsx": "several_tables",
    }
