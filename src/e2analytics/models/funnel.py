"""Funnel plots: which clinics differ from all clinics together by more than chance and usual differences.

In    how many of how many, clinic by clinic
Out   95 and 99.8 % limits for any size of clinic, and which clinics lie beyond them

Where clinics differ no more than chance would have it, limits are exact binomial, interpolated between
counts; the upper limit is the lower one of those who do not meet the measure, so that chance puts at most
2.5 % (0.1 %) of clinics beyond each. The formula as printed, used for both ends, lets a clinic out at the
top up to one man too early. Where they differ more (over-dispersion), a variance between clinics is added on the scale of the
arcsine of the root of the share, where the variance of a share is 1/(4n) whatever the share: tau^2 by the
method of moments of DerSimonian and Laird, from z-scores of which the outermost 10 % at each end are
pulled in, so that a few true outliers do not widen the limits that should find them. Of fewer than ten
clinics the outermost tenth is none: a single outlier would hide itself, so the limits stay those of chance.

Sources: Spiegelhalter, Stat Med 2005;24:1185 (limits); Spiegelhalter, Qual Saf Health Care 2005;14:347
(over-dispersion); DerSimonian and Laird, Control Clin Trials 1986;7:177.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from e2analytics.models.pspline import Array

WARNING: Final = 0.95
ALARM: Final = 0.998
WINSORISED_SHARE: Final = 0.1
LEAST_CLINICS: Final = 10
"""Our own rule: with fewer, over-dispersion cannot be distinguished from one outlier."""


@dataclass(frozen=True)
class Funnel:
    """What all clinics together say of a measure.

    Attributes
    ----------
    centre : float
        The share of all clinics together; NaN without eligible patients.
    tau : float
        Standard deviation between clinics on the scale of the arcsine of the root; 0 if they differ no
        more than chance.
    dispersion : float
        Mean of the squared, winsorised z-scores; about 1 if there is only chance.
    """

    centre: float
    tau: float
    dispersion: float

    def limits(self, denominator: ArrayLike, level: float) -> tuple[Array, Array]:
        """Give the limits that hold a share ``level`` of clinics of these sizes, shape (n,) each.

        Parameters
        ----------
        denominator : array of shape (n,)
            NaN limits where it is 0.
        level : float
            ``WARNING`` or ``ALARM``.
        """
        of = np.asarray(denominator, dtype=np.int64)
        tail = (1 - level) / 2
        ends = _binomial(of, self.centre, tail), 1 - _binomial(of, 1 - self.centre, tail)
        if self.tau > 0:
            # Differences add to chance: of a few men the transformed limits are narrower than its own.
            low, high = self._transformed(of, tail), self._transformed(of, 1 - tail)
            ends = np.minimum(ends[0], low), np.maximum(ends[1], high)
        low, high = (np.where(of > 0, np.clip(end, 0, 1), np.nan) for end in ends)
        return low, high

    def _transformed(self, of: NDArray[np.int64], probability: float) -> Array:
        spread = np.sqrt(_chance_variance(of) + self.tau**2)
        angle = np.arcsin(np.sqrt(self.centre)) + stats.norm.ppf(probability) * spread
        return np.asarray(np.sin(np.clip(angle, 0, np.pi / 2)) ** 2)

    def beyond(
        self, numerator: ArrayLike, denominator: ArrayLike, level: float
    ) -> NDArray[np.int64]:
        """Tell which clinics lie above (1) or below (-1) the limits, or within (0), shape (n,)."""
        of = np.asarray(denominator, dtype=np.float64)
        share = np.divide(numerator, of, out=np.full(of.shape, np.nan), where=of > 0)
        low, high = self.limits(denominator, level)
        return np.asarray((share > high).astype(np.int64) - (share < low))


def fit(numerator: ArrayLike, denominator: ArrayLike) -> Funnel:
    """Find the centre, and how much clinics differ beyond chance.

    Parameters
    ----------
    numerator, denominator : integer arrays of shape (n,)
        One clinic each; those of denominator 0 do not count.
    """
    of = np.asarray(denominator, dtype=np.int64)
    met = np.asarray(numerator, dtype=np.int64)[of > 0]
    of = of[of > 0]
    if not len(of):
        return Funnel(np.nan, 0.0, np.nan)
    centre = float(met.sum() / of.sum())
    variance = _chance_variance(of)
    z = (np.arcsin(np.sqrt(met / of)) - np.arcsin(np.sqrt(centre))) / np.sqrt(variance)
    z = winsorised(z)
    tau2 = between_variance(z, variance) if len(z) >= LEAST_CLINICS else 0.0
    return Funnel(centre, float(np.sqrt(tau2)), float(np.mean(z**2)))


def winsorised(z: Array) -> Array:
    """Pull the outermost 10 % at each end in to the 10 % and the 90 % point, shape (n,)."""
    least, most = np.quantile(z, [WINSORISED_SHARE, 1 - WINSORISED_SHARE])
    return np.clip(z, least, most)


def between_variance(z: Array, variance: Array) -> float:
    """Give the variance between clinics (tau^2) by the method of moments; never below 0.

    Parameters
    ----------
    z : array of shape (n,)
        Standardised differences from the centre.
    variance : array of shape (n,)
        Variance of each clinic's value by chance alone.
    """
    if len(z) < 2:
        return 0.0
    weight = 1 / variance
    excess = float(np.sum(z**2)) - (len(z) - 1)
    return max(0.0, excess / float(weight.sum() - np.sum(weight**2) / weight.sum()))


def _chance_variance(of: NDArray[np.int64]) -> Array:
    return np.asarray(1 / (4 * np.maximum(of, 1)), dtype=np.float64)


def _binomial(of: NDArray[np.int64], centre: float, probability: float) -> Array:
    """Interpolate the binomial quantile between counts (Spiegelhalter 2005, appendix A.1.1)."""
    if np.isnan(centre):
        return np.full(of.shape, np.nan)
    count = stats.binom.ppf(probability, of, centre)
    up_to = stats.binom.cdf(count, of, centre)
    step = up_to - stats.binom.cdf(count - 1, of, centre)
    part = np.divide(up_to - probability, step, out=np.zeros(of.shape), where=step > 0)
    return np.asarray((count - part) / np.maximum(of, 1))
