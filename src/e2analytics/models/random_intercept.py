"""Random intercept: the usual value of a man from a few measurements of a quantity that varies.

In    mean, number and sum of squares of each man's measurements
Out   ``RandomIntercept``, which predicts usual values with their variance
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RandomIntercept:
    """How the usual values of men differ, and how a measured value swings around a man's own.

    Attributes
    ----------
    mean, variance_between, variance_within : float
        Over men, and of one measurement.
    """

    mean: float
    variance_between: float
    variance_within: float

    def predict(self, mean: Vector, count: Vector) -> tuple[Vector, Vector]:
        """Return the usual value and its variance of men with a mean of ``count`` measurements, (n,).

        Shrunk towards all men by what is not known; ``count`` 0 gives their mean.
        """
        weight = count * self.variance_between + self.variance_within
        share = np.divide(
            count * self.variance_between, weight, out=np.zeros_like(mean), where=weight > 0
        )
        measured = np.where(count > 0, mean, self.mean)
        return self.mean + share * (measured - self.mean), (1 - share) * self.variance_between


def fit(mean: Vector, count: Vector, squares: Vector) -> RandomIntercept:
    """Estimate by the analysis of variance of n men.

    Parameters
    ----------
    mean, count, squares : ndarray, shape (n,)
        Of each man's measurements: mean, number, sum of squares around that mean. Without one: 0.

    >>> fit(np.array([1.0, 3.0]), np.array([2.0, 2.0]), np.array([0.0, 0.0]))
    RandomIntercept(mean=2.0, variance_between=2.0, variance_within=0.0)
    """
    drawn = count > 0
    if not drawn.any():
        return RandomIntercept(0.0, 0.0, 0.0)
    mean, count, squares = mean[drawn], count[drawn], squares[drawn]
    n, m = len(count), float(count.sum())
    within = float(squares.sum() / (m - n)) if m > n else 0.0
    if n == 1:
        return RandomIntercept(float(mean[0]), 0.0, within)
    between = float(count @ (mean - count @ mean / m) ** 2) / (n - 1)
    per_man = (m - float(count @ count) / m) / (n - 1)
    return RandomIntercept(float(mean.mean()), max((between - within) / per_man, 0.0), within)
