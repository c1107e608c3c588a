"""The next result: the E2 above which a man would no longer count as low.

The man's own log E2 at his dose is normal; a result by mass spectrometry at that dose lies around it with the
scatter of one draw. Both together are normal again, so that what the probability would be is known before the
draw.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Vector = NDArray[np.float64]

_LEAST_PG_ML: Final = 0.1
_MOST_PG_ML: Final = 1_000.0
_HALVINGS: Final = 50


def sd_after(sd: Vector, sd_of_draw: float) -> Vector:
    """Return the SD of log E2 after one more result, whatever it says; shape (n,).

    >>> sd_after(np.array([0.4]), 0.3).round(2)
    array([0.24])
    """
    return np.asarray(sd * np.sqrt(1 - sd**2 / (sd**2 + sd_of_draw**2)))


def below_after(
    mean: Vector, sd: Vector, log_result: Vector, sd_of_draw: float, limits_pg_ml: Vector
) -> Vector:
    """Return P(E2 < limit) after one more result, averaged over the limits; shape (n,).

    Parameters
    ----------
    mean, sd : ndarray, shape (n,)
        Log E2 (log pg/mL) at the present dose, before the result.
    log_result : ndarray, shape (n,)
        The result, log pg/mL.
    sd_of_draw : float
        Of one draw around a man's own level, log scale.
    limits_pg_ml : ndarray, shape (q,)
        Equally probable values of the limit, pg/mL.
    """
    weight = sd**2 / (sd**2 + sd_of_draw**2)
    mean_after = mean + weight * (log_result - mean)
    sd_then = sd_after(sd, sd_of_draw)
    below = [ndtr((limit - mean_after) / sd_then) for limit in np.log(limits_pg_ml)]
    return np.asarray(np.mean(below, axis=0))


def result_that_clears(
    mean: Vector, sd: Vector, sd_of_draw: float, limits_pg_ml: Vector, probability: float
) -> Vector:
    """Return the result (pg/mL) above which P(E2 < limit) falls below ``probability``; shape (n,).

    NaN where the level is not known, or no result between 0.1 and 1,000 pg/mL is enough.
    """
    low = np.full_like(mean, np.log(_LEAST_PG_ML))
    high = np.full_like(mean, np.log(_MOST_PG_ML))
    enough = below_after(mean, sd, high, sd_of_draw, limits_pg_ml) < probability
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        clears = below_after(mean, sd, middle, sd_of_draw, limits_pg_ml) < probability
        low, high = np.where(clears, low, middle), np.where(clears, middle, high)
    return np.where(enough, np.exp(high), np.nan)


def chance_of_more(mean: Vector, sd: Vector, sd_of_draw: float, result_pg_ml: Vector) -> Vector:
    """Return the chance that the next result at that dose lies above ``result_pg_ml``; shape (n,)."""
    spread = np.sqrt(sd**2 + sd_of_draw**2)
    return np.asarray(ndtr((mean - np.log(result_pg_ml)) / spread))
