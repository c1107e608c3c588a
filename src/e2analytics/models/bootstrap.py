"""The patient-cluster bootstrap as one product of weights and Gram matrices.

In    rows of a design with their weights, and which man each row belongs to
Out   Gram matrices of resampled cohorts, in the order of a seed

Men are resampled, never rows: a man's intervals share him. Deterministic for a seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.pspline import Array

MAX_CLUSTERS = 100_000
"""Beyond this many men, neighbours in the order of codes are resampled together."""

_BLOCK_BYTES = 256 * 2**20


@dataclass(frozen=True)
class ClusterGrams:
    """Additive statistics of each cluster: what its rows add to the fit.

    Attributes
    ----------
    upper : array of shape (clusters, q (q + 1) / 2)
        Upper triangle of each cluster's weighted Gram matrix.
    n_rows : array of shape (clusters,)
    n_columns : int
        q
    """

    upper: Array
    n_rows: Array
    n_columns: int

    def whole(self) -> tuple[Array, Array]:
        """Gram matrix and number of rows of all clusters, shapes (1, q, q) and (1,)."""
        return self._square(self.upper.sum(axis=0)[None]), self.n_rows.sum()[None]

    def resampled(self, n_replicates: int, seed: int) -> tuple[Array, Array]:
        """Gram matrices and row counts of resampled cohorts, shapes (r, q, q) and (r,).

        How often a man is drawn is Poisson with mean one, independently of the others: a
        bootstrap whose cohorts differ slightly in size, which a fit does not notice, and four
        times faster to draw than with the size held fixed.
        """
        rng = np.random.default_rng(seed)
        statistics = np.column_stack([self.upper, self.n_rows])
        n_at_once = max(1, _BLOCK_BYTES // (8 * len(statistics)))
        sums = np.empty((n_replicates, statistics.shape[1]))
        for start in range(0, n_replicates, n_at_once):
            block = sums[start : start + n_at_once]
            draws = rng.integers(0, 2**16, size=(len(block), len(statistics)), dtype=np.uint16)
            np.matmul(_TIMES_DRAWN[draws], statistics, out=block)
        return self._square(sums[:, :-1]), sums[:, -1]

    def _square(self, upper: Array) -> Array:
        rows, columns = np.triu_indices(self.n_columns)
        grams = np.empty((len(upper), self.n_columns, self.n_columns))
        grams[:, rows, columns] = upper
        grams[:, columns, rows] = upper
        return grams


def cluster_grams(rows: Array, weight: Array, patient: NDArray[np.int64]) -> ClusterGrams:
    """Sum each man's weighted cross-products.

    Parameters
    ----------
    rows : array of shape (n, q)
        Design columns and outcome.
    weight : array of shape (n,)
    patient : integer array of shape (n,)
        Any codes; equal codes are one man.
    """
    cluster = _clusters(patient)
    order = np.argsort(cluster, kind="stable")
    sizes = np.bincount(cluster)
    starts = np.cumsum(sizes) - sizes
    weighted = (rows * np.sqrt(weight)[:, None])[order]
    q = rows.shape[1]
    triangle = np.triu_indices(q)
    upper = np.empty((len(sizes), len(triangle[0])))
    # Men with the same number of rows are one stack of equal matrices: one batched product.
    for size in np.unique(sizes):
        alike = np.flatnonzero(sizes == size)
        stack = weighted[starts[alike, None] + np.arange(size)]
        upper[alike] = (stack.swapaxes(1, 2) @ stack)[:, triangle[0], triangle[1]]
    return ClusterGrams(upper, sizes.astype(np.float64), q)


def _clusters(patient: NDArray[np.int64]) -> NDArray[np.int64]:
    _, code = np.unique(patient, return_inverse=True)
    n_men = int(code.max()) + 1
    return np.asarray(code // -(-n_men // MAX_CLUSTERS), dtype=np.int64)


def _poisson_quantiles() -> Array:
    """Poisson (mean one) quantile of each of 2**16 evenly spaced probabilities."""
    mass = np.array([np.exp(-1.0) / factorial(count) for count in range(12)])
    probability = (np.arange(2**16) + 0.5) / 2**16
    return np.searchsorted(np.cumsum(mass), probability).astype(np.float64)


_TIMES_DRAWN = _poisson_quantiles()
