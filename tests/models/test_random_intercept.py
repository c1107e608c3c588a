"""Random intercepts: the usual value of a man from few measurements, shrunk towards that of all men."""

import numpy as np
import pytest

from e2analytics.models import random_intercept
from e2analytics.models.random_intercept import RandomIntercept


def summed(values: list[list[float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    mean = np.array([np.mean(own) if own else 0.0 for own in values])
    count = np.array([float(len(own)) for own in values])
    squares = np.array(
        [np.sum((np.array(own) - np.mean(own)) ** 2) if own else 0.0 for own in values]
    )
    return mean, count, squares


def test_the_variances_are_those_of_the_textbook():
    # One-way analysis of variance, three men with two values each: mean squares 50 and 2, n0 = 2.
    found = random_intercept.fit(*summed([[9.0, 11.0], [14.0, 16.0], [19.0, 21.0]]))

    assert found == RandomIntercept(15.0, (50.0 - 2.0) / 2, 2.0)


def test_recovers_what_made_the_data():
    rng = np.random.default_rng(4)
    count = rng.integers(1, 9, 5000)
    own = rng.normal(6.4, 0.3, 5000)
    values = [list(level + rng.normal(0, 0.2, n)) for level, n in zip(own, count, strict=True)]

    found = random_intercept.fit(*summed(values))

    assert found.mean == pytest.approx(6.4, abs=0.015)
    assert found.variance_between == pytest.approx(0.09, rel=0.06)
    assert found.variance_within == pytest.approx(0.04, rel=0.04)
    mean, known, _ = summed(values)
    value, variance = found.predict(mean, known)
    z = (value - own) / np.sqrt(variance)
    assert np.mean(np.abs(z) < 1.96) == pytest.approx(0.95, abs=0.01)


def test_who_was_never_measured_is_like_all_men():
    value, variance = RandomIntercept(6.4, 0.09, 0.04).predict(
        np.array([0.0, 7.0]), np.array([0.0, 1.0])
    )

    assert value.tolist() == pytest.approx([6.4, 6.4 + 0.6 * 9 / 13])
    assert variance.tolist() == pytest.approx([0.09, 0.09 * 4 / 13])


@pytest.mark.parametrize("values", [[], [[]], [[6.0]], [[6.0, 7.0]], [[6.0], [7.0]]])
def test_too_little_to_tell_gives_finite_numbers(values: list[list[float]]):
    found = random_intercept.fit(*summed(values))

    value, variance = found.predict(np.array([6.0, 0.0]), np.array([1.0, 0.0]))
    assert np.isfinite([found.mean, found.variance_between, found.variance_within]).all()
    assert np.isfinite([*value, *variance]).all()
