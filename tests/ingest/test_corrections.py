"""Returns: what goes back to a supplier says where and what to do, and nothing of a patient."""

import subprocess
import sys
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from e2analytics.errors import UnreadableError
from e2analytics.ingest import corrections

UNIT = "Give the unit."
LINES = pl.DataFrame(
    [
        ("acme", "acme-labs-0a", 9, "missing_unit", "reject", "unit", UNIT, "open", "run-000001"),
        ("acme", "acme-labs-0a", 2, "missing_unit", "reject", "unit", UNIT, "resolved", "run-000001"),
        ("acme", "acme-labs-0b", None, "truncated_file", "reject", None, "Send it again.", "open", "run-000002"),
        ("gene", "gene-dxa-0c", 5, "implausible_bmd", "warn", "bmd_g_cm2", "Check it.", "open", "run-000001"),
    ],
    schema={
        "feed": pl.String,
        "source_file": pl.String,
        "source_line": pl.Int64,
        "rule": pl.String,
        "severity": pl.String,
        "column": pl.String,
        "advice": pl.String,
        "state": pl.String,
        "run_id": pl.String,
    },
    orient="row",
)  # fmt: skip
FILES = pl.DataFrame(
    {
        "source_file": ["acme-labs-0a", "acme-labs-00", "acme-labs-0b", "gene-dxa-0c"],
        "feed": ["acme", "acme", "acme", "gene"],
        "run_id": ["run-000001", "run-000001", "run-000002", "run-000001"],
        "rows_read": [10, 7, 0, 6],
        "accepted": [9, 7, 0, 6],
        "quarantined": [1, 0, 0, 0],
        "refused": [None, None, "truncated_file", None],
    }
)


def cells(file: Path, sheet: str) -> list[tuple[object, ...]]:
    book = openpyxl.load_workbook(file, read_only=True)
    rows = list(book[sheet].iter_rows(values_only=True))
    book.close()
    return rows


def test_every_supplier_gets_a_list_of_every_drop(tmp_path: Path):
    written = corrections.write(LINES, FILES, tmp_path / "out", run_id=None)

    assert [file.name for file in written] == [
        "acme-run-000001.csv",
        "acme-run-000001.xlsx",
        "acme-run-000002.csv",
        "acme-run-000002.xlsx",
        "gene-run-000001.csv",
        "gene-run-000001.xlsx",
    ]
    assert (tmp_path / "out/acme-run-000001.csv").read_text() == (
        "file,line,rule,severity,column,advice,state\n"
        "acme-labs-0a,2,missing_unit,reject,unit,Give the unit.,resolved\n"
        "acme-labs-0a,9,missing_unit,reject,unit,Give the unit.,open\n"
    )
    # A refused file has no line number.
    assert (
        (tmp_path / "out/acme-run-000002.csv")
        .read_text()
        .endswith("\nacme-labs-0b,,truncated_file,reject,,Send it again.,open\n")
    )


def test_one_drop_can_be_asked_for_and_one_without_faults_gives_nothing(tmp_path: Path):
    written = corrections.write(LINES, FILES, tmp_path, run_id="run-000002")

    assert [file.name for file in written] == ["acme-run-000002.csv", "acme-run-000002.xlsx"]
    assert corrections.write(LINES, FILES, tmp_path, run_id="run-000003") == []


def test_the_workbook_has_the_same_lines_and_a_summary(tmp_path: Path):
    corrections.write(LINES, FILES, tmp_path, run_id="run-000001")

    file = tmp_path / "acme-run-000001.xlsx"
    assert cells(file, "Lines") == [
        corrections.COLUMNS,
        ("acme-labs-0a", 2, "missing_unit", "reject", "unit", UNIT, "resolved"),
        ("acme-labs-0a", 9, "missing_unit", "reject", "unit", UNIT, "open"),
    ]
    summary = [tuple(cell for cell in row if cell is not None) for row in cells(file, "Summary")]
    assert summary[:2] == [
        ("Rows to mend: acme-run-000001",),
        ("Open lines: 1. Resolved lines: 1.",),
    ]
    assert ("missing_unit", "reject", 1, 1, UNIT) in summary
    assert ("acme-labs-0a", 10, 9, 1) in summary
    # What was read of this supplier then and was fine is told, too; another's is not.
    assert ("acme-labs-00", 7, 7, 0) in summary
    assert not any("gene" in str(row) or "0b" in str(row) for row in summary)
    assert {(advice,) for advice in corrections.HOW_TO_SEND_BACK} <= set(summary)


def test_rules_with_the_most_to_mend_come_first():
    more = pl.concat([LINES, LINES.filter(pl.col("feed") == "gene")])

    assert corrections.by_rule(more).select("rule", "open", "resolved").rows() == [
        ("implausible_bmd", 2, 0),
        ("missing_unit", 1, 1),
        ("truncated_file", 1, 0),
    ]


def test_what_excel_has_no_room_for_is_in_the_csv_and_the_sheet_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(corrections, "EXCEL_ROWS", 2)

    corrections.write(LINES, FILES, tmp_path, run_id="run-000001")

    assert len(cells(tmp_path / "acme-run-000001.xlsx", "Lines")) == 2
    assert len(pl.read_csv(tmp_path / "acme-run-000001.csv")) == 2
    summary = cells(tmp_path / "acme-run-000001.xlsx", "Summary")
    said = "Excel has room for the first 1 of 2 lines: all are in acme-run-000001.csv."
    assert said in [cell for row in summary for cell in row]
    # Where all have room, nothing is said.
    assert not any(
        "room" in str(row) for row in cells(tmp_path / "gene-run-000001.xlsx", "Summary")
    )


def test_the_same_quarantine_gives_the_same_bytes(tmp_path: Path):
    corrections.write(LINES, FILES, tmp_path / "a", run_id=None)
    # Another process hashes otherwise, and two seconds later a zip archive would say another time.
    LINES.sample(fraction=1, shuffle=True, seed=1).write_parquet(tmp_path / "lines")
    FILES.reverse().write_parquet(tmp_path / "files")
    again = (
        "import sys, time; from pathlib import Path; import polars as pl; "
        "from unittest.mock import patch; from e2analytics.ingest import corrections; "
        "real, now = time.localtime, time.time(); "
        # A clock that is ahead; a time set to 1980 stays what it is.
        "ahead = lambda at=None: real((at or now) + 1e7 * ((at or now) > 1e9)); "
        "patch('time.localtime', ahead).start(); "
        "out = Path(sys.argv[1]); "
        "corrections.write(pl.read_parquet(out / 'lines'), pl.read_parquet(out / 'files'), out / 'b', run_id=None)"
    )
    subprocess.run([sys.executable, "-c", again, str(tmp_path)], check=True)  # noqa: S603

    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes(), file.name


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with pytest.raises(UnreadableError, match="cannot be written"):
        corrections.write(LINES, FILES, tmp_path / "file" / "out", run_id=None)
