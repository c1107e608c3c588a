"""Pointwise intervals and a simultaneous band of a curve, clustered by man.

In    an estimate on a grid, and the influence of each cluster of men on it
Out   95 % intervals for one point, and a 95 % band for many points at once

They cover because the curve is undersmoothed (see ``smooth``) and because few men are paid for:
quantiles are Student's, with the degrees of freedom of each point (see ``sandwich``). The spread of
bootstrap replicates is no such measure: each replicate chooses its smoothing anew, and where that
choice is unsure (few men, a flat curve) replicates are spread by half more than estimates are.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from e2analytics.models.pspline import Array
from e2analytics.models.sandwich import Influence

LEVEL = 0.95
_N_DRAWS = 5_000
_SEED = 0


@dataclass(frozen=True)
class Interval:
    """95 % intervals and band of g values.

    Attributes
    ----------
    estimate : array of shape (g,)
    ci_low, ci_high : array of shape (g,)
        Of one value.
    band_low, band_high : array of shape (g,)
        Of all values that were asked for at once.
    """

    estimate: Array
    ci_low: Array
    ci_high: Array
    band_low: Array
    band_high: Array


def around(
    estimate: Array, influence: Influence, contrasts: Array, among: NDArray[np.bool_]
) -> Interval:
    """Give intervals of contrasts of coefficients, and a band of those ``among``.

    Parameters
    ----------
    estimate : array of shape (g,)
    influence : Influence
    contrasts : array of shape (g, p)
    among : boolean array of shape (g,)
        The band is drawn at the other points too, with the same confidence.
    """
    roots = contrasts @ _root(influence.covariance)
    error = np.sqrt((roots**2).sum(axis=1))
    dof = np.maximum(influence.dof(contrasts), 1.0)
    alone = -error * stdtrit(dof, (1 - LEVEL) / 2)
    together = -error * stdtrit(dof, ndtr(-_multiple(roots, error, among)))
    return Interval(
        estimate, estimate - alone, estimate + alone, estimate - together, estimate + together
    )


def _root(covariance: Array) -> Array:
    """Root R of a covariance R R', shape (p, p)."""
    values, directions = np.linalg.eigh(covariance)
    return np.asarray(directions * np.sqrt(np.maximum(values, 0.0)))


def _multiple(roots: Array, error: Array, among: NDArray[np.bool_]) -> float:
    """Quantile of the largest of correlated standard normal deviates (sup-t).

    ``roots`` of shape (g, p) turn independent deviates into the errors of g values.
    """
    uncertain = among & (error > 0)
    least = float(ndtri((1 + LEVEL) / 2))
    if not uncertain.any():
        return least
    standard = (roots[uncertain] / error[uncertain, None]).astype(np.float32)
    largest = np.abs(standard @ _deviates(roots.shape[1])).max(axis=0)
    return max(float(np.quantile(largest, LEVEL)), least)


@cache
def _deviates(size: int) -> NDArray[np.float32]:
    """Independent standard normal deviates, the same in every call, shape (size, draws)."""
    return np.random.default_rng(_SEED).standard_normal((size, _N_DRAWS), dtype=np.float32)
