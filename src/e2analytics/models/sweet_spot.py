"""Best E2 and the limits around it, from a curve: an estimate, its replicates, or the truth.

In    benefit (larger is better) on supported grid points of log E2, one row per curve
Out   where each curve is best, and between which E2 it stays within delta of best

Does not decide whether a limit may be claimed: ``judgement`` does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from e2analytics.models.pspline import Array

SHARE_SUPPORTED = 0.9
"""A limit is supported if at least this share of replicates has one."""

_ONE_SIDED = float(ndtri(0.95))
_TAIL = 0.025
# A loss that was just enough to be noticed is probably smaller than it looks: what would be found
# again is judged as if it were so many standard errors smaller.
_DISCOUNT = 1.0
_INSIDE = (np.arange(40) + 0.5) / 40


@dataclass(frozen=True)
class SweetSpots:
    """Where r curves are best and where they leave the best.

    Attributes
    ----------
    best : array of shape (r,)
        Greatest mean benefit over a window of E2.
    nadir_log_e2 : array of shape (r,)
        Middle of that window, log pg/mL.
    lower_log_e2, upper_log_e2 : array of shape (r,)
        Nearest E2 on either side at which benefit has fallen by delta, log pg/mL; NaN where a
        curve stays within delta up to the end of the supported range.
    """

    best: Array
    nadir_log_e2: Array
    lower_log_e2: Array
    upper_log_e2: Array


@dataclass(frozen=True)
class Limit:
    """One E2 level with its bootstrap interval, pg/mL, or the reason why there is none.

    ``share`` is the share of replicates that have such a level; ``quantiles_pg_ml`` are equally
    probable values of the level, by the same correction as the interval.
    """

    value_pg_ml: float | None
    ci_low: float | None
    ci_high: float | None
    share: float
    supported: bool
    why_not: str | None
    quantiles_pg_ml: tuple[float, ...] = ()


def find(log_e2: Array, benefit: Array, delta: float, window_ratio: float = 1.5) -> SweetSpots:
    """Find the best window of each curve and the E2 at which benefit has fallen by ``delta``.

    Parameters
    ----------
    log_e2 : array of shape (g,)
        Supported grid points, ascending, log pg/mL.
    benefit : array of shape (r, g)
        Larger is better.
    delta : float
        Loss of benefit that matters, unit of ``benefit``.
    window_ratio : float
        Highest over lowest E2 of a window.
    """
    width = min(float(np.log(window_ratio)), float(log_e2[-1] - log_e2[0]))
    starts, means = _window_means(log_e2, benefit, width)
    first = np.argmax(means, axis=1)
    best = means[np.arange(len(means)), first]
    nadir = starts[first] + width / 2
    least = (best - delta)[:, None]
    lower = _last_below(log_e2, benefit - least, nadir)
    upper = -_last_below(-log_e2[::-1], benefit[:, ::-1] - least, -nadir)
    return SweetSpots(best, nadir, lower, upper)


def _window_means(log_e2: Array, benefit: Array, width: float) -> tuple[Array, Array]:
    """Mean of each curve over every window that begins at a grid point and fits.

    A curve is linear between grid points, so its integral is known exactly at any end.
    """
    steps = np.diff(log_e2)
    pieces = (benefit[:, 1:] + benefit[:, :-1]) / 2 * steps
    area = np.hstack([np.zeros((len(benefit), 1)), np.cumsum(pieces, axis=1)])
    # Rounding must not lose the window that ends at the last point.
    starts = np.flatnonzero(log_e2 + width <= log_e2[-1] + 1e-9)
    end = np.minimum(log_e2[starts] + width, log_e2[-1])
    cell = np.clip(np.searchsorted(log_e2, end, side="right") - 1, 0, len(log_e2) - 2)
    beyond = end - log_e2[cell]
    slope = (benefit[:, cell + 1] - benefit[:, cell]) / steps[cell]
    area_to_end = area[:, cell] + beyond * (benefit[:, cell] + slope * beyond / 2)
    return log_e2[starts], (area_to_end - area[:, starts]) / width


def _last_below(log_e2: Array, margin: Array, before: Array) -> Array:
    """Greatest level not above ``before`` at which each margin crosses zero upwards, or NaN."""
    below = (margin < 0) & (log_e2[None, :] <= before[:, None])
    below[:, -1] = False
    found = below.any(axis=1)
    last = np.where(found, below.shape[1] - 1 - np.argmax(below[:, ::-1], axis=1), 0)
    rows = np.arange(len(margin))
    here, there = margin[rows, last], margin[rows, last + 1]
    share = np.divide(here, here - there, out=np.ones_like(here), where=found & (there > 0))
    crossing = log_e2[last] + share * (log_e2[last + 1] - log_e2[last])
    # Where a curve is already below in the middle of its best window, that is the limit.
    return np.where(found, np.minimum(crossing, before), np.nan)


def limit(value: float, replicates: Array, beyond: float, found_again: float = 1.0) -> Limit:
    """Describe a level that may be claimed, with a bias-corrected bootstrap interval.

    Parameters
    ----------
    value : float
        Estimate, log pg/mL.
    replicates : array of shape (r,)
        The same of each replicate, NaN where it has none.
    beyond : float
        End of the supported range on the limit's side, log pg/mL. A replicate without a
        crossing says that the limit lies there or beyond, so that is what it counts as.
    found_again : float
        Chance that another cohort would be given the limit. Among cohorts that are given one, an
        interval misses at most its own share of misses over this chance; so it is made to miss that
        much less.

    Notes
    -----
    Bias correction: Efron, J Am Stat Assoc 1987;82:171 (acceleration left at zero).
    """
    share = float(np.mean(~np.isnan(replicates)))
    levels = np.where(np.isnan(replicates), beyond, replicates)
    tails = np.abs(np.array([0.0, 1.0]) - _TAIL * found_again)
    low, high = bias_corrected_quantiles(value, levels, tails)
    inside = bias_corrected_quantiles(value, levels, _INSIDE)
    return Limit(
        value_pg_ml=float(np.exp(value)),
        ci_low=float(np.exp(low)),
        ci_high=float(np.exp(high)),
        share=share,
        supported=share >= SHARE_SUPPORTED,
        why_not=None,
        quantiles_pg_ml=tuple(np.exp(inside).tolist()),
    )


def no_limit(replicates: Array, why_not: str) -> Limit:
    """Say why there is no such level; ``replicates`` of shape (r,) with NaN for none."""
    share = float(np.mean(~np.isnan(replicates))) if len(replicates) else 0.0
    return Limit(None, None, None, share, supported=False, why_not=why_not)


def is_worse_by(loss: float, replicates: Array, delta: float) -> bool:
    """Whether the loss of benefit exceeds ``delta`` by a one-sided clustered 95 % bound.

    Parameters
    ----------
    loss : float
        Best less the benefit at an end of the supported range.
    replicates : array of shape (r,)
        The same of each replicate, each with its own best.
    delta : float
    """
    return bool(loss - _ONE_SIDED * float(np.std(replicates)) > delta)


def chance_to_find_again(loss: float, replicates: Array, delta: float) -> float:
    """Chance that ``is_worse_by`` holds in another cohort; the parameters are the same."""
    spread = float(np.std(replicates))
    return float(ndtr((loss - delta) / spread - _DISCOUNT - _ONE_SIDED)) if spread > 0 else 1.0


def bias_corrected_quantiles(value: float, replicates: Array, probabilities: Array) -> Array:
    """Bias-corrected percentiles of replicates of shape (r,), at ``probabilities`` of shape (q,)."""
    n = len(replicates)
    below = float(np.mean(replicates < value) + np.mean(replicates == value) / 2)
    shift = 2 * float(ndtri(np.clip(below, 0.5 / n, 1 - 0.5 / n)))
    corrected: Array = np.quantile(replicates, ndtr(shift + ndtri(probabilities)))
    return corrected
