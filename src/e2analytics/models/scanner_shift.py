r"""Abrupt shifts of a scanner: a common step, at one date, in the BMD of its own men.

In    changes of log BMD between successive scans of men on one scanner, by site
Out   ``Shift``: date, size with its interval, p value; or None

A change over :math:`x` years is :math:`y = m x + \delta\,[\text{across the date}] + e`. Real change takes time, a step
does not. The men's mean change :math:`m` is normal around 0 beforehand (SD ``_SD_OF_MEAN``), so that a scanner whose men
have one pair each, all across, still shows a large step; the variance of :math:`e` has a prior worth ``_PRIOR_DF``
changes and grows with the years, as men differ in how fast they change. The date is the one with the greatest t; its p
value is multiplied by the dates tried (Bonferroni), and sites must agree. Simulated false alarms and power:
``tests/models/test_scanner_shift.py``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Days = NDArray[np.int64]

MIN_MEN: Final = 5
"""Fewer changes across a date show no common step."""
LEAST_STEP_PCT: Final = 2.0
"""Smaller steps are within what clinics accept between phantom checks; our own rule."""
ALPHA: Final = 0.001
"""Of a false alarm for a scanner, over all dates."""
_SD_OF_MEAN = 1.0  # % a year; our own rule: men on average lose or gain less than 2 % a year
_SD_OF_MEN = 1.0  # % a year; our own rule
_SD_OF_CHANGE = (
    2.5  # %: two scans with ISCD's maximum precision error at the spine, 1.9 %, or nearly
)
_PRIOR_DF = 5.0
_CLIP_SD = 4.0
_NEARLY_AS_LIKELY = 4.0  # of t^2: e^-2 of the likelihood
_SITE_SHARE = 1 / 3
_MOST_SHIFTS = 5


@dataclass(frozen=True, slots=True)
class Changes:
    """Changes between successive scans of men on one scanner; n of them, s sites.

    Attributes
    ----------
    start, end : ndarray of int, shape (n,)
        Days of the two scans.
    change_pct : ndarray, shape (n, s)
        100 x the change of log BMD; NaN where a site was not scanned.
    """

    start: Days
    end: Days
    change_pct: Matrix

    @property
    def years(self) -> Vector:
        """Between the two scans."""
        return np.asarray((self.end - self.start) / 365.25)

    def take(self, some: NDArray[np.bool_]) -> Changes:
        """Keep some."""
        return Changes(self.start[some], self.end[some], self.change_pct[some])


class Shift(NamedTuple):
    """A step; its date lies from ``first`` to ``last``, the first day of the new readings."""

    first: int
    last: int
    step_pct: float
    ci_low_pct: float
    ci_high_pct: float
    p_value: float
    n_across: int
    n_compared: int

    def lies_between(self, start: Days, end: Days) -> NDArray[np.bool_]:
        """Return which pairs of scans it may lie between."""
        return np.asarray((start < self.last) & (end >= self.first))


def find_all(changes: Changes) -> list[Shift]:
    """Return the shifts of a scanner, each found among the changes that those before it leave."""
    found: list[Shift] = []
    while len(found) < _MOST_SHIFTS and (shift := find(changes)) is not None:
        found.append(shift)
        changes = changes.take(~shift.lies_between(changes.start, changes.end))
    return sorted(found)


def find(changes: Changes) -> Shift | None:
    """Return the clearest shift; None where no step is shown."""
    if len(changes.start) < MIN_MEN:
        return None
    change, weight = _clipped(np.nanmean(changes.change_pct, axis=1)), _weight(changes.years)
    dates = np.unique(np.concatenate([changes.start, changes.end]))
    sums = _across(
        changes,
        dates,
        np.column_stack([np.ones_like(weight), weight, weight * changes.years, weight * change]),
    )
    enough = sums[:, 0] >= MIN_MEN
    dates, sums = dates[enough], sums[enough]
    if not len(dates):
        return None
    step, sd, df = _steps(change, changes.years, weight, sums[:, 1:])
    t = step / sd
    best = int(np.argmax(np.abs(t)))
    p_value = min(1.0, 2 * float(stdtr(df, -abs(t[best]))) * len(dates))
    if (
        p_value >= ALPHA
        or abs(step[best]) < LEAST_STEP_PCT
        or not _sites_agree(changes, int(dates[best]), step[best])
    ):
        return None
    nearly = (t**2 >= t[best] ** 2 - _NEARLY_AS_LIKELY) & (np.sign(t) == np.sign(t[best]))
    first, last = _run_around(nearly, best)
    reach = float(stdtrit(df, 0.975)) * sd[best]
    n_across = int(sums[best, 0])
    return Shift(
        int(dates[first]),
        int(dates[last]),
        float(step[best]),
        float(step[best] - reach),
        float(step[best] + reach),
        p_value,
        n_across,
        len(change) - n_across,
    )


def _clipped(change: Vector) -> Vector:
    """Bring changes that fit no other within reach: one man's fracture is no shift of a scanner."""
    middle = np.median(change)
    spread = max(_SD_OF_CHANGE, 1.4826 * float(np.median(np.abs(change - middle))))
    return np.clip(change, middle - _CLIP_SD * spread, middle + _CLIP_SD * spread)


def _weight(years: Vector) -> Vector:
    """Precision of a change as a share of that of one over no time."""
    return np.asarray(1 / (1 + (_SD_OF_MEN * years / _SD_OF_CHANGE) ** 2))


def _across(changes: Changes, dates: Days, columns: Matrix) -> Matrix:
    """Sum columns over the changes that each date lies in, shape (dates, columns)."""
    sums = np.zeros((len(dates), columns.shape[1]))
    for days, sign in ((changes.start, 1), (changes.end, -1)):
        order = np.argsort(days, kind="stable")
        running = np.vstack([np.zeros(columns.shape[1]), np.cumsum(columns[order], axis=0)])
        sums += sign * running[np.searchsorted(days[order], dates, side="left")]
    return sums


def _steps(
    change: Vector, years: Vector, weight: Vector, across: Matrix
) -> tuple[Vector, Vector, float]:
    """Estimate the step at each date with its SD; also the degrees of freedom.

    ``across`` holds of the changes across each date the sums of weight, weight x years, weight x change.
    """
    one, x, y = across.T
    xx, xy, yy = (float(weight @ each) for each in (years**2, years * change, change**2))
    variance = np.full(len(one), _SD_OF_CHANGE**2)
    df = _PRIOR_DF + len(change) - 2
    for _ in range(3):
        known = variance / _SD_OF_MEAN**2
        determinant = (xx + known) * one - x**2
        step = ((xx + known) * y - x * xy) / determinant
        mean = (one * xy - x * y) / determinant
        squares = (
            yy - 2 * mean * xy - 2 * step * y + mean**2 * xx + 2 * mean * step * x + step**2 * one
        )
        variance = (_PRIOR_DF * _SD_OF_CHANGE**2 + squares) / (_PRIOR_DF + len(change))
    return step, np.sqrt(variance * (xx + known) / determinant), df


def _sites_agree(changes: Changes, date: int, step_pct: float) -> bool:
    """Return whether every site with enough changes steps the same way, by a third at least."""
    across = (changes.start < date) & (changes.end >= date)
    of_sites = changes.change_pct[across]
    enough = np.sum(np.isfinite(of_sites), axis=0) >= MIN_MEN
    middles = np.nanmedian(of_sites[:, enough], axis=0)
    return bool(np.all(middles / step_pct >= _SITE_SHARE))


def _run_around(nearly: NDArray[np.bool_], best: int) -> tuple[int, int]:
    first = last = best
    while first > 0 and nearly[first - 1]:
        first -= 1
    while last < len(nearly) - 1 and nearly[last + 1]:
        last += 1
    return first, last
