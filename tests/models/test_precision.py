import numpy as np
import pytest

from e2analytics.models import precision, smooth
from e2analytics.models.pspline import Basis


def rows(outcome, seed=0):
    log_e2 = np.random.default_rng(seed).uniform(2, 4, len(outcome))
    basis = Basis(2.0, 4.0)
    return smooth.arrange(basis, basis.evaluate(log_e2), np.empty((len(outcome), 0)), outcome)


def noise(tau, sampling_variance, seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(0, np.sqrt(tau**2 + sampling_variance))


def test_without_known_precision_every_row_weighs_the_same():
    known = precision.estimate(rows(noise(1.0, np.zeros(50))), np.zeros(50))

    np.testing.assert_array_equal(known.weight, np.ones(50))
    assert known.tau == 0


@pytest.mark.parametrize("tau", [0.5, 2.0])
def test_recovers_the_spread_between_intervals(tau):
    variance = np.random.default_rng(2).uniform(0.2, 6, 8000)

    known = precision.estimate(rows(noise(tau, variance)), variance)

    assert known.tau == pytest.approx(tau, rel=0.15)
    np.testing.assert_allclose(known.weight, 1 / (variance + known.tau**2))


def test_weighted_residuals_equal_their_degrees_of_freedom():
    variance = np.random.default_rng(3).uniform(0.2, 6, 500)
    table = rows(noise(1.5, variance))

    known = precision.estimate(table, variance)

    fit = smooth.fit_once(table, known.weight)
    residual = table.columns[:, -1] - table.columns[:, :-1] @ fit.coefficients
    assert np.sum(known.weight * residual**2) == pytest.approx(500 - fit.edf - 1, rel=1e-4)


def test_spread_is_nil_where_the_scanner_explains_more_than_there_is():
    variance = np.full(300, 4.0)

    known = precision.estimate(rows(noise(0.0, variance / 4)), variance)

    assert known.tau == 0
    np.testing.assert_allclose(known.weight, 0.25)


def test_an_outcome_without_any_spread_is_no_failure():
    known = precision.estimate(rows(np.zeros(40)), np.ones(40))

    assert known.tau == 0
