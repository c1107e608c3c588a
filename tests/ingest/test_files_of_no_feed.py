"""A file that no feed takes is a broken contract: the run is incomplete, and says which and what differs."""

import os
import sys
from datetime import date
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.intake import Intake, counts_of_rows
from e2analytics.ingest.read_drop import Sources
from e2analytics.report.sections import headlines, ingest
from e2analytics.run import attrition
from e2analytics.run.frames import Run
from e2analytics.run.steps import take_in
from e2analytics.settings import Settings
from e2analytics.tables.snapshot import Snapshot
from tests.conftest import KEY

TODAY = date(2026, 9, 30)
CHARTS = """\
feed: charts
description: results by chart number
format: delimited
files:
  - target: labs
    name: "results*.csv"
    header: [Chart No, Drawn, Test, Result, Unit]
    columns: {patient_id: Chart No, collected_at: Drawn, test_name: Test, value: Result, unit: Unit}
"""
RENAMED = "Chart Number,Drawn,Test,Result,Unit,Comment\n501,2026-09-01,E2,21,pg/mL,of Smith\n"
AGREED = RENAMED.replace("Chart Number", "Chart No")


class Night:
    """A drop read into an empty store, or after another night."""

    def __init__(
        self, folder: Path, before: "Night | None" = None, settings: Settings | None = None
    ) -> None:
        (folder / "feeds").mkdir(exist_ok=True)
        (folder / "feeds" / "charts.yaml").write_text(CHARTS)
        settings = settings or Settings()
        known = (
            Snapshot(
                {
                    "files": before.intake.files,
                    "quarantine": before.intake.quarantine,
                },
                {},
            )
            if before
            else Snapshot()
        )
        self.sources = Sources.from_drop(
            folder / "drop",
            load_feeds(folder / "feeds"),
            KEY,
            settings=settings,
            today=TODAY,
            ledger=known.table("files"),
        )
        run_id = "run-000002" if before else "run-000001"
        run = Run(as_of=TODAY, settings=settings, run_id=run_id)
        self.intake: Intake = take_in(self.sources, known, run)
        self.run_id = run_id

    @property
    def details(self) -> list[str]:
        """What was found of each file that no feed takes."""
        return [file.refused.detail for file in self.sources.files if file.refused]

    @property
    def is_open(self) -> list[str]:
        """Rules of the whole files that wait."""
        whole = self.intake.quarantine.filter(pl.col("source_line").is_null())
        return whole.filter(pl.col("state") == "open")["rule"].to_list()

    def headline(self) -> headlines.Headline:
        """Return what the report says of the data."""
        losses = {"rows": (0, attrition.row_losses(self.intake.row_fates))}
        return headlines.data_of_all(
            ingest.describe(
                self.intake.files,
                attrition.table(self.run_id, losses),
                self.intake.quarantine,
                run_id=self.run_id,
                n_unmatched=len(self.sources.unmatched),
            )
        )


@pytest.fixture
def drop(tmp_path: Path) -> Path:
    (tmp_path / "drop").mkdir()
    return tmp_path / "drop"


def test_a_renamed_column_is_told_with_the_nearest_feed_and_what_is_there_instead(
    drop: Path, tmp_path: Path
):
    (drop / "results.csv").write_text(RENAMED)

    night = Night(tmp_path)

    assert night.details == [
        "nearest is charts (labs): `Chart No` is missing, `Chart Number` is there"
    ]
    assert night.is_open == ["no_feed"]
    assert counts_of_rows(night.intake, night.sources)["files_unmatched"] == 1
    headline = night.headline()
    assert headline.title == "Incomplete: 1 file of no feed"
    (file,) = night.sources.files
    assert file.source_file.startswith("no_feed-")
    assert (
        f"{file.source_file}: The file is of no layout that was agreed, so nothing of it was read. Export it as agreed. Found: nearest is charts "
        "(labs): `Chart No` is missing, `Chart Number` is there." in headline.sentence
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"Results of September\n\n{AGREED}", "its header is line 3"),
        (AGREED.replace(",", ";"), "its delimiter is a semicolon"),
        (f"Results\n{AGREED}".replace(",", "\t"), "its header is line 2, its delimiter is a tab"),
    ],
)
def test_a_header_elsewhere_or_another_delimiter_is_found(
    drop: Path, tmp_path: Path, text: str, found: str
):
    (drop / "export.csv").write_text(text)

    assert Night(tmp_path).details == [
        f"nearest is charts (labs): its name is not like results*.csv, and {found}"
    ]


def test_of_a_file_without_a_header_no_value_is_told(drop: Path, tmp_path: Path):
    (drop / "results.csv").write_text("501,2026-09-01,Chart Smith,21,pg/mL\n")

    (detail,) = Night(tmp_path).details

    assert detail == (
        "nearest is charts (labs): `Chart No` is missing; `Drawn` is missing; `Test` is missing; "
        "`Result` is missing; `Unit` is missing"
    )


def test_a_file_like_no_other_and_a_folder_are_told(drop: Path, tmp_path: Path):
    (drop / "invoice.pdf").write_bytes(b"%PDF-1.7 \xff\x00")
    (drop / "older").mkdir()

    assert Night(tmp_path).details == [
        "no feed is near it",
        "it is a folder, and a drop is flat",
    ]


def test_side_files_are_passed_over_and_counted(drop: Path, tmp_path: Path):
    (drop / "results.csv").write_text(AGREED)
    (drop / "README.md").write_text("Results of September.")
    (drop / "results.csv.md5").write_text("0123  results.csv")

    night = Night(tmp_path)

    assert night.details == []
    assert night.is_open == []
    assert counts_of_rows(night.intake, night.sources)["files_passed_over"] == 2
    assert {file.path.name: file.kind for file in night.sources.passed_over} == {
        "README.md": "a readme",
        "results.csv.md5": "a checksum",
    }


def test_it_waits_until_its_content_is_read_or_it_is_named_as_no_data(drop: Path, tmp_path: Path):
    (drop / "results.csv").write_text(RENAMED)
    first = Night(tmp_path)
    (drop / "results.csv").unlink()

    # It was never read, though tonight's drop no longer holds it.
    assert Night(tmp_path, first).is_open == ["no_feed"]

    (drop / "results.csv").write_text(AGREED)
    assert Night(tmp_path, first).is_open == []

    (drop / "results.csv").write_text(RENAMED)
    as_no_data = Night(tmp_path, first, Settings(side_files=("results*",)))
    assert as_no_data.is_open == []
    assert as_no_data.intake.files.is_empty()


def test_two_files_of_the_same_content_are_one_line_of_the_ledger(drop: Path, tmp_path: Path):
    for name in ("results.csv", "results again.csv"):
        (drop / name).write_text(RENAMED)

    night = Night(tmp_path)

    assert len(night.intake.files) == 1
    assert len(night.sources.unmatched) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take no such names")
@pytest.mark.parametrize("text", [AGREED, RENAMED])
def test_a_name_that_is_not_utf8_is_read_like_any_other(drop: Path, tmp_path: Path, text: str):
    name = os.fsdecode(b"results-M\xfcller.csv")
    (drop / name).write_text(text)

    night = Night(tmp_path)

    assert night.intake.files["rows_read"].to_list() == ([1] if text == AGREED else [0])
    assert night.intake.files["named"].str.contains("^[0-9a-f]{12}$").all()


def test_a_sheet_of_another_name_is_told(drop: Path, tmp_path: Path):
    book = openpyxl.Workbook()
    for line in (["result_id", "patient_id", "collected_at", "test_name", "value", "unit"], ["R1"]):
        book.active.append(line)
    book.save(drop / "results.xlsx")

    assert Night(tmp_path).details == [
        "nearest is canonical_excel (labs): its sheet is not called labs*"
    ]
