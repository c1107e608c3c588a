"""Lines that hold several results: each result is a row with a fate of its own, whoever counts."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.intake import Intake, counts_of_rows
from e2analytics.ingest.read_drop import Sources
from e2analytics.report.sections.broken_rules import count_by_rule
from e2analytics.run import attrition
from e2analytics.run.frames import Run
from e2analytics.run.inspect import inspect
from e2analytics.run.steps import take_in
from e2analytics.settings import Settings
from e2analytics.tables.snapshot import Snapshot
from tests.conftest import KEY

TODAY = date(2026, 9, 30)
WIDE = """\
feed: wide
description: wide laboratory results
format: delimited
files:
  - target: labs
    name: "wide*.csv"
    header: [MRN, Date, E2, T]
    required: [MRN, Date, E2, T]
    columns: {patient_id: MRN, collected_at: Date}
    parts:
      - {result_id: {column: Draw, prefix: E2-}, test_name: {constant: estradiol}, unit: {constant: pg/mL}, value: E2}
      - {result_id: {column: Draw, prefix: T-}, test_name: {constant: testosterone}, unit: {constant: ng/dL}, value: T}
    not_measured_when_empty: value
"""
PATIENTS = "patient_id,clinic_id,sex,birth_date\nA,c1,M,1970-01-01\nB,c1,M,1971-01-01\n"


@dataclass
class Read:
    """A drop that was read into an empty store, and the same files inspected."""

    files: list[Path]
    settings: Settings
    sources: Sources
    intake: Intake

    def counts(self) -> dict[str, int]:
        """Return the rows by fate that a run's summary prints."""
        counts = counts_of_rows(self.intake, self.sources)
        return {name: n for name, n in counts.items() if n and not name.startswith("files")}

    def ways_out(self) -> dict[str, int]:
        """Return what attrition says of rows that are not accepted."""
        losses = attrition.row_losses(self.intake.row_fates)
        return {f"{loss.step}: {loss.reason}": loss.n_out for loss in losses}

    def rules(self) -> dict[str, int]:
        """Return what the report counts by rule."""
        return {each.rule: each.n for each in count_by_rule(self.intake.quarantine)}

    def inspected(self, table: str) -> tuple[dict[str, int], dict[str, int]]:
        """Return fates and problems of a table as ``inspect`` counts them."""
        found = inspect(self.files, self.settings, today=TODAY)
        (file,) = [each for each in found.files if table in each.fates["table"].to_list()]
        fates = file.fates.group_by("fate").agg(pl.col("n_rows").sum()).cast({"fate": pl.String})
        return dict(fates.rows()), dict(file.problems.select("rule", "n_rows").rows())


def read(folder: Path, description: str = WIDE, **files: str) -> Read:
    feeds, drop = folder / "feeds", folder / "drop"
    feeds.mkdir()
    drop.mkdir()
    (feeds / "wide.yaml").write_text(description)
    for name, text in {"patients": PATIENTS, **files}.items():
        (drop / f"{name}.csv").write_text(text)
    settings = Settings(feeds_folder=feeds)
    sources = Sources.from_drop(drop, load_feeds(feeds), KEY, settings=settings, today=TODAY)
    intake = take_in(sources, Snapshot(), Run(as_of=TODAY, settings=settings, run_id="run-000001"))
    return Read(sorted(drop.iterdir()), settings, sources, intake)


def test_an_unreadable_result_waits_though_its_neighbour_on_the_line_is_accepted(tmp_path: Path):
    # The case parts_hide_quarantine.
    read_now = read(
        tmp_path,
        wide="Draw,MRN,Date,E2,T\n1,A,2026-09-01,n/a,700\n2,B,2026-09-01,<LOQ,650\n",
    )

    assert read_now.counts() == {
        "rows_read": 6, "accepted": 4, "quarantined": 2, "rows_read_now": 6,
    }  # fmt: skip
    assert sum(read_now.ways_out().values()) == 2
    assert sum(read_now.rules().values()) == 2
    fates, problems = read_now.inspected("labs")
    assert fates == {"accepted": 2, "quarantined": 2}
    assert sum(problems.values()) == 2


def test_two_results_of_one_line_that_break_the_same_rule_are_two(tmp_path: Path):
    read_now = read(tmp_path, wide="Draw,MRN,Date,E2,T\n1,A,2026-09-01,abc,xyz\n")

    assert read_now.counts()["quarantined"] == 2
    assert read_now.ways_out() == {"quarantined (labs): unreadable_value": 2}
    # One line to send back, with two results to mend.
    assert read_now.intake.quarantine.select("source_line", "rule", "n_rows").rows() == [
        (2, "unreadable_value", 2)
    ]
    assert read_now.rules() == {"unreadable value": 2}
    assert read_now.inspected("labs") == ({"quarantined": 2}, {"unreadable_value": 2})


def test_results_of_a_line_sent_again_are_duplicates_each(tmp_path: Path):
    line = "1,A,2026-09-01,21,700\n"
    read_now = read(tmp_path, wide=f"Draw,MRN,Date,E2,T\n{line}{line}")

    assert read_now.ways_out() == {"duplicate (labs): duplicate": 2}
    assert read_now.inspected("labs")[0] == {"accepted": 2, "duplicate": 2}


def test_an_empty_cell_is_no_result_and_a_line_without_any_is_counted_once(tmp_path: Path):
    read_now = read(tmp_path, wide="Draw,MRN,Date,E2,T\n1,A,2026-09-01,21,\n2,B,2026-09-01,,\n")

    assert read_now.ways_out() == {"set_apart (labs): not_measured": 1}
    assert read_now.counts() == {
        "rows_read": 4, "accepted": 3, "set_apart": 1, "rows_read_now": 4,
    }  # fmt: skip


def test_results_of_a_man_nobody_knows_wait_each(tmp_path: Path):
    read_now = read(tmp_path, wide="Draw,MRN,Date,E2,T\n1,Z,2026-09-01,21,700\n")

    assert read_now.ways_out() == {"quarantined (labs): unknown_patient": 2}
    assert read_now.rules() == {"patient not known (yet)": 2}


def test_the_components_of_a_scan_on_one_line_each_have_a_fate(tmp_path: Path):
    scans = """\
feed: wide
description: two sites of a scan on one line
format: delimited
files:
  - target: dxa
    name: "scans.csv"
    columns: {patient_id: MRN, scanned_on: Date}
    parts:
      - {scan_id: {column: Scan, prefix: N-}, site: {constant: femoral_neck}, bmd_g_cm2: Neck}
      - {scan_id: {column: Scan, prefix: H-}, site: {constant: total_hip}, bmd_g_cm2: Hip}
"""
    read_now = read(tmp_path, scans, scans="Scan,MRN,Date,Neck,Hip\n1,A,2026-09-01,0.8,bad\n")

    assert read_now.ways_out() == {"quarantined (dxa): unreadable_bmd_g_cm2": 1}
    assert read_now.counts()["accepted"] == 3


@pytest.mark.parametrize("wide", ["1,A,2026-09-01,21,700\n", "1,A,2026-09-01,n/a,n/a\n", ""])
def test_rows_of_a_wide_file_are_the_sum_of_their_fates(tmp_path: Path, wide: str):
    files = read(tmp_path, wide=f"Draw,MRN,Date,E2,T\n{wide}").intake.files

    assert files.select(
        adds_up=pl.col("rows_read")
        == pl.sum_horizontal(
            "accepted", "duplicate", "superseded", "withdrawn", "set_apart", "quarantined"
        )
    )["adds_up"].all()
