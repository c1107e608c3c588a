"""Weights of scan pairs: how precisely each measures the yearly change of its man.

In    rows with the sampling variance of each outcome
Out   weights 1 / (sampling variance + tau^2), with tau^2 estimated

tau^2 is the variance between intervals that neither the curve nor the scanner explains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from e2analytics.models.gram_matrices import blocks_of_columns, gram_of_blocks
from e2analytics.models.plan import Plan
from e2analytics.models.pspline import Array
from e2analytics.models.rows import CurveData
from e2analytics.models.smooth import fit_point

_MAX_ROUNDS = 30
_ENOUGH = 1e-6
# A row measured without error among others with error, where tau is nil, must not take all.
_LEAST_SHARE = 1e-6


@dataclass(frozen=True)
class Weighting:
    """How rows are weighed.

    Attributes
    ----------
    between : float
        tau^2, unit of the outcome squared; infinite if all rows weigh the same.
    largest : float
        Largest sampling variance of all rows.
    """

    between: float
    largest: float

    @property
    def tau(self) -> float:
        """Spread between intervals, unit of the outcome; 0 where it was not estimated."""
        return float(np.sqrt(self.between)) if np.isfinite(self.between) else 0.0

    def weights(self, sampling_variance: Array) -> Array:
        """Weight of each row, shape (n,)."""
        if not np.isfinite(self.between):
            return np.ones(len(sampling_variance))
        total = sampling_variance + self.between
        return np.asarray(1 / np.maximum(total, _LEAST_SHARE * (self.largest + self.between)))


def estimate(parts: Sequence[CurveData], plan: Plan) -> Weighting:
    """Weigh each row by its precision; tau by Paule and Mandel, in turn with the fit.

    Where no sampling variance is known (all zero) every row weighs the same.

    Parameters
    ----------
    parts : sequence of CurveData
        All rows; only sums over them are used.
    plan : Plan

    Notes
    -----
    Source: Paule and Mandel, J Res Natl Bur Stand 1982;87:377. The fit's effective degrees of
    freedom take the place of the one that a mean costs.
    """
    largest = max(float(part.sampling_variance.max()) for part in parts)
    weighting = Weighting(np.inf, largest)
    if largest == 0.0:
        return weighting
    # The columns are the same in every round.
    columns = [blocks_of_columns(part, plan) for part in parts]
    for _ in range(_MAX_ROUNDS):
        previous, weighting = weighting, _improved(parts, columns, plan, weighting)
        if abs(weighting.between - previous.between) <= _ENOUGH * weighting.between:
            break
    return weighting


def _improved(
    parts: Sequence[CurveData],
    columns: Sequence[Sequence[Array]],
    plan: Plan,
    weighting: Weighting,
) -> Weighting:
    """Equate the weighted squared residuals of a fit with their expectation in tau^2.

    Where it changes nothing, these squares equal their degrees of freedom: Paule and Mandel's
    condition.
    """
    gram, n_rows = np.zeros((1, plan.n_columns, plan.n_columns)), np.zeros(1)
    total, by_scanner = 0.0, 0.0
    for part, blocks in zip(parts, columns, strict=True):
        weight = weighting.weights(part.sampling_variance)
        added, n_added = gram_of_blocks(blocks, weight, plan)
        gram, n_rows = gram + added, n_rows + n_added
        total += float(weight.sum())
        by_scanner += float(weight @ part.sampling_variance)
    # The scale is the mean square of what is left, per degree of freedom.
    squares = float(n_rows[0]) * fit_point(gram, n_rows, plan.n_fixed).scale
    return Weighting(max(squares - by_scanner, 0.0) / total, weighting.largest)
