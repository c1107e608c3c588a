"""The probability that a man's E2 lies below a limit, and that the drug is the cause.

The man's own log E2 off and on the drug are jointly normal; the limit is known by the quantiles of
its own uncertainty, over which every probability is integrated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, owens_t

Vector = NDArray[np.float64]

_TINY = 1e-300  # stands for zero, by which nothing can be divided
_MOST_ALIKE = 1 - 1e-12


@dataclass(frozen=True, slots=True)
class Levels:
    """Log E2 (log pg/mL) of n men off the drug and on it at their dose, jointly normal; each of shape (n,).

    ``covariance`` is that of the two.
    """

    off_mean: Vector
    off_sd: Vector
    on_mean: Vector
    on_sd: Vector
    covariance: Vector


class Below(NamedTuple):
    """Probabilities of n men, each of shape (n,)."""

    below: Vector
    attributable: Vector


def probabilities(levels: Levels, limits_pg_ml: NDArray[np.float64]) -> Below:
    """Return P(on < limit) and P(on < limit <= off), averaged over the limits.

    Parameters
    ----------
    levels
        Own levels of n men, log pg/mL.
    limits_pg_ml : ndarray, shape (q,)
        Equally probable values of the limit, pg/mL.
    """
    each = [_at(levels, float(limit)) for limit in np.log(limits_pg_ml)]
    below, attributable = (np.mean(values, axis=0) for values in zip(*each, strict=True))
    return Below(below, attributable)


def _at(levels: Levels, log_limit: float) -> tuple[Vector, Vector]:
    on = (log_limit - levels.on_mean) / levels.on_sd
    off = (log_limit - levels.off_mean) / levels.off_sd
    correlation = levels.covariance / (levels.on_sd * levels.off_sd)
    return ndtr(on), _both_below(on, -off, -correlation)


def _both_below(one: Vector, other: Vector, correlation: Vector) -> Vector:
    """Return P(x < one, y < other) of two standard normal variables, shape (n,).

    Source: Owen, Ann Math Stat 1956;27:1075.
    """
    one, other = (np.where(end == 0, _TINY, end) for end in (one, other))
    correlation = np.clip(correlation, -_MOST_ALIKE, _MOST_ALIKE)
    left = np.sqrt((1 - correlation) * (1 + correlation))
    with np.errstate(over="ignore"):
        corners = owens_t(one, (other / one - correlation) / left) + owens_t(
            other, (one / other - correlation) / left
        )
    opposite = (one < 0) != (other < 0)
    each = ndtr(one), ndtr(other)
    both: Vector = (each[0] + each[1] - opposite) / 2 - corners
    # Rounding must not make both likelier than one.
    return np.clip(both, 0.0, np.minimum(*each))
