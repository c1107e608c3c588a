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

from e2analytics.models import sandwich, smooth
from e2analytics.models import weights as precision
from e2analytics.models.curve import CurveSettings, agree, find_support, refuse_few
from e2analytics.models.gram_matrices import collect
from e2analytics.models.plan import Plan
from e2analytics.models.pspline import Array
from e2analytics.models.reml import decompose
from e2analytics.models.rows import CurveData
from e2analytics.models.sandwich import Pull
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
        refuse_few([group])
    agreed = agree([data], settings)
    with one_blas_thread():
        known = precision.estimate([data], agreed)
        supports = [find_support([group], settings, agreed).supported for group in groups]
        both = np.flatnonzero(supports[0] & supports[1])
        if not len(both) or np.ptp(agreed.grid[both]) < np.log(_LEAST_RATIO):
            return None
        contrasts = _thirds(len(agreed.grid), both) @ agreed.at(agreed.basis.evaluate(agreed.grid))
        fits = [_fit(group, known.weights(group.sampling_variance), agreed) for group in groups]
    (first, first_pull), (second, second_pull) = fits
    pulls = (first_pull.of_coefficients - second_pull.of_coefficients) @ contrasts.T
    difference = contrasts @ (first - second)
    wald = float(difference @ np.linalg.pinv(pulls.T @ pulls) @ difference)
    dof = min(float(pull.dof(contrasts).min()) for pull in (first_pull, second_pull))
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


def _fit(data: CurveData, weight: Array, agreed: Plan) -> tuple[Array, Pull]:
    grams = collect(data, weight, agreed)
    parts = decompose(*grams.whole(), agreed.n_fixed)
    point = smooth.fit_point(*grams.whole(), agreed.n_fixed)
    bread = parts.covariance(np.array([point.smoothing]))[0]
    return point.coefficients, sandwich.pull(grams, point.coefficients, bread)
