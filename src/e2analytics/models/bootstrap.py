"""The patient-cluster bootstrap as one product of draws and Gram matrices.

In    Gram matrices of clusters (men, or groups of men)
Out   Gram matrices of resampled cohorts, in the order of a seed

Men are resampled, never rows: a man's intervals share him. Deterministic for a seed, whatever the
number of processors.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import factorial

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.gram_matrices import ClusterGrams
from e2analytics.models.pspline import Array

_BLOCK = 250
"""Replicates that are drawn and fitted together: few enough to stay in the processor's cache."""


@dataclass(frozen=True)
class Bootstrap:
    """Resampled cohorts of one set of clusters.

    Attributes
    ----------
    grams : ClusterGrams
    n_replicates, seed : int
    """

    grams: ClusterGrams
    n_replicates: int
    seed: int

    def blocks(self) -> list[np.random.SeedSequence]:
        """One seed for each block of replicates."""
        return np.random.SeedSequence(self.seed).spawn(-(-self.n_replicates // _BLOCK))

    def resampled(self, block: np.random.SeedSequence) -> tuple[Array, Array]:
        """Gram matrices and row counts of a block of cohorts, shapes (b, q, q) and (b,).

        How often a man is drawn is Poisson with mean one, independently of the others: a
        bootstrap whose cohorts differ slightly in size, which a fit does not notice, and four
        times faster to draw than with the size held fixed.
        """
        size = min(_BLOCK, self.n_replicates - _BLOCK * block.spawn_key[-1])
        draws = np.random.default_rng(block).integers(
            0, 2**16, size=(size, len(self._statistics)), dtype=np.uint16
        )
        # Only the difference from the cohort itself is summed in single precision: it is small,
        # and what it says is uncertain by far more than rounding.
        sums = self._whole + _TIMES_MORE_THAN_ONCE[draws] @ self._statistics
        return self.grams.square(sums[:, :-1]), sums[:, -1]

    @cached_property
    def _statistics(self) -> NDArray[np.float32]:
        return np.column_stack([self.grams.upper, self.grams.n_rows]).astype(np.float32)

    @cached_property
    def _whole(self) -> Array:
        return np.append(self.grams.upper.sum(axis=0), self.grams.n_rows.sum())


def _poisson_quantiles() -> NDArray[np.float32]:
    """Poisson (mean one) quantile of each of 2**16 evenly spaced probabilities."""
    mass = np.array([np.exp(-1.0) / factorial(count) for count in range(12)])
    probability = (np.arange(2**16) + 0.5) / 2**16
    return np.searchsorted(np.cumsum(mass), probability).astype(np.float32)


_TIMES_MORE_THAN_ONCE = _poisson_quantiles() - 1
