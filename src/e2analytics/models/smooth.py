"""From rows to curves: the estimate and its patient-cluster replicates on a grid of E2.

In    rows of an averaged basis, covariates, outcome, weights, men
Out   the curve and its replicates

Does not judge anything. Each replicate has its own REML smoothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e2analytics.models import bootstrap
from e2analytics.models.pspline import Array, Basis
from e2analytics.models.reml import Decomposition, decompose

# Unpenalised columns of the spline: a constant and a straight line.
_N_STRAIGHT = 2
# Share of REML's smoothing that is used. REML aims at the curve with the least error, much of it
# bias: at a bend its 95 % intervals cover half the time, and the lower limit is shifted. Less
# smoothing trades that bias for variance, which intervals do show. In simulated cohorts of 800 and
# 4,000 men with a threshold, coverage averaged over eleven E2 from 10 to 55 pg/mL, of the whole
# curve by the band, and of the lower limit: 87, 79-84 and 87-95 % with REML's own smoothing;
# 94-95, 96-97 and 95-98 % with a tenth. The root mean square error hardly differs (0.20 and 0.11
# against 0.19 and 0.12 %/year). At the kink itself, which no smooth curve has, it is 78-90 %.
_UNDERSMOOTHING = 0.1


@dataclass(frozen=True)
class Rows:
    """Rows ready to fit.

    Attributes
    ----------
    basis : Basis
    columns : array of shape (n, k + c + 1)
        ``design`` and, last, the outcome less ``level``.
    n_fixed : int
        Unpenalised columns, which come first.
    level : float
        Mean of the outcome.
    """

    basis: Basis
    columns: Array
    n_fixed: int
    level: float


@dataclass(frozen=True)
class Point:
    """The fit to all men.

    Attributes
    ----------
    coefficients : array of shape (k + c,)
        Of the columns of ``design``, for the outcome less its level.
    edf : float
        Effective degrees of freedom of the curve; a straight line has 1.
    smoothing : float
        A tenth of REML's smoothing parameter.
    scale : float
        Residual variance of a row of weight one.
    """

    coefficients: Array
    edf: float
    smoothing: float
    scale: float


@dataclass(frozen=True)
class Smooth:
    """Curves on g grid points, covariates at their means; R replicates.

    Attributes
    ----------
    point : Point
    estimate : array of shape (g,)
    replicates : array of shape (R, g)
    """

    point: Point
    estimate: Array
    replicates: Array


def arrange(basis: Basis, basis_rows: Array, covariates: Array, outcome: Array) -> Rows:
    """Put rows in the order that ``reml`` expects.

    Parameters
    ----------
    basis : Basis
    basis_rows : array of shape (n, k)
        Its splines, evaluated or averaged.
    covariates : array of shape (n, c)
    outcome : array of shape (n,)
    """
    level = float(outcome.mean())
    centred = covariates - covariates.mean(axis=0)
    columns = np.column_stack([design(basis, basis_rows, centred), outcome - level])
    return Rows(basis, columns, _N_STRAIGHT + covariates.shape[1], level)


def design(basis: Basis, basis_rows: Array, covariates: Array) -> Array:
    """Columns of the model, shape (n, k + c): straight part, covariates, penalised part."""
    mixed = basis_rows @ basis.to_mixed
    return np.hstack([mixed[:, :_N_STRAIGHT], covariates, mixed[:, _N_STRAIGHT:]])


def fit_once(rows: Rows, weight: Array) -> Point:
    """Fit the curve to rows with weights of shape (n,)."""
    gram = (rows.columns * weight[:, None]).T @ rows.columns
    return _point(decompose(gram[None], np.array([float(len(weight))]), rows.n_fixed))


def fit(
    rows: Rows,
    weight: Array,
    patient: NDArray[np.int64],
    grid: Array,
    n_replicates: int,
    seed: int,
) -> Smooth:
    """Fit the curve to all men and to ``n_replicates`` resampled cohorts.

    Parameters
    ----------
    rows : Rows
    weight : array of shape (n,)
    patient : integer array of shape (n,)
    grid : array of shape (g,)
        Log pg/mL.
    n_replicates, seed : int
    """
    no_covariates = np.zeros((len(grid), rows.n_fixed - _N_STRAIGHT))
    at_grid = design(rows.basis, rows.basis.evaluate(grid), no_covariates)
    grams = bootstrap.cluster_grams(rows.columns, weight, patient)
    point = _point(decompose(*grams.whole(), rows.n_fixed))
    resampled = decompose(*grams.resampled(n_replicates, seed), rows.n_fixed)
    coefficients = resampled.coefficients(_UNDERSMOOTHING * resampled.smoothing())
    return Smooth(
        point=point,
        estimate=rows.level + at_grid @ point.coefficients,
        replicates=rows.level + coefficients @ at_grid.T,
    )


def _point(parts: Decomposition) -> Point:
    smoothing = _UNDERSMOOTHING * parts.smoothing()
    return Point(
        coefficients=parts.coefficients(smoothing)[0],
        edf=float(1 + parts.penalised_edf(smoothing)[0]),
        smoothing=float(smoothing[0]),
        scale=float(parts.scale(smoothing)[0]),
    )
