"""Lists of medications without renewals: an order is as old as the last run that read it in one."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from e2analytics.ingest.listing import with_last_listing
from e2analytics.run.job import Job, run_job
from tests.conftest import KEY, QUICK

RUNS = {"run-1": date(2025, 1, 31), "run-2": date(2026, 6, 30), "run-3": date(2026, 9, 30)}
FILES = pl.DataFrame({"source_file": ["a", "b", "c"], "run_id": ["run-1", "run-2", "run-3"]})


def listed(*rows: tuple[str, str, str | None], as_of: date = date(2026, 9, 30)) -> dict[str, date]:
    """Return the last listing of each order, given orders with the file that each row came in."""
    medications = pl.DataFrame(
        [("default", order, file, renewals, None) for order, file, renewals in rows],
        schema=["namespace", "order_id", "source_file", "renewals", "listed_on"],
        schema_overrides={"renewals": pl.String, "listed_on": pl.Date},
        orient="row",
    )
    found = with_last_listing(medications, FILES, RUNS, as_of)
    assert found["order_id"].to_list() == medications["order_id"].to_list()
    return dict(found.select("order_id", "listed_on").iter_rows())


def test_an_order_is_as_old_as_the_last_run_that_read_it_in_a_list():
    rows = [("o1", "a", "none"), ("o2", "a", "none"), ("o1", "b", "none"), ("o1", "c", "none")]

    # The second order is in the first list alone.
    assert listed(*rows) == {"o1": date(2026, 9, 30), "o2": date(2025, 1, 31)}


def test_what_a_later_run_read_does_not_count_for_an_earlier_day():
    rows = [("o1", "a", "none"), ("o1", "b", "none")]

    assert listed(*rows, as_of=date(2026, 6, 29)) == {"o1": date(2025, 1, 31)}
    assert listed(*rows, as_of=date(2026, 6, 30)) == {"o1": date(2026, 6, 30)}


def test_an_order_of_a_feed_with_renewals_is_listed_nowhere():
    assert listed(("o1", "a", None), ("o1", "b", None)) == {"o1": None}
    assert listed(("o1", "a", None), ("o2", "b", "none")) == {"o1": None, "o2": date(2026, 6, 30)}


FEED = """\
feed: practice_list
description: What men take, as the practice's system lists it every month.
namespace: default
format: delimited
files:
  - target: medications
    name: "list*.csv"
    header: [Entry, Patient, Drug, Dose, Weekly, Since]
    required: [Entry, Patient, Drug, Dose, Weekly, Since]
    columns:
      order_id: Entry
      patient_id: Patient
      drug: Drug
      dose_mg: Dose
      doses_per_week: Weekly
      started_on: Since
RENEWALS
"""
ENTRIES = {name: f"{name},P1,{drug},1,1,2023-01-01\n" for name, drug in (("o1", "Anastrozole"), ("o2", "Letrozole"))}  # fmt: skip


@pytest.mark.parametrize(
    "renewals",
    ["      renewals: {constant: none}\n", pytest.param("", marks=pytest.mark.slow)],
    ids=["none", "as usual"],
)
def test_a_feed_says_that_its_list_has_no_renewals(
    renewals: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("E2ANALYTICS_KEY", KEY.decode())
    feeds, drop = tmp_path / "feeds", tmp_path / "drop"
    feeds.mkdir()
    (feeds / "practice_list.yaml").write_text(FEED.replace("RENEWALS\n", renewals))
    drop.mkdir()
    patient = "patient_id,clinic_id,sex,birth_date,trt_started_on\nP1,c1,M,1970-01-01,2020-01-01\n"
    (drop / "patients.csv").write_text(patient)

    def night(as_of: date, *listed: str) -> dict[str, pl.DataFrame]:
        text = "Entry,Patient,Drug,Dose,Weekly,Since\n" + "".join(ENTRIES[each] for each in listed)
        (drop / f"list_{as_of}.csv").write_text(text)
        settings = QUICK.model_copy(update={"feeds_folder": feeds})
        job = Job(store=str(tmp_path / "store"), as_of=as_of, settings=settings, drop=drop)
        return dict(run_job(job).outputs.tables)

    night(date(2024, 6, 30), "o1", "o2")
    last = night(date(2026, 9, 30), "o1")

    listed = dict(last["medications"].select("order_id", "listed_on").iter_rows())
    reasons = last["cohort"]["reasons"].item().split("; ")
    if renewals:
        assert listed == {"o1": date(2026, 9, 30), "o2": date(2024, 6, 30)}
    else:
        assert listed == {"o1": None, "o2": None}
    assert ("old_order" in reasons) == (not renewals)
