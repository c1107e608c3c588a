import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2analytics.models import sweet_spot

LOG_E2 = np.linspace(np.log(8), np.log(64), 121)


def hinge(threshold, slope):
    return -slope * np.maximum(0, np.log(threshold) - LOG_E2)


@given(threshold=st.floats(16, 28), slope=st.floats(2, 8))
def test_the_lower_limit_of_a_threshold_is_where_it_has_cost_delta(threshold, slope):
    spot = sweet_spot.find(LOG_E2, hinge(threshold, slope)[None], delta=0.5)

    expected = np.log(threshold) - 0.5 / slope
    # Linear between grid points; the bend itself lies between two.
    assert spot.lower_log_e2[0] == pytest.approx(expected, abs=LOG_E2[1] - LOG_E2[0])
    assert spot.best[0] == pytest.approx(0, abs=1e-12)
    assert np.isnan(spot.upper_log_e2[0])


@given(threshold=st.floats(20, 36), slope=st.floats(2, 8))
def test_the_upper_limit_mirrors_the_lower(threshold, slope):
    benefit = -slope * np.maximum(0, LOG_E2 - np.log(threshold))

    spot = sweet_spot.find(LOG_E2, benefit[None], delta=0.5)

    expected = np.log(threshold) + 0.5 / slope
    assert spot.upper_log_e2[0] == pytest.approx(expected, abs=LOG_E2[1] - LOG_E2[0])
    assert np.isnan(spot.lower_log_e2[0])


@given(heights=st.lists(st.floats(-3, 3), min_size=8, max_size=8))
def test_between_the_limits_nothing_is_worse_than_best_by_delta(heights):
    benefit = np.interp(LOG_E2, np.linspace(LOG_E2[0], LOG_E2[-1], 8), heights)

    spot = sweet_spot.find(LOG_E2, benefit[None], delta=0.5)
    low = np.nan_to_num(spot.lower_log_e2[0], nan=LOG_E2[0])
    high = np.nan_to_num(spot.upper_log_e2[0], nan=LOG_E2[-1])
    between = benefit[(low <= LOG_E2) & (high >= LOG_E2)]

    assert low <= spot.nadir_log_e2[0] <= high
    assert np.all(between >= spot.best[0] - 0.5 - 1e-9)


def test_a_u_has_both_limits_and_its_best_between():
    benefit = -4 * (LOG_E2 - np.log(24)) ** 2

    spot = sweet_spot.find(LOG_E2, benefit[None], delta=0.5)
    # Mean of the parabola over half a window on either side of its top.
    best = -4 * (np.log(1.5) / 2) ** 2 / 3
    reach = np.sqrt((0.5 - best) / 4)

    assert np.exp(spot.nadir_log_e2[0]) == pytest.approx(24, rel=0.02)
    assert spot.best[0] == pytest.approx(best, abs=1e-3)
    assert spot.lower_log_e2[0] == pytest.approx(np.log(24) - reach, abs=0.01)
    assert spot.upper_log_e2[0] == pytest.approx(np.log(24) + reach, abs=0.01)


def test_one_lucky_point_is_not_the_best():
    benefit = hinge(20, 3)
    spike = benefit.copy()
    spike[-10] += 2

    plain, spiked = sweet_spot.find(LOG_E2, np.stack([benefit, spike]), delta=0.5).best

    assert spiked - plain < 0.15


def test_a_range_narrower_than_the_window_is_one_window():
    narrow = LOG_E2[:10]

    spot = sweet_spot.find(narrow, np.arange(10.0)[None], delta=100)

    assert spot.best[0] == pytest.approx(4.5)
    assert spot.nadir_log_e2[0] == pytest.approx((narrow[0] + narrow[-1]) / 2)


def test_a_replicate_without_a_crossing_is_published_and_counts_as_the_end_of_the_range():
    replicates = np.log(np.concatenate([np.full(15, np.nan), np.linspace(14, 18, 85)]))

    limit = sweet_spot.limit(np.log(16), replicates, beyond=np.log(9))

    assert limit.share == 0.85
    assert not limit.supported
    assert limit.ci_low == pytest.approx(9)
    assert limit.ci_high == pytest.approx(18, abs=0.2)


def test_an_interval_widens_by_the_chance_that_there_would_be_none():
    levels = np.log(16) + np.random.default_rng(0).normal(0, 0.1, 20_000)

    often = sweet_spot.limit(np.log(16), levels, np.log(9), found_again=1.0)
    seldom = sweet_spot.limit(np.log(16), levels, np.log(9), found_again=0.2)

    # 95 % of all cohorts; 99 % where one in five is given a limit, so that 5 % of those may miss.
    assert often.ci_high == pytest.approx(16 * np.exp(0.196), rel=0.01)
    assert seldom.ci_high == pytest.approx(16 * np.exp(0.258), rel=0.01)
    assert often.quantiles_pg_ml == seldom.quantiles_pg_ml


@pytest.mark.parametrize(
    ("loss", "chance"),
    [
        # 1.645 standard errors beyond delta: just given, and by one standard error less.
        (0.6645, 0.16),
        (0.7645, 0.5),
        (1.2, 1.0),
    ],
)
def test_what_was_just_found_is_seldom_found_again(loss, chance):
    replicates = loss + 0.1 * np.array([-1.0, 1.0] * 50)

    found = sweet_spot.chance_to_find_again(loss, replicates, delta=0.5)

    assert found == pytest.approx(chance, abs=0.01)


def test_what_has_no_error_is_always_found_again():
    assert sweet_spot.chance_to_find_again(2.0, np.full(10, 2.0), delta=0.5) == 1.0


def test_the_interval_is_corrected_for_the_bias_of_replicates():
    rng = np.random.default_rng(0)
    replicates = rng.normal(0.5, 1, 20_000)

    low, high = sweet_spot.bias_corrected_quantiles(0.0, replicates, np.array([0.025, 0.975]))

    # Replicates lie half a unit too high: the interval moves down by as much again.
    assert low == pytest.approx(-0.5 - 1.96, abs=0.1)
    assert high == pytest.approx(-0.5 + 1.96, abs=0.1)


@pytest.mark.parametrize(("loss", "worse"), [(0.6, False), (0.7, True)])
def test_worse_than_delta_means_by_a_one_sided_bound(loss, worse):
    # The bound lies 1.645 standard errors of 0.1 below the loss.
    replicates = loss + 0.1 * np.array([-1.0, 1.0] * 50)

    assert sweet_spot.is_worse_by(loss, replicates, delta=0.5) is worse
