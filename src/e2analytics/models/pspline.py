"""The penalised cubic spline in log E2: its basis, evaluated at a point or averaged over a posterior.

In    log E2, known exactly or as a normal posterior per dose episode
Out   rows of a B-spline basis with evenly spaced knots and a second-order difference penalty

Does not fit anything; ``penalised_least_squares`` does. Source: Eilers and Marx, Stat Sci 1996;11:89 (P-splines);
Carroll et al., Measurement Error in Nonlinear Models, 2006 (regression calibration).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]


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
    n_basis: int = 20

    def __post_init__(self) -> None:
        if not self.lower < self.upper:
            raise ValueError("a basis needs a range: lower must be less than upper")
        if self.n_basis < 5:
            raise ValueError("a penalised cubic spline needs at least 5 basis functions")

    @property
    def n_intervals(self) -> int:
        """Knot intervals between the ends."""
        return self.n_basis - 3

    @property
    def spacing(self) -> float:
        """Distance of neighbouring knots, log units."""
        return (self.upper - self.lower) / self.n_intervals

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
        return self._scattered(*self.pieces(log_e2))

    def pieces(self, log_e2: Array) -> tuple[NDArray[np.intp], tuple[Array, ...]]:
        """Knot interval of each level, and the four splines that are not zero in it.

        The first of them is the spline with the number of the interval; shape (n,) each.
        """
        cell, t = self._position(log_e2)
        square, rest = t * t, 1 - t
        first, last = rest * rest * rest / 6, square * t / 6
        second = 2 / 3 + (3 * last - square)
        # The four sum to one: the third is what the others leave.
        return cell, (first, second, 1 - first - second - last, last)

    def slopes(self, log_e2: Array) -> Array:
        """Differentiate the splines in log E2, shape (n, k); outside, as at the nearest end."""
        cell, t = self._position(log_e2)
        pieces = (-((1 - t) ** 2), 3 * t**2 - 4 * t, -3 * t**2 + 2 * t + 1, t**2)
        return self._scattered(cell, tuple(piece / (2 * self.spacing) for piece in pieces))

    def averaged(self, mean: Array, sd: Array, weight: Array) -> Array:
        """Average the splines over the episodes of an interval and the uncertainty of E2 in each.

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
        if are_points(mean, sd, weight):
            return self.evaluate(mean[:, 0])
        rows = np.zeros((len(mean), self.n_basis))
        for episode in range(mean.shape[1]):
            level, doubt, share = mean[:, episode], sd[:, episode], weight[:, episode]
            known, doubtful = (share > 0) & ~(doubt > 0), (share > 0) & (doubt > 0)
            rows[known] += share[known, None] * self.evaluate(level[known])
            expected = self._expected(level[doubtful], doubt[doubtful])
            rows[doubtful] += share[doubtful, None] * expected
        return rows

    def _expected(self, mean: Array, sd: Array) -> Array:
        """Average the splines over normal posteriors, exactly; shape (n, k).

        A spline is a fourth difference of cubes (x - knot)+^3, and a cube's mean under a normal
        is known. What lies beyond an end counts as the end.
        """
        inside = self.knots[3 : self.n_basis + 1]
        ones, squares, cubes = _positive_moments(mean[:, None] - inside, sd[:, None])
        first, second, third = ones[:, -1:], squares[:, -1:], cubes[:, -1:]
        room = self.upper - inside
        clipped = cubes - third - 3 * room * second - 3 * room**2 * first
        width = self.upper - self.lower
        reach = (
            ones[:, :1] - first,
            squares[:, :1] - second - 2 * width * first,
            clipped[:, :1],
        )
        below = self.lower - self.knots[:3]
        before = below**3 + 3 * below**2 * reach[0] + 3 * below * reach[1] + reach[2]
        cubed = np.hstack([before, clipped, np.zeros((len(mean), 3))])
        return np.diff(cubed, n=4, axis=1) / (6 * self.spacing**3)

    def _position(self, log_e2: Array) -> tuple[NDArray[np.intp], Array]:
        """Knot interval of each level, and how far into it the level lies, from 0 to 1."""
        position = (np.clip(log_e2, self.lower, self.upper) - self.lower) / self.spacing
        cell = np.minimum(position.astype(np.intp), self.n_intervals - 1)
        return cell, position - cell

    def _scattered(self, cell: NDArray[np.intp], pieces: tuple[Array, ...]) -> Array:
        """Put the four splines that are not zero in a knot interval where they belong."""
        rows = np.zeros((len(cell), self.n_basis))
        flat, first = rows.reshape(-1), np.arange(len(cell)) * self.n_basis + cell
        for after, piece in enumerate(pieces):
            flat[first + after] = piece
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


def are_points(mean: Array, sd: Array, weight: Array) -> bool:
    """Whether all intervals are one episode at a level known exactly; shape (n, s) each."""
    return mean.shape[1] == 1 and not np.any(sd) and bool(np.all(weight == 1))


def _positive_moments(above: Array, sd: Array) -> tuple[Array, Array, Array]:
    """First three moments of the positive part of a normal with mean ``above``."""
    z = above / sd
    share, density = ndtr(z), np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    return (
        sd * (z * share + density),
        sd**2 * ((z**2 + 1) * share + z * density),
        sd**3 * ((z**3 + 3 * z) * share + (z**2 + 2) * density),
    )
