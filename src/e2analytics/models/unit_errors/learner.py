"""Learns, month by month, the levels of men and of sources from results that are not under suspicion.

In    a month's results that no slip has claimed
Out   :class:`History`: what is expected of each result of a later month, and how sure that is
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from e2analytics.models.unit_errors.arrays import UNKNOWN, Codes, Flags
from e2analytics.models.unit_errors.prepared import Month, Prepared
from e2analytics.models.unit_errors.slip_evidence import Integers, Vector
from e2analytics.models.unit_errors.source_levels import SourceLevels, beginning, medians_of

# Our own rules, on the natural log scale.
MONTH_SD: Final = 0.12
"""Of a source's own level from one month to the next: lots, methods."""
_DRIFT_SD: Final = 0.03
_HALF_LIFE_MONTHS: Final = 12.0


class History(NamedTuple):
    """What the earlier results of its man say of each result; arrays of shape (n,).

    Attributes
    ----------
    weight, total : ndarray
        How many there are and their sum, older ones counting for less.
    own : ndarray
        What they contribute to what is expected of the result.
    of_source : ndarray
        How much of what is expected is the level of its source.
    sd : ndarray
        Standard deviation of the result around what is expected.
    """

    weight: Vector
    total: Vector
    own: Vector
    of_source: Vector
    sd: Vector

    def of(self, some: Flags | Integers) -> History:
        """Return the history of some of the results."""
        return History(*(each[some] for each in self))

    def expected(self, level: Vector | float) -> Vector:
        """Return what is expected of each result, given the level of its source."""
        return self.own + self.of_source * level


class Learner:
    """What earlier months have taught.

    Parameters
    ----------
    data : Prepared
    excluded : ndarray of bool, shape (n,)
        Results that teach nothing: found to have slipped in hindsight.
    """

    def __init__(self, data: Prepared, excluded: Flags) -> None:
        n_keys = int(data.key.max()) + 1
        self._data = data
        self._weight = np.zeros(n_keys)
        self._total = np.zeros(n_keys)
        self._last_month = np.zeros(n_keys, dtype=np.int64)
        self._last_source = [np.full(n_keys, -1, dtype=np.int32) for _ in data.results.sources]
        self.sources = [self._beginning(codes, excluded) for codes in data.results.sources]

    def _beginning(self, codes: Codes, excluded: Flags) -> SourceLevels:
        n = max(int(codes.max()) + 1, 1)
        usable = (codes >= 0) & ~excluded
        medians, counts = medians_of(self._data.binned[usable], codes[usable], n)
        return SourceLevels(*beginning(medians, counts, self._data.belief.centre_sd))

    def history(self, month: int, seen: Month) -> History:
        """Return what the earlier results of its man say of each result of a month."""
        age = (month - self._last_month[seen.key]) / _HALF_LIFE_MONTHS
        fade = 0.5**age
        weight, total = self._weight[seen.key] * fade, self._total[seen.key] * fade
        prior = 1 / self._data.scales.between_sd**2
        within = self._data.scales.within_sd**2
        variance = 1 / (prior + weight / within)
        return History(
            weight, total, total / within * variance, prior * variance, np.sqrt(variance + within)
        )

    def learn(self, month: int, seen: Month, history: History) -> None:
        """Learn from a month's results."""
        self._learn_sources(seen, history)
        self._learn_men(month, seen, history)

    def _learn_sources(self, seen: Month, history: History) -> None:
        """Move the level of each source towards its month, and note what arrived from elsewhere."""
        for kind, state in enumerate(self.sources):
            own, past = with_source(kind, seen, history)
            code, n = own.sources[kind], len(state.level)
            self._note_arrivals(kind, own, past)
            level = state.level[code]
            near = level + np.clip(own.residual - level, -1.5, 1.5)
            size = np.bincount(code, minlength=n)
            middle = np.bincount(code, near, n) / np.maximum(size, 1)
            # The middle of its men, whoever they are: men who all changed move it no further.
            one = self._data.scales.between_sd**2 + self._data.scales.within_sd**2
            doubt = one / np.maximum(size, 1) + MONTH_SD**2
            gain = np.where(size > 0, state.variance / (state.variance + doubt), 0.0)
            state.level = state.level + gain * (middle - state.level)
            state.variance = (1 - gain) * state.variance + _DRIFT_SD**2 * (size > 0)

    def _note_arrivals(self, kind: int, seen: Month, history: History) -> None:
        """Add up the men who are new to a source, compared with what other sources say of them."""
        state = self.sources[kind]
        code = seen.sources[kind]
        arriving = np.flatnonzero(self._last_source[kind][seen.key] != code)
        at, of_source = code[arriving], history.of_source[arriving]
        expected = history.own[arriving] + of_source * state.start[at]
        away = np.clip(seen.residual[arriving] - expected, -6.0, 6.0)
        precision = 1 / history.sd[arriving] ** 2
        unknown = seen.treated[arriving] == UNKNOWN
        amounts = (precision, precision * away, precision * of_source, precision * unknown, None)
        for place, amount in enumerate(amounts):
            state.arrived[place] += np.bincount(at, amount, len(state.level))
        self._last_source[kind][seen.key] = code

    def _learn_men(self, month: int, seen: Month, history: History) -> None:
        key = seen.key
        # An odd result teaches little.
        reach = np.where(history.weight > 0, 2.5 * history.sd, np.inf)
        taught = history.own + np.clip(seen.residual - history.own, -reach, reach)
        # A man's results are adjacent.
        first = np.flatnonzero(np.diff(key, prepend=-1))
        n_taught = np.diff(first, append=len(key))
        self._weight[key[first]] = history.weight[first] + n_taught
        self._total[key[first]] = history.total[first] + np.add.reduceat(taught, first)
        self._last_month[key[first]] = month


def with_source(kind: int, seen: Month, history: History) -> tuple[Month, History]:
    """Return the results that have a source of this kind."""
    belongs = seen.sources[kind] >= 0
    if belongs.all():
        return seen, history
    return seen.of(belongs), history.of(belongs)
