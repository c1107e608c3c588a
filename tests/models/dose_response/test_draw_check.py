"""How far draws lie from where they were to be expected, against leaving each one out."""

import dataclasses

import numpy as np
import pytest

from e2analytics.models.dose_response import assay, draw_check
from e2analytics.models.dose_response.fit import DoseResponse
from e2analytics.models.dose_response.predict import random_effects
from e2analytics.models.dose_response.types import PARAMETERS, Draws
from e2analytics.simulate.dose_cohorts import COVARIATES, TRUE, CohortDesign, simulate

N_PARAMETERS = len(TRUE.vector)
KNOWN = DoseResponse(
    (*COVARIATES, *PARAMETERS),
    TRUE.vector,
    np.zeros((N_PARAMETERS, N_PARAMETERS)),
    0.0,
    100,
    1000,
    0,
)


def times(n: int) -> tuple[np.ndarray, np.ndarray]:
    """A draw every hundred days, at one testosterone order."""
    return 100.0 * np.arange(n), np.zeros(n, int)


def man(*e2: float, ms: bool = True, censored_below: float | None = None) -> Draws:
    """One man off the drug; the first reading censored if asked."""
    low, high = np.array(e2), np.array(e2)
    if censored_below:
        low[0], high[0] = 0.0, censored_below
    n = len(e2)
    covariates = np.column_stack([np.ones(n), np.zeros(n)])
    return Draws(np.zeros(n, int), low, high, np.full(n, ms), np.zeros(n), covariates, *times(n), 1)


def scores(draws: Draws) -> np.ndarray:
    return draw_check.z_scores(KNOWN, draws)


def test_a_draw_by_mass_spectrometry_is_judged_as_if_it_had_been_left_out():
    draws = simulate(CohortDesign(n_men=30, n_draws=(3, 6), ms_share=1.0, seed=2)).draws
    draws = draws.take(draws.is_exact)
    found = scores(draws)

    for row in (0, 7, 25):
        others = random_effects(KNOWN, draws.take(np.arange(len(draws.man)) != row))
        one, on = draws.man[row], draws.dose_mg_per_week[[row]] > 0
        z = np.array([1.0, float(on[0]), 1.0])
        level = draws.covariates[row] @ TRUE.coefficients + z @ others.mean[one]
        level += TRUE.effect(draws.dose_mg_per_week[[row]]).log_ratio[0]
        sd = np.sqrt(z @ others.covariance[one] @ z + TRUE.assays.sd_ms**2)
        assert found[row] == pytest.approx((np.log(draws.low_pg_ml[row]) - level) / sd, abs=1e-8)


@pytest.mark.parametrize("ms_share", [1.0, 0.0])
def test_draws_of_the_model_s_own_world_lie_outside_as_often_as_they_should(ms_share):
    draws = simulate(CohortDesign(n_men=1500, n_draws=(4, 8), ms_share=ms_share, seed=3)).draws

    z = scores(draws)[draws.is_exact & (draws.low_pg_ml > 30)]

    # Readings above 30 are a little high, being chosen; their spread is near one.
    assert z.std() == pytest.approx(1, abs=0.08)
    assert np.mean(np.abs(z - z.mean()) > 1.96) == pytest.approx(0.05, abs=0.015)


def test_a_bound_counts_only_as_far_as_it_contradicts():
    agrees = scores(man(36, 35, 33, 37, censored_below=60))
    contradicts = scores(man(36, 35, 33, 37, censored_below=5))

    assert agrees[0] == 0
    assert contradicts[0] < -6


def test_one_wrong_result_is_left_out_and_no_other():
    assert (
        draw_check.inliers(KNOWN, man(36, 35, 132, 37, 34)).tolist()
        == [True] * 2 + [False] + [True] * 2
    )
    assert draw_check.inliers(KNOWN, man(36, 35, 33, 37, 34)).all()


@pytest.mark.parametrize(
    ("e2", "why"),
    [
        ((36, 35, 33, 37, 5), "the last may be the danger itself"),
        ((36, 5, 33), "of three nobody knows which is wrong"),
    ],
)
def test_what_may_be_true_stays(e2, why):
    assert draw_check.inliers(KNOWN, man(*e2)).all(), why


def test_two_wrong_results_are_left_out_one_a_round_and_others_men_stay():
    both = man(36, 35, 300, 37, 34, 3, 33, 38, 35)
    two_men = dataclasses.replace(both, man=np.array([0] * 8 + [1]), n_men=2)

    assert np.flatnonzero(~draw_check.inliers(KNOWN, both)).tolist() == [2, 5]
    assert np.flatnonzero(~draw_check.inliers(KNOWN, two_men)).tolist() == [2, 5]


def test_the_scale_of_an_immunoassay_is_that_of_its_errors():
    draws = man(36, 35, 33, 37, ms=False)

    at, _ = assay.expected(np.array([np.log(36)]), np.zeros(1, bool), TRUE.assays)
    reading = TRUE.assays.ia_constant_pg_ml + TRUE.assays.ia_slope * 36

    found = assay.on_scale(np.array([reading]), np.zeros(1, bool), TRUE.assays)
    np.testing.assert_allclose(found, at)
    assert np.abs(scores(draws)).max() < 1.5
