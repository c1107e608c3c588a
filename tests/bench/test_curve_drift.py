"""The curve where E2 drifts: its truth is the simulator's, and the stages are a run's."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from bench.validation import curve_drift
from bench.validation.curve_drift import Job, Stages, Truth
from e2analytics.simulate import SimulationSettings
from e2analytics.simulate.truth import spine_change_pct

SETTINGS = SimulationSettings(patients=400, shape="u", world="drift", seed=11, defects=False)


class Clinic(NamedTuple):
    stages: Stages
    truth: Truth
    man: np.ndarray
    intervals: pl.DataFrame


@pytest.fixture(scope="module")
def clinic() -> Clinic:
    stages, intervals = curve_drift.through_stages(SETTINGS, None)
    man = curve_drift.men_of(stages.rows, intervals)
    of_rows = stages.rows.rows.join(
        intervals, on=["first_scan_id", "second_scan_id"], maintain_order="left"
    )
    return Clinic(stages, curve_drift.true_paths(SETTINGS), man, of_rows)


@pytest.mark.slow
def test_true_paths_are_those_that_the_simulator_says(clinic: Clinic):
    log_e2, share = curve_drift.along_truth(clinic.stages.rows, clinic.truth, clinic.man)

    mean = (share * log_e2).sum(axis=1)
    curve = (share * spine_change_pct(log_e2, SETTINGS)).sum(axis=1)

    assert len(clinic.intervals) == len(mean) > 300
    # A day of each month stands for all its days.
    off = mean - clinic.intervals["mean_log_e2"].to_numpy()
    assert np.sqrt(np.mean(off**2)) < 0.03
    assert np.abs(curve - clinic.intervals["curve_pct_per_year"].to_numpy()).mean() < 0.04


def test_what_is_neither_curve_nor_covariates_has_a_mean_of_zero(clinic: Clinic):
    covariates = curve_drift.of_covariates(clinic.stages.rows, clinic.truth, clinic.man)

    own = clinic.intervals["change_pct_per_year"] - clinic.intervals["curve_pct_per_year"]
    rest = own.to_numpy() - covariates

    # Each interval's own deviation has an SD of 1.5 %/year.
    assert rest.std() == pytest.approx(1.5, rel=0.1)
    assert abs(rest.mean()) < 3 * 1.5 / np.sqrt(len(rest))


def test_the_path_is_nearer_to_the_truth_than_the_mean_of_readings(clinic: Clinic):
    data = curve_drift.ideas(clinic.stages, clinic.truth, clinic.man)

    true = clinic.intervals["mean_log_e2"].to_numpy()
    errors = {idea: np.std(rows.log_e2 - true) for idea, rows in data.items()}

    assert errors["calibrated"] < 0.8 * errors["naive"]
    assert errors["known"] < 0.03
    assert {len(rows) for rows in data.values()} == {len(true)}


@pytest.mark.slow
def test_another_shape_of_the_same_clinic_needs_no_other_dose_response(clinic: Clinic):
    stages, _ = curve_drift.through_stages(replace(SETTINGS, shape="threshold"), None)

    one, other = clinic.stages.response.response, stages.response.response
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.model.vector, other.model.vector)
    changes = [each.rows.rows["annual_change_pct"] for each in (clinic.stages, stages)]
    assert (changes[0] != changes[1]).any()


@pytest.mark.slow
def test_both_worlds_stand_side_by_side():
    drifting = curve_drift.repeat(Job("drift", 2, 300))
    rows = [row | {"world": name} for name in curve_drift.WORLDS for row in drifting]

    section = curve_drift.describe(pl.DataFrame(rows, infer_schema_length=None))
    tables = [part for part in section.parts if isinstance(part, pl.DataFrame)]

    assert tables[0].select("world", "truth").rows() == [
        ("static", "u"),
        ("drift", "u"),
        ("static", "threshold"),
        ("drift", "threshold"),
    ]
    assert tables[-1]["E2"].to_list() == 4 * list(curve_drift.IDEAS.values())
    assert all(row["sd_movement"] > 0.15 for row in drifting)
