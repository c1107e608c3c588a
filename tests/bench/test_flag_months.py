"""Months of runs: nights change nothing without a reason."""

from datetime import date, timedelta

import polars as pl
import pytest

from bench.validation import flag_months
from e2analytics.ingest.read_drop import Sources
from e2analytics.run import run as run_pipeline
from e2analytics.tables.snapshot import Snapshot
from tests.conftest import AS_OF, QUICK

FLIPS = {"new", "reopened", "resolved", "tier_changed", "status_changed"}


@pytest.mark.slow
def test_nights_change_nothing_without_a_reason(sources: Sources):
    first = AS_OF - timedelta(days=5)
    outputs = run_pipeline(sources, QUICK, as_of=first)
    was = outputs.tables["cohort"]
    for night in range(1, 4):
        outputs = run_pipeline(
            Sources(),
            QUICK,
            as_of=first + timedelta(days=night),
            before=Snapshot(outputs.tables, outputs.not_accepted),
            run_id=f"night-{night}",
        )
    events = outputs.tables["flag_events"].filter(pl.col("run_id").str.starts_with("night"))

    assert set(events["event"]) <= FLIPS
    assert not events["why"].str.contains("unexplained").any()
    # Nothing was fitted between, and no limit or rule changed.
    assert not events["why"].str.contains("model|limit|rule").any()
    # Whoever is judged otherwise than three nights before has an event that says so.
    now = outputs.tables["cohort"].join(was, on="patient_id", suffix="_was")
    changed = now.filter(
        (pl.col("tier") != pl.col("tier_was")) | (pl.col("status") != pl.col("status_was"))
    )
    assert set(changed["patient_id"]) <= set(events["patient_id"])


def test_the_days_of_the_runs_are_weeks_and_then_nights():
    days = flag_months.days()

    assert days[-1] == date(2026, 9, 30)
    assert {
        (later - earlier).days for earlier, later in zip(days[-30:-1], days[-29:], strict=True)
    } == {1}
    assert (days[1] - days[0]).days == 7
