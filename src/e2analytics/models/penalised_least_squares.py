"""Penalised least squares, for one data set or a thousand replicates at once.

In    Gram matrices of [fixed columns, penalised columns, outcome]; the penalty is an identity
Out   coefficients, scale and covariances for any smoothing

Sees no rows: a Gram matrix is all that fitting needs, and Gram matrices of men add up. How much to
smooth, :mod:`e2analytics.models.smoothing_parameter` finds.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from e2analytics.models.pspline import Array
from e2analytics.models.smoothing_parameter import Spectrum

# A direction of the design whose sum of squares is smaller than this share of the largest is a
# constant or collinear covariate: it gets no coefficient. Gram matrices of replicates carry the
# rounding of single precision, an order of magnitude smaller.
_COLLINEAR = 1e-7


@dataclass(frozen=True)
class Decomposition:
    """Gram matrices decomposed so that smoothing acts on each direction alone.

    The leading axis r runs over data sets (replicates); p penalised and m fixed columns.

    Attributes
    ----------
    spectrum : Spectrum
        What the data say about each direction.
    rotation : array of shape (r, p, p)
        Directions, as columns.
    fixed_root : array of shape (r, m, m)
        Root R of the fixed columns' (pseudo-)inverse: R R'.
    fixed_rest : array of shape (r, m, p + 1)
        R' times the cross-products of the fixed with the penalised columns and the outcome.
    fixed_rank : array of shape (r,)
    """

    spectrum: Spectrum
    rotation: Array
    fixed_root: Array
    fixed_rest: Array
    fixed_rank: Array

    def coefficients(self, smoothing: Array) -> Array:
        """Coefficients of the fixed, then of the penalised columns, shape (r, m + p)."""
        along = self.spectrum.loading / (self.spectrum.information + smoothing[:, None])
        penalised = np.einsum("rij,rj->ri", self.rotation, along)
        left = self.fixed_rest[:, :, -1] - np.einsum(
            "rij,rj->ri", self.fixed_rest[:, :, :-1], penalised
        )
        fixed = np.einsum("rij,rj->ri", self.fixed_root, left)
        return np.hstack([fixed, penalised])

    def scale(self, smoothing: Array) -> Array:
        """Residual variance of a row of weight one, shape (r,)."""
        if self.spectrum.known_scale is not None:
            return np.full(len(smoothing), self.spectrum.known_scale)
        left = np.maximum(self.spectrum.dof - self.spectrum.edf(smoothing), 1)
        return self.spectrum.residual_squares(smoothing) / left

    def covariance(self, smoothing: Array) -> Array:
        """Bayesian covariance of the coefficients for a scale of one, shape (r, m + p, m + p)."""
        stiff = self.spectrum.information + smoothing[:, None]
        return self._covariance(1 / np.sqrt(stiff))

    def sampling_covariance(self, smoothing: Array) -> Array:
        """Frequentist covariance for a scale of one, which knows no bias; (r, m + p, m + p)."""
        stiff = self.spectrum.information + smoothing[:, None]
        return self._covariance(np.sqrt(self.spectrum.information) / stiff)

    def _covariance(self, error: Array) -> Array:
        """Covariance of the coefficients from the standard error along each direction."""
        along = self.rotation * error[:, None, :]
        onto_fixed = -self.fixed_root @ (self.fixed_rest[:, :, :-1] @ along)
        root = np.concatenate([onto_fixed, along], axis=1)
        covariance = root @ root.swapaxes(1, 2)
        n_fixed = self.fixed_root.shape[1]
        covariance[:, :n_fixed, :n_fixed] += self.fixed_root @ self.fixed_root.swapaxes(1, 2)
        return np.asarray(covariance)


def decompose(
    grams: Array, n_rows: Array, n_fixed: int, known_scale: float | None = None
) -> Decomposition:
    """Project the fixed columns out of each Gram matrix and diagonalise what is left.

    Parameters
    ----------
    grams : array of shape (r, m + p + 1, m + p + 1)
        Weighted cross-products of fixed columns, penalised columns and outcome, in this order.
    n_rows : array of shape (r,)
        Rows behind each matrix.
    n_fixed : int
        m, the number of fixed (unpenalised) columns.
    known_scale : float, optional
        Residual variance of a row of weight one, where it is not estimated.
    """
    size = np.sqrt(np.einsum("rii->ri", grams)[:, :n_fixed])
    unit = np.divide(1.0, size, out=np.zeros_like(size), where=size > 0)
    among = grams[:, :n_fixed, :n_fixed] * unit[:, :, None] * unit[:, None, :]
    root, rank = _inverse_roots(among)
    root = unit[:, :, None] * root
    rest = root.swapaxes(1, 2) @ grams[:, :n_fixed, n_fixed:]
    left = grams[:, n_fixed:, n_fixed:] - rest.swapaxes(1, 2) @ rest
    information, rotation = np.linalg.eigh(left[:, :-1, :-1])
    return Decomposition(
        spectrum=Spectrum(
            information=np.maximum(information, 0.0),
            loading=np.einsum("rij,ri->rj", rotation, left[:, :-1, -1]),
            residual=np.maximum(left[:, -1, -1], np.finfo(float).eps * grams[:, -1, -1]),
            dof=np.maximum(n_rows - rank, 1.0),
            known_scale=known_scale,
        ),
        rotation=rotation,
        fixed_root=root,
        fixed_rest=rest,
        fixed_rank=rank,
    )


def _inverse_roots(correlations: Array) -> tuple[Array, Array]:
    """Root R of each (pseudo-)inverse R R', shape (r, m, m), and each rank, shape (r,)."""
    size = correlations.shape[1]
    # A triangle is found four times as fast as directions are; only where a matrix may be collinear
    # are these needed. Its largest eigenvalue is at most its size, and that of the inverse at most
    # the trace, the sum of the root's squares.
    with suppress(np.linalg.LinAlgError):
        roots = np.linalg.inv(np.linalg.cholesky(correlations)).swapaxes(1, 2)
        squares = (roots**2).sum(axis=(1, 2))
        if np.all(size * squares < 1 / _COLLINEAR):
            return roots, np.full(len(roots), float(size))
    values, vectors = np.linalg.eigh(correlations)
    kept = values > _COLLINEAR * values[:, -1:]
    inverse = np.divide(1.0, values, out=np.zeros_like(values), where=kept)
    return vectors * np.sqrt(inverse)[:, None, :], kept.sum(axis=1).astype(np.float64)
