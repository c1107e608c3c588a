"""Whether the curves of two groups have the same shape.

In    rows of a curve, and which of two groups each row belongs to
Out   the p value of no difference, clustered by man

What is compared is how the outcome at low and at high E2 differs from that in between: how high the
curves lie does not matter, covariates do that. A man may have rows in both groups.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from e2analytics.models import sandwich, smooth, weights
from e2analytics.models.curve import CurveSettings, find_support, plan_curve, refuse_too_little
from e2analytics.models.gram_matrices import collect
from e2analytics.models.penalised_least_squares import decompose
from e2analytics.models.plan import Plan
from e2analytics.models.pspline import Array
from e2analytics.models.rows import CurveData
from e2analytics.models.sandwich import Influence
from e2analytics.models.threads import one_blas_thread

# Highest over lowest E2 that both groups must support: less has no low, middle and high part.
_LEAST_RATIO = 2.0


def p_of_same_shape(
    data: CurveData, in_group: NDArray[np.bool_], settings: CurveSettings
) -> float | None:
    """Test whether two groups have one shape; None where their supports hardly overlap.

    Parameters
    ----------
    data : CurveData
    in_group : boolean array of shape (n,)
    settings : CurveSettings

    Raises
    ------
    TooLittleDataError
        With fewer than 30 men in a group.

    Notes
    -----
    Wald's test of two contrasts of the curves' difference, the lower and the upper third of the
    range that both groups support, each less the middle third; F with the least effective number of
    men behind a contrast (see ``sandwich``) as its degrees of freedom.
    """
    groups = [data.take(in_group), data.take(~in_group)]
    for group in groups:
        refuse_too_little([group])
    plan = plan_curve([data], settings)
    with one_blas_thread():
        weighting = weights.estimate([data], plan)
        supports = [find_support([group], settings, plan).supported for group in groups]
        both = np.flatnonzero(supports[0] & supports[1])
        if not len(both) or np.ptp(plan.grid[both]) < np.log(_LEAST_RATIO):
            return None
        contrasts = _thirds(len(plan.grid), both) @ plan.at(plan.basis.evaluate(plan.grid))
        fits = [_fit(group, weighting.weights(group.sampling_variance), plan) for group in groups]
    (first, first_influence), (second, second_influence) = fits
    influences = (first_influence.of_coefficients - second_influence.of_coefficients) @ contrasts.T
    difference = contrasts @ (first - second)
    wald = float(difference @ np.linalg.pinv(influences.T @ influences) @ difference)
    dof = min(
        float(influence.dof(contrasts).min()) for influence in (first_influence, second_influence)
    )
    # Hotelling's T^2, whose two contrasts cost a degree of freedom.
    return float(fdtrc(2, max(dof - 1, 1.0), wald / 2 * (dof - 1) / dof))


def _thirds(n_points: int, both: NDArray[np.intp]) -> Array:
    """Weights of two contrasts of the grid: outer thirds less the middle one, shape (2, g)."""
    low, middle, high = np.array_split(both, 3)
    weights = np.zeros((2, n_points))
    for row, outer in enumerate((low, high)):
        weights[row, outer] = 1 / len(outer)
        weights[row, middle] = -1 / len(middle)
    return weights


def _fit(data: CurveData, weight: Array, plan: Plan) -> tuple[Array, Influence]:
    grams = collect(data, weight, plan)
    parts = decompose(*grams.whole(), plan.n_fixed)
    point = smooth.fit_point(*grams.whole(), plan.n_fixed)
    bread = parts.covariance(np.array([point.smoothing]))[0]
    return point.coefficients, sandwich.influence(grams, point.coefficients, bread)
