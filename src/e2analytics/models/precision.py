"""Weights of scan pairs: how precisely each measures the yearly change of its man.

In    rows of a design and the sampling variance of each outcome
Out   weights 1 / (sampling variance + tau^2), with tau^2 estimated

tau^2 is the variance between intervals that neither the curve nor the scanner explains.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq

from e2analytics.models.pspline import Array
from e2analytics.models.smooth import Rows, fit_once

_MAX_ROUNDS = 30
_ENOUGH = 1e-6


@dataclass(frozen=True)
class Precision:
    """Weights of rows, shape (n,), and tau in the unit of the outcome."""

    weight: Array
    tau: float


def estimate(rows: Rows, sampling_variance: Array) -> Precision:
    """Weigh each row by its precision; tau by Paule and Mandel, in turn with the fit.

    Where no sampling variance is known (all zero) every row weighs the same.

    Parameters
    ----------
    rows : Rows
    sampling_variance : array of shape (n,)
        Variance of each outcome due to measurement alone, unit of the outcome squared.

    Notes
    -----
    Source: Paule and Mandel, J Res Natl Bur Stand 1982;87:377. The fit's effective degrees of
    freedom take the place of the one that a mean costs.
    """
    if not np.any(sampling_variance):
        return Precision(np.ones(len(sampling_variance)), 0.0)
    # The start matters little: with constant weights the residuals are unbiased already.
    weight = np.ones(len(sampling_variance))
    variance = np.inf
    for _ in range(_MAX_ROUNDS):
        squares, dof = _residuals(rows, weight)
        previous, variance = variance, _between(squares, sampling_variance, dof)
        weight = _weights(sampling_variance, variance)
        if abs(variance - previous) <= _ENOUGH * variance:
            break
    return Precision(weight, float(np.sqrt(variance)))


def _residuals(rows: Rows, weight: Array) -> tuple[Array, float]:
    """Squared residuals of the fit with these weights, and their degrees of freedom."""
    fit = fit_once(rows, weight)
    residual = rows.columns[:, -1] - rows.columns[:, :-1] @ fit.coefficients
    # ``edf`` counts the curve less its constant; the other fixed columns are covariates.
    edf = fit.edf + rows.n_fixed - 1
    return residual**2, max(len(weight) - edf, 1.0)


def _between(squares: Array, sampling_variance: Array, dof: float) -> float:
    """Find the tau^2 that makes the weighted squared residuals equal their degrees of freedom."""

    def excess(variance: float) -> float:
        return float(np.sum(squares * _weights(sampling_variance, variance))) - dof

    # At this variance even residuals measured without error would not be too large.
    most = float(squares.sum()) / dof
    if most == 0.0 or excess(0.0) <= 0:
        return 0.0
    return float(brentq(excess, 0.0, most, xtol=1e-12 * most))


def _weights(sampling_variance: Array, variance: float) -> Array:
    total = sampling_variance + variance
    # A row measured without error among others with error, where tau is nil, must not take all.
    return np.asarray(1 / np.maximum(total, 1e-6 * total.max()))
