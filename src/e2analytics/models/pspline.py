"""The penalised cubic spline in log E2: its basis, evaluated at a point or averaged over doubt.

In    log E2, known exactly or as a normal posterior per dose episode
Out   rows of a B-spline basis with evenly spaced knots and a second-order difference penalty

Does not fit anything; ``reml`` does. Source: Eilers and Marx, Stat Sci 1996;11:89 (P-splines);
Carroll et al., Measurement Error in Nonlinear Models, 2006 (regression calibration).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Exact for polynomials of degree 17. A cubic spline is none, but the posterior of log E2 is
# seldom wider than one knot interval, and there nine nodes are right to three digits.
_NODES, _NODE_WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_NODE_SHARES = _NODE_WEIGHTS / _NODE_WEIGHTS.sum()


@dataclass(frozen=True)
class Basis:
    """Cubic B-splines with evenly spaced knots on ``[lower, upper]`` of log E2.

    The splines sum to one everywhere, so the constant is among them. A curve is constant
    beyond the ends.

    Parameters
    ----------
    lower, upper : float
        Ends of the range, log pg/mL; ``lower < upper``.
    n_basis : int
        Number of splines, at least 5.
    """

    lower: float
    upper: float
    n_basis: int = 12

    def __post_init__(self) -> None:
        if not self.lower < self.upper:
            raise ValueError("a basis needs a range: lower must be less than upper")
        if self.n_basis < 5:
            raise ValueError("a penalised cubic spline needs at least 5 basis functions")

    @property
    def spacing(self) -> float:
        """Distance of neighbouring knots, log units."""
        return (self.upper - self.lower) / (self.n_basis - 3)

    @property
    def knots(self) -> Array:
        """All knots, three of them beyond each end, shape (n_basis + 4,)."""
        return self.lower + self.spacing * np.arange(-3.0, self.n_basis + 1)

    @property
    def penalty(self) -> Array:
        """Sum of squared second differences of the coefficients, as a (k, k) matrix."""
        differences = np.diff(np.eye(self.n_basis), n=2, axis=0)
        return differences.T @ differences

    def evaluate(self, log_e2: Array) -> Array:
        """Evaluate the splines at ``log_e2`` of shape (n,), moved to the nearest end if outside.

        Returns
        -------
        array of shape (n, k)
        """
        position = (np.clip(log_e2, self.lower, self.upper) - self.lower) / self.spacing
        cell = np.minimum(position.astype(np.intp), self.n_basis - 4)
        t = position - cell
        pieces = np.stack(
            [
                (1 - t) ** 3,
                3 * t**3 - 6 * t**2 + 4,
                -3 * t**3 + 3 * t**2 + 3 * t + 1,
                t**3,
            ],
            axis=1,
        )
        rows = np.zeros((len(t), self.n_basis))
        np.put_along_axis(rows, cell[:, None] + np.arange(4), pieces / 6, axis=1)
        return rows

    def averaged(self, mean: Array, sd: Array, weight: Array) -> Array:
        """Average the splines over the episodes of an interval and the doubt about E2 in each.

        This is regression calibration of a spline: the expected outcome of an interval is the
        curve averaged over what E2 may have been, not the curve at the mean of E2.

        Parameters
        ----------
        mean, sd : array of shape (n, s)
            Normal posterior of log E2 in each episode, log pg/mL.
        weight : array of shape (n, s)
            Share of the interval's time; rows sum to one. An episode of weight 0 is absent, and
            its mean and sd do not matter.

        Returns
        -------
        array of shape (n, k)
        """
        present = weight > 0
        mean, sd = np.where(present, mean, self.lower), np.where(present, sd, 0.0)
        if not np.any(sd):
            steps = zip(np.zeros(1), np.ones(1), strict=True)
        else:
            steps = zip(_NODES, _NODE_SHARES, strict=True)
        rows = np.zeros((len(mean), self.n_basis))
        for node, share in steps:
            for episode in range(mean.shape[1]):
                level = mean[:, episode] + node * sd[:, episode]
                rows += share * weight[:, episode, None] * self.evaluate(level)
        return rows

    @cached_property
    def to_mixed(self) -> Array:
        """Change of coordinates that makes the penalty an identity, shape (k, k).

        The first two columns span what is not penalised (a constant and a straight line); the
        others are scaled so that the penalty is the sum of their squared coefficients. In these
        coordinates the spline is a mixed model with one variance, and a replicate that leaves a
        spline without data is no special case.
        """
        roughness, directions = np.linalg.eigh(self.penalty)
        line = np.arange(self.n_basis) - (self.n_basis - 1) / 2
        straight = np.stack([np.ones(self.n_basis), line / np.abs(line).max()], axis=1)
        return np.hstack([straight, directions[:, 2:] / np.sqrt(roughness[2:])])
