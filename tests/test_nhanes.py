"""Real people: NHANES 2017 - March 2020, where the public files are at hand."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from e2analytics.curve import rows
from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.read_drop import Sources
from e2analytics.models.curve import CurveSettings, plan_curve
from e2analytics.models.gram_matrices import whole_gram
from e2analytics.models.penalised_least_squares import decompose
from e2analytics.run import run
from e2analytics.tables.snapshot import Outputs
from tests.conftest import AS_OF, KEY, QUICK

NHANES = Path(__file__).parents[2] / "shared" / "data" / "nhanes_2017_2020"
REFERENCE = json.loads((Path(__file__).parent / "reference" / "nhanes_mgcv.json").read_text())

pytestmark = pytest.mark.skipif(not NHANES.is_dir(), reason="the public NHANES files are not here")


@pytest.fixture(scope="module")
def nhanes() -> Outputs:
    sources = Sources.from_drop(NHANES, load_feeds(), KEY, today=AS_OF)
    return run(sources, QUICK, as_of=AS_OF)


def test_every_row_of_the_five_files_has_a_fate(nhanes: Outputs):
    # A line of the femur holds two results, hip and neck, unless neither was measured.
    femur = 4_593 + 3_545
    assert nhanes.counts["rows_read"] == 12_198 + 15_560 + 14_300 + 4_593 + femur
    assert nhanes.counts["quarantined"] == 0
    assert nhanes.outcome == "complete"


def test_an_estradiol_below_detection_is_an_interval_and_every_result_mass_spectrometry(
    nhanes: Outputs,
):
    e2 = nhanes.tables["labs"].filter(pl.col("analyte") == "estradiol")
    censored = e2.filter(pl.col("value_low") < pl.col("value_high"))

    assert e2["assay"].unique().to_list() == ["ms"]
    assert censored.select("value_low", "value_high").unique().rows() == [(0.0, 1.73)]
    assert e2["value_low"].filter(e2["value_low"] > 0).min() > 1.22


def test_dates_that_are_made_up_are_marked_and_pair_nothing(nhanes: Outputs):
    assert nhanes.tables["labs"]["imputed"].unique().to_list() == ["collected_at"]
    assert nhanes.tables["dxa"]["imputed"].unique().to_list() == ["scanned_on"]
    assert nhanes.tables["exposures"].is_empty()


def test_the_men_are_those_that_the_readme_counts(nhanes: Outputs):
    men = nhanes.tables["levels"].group_by("site").len().sort("site")

    assert men.rows() == [("femoral_neck", 1534), ("lumbar_spine", 787), ("total_hip", 1534)]


def test_the_cross_sectional_curve_agrees_with_mgcv(nhanes: Outputs):
    settings = CurveSettings(n_basis=QUICK.fit.n_basis)
    exposures, episodes = nhanes.tables["exposures"], nhanes.tables["exposure_episodes"]
    measured = rows.Measured(exposures, episodes, nhanes.tables["levels"], exposures, episodes)
    data = rows.complete_rows(measured, "femoral_neck", rows.LEVEL, QUICK.fit).data()
    plan = plan_curve([data], settings)
    parts = decompose(*whole_gram(data, np.ones(len(data)), plan), plan.n_fixed)
    smoothing = parts.spectrum.reml()
    at = plan.at(plan.basis.evaluate(np.log(REFERENCE["e2_pg_ml"])))
    estimate = at @ parts.coefficients(smoothing)[0]
    contrast = estimate - estimate[REFERENCE["e2_pg_ml"].index(25)]

    assert len(np.unique(data.patient)) == REFERENCE["n"] == 1523
    # REML takes a straight line here, as mgcv does; what is published is less smoothed (``smooth``).
    assert 1 + parts.spectrum.edf(smoothing)[0] == pytest.approx(REFERENCE["edf"], abs=0.02)
    # Our knots end at the 0.5 and 99.5 % quantiles of E2, mgcv's at the outermost men: the few beyond
    # count as if they stood at the end, which makes the line a little steeper.
    off = np.abs(contrast - REFERENCE["contrast_to_25_g_cm2"])
    assert (off <= 0.25 * np.array(REFERENCE["se_g_cm2"]) + 1e-12).all()


def test_the_neck_is_denser_with_more_e2(nhanes: Outputs):
    neck = (
        nhanes.tables["curve_summary"].filter(pl.col("site") == "femoral_neck").row(0, named=True)
    )

    assert (neck["outcome"], neck["verdict"]) == ("bmd_level_g_cm2", "rising")
    assert neck["n_patients"] == REFERENCE["n"]


def test_a_level_gives_no_limit_and_no_flag(nhanes: Outputs):
    assert nhanes.tables["curve_summary"]["lower_limit_pg_ml"].null_count() == 3
    assert nhanes.tables["curve_summary"]["why_not"].str.contains("cross-sectional").all()
    assert nhanes.tables["limits"].is_empty()
    assert nhanes.tables["cohort"].is_empty()
