"""Men in batches of nearly as many draws each, their draws in the order of time.

What is normal throughout (exact results of mass spectrometry) goes by itself: it takes one pass where other
readings take several.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.dose_response.state_space import Times
from e2analytics.models.dose_response.types import Draws, Population

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Integers = NDArray[np.int64]

_MEN_PER_BATCH = 4_000


@dataclass(frozen=True, slots=True)
class Batch:
    """b men and their m draws, sorted by man and time.

    Attributes
    ----------
    men : ndarray of int, shape (b,)
        Which men.
    draws : Draws
        Theirs; ``man`` as in the whole.
    column : ndarray of int, shape (m,)
        Which of the b men.
    place : ndarray of int, shape (m,)
        Which of the man's draws.
    first : ndarray of int, shape (b,)
        Row of each man's first draw.
    log_reading : ndarray, shape (m,)
        Log of exact readings by mass spectrometry; 0 for the others.
    is_normal : ndarray of bool, shape (m,)
        Which readings are such.
    """

    men: Integers
    draws: Draws
    column: Integers
    place: Integers
    first: Integers
    log_reading: Vector
    is_normal: NDArray[np.bool_]

    @property
    def special(self) -> Integers:
        """Rows of all other readings."""
        return np.flatnonzero(~self.is_normal)

    @property
    def times(self) -> Times:
        """When they were drawn. Behind a man's last draw time stands still."""
        draws = self.draws
        days, changes = (
            np.diff(self.grid(each, fill=True), axis=0) for each in (draws.day, draws.segment)
        )
        on = self.grid((draws.dose_mg_per_week > 0).astype(float))
        return Times(on, days, changes)

    @property
    def changes(self) -> Integers:
        """Changes of the testosterone order from a man's first draw to each, shape (m,)."""
        segment = self.draws.segment
        return segment - segment[self.first][self.column]

    def grid(self, values: Vector | Integers, *, fill: bool = False) -> Matrix:
        """Lay values of draws (m,) out as (t, b): 0 behind a man's last, or that of his last."""
        laid = np.zeros((int(self.place.max()) + 1, len(self.men)))
        if fill:
            last = np.append(self.first[1:], len(self.place)) - 1
            laid[:] = values[last]
        laid[self.place, self.column] = values
        return laid

    def of_men(self, columns: Integers) -> Batch:
        """Return some of the men, by column."""
        among = np.full(len(self.men), -1)
        among[columns] = np.arange(len(columns))
        rows = np.flatnonzero(among[self.column] >= 0)
        column, place = among[self.column[rows]], self.place[rows]
        return Batch(
            self.men[columns],
            self.draws.take(rows),
            column,
            place,
            np.flatnonzero(place == 0),
            self.log_reading[rows],
            self.is_normal[rows],
        )

    def average(self, population: Population) -> Vector:
        """Return the mean log E2 of men like these at their draws, shape (m,)."""
        draws = self.draws
        dose = population.effect(draws.dose_mg_per_week)
        return np.asarray(draws.covariates @ population.coefficients + dose.log_ratio)


def batches(draws: Draws) -> Iterator[Batch]:
    """Yield the men with draws in batches: all readings normal or not, then by number of draws."""
    ordered = draws.take(np.lexsort((draws.segment, draws.day, draws.man)))
    n_draws = np.bincount(ordered.man, minlength=draws.n_men)
    normal = ordered.ms & ordered.is_exact
    special = np.zeros(draws.n_men, bool)
    special[ordered.man[~normal]] = True
    for kind in (False, True):
        men = np.flatnonzero((n_draws > 0) & (special == kind))
        men = men[np.argsort(n_draws[men], kind="stable")]
        for first in range(0, len(men), _MEN_PER_BATCH):
            yield _batch(ordered, normal, np.sort(men[first : first + _MEN_PER_BATCH]))


def _batch(ordered: Draws, normal: NDArray[np.bool_], men: Integers) -> Batch:
    begins, ends = np.searchsorted(ordered.man, men), np.searchsorted(ordered.man, men + 1)
    count = ends - begins
    first = np.cumsum(count) - count
    column = np.repeat(np.arange(len(men)), count)
    place = np.arange(len(column)) - first[column]
    rows = begins[column] + place
    draws, is_normal = ordered.take(rows), normal[rows]
    logs = np.log(np.where(is_normal, draws.low_pg_ml, 1.0))
    return Batch(men, draws, column, place, first, logs, is_normal)
