"""The filter and smoother against dense algebra of the same covariance."""

import numpy as np
import pytest

from e2analytics.models.dose_response.state_space import (
    Spreads,
    Times,
    last_state,
    scores_between,
    smooth,
)

SPREADS = np.array([-0.9, -0.1, -1.5, -1.4, 5.6, -1.6])
T, B = 7, 3
RNG = np.random.default_rng(0)
DAY = np.sort(RNG.random((T, B)) * 900, axis=0)
SEGMENT = np.sort(RNG.integers(0, 4, (T, B)), axis=0)
ON = RNG.integers(0, 2, (T, B)).astype(float)
TIMES = Times(ON, np.diff(DAY, axis=0), np.diff(SEGMENT, axis=0).astype(float))
PRECISION = RNG.random((T, B)) * 20
PRECISION[2] = 0.0  # says how steeply, not where
SHIFT = PRECISION * RNG.normal(0, 0.5, (T, B))
SHIFT[2] = 0.3


def covariance(vector: np.ndarray, man: int) -> np.ndarray:
    z = np.column_stack([np.ones(T), ON[:, man]])
    apart = np.abs(DAY[:, None, man] - DAY[None, :, man])
    since_first = SEGMENT[:, man] - SEGMENT[0, man]
    steps = np.minimum(since_first[:, None], since_first)
    return np.asarray(
        z @ Spreads(*vector).of_effects @ z.T
        + np.exp(2 * vector[3] - apart / np.exp(vector[4]))
        + np.exp(2 * vector[5]) * steps
    )


def dense(vector: np.ndarray, man: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Return mean, covariance and log mass by matrices."""
    prior, precision, shift = covariance(vector, man), np.diag(PRECISION[:, man]), SHIFT[:, man]
    left = np.linalg.inv(np.linalg.inv(prior) + precision)
    log_determinant = np.linalg.slogdet(np.eye(T) + prior @ precision)[1]
    return left @ shift, left, 0.5 * (shift @ left @ shift - log_determinant)


@pytest.mark.parametrize("man", range(B))
def test_smoothing_is_dense_algebra(man):
    found = smooth(TIMES, Spreads(*SPREADS), PRECISION, SHIFT)
    mean, left, log_mass = dense(SPREADS, man)

    np.testing.assert_allclose(found.mean[:, man], mean, atol=1e-12)
    np.testing.assert_allclose(found.variance[:, man], np.diag(left), atol=1e-12)
    assert found.log_mass[man] == pytest.approx(log_mass, abs=1e-11)


@pytest.mark.parametrize("man", range(B))
def test_scores_are_derivatives_of_the_log_mass(man):
    found = smooth(TIMES, Spreads(*SPREADS), PRECISION, SHIFT)

    step = 1e-5
    numeric = [
        (dense(SPREADS + step * one, man)[2] - dense(SPREADS - step * one, man)[2]) / (2 * step)
        for one in np.eye(6)
    ]
    np.testing.assert_allclose(found.scores[man], numeric, atol=1e-7)


@pytest.mark.parametrize("man", range(B))
def test_scores_between_are_derivatives_of_the_prior_covariance(man):
    one, other = RNG.normal(0, 1, (2, T, B))
    found = scores_between(TIMES, Spreads(*SPREADS), one, other)

    step = 1e-5
    numeric = [
        (covariance(SPREADS + step * by, man) - covariance(SPREADS - step * by, man)) / (2 * step)
        for by in np.eye(6)
    ]
    expected = [one[:, man] @ each @ other[:, man] for each in numeric]
    np.testing.assert_allclose(found[man], expected, atol=1e-8)


def test_spreads_may_be_nothing():
    still = np.array([-0.9, -0.1, -1.5, -np.inf, 5.6, -np.inf])
    nearly = np.array([-0.9, -0.1, -1.5, -14.0, 5.6, -14.0])

    none, little = (smooth(TIMES, Spreads(*v), PRECISION, SHIFT) for v in (still, nearly))

    assert np.isfinite(none.scores).all()
    np.testing.assert_allclose(none.log_mass, little.log_mass, atol=1e-9)
    np.testing.assert_allclose(none.scores, little.scores, atol=1e-8)


def test_what_is_put_higher_lowers_the_state_by_as_much_as_it_says():
    columns = RNG.normal(0, 1, (T, 2, B))
    spreads = Spreads(*SPREADS)
    found = last_state(TIMES, spreads, PRECISION, SHIFT, columns)

    for q in range(2):
        higher = SHIFT - 0.01 * PRECISION * columns[:, q]
        moved = last_state(TIMES, spreads, PRECISION, higher, columns)
        fall = (found.mean - moved.mean) / 0.01
        np.testing.assert_allclose(fall, found.fall_per_parameter[:, q], atol=1e-10)
