"""The influence of each man on the curve: the cluster sandwich, corrected for few men.

In    Gram matrices of clusters, the coefficients and their covariance for a scale of one
Out   ``Influence``: what each cluster adds to the error of any contrast of the coefficients

A man's own rows draw the curve towards them, so that his residuals are too small; each is enlarged
by his leverage, as leaving him out would do. The degrees of freedom of a contrast say how many men
it rests on. Sources: Bell and McCaffrey, Surv Methodol 2002;28:169; Pustejovsky and Tipton, J Bus
Econ Stat 2018;36:672.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.gram_matrices import ClusterGrams
from e2analytics.models.pspline import Array

# The series 1 + H + H^2 of a man's leverage stands for 1 / (1 - H): right to 1 % up to 0.2.
_N_TERMS = 2
# Whose square matrices fit the processor's cache.
_BLOCK_CLUSTERS = 128


@dataclass(frozen=True)
class Influence:
    """What each of n clusters adds to the errors of coefficients.

    Attributes
    ----------
    of_coefficients : array of shape (n, p)
        Their cross-product is the covariance of the coefficients.
    upper : array of shape (n, p (p + 1) / 2), single precision
        Upper triangle of each cluster's Gram matrix, without the outcome. It says how many
        clusters count, which needs no seven digits.
    bread : array of shape (p, p)
    """

    of_coefficients: Array
    upper: NDArray[np.float32]
    bread: Array

    @cached_property
    def covariance(self) -> Array:
        """Covariance of the coefficients, shape (p, p)."""
        return np.asarray(self.of_coefficients.T @ self.of_coefficients)

    def dof(self, contrasts: Array) -> Array:
        """Effective number of clusters behind the error of each contrast, (g, p) -> (g,)."""
        along = contrasts @ self.bread
        rows, columns = np.triu_indices(along.shape[1])
        twice = np.where(rows == columns, 1.0, 2.0)
        of_each = (twice * along[:, rows] * along[:, columns]).T
        # Scaled, as a square of a small share has no place in single precision.
        largest = np.abs(of_each).max(axis=0)
        share = self.upper @ (of_each / np.where(largest > 0, largest, 1.0)).astype(np.float32)
        squares = (share**2).sum(axis=0, dtype=np.float64)
        total: Array = share.sum(axis=0, dtype=np.float64) ** 2
        # A contrast that nothing informs (of a point with itself) has no error to be unsure of.
        effective: Array = np.divide(
            total, squares, out=np.full_like(total, np.inf), where=squares > 0
        )
        return effective


def influence(grams: ClusterGrams, coefficients: Array, bread: Array) -> Influence:
    """Compute what each cluster adds to the errors of the coefficients.

    Parameters
    ----------
    grams : ClusterGrams
    coefficients : array of shape (p,)
    bread : array of shape (p, p)
        Covariance of the coefficients for a scale of one, penalty included.
    """

    def enlarged(block: slice) -> Array:
        square = grams.square(grams.upper[block])
        designs, with_outcome = square[:, :-1, :-1], square[:, :-1, -1]
        scores = larger = with_outcome - designs @ coefficients
        for _ in range(_N_TERMS):
            larger = scores + (designs @ (larger @ bread)[:, :, None])[:, :, 0]
        return np.asarray(larger)

    n = len(grams.upper)
    blocks = [slice(start, start + _BLOCK_CLUSTERS) for start in range(0, n, _BLOCK_CLUSTERS)]
    of_designs = np.flatnonzero(np.triu_indices(grams.n_columns)[1] < grams.n_columns - 1)
    return Influence(
        of_coefficients=np.sqrt((n - 1) / n)
        * np.concatenate([enlarged(block) for block in blocks])
        @ bread,
        upper=np.take(grams.upper, of_designs, axis=1, mode="clip").astype(np.float32),
        bread=bread,
    )
