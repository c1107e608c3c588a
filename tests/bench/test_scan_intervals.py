"""The benchmark of exposure: its frames are those of a run, and the row says what it took."""

import polars as pl

from bench import scan_intervals
from e2analytics.exposure.dose_response.predict import interval_exposure
from e2analytics.exposure.episodes import doses_on_days
from e2analytics.simulate.dose_cohorts import CohortDesign, simulate


def test_every_interval_of_a_small_cohort_has_its_exposure():
    plan = CohortDesign(120, (2, 6, 10), drift_sd=0.25, step_share=0.2)
    frames = scan_intervals.as_frames(simulate(plan))
    doses = doses_on_days(frames.pairs, frames.episodes)

    found = interval_exposure(
        scan_intervals.fitted(120), frames.own_levels, frames.draws, frames.changes, doses
    )

    assert len(found.pairs) == 360
    assert found.pairs["log_e2"].is_between(1.5, 6).all()
    assert found.pairs["log_e2_sd"].is_between(0.02, 1).all()
    shares = found.episodes.group_by("patient_id", "first_scan_id").agg(pl.col("share").sum())
    assert shares["share"].is_between(0.999, 1.001).all()
    on_drug = frames.episodes["patient_id"].n_unique()
    assert 30 < on_drug < 90
    assert 10 < frames.changes["patient_id"].n_unique() < 40


def test_the_row_gives_seconds_and_memory():
    row = {
        "intervals": 300_000,
        "men": 100_000,
        "draws": 1_000_000,
        "days": 1_800_000,
        "seconds": [8.0, 14.0],
        "peak_gb": 1.5,
    }

    first, second = scan_intervals.lines(row)

    assert first == (
        "exposure of 300,000 scan intervals on 1,800,000 days, 1,000,000 draws of 100,000 men; peak 1.50 GB"
    )
    assert " ".join(second.split()) == "exposure 8.00 s, of the processors 14.00 s (target 10 s)"
