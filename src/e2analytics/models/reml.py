"""Penalised least squares with REML smoothing, for one data set or a thousand replicates at once.

In    Gram matrices of [fixed columns, penalised columns, outcome]; the penalty is an identity
Out   coefficients, smoothing, scale and effective degrees of freedom

Sees no rows: a Gram matrix is all that fitting needs, and Gram matrices of men add up. One
eigendecomposition (Demmler and Reinsch, Numer Math 1975;24:375) makes every smoothing parameter
cost O(p). Criterion: restricted likelihood with the scale profiled out, Wood, J R Stat Soc B
2011;73:3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from e2analytics.models.pspline import Array

# A direction of the design whose sum of squares is smaller than this share of the largest is
# rounding noise of a constant or collinear covariate: it gets no coefficient.
_COLLINEAR = 1e-10
# Smoothing is searched from where the penalty no longer matters to where only a line is left.
_SPAN = np.log(1e9)
_N_COARSE = 25
_N_NEWTON = 60


@dataclass(frozen=True)
class Decomposition:
    """Gram matrices taken apart so that smoothing acts on each direction alone.

    The leading axis r runs over data sets (replicates); p penalised and m fixed columns.

    Attributes
    ----------
    information : array of shape (r, p)
        What the data say about each direction, in units of the penalty.
    loading : array of shape (r, p)
        Outcome along each direction.
    rotation : array of shape (r, p, p)
        Directions, as columns.
    residual : array of shape (r,)
        Sum of squares that the fixed columns leave.
    dof : array of shape (r,)
        Rows less the rank of the fixed columns.
    fixed_root : array of shape (r, m, m)
        Root R of the fixed columns' (pseudo-)inverse: R R'.
    fixed_rest : array of shape (r, m, p + 1)
        R' times the cross-products of the fixed with the penalised columns and the outcome.
    fixed_rank : array of shape (r,)
    """

    information: Array
    loading: Array
    rotation: Array
    residual: Array
    dof: Array
    fixed_root: Array
    fixed_rest: Array
    fixed_rank: Array

    def smoothing(self) -> Array:
        """Smoothing parameter of each data set by REML, shape (r,)."""
        return np.exp(_minimise(self))

    def coefficients(self, smoothing: Array) -> Array:
        """Coefficients of the fixed, then of the penalised columns, shape (r, m + p)."""
        along = self.loading / (self.information + smoothing[:, None])
        penalised = np.einsum("rij,rj->ri", self.rotation, along)
        left = self.fixed_rest[:, :, -1] - np.einsum(
            "rij,rj->ri", self.fixed_rest[:, :, :-1], penalised
        )
        fixed = np.einsum("rij,rj->ri", self.fixed_root, left)
        return np.hstack([fixed, penalised])

    def scale(self, smoothing: Array) -> Array:
        """Residual variance of a row of weight one, shape (r,)."""
        edf = self.fixed_rank + self.penalised_edf(smoothing)
        n_rows = self.dof + self.fixed_rank
        return self.residual_squares(smoothing) / np.maximum(n_rows - edf, 1)

    def penalised_edf(self, smoothing: Array) -> Array:
        """Effective degrees of freedom of the penalised columns, shape (r,)."""
        shares = self.information / (self.information + smoothing[:, None])
        return np.asarray(shares.sum(axis=1))

    def residual_squares(self, smoothing: Array) -> Array:
        """Weighted sum of squared residuals, shape (r,)."""
        stiff = self.information + smoothing[:, None]
        explained = self.loading**2 * (stiff + smoothing[:, None]) / stiff**2
        return np.asarray(self.residual - explained.sum(axis=1))

    def covariance(self, smoothing: Array) -> Array:
        """Bayesian covariance of the coefficients for a scale of one, shape (r, m + p, m + p)."""
        stiff = self.information + smoothing[:, None]
        along = self.rotation / np.sqrt(stiff)[:, None, :]
        onto_fixed = -self.fixed_root @ (self.fixed_rest[:, :, :-1] @ along)
        root = np.concatenate([onto_fixed, along], axis=1)
        covariance = root @ root.swapaxes(1, 2)
        n_fixed = self.fixed_root.shape[1]
        covariance[:, :n_fixed, :n_fixed] += self.fixed_root @ self.fixed_root.swapaxes(1, 2)
        return np.asarray(covariance)


def decompose(grams: Array, n_rows: Array, n_fixed: int) -> Decomposition:
    """Project the fixed columns out of each Gram matrix and diagonalise what is left.

    Parameters
    ----------
    grams : array of shape (r, m + p + 1, m + p + 1)
        Weighted cross-products of fixed columns, penalised columns and outcome, in this order.
    n_rows : array of shape (r,)
        Rows behind each matrix.
    n_fixed : int
        m, the number of fixed (unpenalised) columns.
    """
    size = np.sqrt(np.einsum("rii->ri", grams)[:, :n_fixed])
    unit = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
    among = grams[:, :n_fixed, :n_fixed] * unit[:, :, None] * unit[:, None, :]
    values, vectors = np.linalg.eigh(among)
    kept = values > _COLLINEAR * values[:, -1:]
    inverse = np.divide(1.0, values, out=np.zeros_like(values), where=kept)
    root = unit[:, :, None] * vectors * np.sqrt(inverse)[:, None, :]
    rest = root.swapaxes(1, 2) @ grams[:, :n_fixed, n_fixed:]
    left = grams[:, n_fixed:, n_fixed:] - rest.swapaxes(1, 2) @ rest
    information, rotation = np.linalg.eigh(left[:, :-1, :-1])
    rank = kept.sum(axis=1).astype(np.float64)
    return Decomposition(
        information=np.maximum(information, 0.0),
        loading=np.einsum("rij,ri->rj", rotation, left[:, :-1, -1]),
        rotation=rotation,
        residual=np.maximum(left[:, -1, -1], np.finfo(float).eps * grams[:, -1, -1]),
        dof=np.maximum(n_rows - rank, 1.0),
        fixed_root=root,
        fixed_rest=rest,
        fixed_rank=rank,
    )


def _minimise(parts: Decomposition) -> Array:
    """Log smoothing that minimises the REML criterion: best of a coarse grid, then Newton."""
    strongest = np.log(np.maximum(parts.information.max(axis=1), np.finfo(float).tiny))
    steps = np.linspace(-_SPAN, _SPAN, _N_COARSE)
    scores = np.stack([_criterion(parts, strongest + step) for step in steps], axis=1)
    best = np.argmin(scores, axis=1)
    width = steps[1] - steps[0]
    log_smoothing = strongest + steps[best]
    low, high = log_smoothing - width, log_smoothing + width
    for _ in range(_N_NEWTON):
        slope, curvature = _derivatives(parts, log_smoothing)
        low = np.where(slope < 0, log_smoothing, low)
        high = np.where(slope < 0, high, log_smoothing)
        step = np.divide(-slope, curvature, out=np.full_like(slope, np.inf), where=curvature > 0)
        proposed = log_smoothing + step
        inside = (proposed > low) & (proposed < high)
        moved = np.where(inside, proposed, (low + high) / 2)
        if np.all(np.abs(moved - log_smoothing) < 1e-12 * (1 + np.abs(moved))):
            break
        log_smoothing = moved
    return np.asarray(log_smoothing)


def _criterion(parts: Decomposition, log_smoothing: Array) -> Array:
    """Twice the negative restricted log-likelihood, up to a constant, shape (r,)."""
    smoothing = np.exp(log_smoothing)[:, None]
    stiff = parts.information + smoothing
    roughness = _penalised_squares(parts, stiff)
    shrinkage = np.log1p(parts.information / smoothing).sum(axis=1)
    return np.asarray(parts.dof * np.log(roughness) + shrinkage)


def _derivatives(parts: Decomposition, log_smoothing: Array) -> tuple[Array, Array]:
    """First and second derivative of the criterion in log smoothing, shape (r,) each."""
    smoothing = np.exp(log_smoothing)[:, None]
    stiff = parts.information + smoothing
    squares = _penalised_squares(parts, stiff)
    explained = parts.loading**2 * smoothing / stiff**2
    first = explained.sum(axis=1) / squares
    second = (explained * (parts.information - smoothing) / stiff).sum(axis=1) / squares
    slope = parts.dof * first - (parts.information / stiff).sum(axis=1)
    curvature = parts.dof * (second - first**2) + (parts.information * smoothing / stiff**2).sum(
        axis=1
    )
    return slope, curvature


def _penalised_squares(parts: Decomposition, stiff: Array) -> Array:
    """Weighted squared residuals plus penalty; kept above zero for an outcome without noise."""
    squares = parts.residual - (parts.loading**2 / stiff).sum(axis=1)
    floor = np.finfo(float).eps * parts.residual + np.finfo(float).tiny
    return np.asarray(np.maximum(squares, floor))
