import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import BSpline

from e2analytics.models.pspline import Basis

BASIS = Basis(np.log(5), np.log(90))


@given(st.lists(st.floats(0, 6), min_size=1, max_size=20))
def test_splines_are_nonnegative_and_sum_to_one_everywhere(log_e2):
    rows = BASIS.evaluate(np.array(log_e2))

    assert rows.min() >= 0
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-14)


def test_splines_are_those_of_scipy_on_the_same_knots():
    log_e2 = np.linspace(BASIS.lower, BASIS.upper, 201)[:-1]

    expected = BSpline.design_matrix(log_e2, BASIS.knots, 3).toarray()

    np.testing.assert_allclose(BASIS.evaluate(log_e2), expected, atol=1e-14)


def test_slopes_are_the_derivatives_of_scipy_s_splines():
    log_e2 = np.linspace(BASIS.lower, BASIS.upper, 201)[:-1]

    expected = BSpline(BASIS.knots, np.eye(20), 3).derivative()(log_e2)

    np.testing.assert_allclose(BASIS.slopes(log_e2), expected, atol=1e-12)


def test_beyond_the_ends_the_splines_stay_as_they_are_there():
    inside = BASIS.evaluate(np.array([BASIS.lower, BASIS.upper]))

    np.testing.assert_array_equal(BASIS.evaluate(np.array([-3.0, 9.0])), inside)


def test_a_straight_line_costs_no_penalty_and_a_constant_is_among_the_splines():
    line = np.arange(20.0)

    assert line @ BASIS.penalty @ line == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(BASIS.penalty @ np.ones(20), 0, atol=1e-12)


def test_mixed_coordinates_turn_the_penalty_into_an_identity():
    turned = BASIS.to_mixed.T @ BASIS.penalty @ BASIS.to_mixed

    np.testing.assert_allclose(turned, np.diag([0.0] * 2 + [1.0] * 18), atol=1e-12)


def test_a_known_level_is_its_own_average():
    log_e2 = np.array([2.0, 3.1, 4.4])

    averaged = BASIS.averaged(log_e2[:, None], np.zeros((3, 1)), np.ones((3, 1)))

    np.testing.assert_array_equal(averaged, BASIS.evaluate(log_e2))


def test_an_average_over_doubt_is_the_expectation_over_the_posterior():
    # The last two reach beyond the ends of the basis.
    mean, sd = np.array([2.2, 3.0, 3.9, 1.6, 4.4]), np.array([0.1, 0.2, 0.6, 0.3, 0.3])
    steps = np.linspace(-8, 8, 20_001)
    density = np.exp(-(steps**2) / 2)
    expected = [
        density @ BASIS.evaluate(m + s * steps) / density.sum()
        for m, s in zip(mean, sd, strict=True)
    ]

    averaged = BASIS.averaged(mean[:, None], sd[:, None], np.ones((5, 1)))

    np.testing.assert_allclose(averaged, expected, atol=1e-7)


def test_episodes_count_by_their_share_of_time_and_an_absent_one_does_not_matter():
    mean = np.array([[2.5, 3.5, np.nan]])
    sd = np.array([[0.1, 0.2, np.nan]])
    apart = [BASIS.averaged(mean[:, [j]], sd[:, [j]], np.ones((1, 1))) for j in (0, 1)]

    together = BASIS.averaged(mean, sd, np.array([[0.25, 0.75, 0.0]]))

    np.testing.assert_allclose(together, 0.25 * apart[0] + 0.75 * apart[1], atol=1e-15)


@pytest.mark.parametrize(("lower", "upper", "n_basis"), [(3.0, 3.0, 12), (2.0, 4.0, 4)])
def test_a_basis_without_range_or_with_too_few_splines_is_refused(lower, upper, n_basis):
    with pytest.raises(ValueError, match="basis"):
        Basis(lower, upper, n_basis)
