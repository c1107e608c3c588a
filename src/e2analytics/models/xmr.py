"""XmR charts: which months of a measure differ by more than the noise of its months.

In    a measure's value month by month, and where a new baseline begins
Out   centre, limits, and which points break which of four rules

Limits are the mean of a baseline +/- 2.66 x its mean moving range; a moving range beyond 3.267 x the
mean is left out of it, once. The baseline is the first twelve points: later points are judged by it and
do not move it, and nothing but a restart that somebody gave begins another.

The rules are those of the NHS programme "Making data count", as its community's reference
implementation has them (NHSRplotthedots 0.2.2, doi:10.32614/CRAN.package.NHSRplotthedots): a point
outside the limits; seven points in a row on one side of the centre; seven points in a row that each rise
or each fall; two of three points in a row, all on one side, in the outer third but within the limits.
Screening of moving ranges: Nelson, J Qual Technol 1982;14:172.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.pspline import Array

Flags = NDArray[np.bool_]

MEAN_MOVING_RANGES_TO_LIMIT = 2.66
MEAN_MOVING_RANGES_TO_SCREEN = 3.267
BASELINE_POINTS = 12
LEAST_POINTS = 5
"""Wheeler, Understanding Variation, 1993: limits are of use from five or six values on."""
_IN_A_ROW = 7
# Values that are equal on paper differ by this much of their size in a computer.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Chart:
    """A chart's lines and signals, shape (n,) each, in the order of the values.

    Attributes
    ----------
    centre, lower, upper
        Of the point's baseline, in the unit of the values; NaN where it has fewer than five points. A
        limit of a share may lie outside 0 and 1: it is drawn to there, and judged by as it is.
    settled
        Twelve points made the lines; until then every new point moves them.
    side
        1 above the centre, -1 below, 0 on it or without a value.
    outside, shift, trend, near_limit
        The point is part of what breaks the rule.
    """

    centre: Array
    lower: Array
    upper: Array
    settled: Flags
    side: NDArray[np.int64]
    outside: Flags
    shift: Flags
    trend: Flags
    near_limit: Flags

    @property
    def signal(self) -> Flags:
        """Whether any rule is broken, shape (n,)."""
        return self.outside | self.shift | self.trend | self.near_limit


def chart(values: Array, restarts: Sequence[int] = ()) -> Chart:
    """Draw the chart of a measure.

    Parameters
    ----------
    values : array of shape (n,)
        NaN for a month without a value: it is passed over, and its neighbours follow each other.
    restarts : sequence of int
        Positions of the first point of each new baseline; the first of all needs none.
    """
    drawn = _blank(len(values))
    for points in np.split(np.arange(len(values)), sorted(set(restarts) - {0})):
        _draw(drawn, values, points)
    return drawn


def _blank(n: int) -> Chart:
    def no() -> Flags:
        return np.zeros(n, dtype=bool)

    def nothing() -> Array:
        return np.full(n, np.nan)

    return Chart(
        centre=nothing(),
        lower=nothing(),
        upper=nothing(),
        settled=no(),
        side=np.zeros(n, dtype=np.int64),
        outside=no(),
        shift=no(),
        trend=no(),
        near_limit=no(),
    )


def _draw(drawn: Chart, values: Array, points: NDArray[np.int64]) -> None:
    """Fill in one baseline and the points judged by it."""
    seen = points[~np.isnan(values[points])]
    if len(seen) < LEAST_POINTS:
        return
    y = values[seen]
    centre, reach = _lines(y[:BASELINE_POINTS])
    slack = _ROUNDING * (np.abs(y).max() + reach)
    off = y - centre
    side = np.where(np.abs(off) <= slack, 0, np.sign(off)).astype(np.int64)
    outside = np.abs(off) > reach + slack
    drawn.centre[points] = centre
    drawn.lower[points] = centre - reach
    drawn.upper[points] = centre + reach
    drawn.settled[points] = len(seen) >= BASELINE_POINTS
    drawn.side[seen] = side
    drawn.outside[seen] = outside
    drawn.shift[seen] = _in_runs(side, _IN_A_ROW)
    drawn.trend[seen] = _in_trends(y, slack)
    drawn.near_limit[seen] = _two_of_three(~outside & (np.abs(off) > 2 / 3 * reach + slack), side)


def _lines(baseline: Array) -> tuple[float, float]:
    """Return the centre and how far the limits are from it."""
    ranges = np.abs(np.diff(baseline))
    kept = ranges[ranges <= MEAN_MOVING_RANGES_TO_SCREEN * ranges.mean()]
    if not kept.any():
        # Months that are mostly equal: without their few steps every later step would be a signal.
        kept = ranges
    return float(baseline.mean()), MEAN_MOVING_RANGES_TO_LIMIT * float(kept.mean())


def _in_runs(kind: NDArray[np.int64], length: int) -> Flags:
    """Mark every member of a run of one kind other than 0 that is at least so long."""
    found = np.zeros(len(kind), dtype=bool)
    for first in range(len(kind) - length + 1):
        window = kind[first : first + length]
        if window[0] != 0 and np.all(window == window[0]):
            found[first : first + length] = True
    return found


def _in_trends(y: Array, slack: float) -> Flags:
    steps = np.diff(y)
    direction = np.where(np.abs(steps) <= slack, 0, np.sign(steps)).astype(np.int64)
    # Seven points are six steps; a step belongs to the points at both its ends.
    step_found = _in_runs(direction, _IN_A_ROW - 1)
    found = np.zeros(len(y), dtype=bool)
    found[:-1] |= step_found
    found[1:] |= step_found
    return found


def _two_of_three(near: Flags, side: NDArray[np.int64]) -> Flags:
    found = np.zeros(len(near), dtype=bool)
    for first in range(len(near) - 2):
        three = slice(first, first + 3)
        if near[three].sum() >= 2 and abs(side[three].sum()) == 3:
            found[three] |= near[three]
    return found
