"""From Gram matrices to the curve: its coefficients, how each man moves them, and replicates.

In    Gram matrices of clusters of men
Out   ``Smooth``: coefficients, the influence of each cluster at them, bootstrap replicates

Does not judge anything. Each replicate has its own REML smoothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from e2analytics.models import sandwich
from e2analytics.models.bootstrap import Bootstrap
from e2analytics.models.gram_matrices import ClusterGrams
from e2analytics.models.penalised_least_squares import Decomposition, decompose
from e2analytics.models.plan import N_STRAIGHT
from e2analytics.models.pspline import Array, Basis
from e2analytics.models.sandwich import Influence
from e2analytics.models.threads import side_by_side

# The curve is smoothed so much less than REML would that its sampling variance grows by this factor:
# its standard error doubles. REML aims at the curve with the least error, much of it bias, which no
# interval shows. In simulated cohorts with a threshold (80 of each size) the band held the truth in 79
# of 100 at a factor of 2, in 88 at 2.65 and in 95 at 4 (4,000 men); in 93 at 4 (1,000 men). At the kink
# itself, which no smooth curve follows, a point's interval holds in 78. A share of REML's smoothing is no
# such rule: where E2 is in doubt, each further degree of freedom costs far more variance.
_VARIANCE_FACTOR = 4.0
# The curve keeps so many degrees of freedom, so that a straight line is found and never assumed:
# REML often says "line" where there are few men, and a line has no bend and no plateau.
_LEAST_EDF = 6.0
_ROWS_PER_EDF = 10
_N_POINTS = 200


@dataclass(frozen=True)
class Point:
    """The fit to all men.

    Attributes
    ----------
    coefficients : array of shape (q - 1,)
        Of the columns of ``plan.design``, for the outcome less its mean.
    edf : float
        Effective degrees of freedom of the curve; a straight line has 1.
    smoothing : float
        The smoothing parameter that is used.
    scale : float
        Residual variance of a row of weight one.
    """

    coefficients: Array
    edf: float
    smoothing: float
    scale: float


@dataclass(frozen=True)
class Smooth:
    """The fit to all men and to R resampled cohorts.

    Attributes
    ----------
    point : Point
    influence : Influence
        How each cluster of men moves the coefficients.
    replicates : array of shape (R, q - 1)
        Coefficients of each resampled cohort.
    """

    point: Point
    influence: Influence
    replicates: Array


def fit_point(gram: Array, n_rows: Array, n_fixed: int) -> Point:
    """Fit the curve to one Gram matrix, shape (1, q, q), of ``n_rows`` rows, shape (1,)."""
    return _point(decompose(gram, n_rows, n_fixed))


def undersmoothed(parts: Decomposition, reml: Array) -> Array:
    """Smoothing parameter that is used where REML's is known, shape (r,)."""
    spectrum = parts.spectrum
    amplitude = _amplitude(parts.rotation)
    smoothing = spectrum.at_variance(
        _VARIANCE_FACTOR * spectrum.variance(reml, amplitude), amplitude, reml
    )
    least = min(_LEAST_EDF, spectrum.dof.min() / _ROWS_PER_EDF) - 1
    stiff = np.flatnonzero(spectrum.edf(smoothing) < least)
    if len(stiff):
        smoothing[stiff] = spectrum.some(stiff).at_edf(least)
    return smoothing


def _amplitude(rotation: Array) -> Array:
    """Mean square over E2 of the curve that each direction draws, (r, p, p) -> (r, p)."""
    return np.asarray((rotation * (_mean_products(rotation.shape[1]) @ rotation)).sum(axis=1))


@cache
def _mean_products(n_penalised: int) -> Array:
    """Mean over the range of E2 of products of the penalised columns, shape (p, p)."""
    basis = Basis(0.0, 1.0, n_penalised + N_STRAIGHT)
    columns = basis.evaluate(np.linspace(0, 1, _N_POINTS)) @ basis.to_mixed[:, N_STRAIGHT:]
    return np.asarray(columns.T @ columns / _N_POINTS)


def fit(
    grams: ClusterGrams,
    n_fixed: int,
    n_replicates: int,
    seed: int,
    known: Point | None = None,
) -> Smooth:
    """Fit the curve to all men and to ``n_replicates`` resampled cohorts.

    Parameters
    ----------
    grams : ClusterGrams
    n_fixed : int
        Unpenalised columns, which come first.
    n_replicates, seed : int
    known : Point, optional
        The fit to all men, where it was found elsewhere; its scale holds for replicates too.
    """
    parts = decompose(*grams.whole(), n_fixed, None if known is None else known.scale)
    point = known or _point(parts)
    bread = parts.covariance(np.array([point.smoothing]))[0]
    return Smooth(
        point=point,
        influence=sandwich.influence(grams, point.coefficients, bread),
        replicates=_replicates(grams, parts, n_replicates, seed),
    )


def _point(parts: Decomposition) -> Point:
    smoothing = undersmoothed(parts, parts.spectrum.reml())
    return Point(
        coefficients=parts.coefficients(smoothing)[0],
        edf=float(1 + parts.spectrum.edf(smoothing)[0]),
        smoothing=float(smoothing[0]),
        scale=float(parts.scale(smoothing)[0]),
    )


def _replicates(grams: ClusterGrams, parts: Decomposition, n_replicates: int, seed: int) -> Array:
    """Coefficients of resampled cohorts, shape (R, q - 1), in an order that the seed decides."""
    # In coordinates where the whole cohort's fixed columns are orthonormal, a collinear covariate
    # has a column of zeros, and rounding cannot make it look like information.
    turn = parts.fixed_root[0]
    n_fixed = len(turn)
    drawn = Bootstrap(grams, n_replicates, seed)

    def fitted(block: np.random.SeedSequence) -> Array:
        resampled, n_rows = drawn.resampled(block)
        resampled[:, :n_fixed] = turn.T @ resampled[:, :n_fixed]
        resampled[:, :, :n_fixed] = resampled[:, :, :n_fixed] @ turn
        each = decompose(resampled, n_rows, n_fixed, parts.spectrum.known_scale)
        coefficients = each.coefficients(undersmoothed(each, each.spectrum.reml()))
        coefficients[:, :n_fixed] = coefficients[:, :n_fixed] @ turn.T
        return coefficients

    return np.concatenate(side_by_side(fitted, drawn.blocks()))
