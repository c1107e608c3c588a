"""XmR charts: limits against printed examples, rules against rows of points one can count."""

import numpy as np
import pytest

from e2analytics.models.xmr import BASELINE_POINTS, chart

# Twelve months of which the mean is 50 and every moving range but the last is 2: 51, 49, 51, 49 ...
CALM = [51.0, 49.0] * 6


def array(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)


def test_limits_are_those_of_the_flow_rate_example():
    # NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2.2: mean 50.81, mean moving range 1.8778,
    # limits 50.81 +/- 3 x 1.8778/1.128, printed as 45.8159 and 55.8041; 2.66 is 3/1.128 rounded.
    flow_rate = array(49.6, 47.6, 49.9, 51.3, 47.8, 51.2, 52.6, 52.4, 53.6, 52.1)

    drawn = chart(flow_rate)

    assert drawn.centre[0] == pytest.approx(50.81)
    assert drawn.lower[0] == pytest.approx(45.8159, abs=2e-3)
    assert drawn.upper[0] == pytest.approx(55.8041, abs=2e-3)
    assert not drawn.outside.any()


def test_limits_by_hand():
    # Moving ranges 2, 3, 1, 4: mean 2.5. Values' mean 12. 2.66 x 2.5 = 6.65.
    drawn = chart(array(11, 13, 10, 11, 15))

    assert (drawn.centre[0], drawn.lower[0], drawn.upper[0]) == pytest.approx((12, 5.35, 18.65))


def test_a_moving_range_beyond_3_267_of_the_mean_is_left_out_once():
    # Moving ranges 1 1 1 8 9 1 1 1 1 1 1: mean 26/11 = 2.36, screen 7.72; without 8 and 9 the mean is 1.
    drawn = chart(array(1, 2, 1, 2, 10, 1, 2, 1, 2, 1, 2, 1))

    centre = 26 / 12
    assert drawn.centre[0] == pytest.approx(centre)
    assert drawn.upper[0] == pytest.approx(centre + 2.66)
    assert np.flatnonzero(drawn.outside).tolist() == [4]


def test_steps_are_kept_where_there_is_nothing_else():
    # One step up and down in twelve months: two moving ranges of 11, mean 2 of eleven.
    drawn = chart(array(*[100.0] * 5, 89, *[100.0] * 6))

    assert drawn.upper[0] - drawn.centre[0] == pytest.approx(2.66 * 2)


def test_the_baseline_is_frozen_after_twelve_points():
    drawn = chart(array(*CALM, *[80.0] * 5))

    np.testing.assert_allclose(drawn.centre, 50)
    np.testing.assert_allclose(drawn.upper, 50 + 2.66 * 2)
    assert drawn.settled.all()
    assert np.flatnonzero(drawn.outside).tolist() == [12, 13, 14, 15, 16]


def test_before_twelve_points_the_lines_are_drawn_and_said_to_move():
    drawn = chart(array(*CALM[:6]))

    assert drawn.centre[0] == 50
    assert not drawn.settled.any()


def test_fewer_than_five_points_have_no_lines_and_no_signal():
    drawn = chart(array(1, 9, 1, 99))

    assert np.isnan(drawn.centre).all()
    assert not drawn.signal.any()


@pytest.mark.parametrize("value", [0.1, 0.0, 1 / 3, 7.0])
def test_months_that_never_vary_signal_nothing(value):
    # The mean of twelve times 0.1 is not 0.1 in a computer: it must not look like a shift.
    assert not chart(np.full(20, value)).signal.any()


def test_a_new_baseline_begins_only_where_it_was_given():
    moved = array(*CALM, *(value + 20 for value in CALM))

    alone, rebased = chart(moved), chart(moved, restarts=[12])

    np.testing.assert_allclose(alone.centre, 50)
    assert alone.shift[12:].all()
    np.testing.assert_allclose(rebased.centre[12:], 70)
    assert not rebased.signal.any()


def test_a_run_does_not_go_on_over_a_new_baseline():
    # Four on the high side before it and four after: neither is seven.
    values = array(*[49.0, 51.0] * 4, *[51.0] * 4, *[51.0] * 4, *[49.0, 49.0] * 2)

    assert not chart(values, restarts=[BASELINE_POINTS]).shift.any()


@pytest.mark.parametrize(
    ("tail", "found"),
    [
        ([51] * 6, []),
        ([51, 51, 51, 51, 51, 51, 51], [12, 13, 14, 15, 16, 17, 18]),
        ([51] * 8, [12, 13, 14, 15, 16, 17, 18, 19]),
        # A point on the centre is on neither side.
        ([51, 51, 51, 50, 51, 51, 51, 51], []),
        ([49] * 7, [11, 12, 13, 14, 15, 16, 17, 18]),
    ],
)
def test_seven_in_a_row_on_one_side_are_a_shift(tail, found):
    # CALM ends on 49, so that a run below the centre begins with its last point.
    assert np.flatnonzero(chart(array(*CALM, *tail)).shift).tolist() == found


@pytest.mark.parametrize(
    ("tail", "found"),
    [
        # Rising from the 49 that CALM ends on: six points, seven points, and seven with a rest.
        ([49.5, 50, 50.5, 51, 51.5], []),
        ([49.5, 50, 50.5, 51, 51.5, 52], [11, 12, 13, 14, 15, 16, 17]),
        ([49.5, 50, 50, 50.5, 51, 51.5], []),
        ([52, 51.5, 51, 50.5, 50, 49.5, 49], [12, 13, 14, 15, 16, 17, 18]),
    ],
)
def test_seven_in_a_row_that_rise_or_fall_are_a_trend(tail, found):
    assert np.flatnonzero(chart(array(*CALM, *tail)).trend).tolist() == found


@pytest.mark.parametrize(
    ("tail", "found"),
    [
        # The limits are 50 +/- 5.32, the outer third begins at 53.55.
        ([54, 51, 54], [12, 14]),
        ([54, 54, 51], [12, 13]),
        # The third must be on the same side too.
        ([54, 54], []),
        ([54, 49, 54], []),
        ([46, 49, 46], [12, 14]),
        ([54, 51, 51, 54], []),
        # One outside the limits breaks the first rule, not this one.
        ([56, 51, 54], []),
    ],
)
def test_two_of_three_near_a_limit_on_one_side(tail, found):
    drawn = chart(array(*CALM, *tail, 50))

    assert np.flatnonzero(drawn.near_limit).tolist() == found


def test_a_month_without_a_value_is_passed_over():
    with_gap = array(*CALM[:6], np.nan, *CALM[6:], 51, 51, 51, np.nan, 51, 51, 51, 51)

    drawn = chart(with_gap)

    assert drawn.centre[6] == 50
    assert np.flatnonzero(drawn.shift).tolist() == [13, 14, 15, 17, 18, 19, 20]
    assert drawn.side[6] == 0


def test_nothing_at_all_is_a_chart_without_lines():
    assert not chart(array()).signal.any()
    assert np.isnan(chart(np.full(24, np.nan)).centre).all()


def test_two_in_100_points_of_noise_signal_beyond_a_settled_baseline():
    rng = np.random.default_rng(3)

    outside = [chart(rng.normal(size=36)).outside[BASELINE_POINTS:].mean() for _ in range(400)]

    # 0.3 % would be with known limits; those of twelve points are themselves uncertain.
    assert 0.003 < np.mean(outside) < 0.03
