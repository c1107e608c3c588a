import numpy as np
import pytest
from scipy.stats import t

from e2analytics.models.intervals import around
from e2analytics.models.sandwich import Influence

ALL = np.ones(20, dtype=bool)


def influence_of(pulls):
    """Pull on contrasts that are the coefficients themselves; every cluster counts alike."""
    n, p = pulls.shape
    rows, columns = np.triu_indices(p)
    alike = np.broadcast_to((rows == columns).astype(float), (n, len(rows)))
    return Influence(pulls, alike, np.eye(p))


def test_a_point_s_interval_is_as_wide_as_men_pull_apart_and_as_student_says():
    # Four men of equal weight pull a point by one each: a standard error of 2.
    influence = influence_of(np.array([[1.0], [-1.0], [1.0], [-1.0]]))

    interval = around(np.array([5.0]), influence, np.eye(1), ALL[:1])

    reach = 2 * t.isf(0.025, 4)
    np.testing.assert_allclose(interval.ci_low, 5 - reach)
    np.testing.assert_allclose(interval.ci_high, 5 + reach)
    # The band of one point is its interval.
    np.testing.assert_allclose(interval.band_high, interval.ci_high, rtol=0.03)


def test_the_band_holds_95_in_100_whole_curves():
    rng = np.random.default_rng(0)
    pulls = rng.normal(size=(2000, 20)).cumsum(axis=1) / np.sqrt(2000)
    curves = rng.normal(size=(2000, 20)).cumsum(axis=1)

    band = around(np.zeros(20), influence_of(pulls), np.eye(20), ALL)
    held = np.mean(np.all((band.band_low <= curves) & (curves <= band.band_high), axis=1))

    assert held == pytest.approx(0.95, abs=0.015)


def test_the_band_minds_only_the_points_it_is_asked_about():
    pulls = np.random.default_rng(1).normal(size=(500, 20))
    first_only = np.arange(20) == 0

    of_one = around(np.zeros(20), influence_of(pulls), np.eye(20), first_only)
    of_all = around(np.zeros(20), influence_of(pulls), np.eye(20), ALL)

    assert np.all(of_one.band_high < of_all.band_high)


def test_a_point_that_no_man_moves_has_a_band_without_width():
    pulls = np.random.default_rng(1).normal(size=(500, 2))
    contrasts = np.array([[1.0, 0.0], [0.0, 0.0]])

    band = around(np.ones(2), influence_of(pulls), contrasts, ALL[:2])

    assert band.band_low[1] == band.band_high[1] == 1
    assert band.band_low[0] < 1
