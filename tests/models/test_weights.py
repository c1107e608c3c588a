import numpy as np
import pytest

from e2analytics.models import weights
from e2analytics.models.curve import CurveSettings, plan_curve
from e2analytics.models.gram_matrices import whole_gram
from e2analytics.models.rows import CurveData
from e2analytics.models.smooth import fit_point
from e2analytics.models.weights import Weighting

SETTINGS = CurveSettings(delta=0.5, n_basis=20)


def rows(outcome, sampling_variance, seed=0):
    log_e2 = np.random.default_rng(seed).uniform(2, 4, len(outcome))
    men = np.arange(len(outcome))
    return CurveData.at_points(log_e2, outcome, men, sampling_variance=sampling_variance)


def estimated(outcome, sampling_variance) -> Weighting:
    table = rows(outcome, sampling_variance)
    return weights.estimate([table], plan_curve([table], SETTINGS))


def noise(tau, sampling_variance, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(0, np.sqrt(tau**2 + sampling_variance))


def test_without_known_precision_every_row_weighs_the_same():
    variance = np.zeros(50)

    known = estimated(noise(1.0, variance), variance)

    np.testing.assert_array_equal(known.weights(variance), np.ones(50))
    assert known.tau == 0


@pytest.mark.parametrize("tau", [0.5, 2.0])
def test_recovers_the_spread_between_intervals(tau):
    variance = np.random.default_rng(2).uniform(0.2, 6, 8000)

    known = estimated(noise(tau, variance), variance)

    assert known.tau == pytest.approx(tau, rel=0.15)
    np.testing.assert_allclose(known.weights(variance), 1 / (variance + known.tau**2))


def test_weighted_residuals_equal_their_degrees_of_freedom():
    variance = np.random.default_rng(3).uniform(0.2, 6, 500)
    table = rows(noise(1.5, variance), variance)
    plan = plan_curve([table], SETTINGS)

    known = weights.estimate([table], plan)

    weight = known.weights(variance)
    fit = fit_point(*whole_gram(table, weight, plan), plan.n_fixed)
    columns = plan.columns(table)
    residual = columns[:, -1] - columns[:, :-1] @ fit.coefficients
    assert np.sum(weight * residual**2) == pytest.approx(500 - fit.edf - 1, rel=5e-3)


def test_spread_is_nil_where_the_scanner_explains_more_than_there_is():
    variance = np.full(300, 4.0)

    known = estimated(noise(0.0, variance / 4), variance)

    assert known.tau == 0
    np.testing.assert_allclose(known.weights(variance), 0.25)


def test_an_outcome_without_any_spread_is_no_failure():
    assert estimated(np.zeros(40), np.ones(40)).tau == 0
