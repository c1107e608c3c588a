import numpy as np

from e2analytics.models.intervals import pointwise, simultaneous

ALL = np.ones(20, dtype=bool)


def test_a_point_s_interval_is_as_wide_as_its_replicates_are_spread():
    replicates = np.array([[0.0, 1.0], [2.0, 1.0]])

    low, high = pointwise(np.array([5.0, 5.0]), replicates)

    np.testing.assert_allclose(low, [5 - 1.96, 5], atol=1e-3)
    np.testing.assert_allclose(high, [5 + 1.96, 5], atol=1e-3)


def test_the_band_holds_95_in_100_whole_curves():
    rng = np.random.default_rng(0)
    replicates = rng.normal(size=(2000, 20)).cumsum(axis=1)
    curves = rng.normal(size=(2000, 20)).cumsum(axis=1)

    low, high = simultaneous(np.zeros(20), replicates, ALL)
    held = np.mean(np.all((low <= curves) & (curves <= high), axis=1))

    assert 0.93 < held < 0.97


def test_the_band_minds_only_the_points_it_is_asked_about():
    replicates = np.random.default_rng(1).normal(size=(500, 20))
    first_only = np.arange(20) == 0

    _, of_one = simultaneous(np.zeros(20), replicates, first_only)
    _, of_all = simultaneous(np.zeros(20), replicates, ALL)

    assert np.all(of_one < of_all)


def test_points_that_never_vary_have_a_band_without_width():
    low, high = simultaneous(np.ones(20), np.ones((10, 20)), ALL)

    np.testing.assert_array_equal(low, high)
