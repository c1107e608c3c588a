"""One analyte's results in the order of months, with all that is computed of them once.

In    results of one analyte, and what is believed beforehand
Out   :class:`Prepared`, which hands out the results month by month
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from e2analytics.models.unit_errors.arrays import Belief, Codes, Flags, Results
from e2analytics.models.unit_errors.screen import Screen
from e2analytics.models.unit_errors.slip_evidence import Integers, Vector
from e2analytics.models.unit_errors.source_levels import Scales, in_bins, scales_of


class Month(NamedTuple):
    """A month's results; arrays of shape (n,), ``rows`` their places among all."""

    rows: Integers
    residual: Vector
    key: Codes
    treated: Codes
    sources: tuple[Codes, ...]

    def of(self, some: Flags) -> Month:
        """Return some of the results."""
        return Month(
            self.rows[some],
            self.residual[some],
            self.key[some],
            self.treated[some],
            tuple(code[some] for code in self.sources),
        )


@dataclass(frozen=True, slots=True)
class Prepared:
    """Results in the order of months; arrays of shape (n,).

    Attributes
    ----------
    results : Results
    belief : Belief
    residual : ndarray
        Log result less the level in the middle of men with the same treatment.
    key : ndarray of int
        Man and treatment in one code: on and off the drug he counts as two men.
    scales : Scales
    screen : Screen
    binned : ndarray of int
        Residuals in bins.
    months : ndarray of int
        The months that occur.
    ends : tuple of int
        Where each of them ends.
    """

    results: Results
    belief: Belief
    residual: Vector
    key: Codes
    scales: Scales
    screen: Screen
    binned: Codes
    months: Codes
    ends: tuple[int, ...]

    def by_month(self, excluded: Flags) -> Iterator[tuple[int, Month]]:
        """Yield each month with those of its results that are not excluded."""
        start = 0
        for month, end in zip(self.months.tolist(), self.ends, strict=True):
            yield month, self._results_in(slice(start, end), excluded)
            start = end

    def month_before(self, month: int) -> int:
        """Return the month that occurs before another one."""
        return int(self.months[np.searchsorted(self.months, month) - 1])

    def inverse(self, shift: int) -> int | None:
        """Return the factor that undoes another one, if it is among those that are possible."""
        back = np.flatnonzero(np.isclose(self.belief.shifts, -self.belief.shifts[shift]))
        return int(back[0]) if len(back) else None

    def _results_in(self, place: slice, excluded: Flags) -> Month:
        results = self.results
        all_of_it = Month(
            np.arange(place.start, place.stop),
            self.residual[place],
            self.key[place],
            results.treated[place],
            tuple(code[place] for code in results.sources),
        )
        left_out = excluded[place]
        return all_of_it.of(~left_out) if left_out.any() else all_of_it


def prepare(results: Results, belief: Belief) -> Prepared:
    """Prepare results that are in the order of :func:`order_of`."""
    residual = results.log_value - np.asarray(belief.centre)[results.treated]
    key = results.man * 3 + results.treated
    scales = scales_of(residual, key, results.month)
    months, starts = np.unique(results.month, return_index=True)
    return Prepared(
        results=results,
        belief=belief,
        residual=residual,
        key=key,
        scales=scales,
        screen=Screen(belief.shifts, scales),
        binned=in_bins(residual),
        months=months,
        ends=(*starts[1:].tolist(), len(results.month)),
    )


def order_of(results: Results) -> Integers:
    """Return the order of results by month, man, treatment and value.

    What is still equal adds the same to every sum: the order in which results come changes nothing.
    """
    by_value = np.argsort(results.log_value)
    group = _in_place(results.month).astype(np.int64)
    group = group * (3 * (int(results.man.max()) + 1)) + results.man * 3 + results.treated
    # In one number, as numbers are sorted in a tenth of the time of places: 63 bits are enough for 10^8
    # results of 10^7 men in 600 months.
    n_bits = len(group).bit_length()
    code = np.sort(group[by_value] << n_bits | np.arange(len(group)))
    order: Integers = by_value[code & ((1 << n_bits) - 1)]
    return order


def _in_place(month: Codes) -> Integers:
    """Return the place of each month among those that occur."""
    from_first = month - month.min()
    occurs = np.bincount(from_first) > 0
    place: Integers = (np.cumsum(occurs) - 1)[from_first]
    return place
