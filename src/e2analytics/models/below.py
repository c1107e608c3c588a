"""How probable it is that a man's E2 lies below a limit, and that the drug is the cause.

The man's own log E2 off and on the drug are jointly normal; the limit is known by the quantiles of
its own uncertainty, over which every probability is integrated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Vector = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_SHARES = (_NODES + 1) / 2  # of the probability below the limit, at which it is integrated
_SHARE_WEIGHTS = _WEIGHTS / 2


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
    below: Vector = ndtr((log_limit - levels.on_mean) / levels.on_sd)
    # E2 on the drug, at fixed shares of the probability that lies below the limit.
    on = ndtri(np.clip(below[:, None] * _SHARES, 1e-300, 1 - 1e-16))
    slope = levels.covariance / levels.on_sd
    left = np.sqrt(np.maximum(levels.off_sd**2 - slope**2, 1e-12))
    off_mean = levels.off_mean[:, None] + slope[:, None] * on
    above = ndtr((off_mean - log_limit) / left[:, None])
    return below, below * (above @ _SHARE_WEIGHTS)
