"""The difference that E2 spread otherwise makes, by a curve."""

import numpy as np
import pytest

from e2analytics.curve.what_if import mean_difference, supported_points
from e2analytics.models.contrast import contrast
from e2analytics.models.curve import CurveFit, CurveSettings, fit_curve
from e2analytics.models.pspline import Array
from e2analytics.models.rows import CurveData


@pytest.fixture(scope="module")
def fitted() -> CurveFit:
    """Fit 400 men with one E2 each, whose bone falls by log E2 below 20 pg/mL."""
    rng = np.random.default_rng(1)
    log_e2 = rng.normal(np.log(20), 0.5, 400)
    change = 2 * np.minimum(log_e2 - np.log(20), 0.0) + rng.normal(0, 0.5, 400)
    data = CurveData.at_points(log_e2, change, np.arange(400), np.zeros((400, 0)))
    return fit_curve(data, CurveSettings(n_replicates=50))


def everyone_at(fitted: CurveFit, e2_pg_ml: float) -> Array:
    points = supported_points(fitted)
    return np.eye(len(points))[np.abs(np.log(points / e2_pg_ml)).argmin()]


def test_all_men_moved_from_one_point_to_another_change_by_the_contrast_of_the_points(
    fitted: CurveFit,
):
    found = mean_difference(fitted, everyone_at(fitted, 12.0), everyone_at(fitted, 25.0))

    known = contrast(fitted, 25.0, 12.0)
    assert known is not None
    np.testing.assert_allclose(
        (found.estimate, found.ci_low, found.ci_high),
        (known.estimate, known.ci_low, known.ci_high),
        rtol=1e-9,
    )
    # 2 x ln(20 / 12) = 1.02.
    assert found.ci_low[0] < 1.02 < found.ci_high[0]


def test_half_of_the_men_moved_make_half_the_difference(fitted: CurveFit):
    low, high = everyone_at(fitted, 12.0), everyone_at(fitted, 25.0)

    whole, half = (
        mean_difference(fitted, low, share * high + (1 - share) * low) for share in (1, 0.5)
    )

    assert half.estimate[0] == pytest.approx(whole.estimate[0] / 2)
    assert half.ci_high[0] == pytest.approx(whole.ci_high[0] / 2)
