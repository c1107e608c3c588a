"""The curve within men and between men: a man against himself, and men against each other.

In    rows of a curve
Out   ``CurveFit`` from changes of a man's own E2, or from the means of men

Within men everything that stays the same in a man cancels, known or not (fixed effects): a curve that
is seen between men only may be the men's and not E2's. A man's Gram matrix is the sum of a part
within, about his means, and a part between, of his means; so neither costs another pass over rows.
The level of the curve within men is not known, only its shape; limits and verdict need no more.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from e2analytics.errors import TooLittleDataError
from e2analytics.models import weights
from e2analytics.models.curve import (
    MIN_PATIENTS,
    CurveFit,
    CurveSettings,
    describe_grams,
    plan_curve,
    refuse_too_little,
)
from e2analytics.models.gram_matrices import ClusterGrams, collect
from e2analytics.models.plan import MAX_CLUSTERS, Plan
from e2analytics.models.pspline import Array
from e2analytics.models.rows import CurveData
from e2analytics.models.threads import one_blas_thread

# A column that varies less than this within men, as a share of its sum of squares, is constant in
# them: what is left of it is rounding.
_CONSTANT = 1e-9
# A man whose log E2 moves by less between his intervals shows no change of E2, only rounding.
_LEAST_CHANGE = 1e-3


def fit_within(data: CurveData, settings: CurveSettings) -> CurveFit:
    """Fit to the changes of men with two intervals or more, each about his own mean.

    Raises
    ------
    TooLittleDataError
        With fewer than 30 such men, or fewer whose E2 differs between their intervals.
    """
    man = np.unique(data.patient, return_inverse=True)[1]
    several = np.bincount(man)[man] > 1
    n_changing = _n_changing(man, data.log_e2)
    if n_changing < MIN_PATIENTS:
        raise TooLittleDataError(
            f"within men a curve needs at least {MIN_PATIENTS} men whose E2 differs between their "
            f"intervals; there are {n_changing}. Supply more men or a longer period."
        )
    return _fit(data.take(several), settings, within=True)


def _n_changing(man: NDArray[np.intp], log_e2: Array) -> int:
    lowest, highest = np.full((2, man.max(initial=-1) + 1), np.inf)
    np.minimum.at(lowest, man, log_e2)
    np.minimum.at(highest, man, -log_e2)
    return int(np.sum(-highest - lowest > _LEAST_CHANGE))


def fit_between(data: CurveData, settings: CurveSettings) -> CurveFit:
    """Fit to the means of men.

    Raises
    ------
    TooLittleDataError
        With fewer than 30 men, or where all have the same E2.
    """
    return _fit(data, settings, within=False)


def _fit(data: CurveData, settings: CurveSettings, *, within: bool) -> CurveFit:
    refuse_too_little([data])
    plan = plan_curve([data], settings)
    with one_blas_thread():
        weighting = weights.estimate([data], plan)
        weight = weighting.weights(data.sampling_variance)
        inside, outside = split(data, weight, plan)
        grams = inside if within else outside
        return describe_grams([data], grams, settings, plan, weighting)


def split(data: CurveData, weight: Array, plan: Plan) -> tuple[ClusterGrams, ClusterGrams]:
    """Split the Gram matrix of each man: within him, and of his means.

    Parameters
    ----------
    data : CurveData
    weight : array of shape (n,)
    plan : Plan
        Its clusters may hold several men; their matrices are added after the split.
    """
    n_entries = plan.n_columns * (plan.n_columns + 1) // 2
    inside, outside = np.zeros((2, plan.n_clusters, n_entries))
    rows_inside, rows_outside = np.zeros((2, plan.n_clusters))
    for start in range(0, len(plan.patients), MAX_CLUSTERS):
        men = plan.patients[start : start + MAX_CLUSTERS]
        some = np.isin(data.patient, men)
        own = collect(data.take(some), weight[some], replace(plan, patients=men))
        square = own.square(own.upper)
        # The first column is constant: its cross-products are a man's sums.
        sums = square[:, 0, :]
        of_means = sums[:, :, None] * sums[:, None, :] / sums[:, 0, None, None]
        cluster = plan.cluster(men)
        np.add.at(inside, cluster, _upper(square - of_means))
        np.add.at(outside, cluster, _upper(of_means))
        np.add.at(rows_inside, cluster, own.n_rows - 1)
        np.add.at(rows_outside, cluster, 1.0)
    within = ClusterGrams(inside, rows_inside, plan.n_columns)
    between = ClusterGrams(outside, rows_outside, plan.n_columns)
    return _without_constants(within, within + between), between


def _upper(square: Array) -> Array:
    rows, columns = np.triu_indices(square.shape[1])
    return square[:, rows, columns]


def _without_constants(within: ClusterGrams, whole: ClusterGrams) -> ClusterGrams:
    """Set columns to nothing that do not vary within any man."""
    varies = np.diagonal(within.whole()[0][0]) > _CONSTANT * np.diagonal(whole.whole()[0][0])
    rows, columns = np.triu_indices(within.n_columns)
    return replace(within, upper=within.upper * (varies[rows] & varies[columns]))
