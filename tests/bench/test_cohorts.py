import numpy as np
import polars as pl
import pytest

from bench.validation import cohorts
from bench.validation.curve import Job as CurveJob
from bench.validation.curve import cells, describe, repeat
from e2analytics.models.curve import CurveSettings, fit_curve
from e2analytics.simulate import parameters as world


@pytest.fixture(scope="module")
def exposed():
    return cohorts.exposed(600, seed=3)


def test_the_days_of_a_pair_are_shared_out_among_its_doses(exposed):
    np.testing.assert_allclose(exposed.share.sum(axis=1), 1)
    assert len(exposed.man) > 600
    assert np.all((exposed.years >= 0.5) & (exposed.years <= 5))


def test_the_posterior_of_e2_says_how_sure_it_is(exposed):
    there = exposed.share > 0
    z = ((exposed.true_log_e2 - exposed.posterior_mean) / exposed.posterior_sd)[there]

    # About 350 men with draws; their errors are shared by the parameters of the dose response.
    assert np.abs(z.mean()) < 0.2
    assert z.std() == pytest.approx(1, abs=0.15)


def test_the_naive_mean_is_farther_from_the_truth_than_the_posterior(exposed):
    true = (exposed.share * exposed.true_log_e2).sum(axis=1)
    calibrated = (exposed.share * exposed.posterior_mean).sum(axis=1)

    assert np.std(exposed.naive_log_e2 - true) > 2 * np.std(calibrated - true)


def test_outcomes_scatter_around_the_true_curve_as_bone_and_scanner_do(exposed):
    measured = cohorts.outcome(exposed, "threshold", 2.5)
    flat = cohorts.outcome(exposed, "flat", 2.5)

    along = (exposed.share * cohorts.spine_curve("threshold", 2.5, exposed.true_log_e2)).sum(axis=1)
    np.testing.assert_allclose(measured - flat, along)
    by_scanner = np.sqrt(2) * exposed.cv_pct / exposed.years
    np.testing.assert_allclose(
        np.std(exposed.deviation + exposed.error_pct),
        np.sqrt(world.INTERVAL_SD_PCT_PER_YEAR**2 + np.mean(by_scanner**2)),
        rtol=0.1,
    )


def test_the_curve_recovers_the_truth_of_a_cohort_whose_e2_is_known():
    exposed = cohorts.exposed(1000, seed=1)
    measured = cohorts.outcome(exposed, "bowl", 2.5)

    fit = fit_curve(cohorts.curve_data(exposed, measured, "known"), CurveSettings(n_replicates=100))
    true = cohorts.true_level(exposed, "bowl", 2.5, np.log(fit.e2_pg_ml))
    inside = (fit.band_low <= true) & (true <= fit.band_high)

    assert inside[fit.supported].all()
    assert fit.verdict == "u_shaped"


def test_the_section_reports_even_one_cohort():
    rows = repeat(CurveJob(300, 1, extras=False))

    section = describe(pl.DataFrame(rows, infer_schema_length=None))
    tables = [part for part in section.parts if isinstance(part, pl.DataFrame)]

    assert len(rows) == len(cells(300, extras=False))
    assert tables[0]["truth"].to_list() == [
        "u",
        "threshold",
        "rising",
        "falling",
        "flat",
        "confounded",
    ]
    assert tables[0]["cohorts"].to_list() == [1] * 6
