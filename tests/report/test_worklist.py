"""The worklist: who is to be reviewed, in a file that no spreadsheet takes for a program."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from openpyxl import load_workbook

from e2analytics.errors import UnreadableError
from e2analytics.report import worklist
from e2analytics.tables.snapshot import Outputs

AS_OF = date(2026, 9, 30)
OPENS_A_FORMULA = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"]


@pytest.fixture(scope="module")
def rows(outputs: Outputs) -> pl.DataFrame:
    return worklist.worklist({name: outputs.tables[name] for name in worklist.TABLES})


def test_the_most_pressing_men_come_first_each_with_his_explanation(
    rows: pl.DataFrame, outputs: Outputs
):
    flags = outputs.tables["flags"].filter(pl.col("state") != "resolved")

    assert sorted(rows["patient_id"]) == sorted(flags["patient_id"])
    assert rows["tier"].unique(maintain_order=True).to_list() == ["critical", "high", "watch"]
    assert rows["explanation"].null_count() == 0
    assert not rows["reasons"].str.contains("_").any()
    assert not rows["gaps"].drop_nulls().str.contains("_").any()


def test_a_gap_says_the_result_it_follows(outputs: Outputs):
    of_run = {name: outputs.tables[name] for name in worklist.TABLES}
    man = of_run["gaps"].join(
        of_run["flags"].filter(pl.col("state") != "resolved"), on="patient_id", how="semi"
    )
    high = man.head(1).with_columns(
        gap=pl.lit("haematocrit_high"), due_on=None, note=pl.lit("55 % on 2026-08-21")
    )

    listed = worklist.worklist({**of_run, "gaps": high})["gaps"].drop_nulls().to_list()

    assert listed == ["last haematocrit above 54 % (55 % on 2026-08-21)"]


def test_no_cell_of_a_csv_file_opens_a_formula(rows: pl.DataFrame, tmp_path: Path):
    hostile = rows.head(6).with_columns(
        reasons=pl.Series(OPENS_A_FORMULA), bmd_change_pct_per_year=pl.lit(-1.5)
    )
    file = tmp_path / "list.csv"

    worklist.write(hostile, file, AS_OF)

    read = pl.read_csv(file)
    assert read["reasons"].to_list() == [f"'{text}" for text in OPENS_A_FORMULA]
    # A number stays one.
    assert read["bmd_change_pct_per_year"].to_list() == [-1.5] * 6


def test_no_cell_of_a_workbook_is_a_formula(rows: pl.DataFrame, tmp_path: Path):
    hostile = rows.head(6).with_columns(reasons=pl.Series(OPENS_A_FORMULA))
    first, again = tmp_path / "list.xlsx", tmp_path / "again.xlsx"

    worklist.write(hostile, first, AS_OF)
    worklist.write(hostile, again, AS_OF)

    sheet = load_workbook(first)["worklist"]
    place = rows.columns.index("reasons") + 1
    cells = [sheet.cell(row, place) for row in range(2, 8)]
    assert [cell.data_type for cell in cells] == ["s"] * 6
    assert all(cell.quotePrefix for cell in cells)
    assert sheet.max_row == 7
    assert first.read_bytes() == again.read_bytes()


def test_a_place_that_cannot_be_written_is_named(rows: pl.DataFrame, tmp_path: Path):
    with pytest.raises(UnreadableError, match="cannot be written"):
        worklist.write(rows, tmp_path / "nowhere" / "list.csv", AS_OF)
