"""Finds in hindsight that a source's first months have slipped, and excludes them.

In    the levels of sources after some months, and slips that may have two sides
Out   :class:`Past`: sources and the months up to which they had slipped; the excluded rows
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from e2analytics.models.unit_errors.arrays import Basis, Slip
from e2analytics.models.unit_errors.prepared import Prepared
from e2analytics.models.unit_errors.slip_evidence import Vector
from e2analytics.models.unit_errors.source_levels import BETWEEN_SOURCES_SD, SourceLevels

MIN_MEN: Final = 30
"""Fewer men do not show where a population lies: they alone decide nothing."""
LEAN_LOG_BF: Final = float(np.log(10.0))
"""From here on a slip that is not proved is reported."""
GOES_ON: Final = (0.05, 0.5)
"""Prior that a slip goes on in the next month: after one of some results, of all."""

# Our own rules, on the natural log scale, where nothing else is said.
_CHANGE: Final = 0.2  # prior that men's treatment is not what was thought
_CHANGE_REACH: Final = 1.4
_SOURCE_PRIOR: Final = 0.01  # a source declares the wrong unit from its first day


@dataclass(frozen=True, slots=True)
class Past:
    """A source's first months, found to have slipped in hindsight."""

    kind: int
    source: int
    shift: int
    until: int
    log_bf: float
    basis: Basis


class Hindsight:
    """What later months have shown of earlier ones.

    Attributes
    ----------
    excluded : ndarray of bool, shape (n,)
        Results that are excluded.
    slips : list of Slip
        The slips that they belong to.
    """

    def __init__(self, data: Prepared) -> None:
        self.excluded = np.zeros(len(data.residual), dtype=bool)
        self.slips: list[Slip] = []
        self._data = data
        self._past: list[Past] = []
        self._trusted: set[tuple[int, int]] = set()

    def expect_more(self, month: int, sources: Sequence[SourceLevels]) -> None:
        """Let the sources whose past slips end before a month expect them to go on."""
        for past in self._past:
            if past.until == month:
                source = sources[past.kind]
                source.goes_on[past.source] = past.shift
                source.goes_on_prior[past.source] = GOES_ON[1]

    def from_the_start(self, month: int, sources: Sequence[SourceLevels]) -> list[Past]:
        """Return the sources whose results since the first month have slipped, by population alone."""
        news = []
        needed = np.log(
            self._data.belief.least_odds * len(self._data.belief.shifts) / _SOURCE_PRIOR
        )
        for kind, source, shift, log_bf, n_men in self._leaning(sources):
            if n_men >= MIN_MEN and log_bf >= needed:
                news.append(Past(kind, source, shift, month, log_bf, "population"))
        return news

    def which_side(self, slip: Slip, state: SourceLevels) -> float | None:
        """Return by how much (log) it is likelier that the months before a change are the wrong ones.

        Null where nothing lies before, or only released results, or where no factor undoes the slip.
        """
        source = slip.source
        if not slip.whole or slip.basis == "continued" or self._data.inverse(slip.shift) is None:
            return None
        earlier = (self._data.results.sources[slip.kind] == source) & (
            self._data.results.month < slip.month
        )
        earlier &= ~self.excluded
        if not earlier.any() or self._data.results.released[earlier].mean() > 0.5:
            return None
        before = state.level[source] - state.start[source]
        after = before + self._data.belief.shifts[slip.shift]
        return float((before**2 - after**2) / state.start_variance[source])

    def exclude(self, news: Sequence[Past]) -> bool:
        """Exclude the months that hindsight found; return whether any row was excluded."""
        changed = np.zeros(len(self.excluded), dtype=bool)
        for past in sorted(news, key=self._largest_first):
            codes = self._data.results.sources[past.kind]
            rows = np.flatnonzero(
                (codes == past.source) & (self._data.results.month <= past.until) & ~self.excluded
            )
            # Another source, blamed already, explains them.
            if not len(rows) or changed[rows].mean() > 0.5:
                continue
            rows = rows[~changed[rows]]
            suspects = rows[~self._data.results.released[rows]]
            if len(suspects) < 0.5 * len(rows):
                self._trusted.add((past.kind, past.source))
            else:
                self._past.append(past)
            changed[suspects] = True
            for month in np.unique(self._data.results.month[rows]):
                own = rows[self._data.results.month[rows] == month]
                self.slips.append(
                    Slip(
                        kind=past.kind,
                        source=past.source,
                        month=int(month),
                        shift=past.shift,
                        log_bf=past.log_bf,
                        share=1.0,
                        basis=past.basis,
                        n_results=len(own),
                        n_with_history=0,
                        rows=own[~self._data.results.released[own]],
                        decided=True,
                    )
                )
        self.excluded |= changed
        return bool(changed.any())

    def undecided(self, sources: Sequence[SourceLevels]) -> list[Slip]:
        """Return the sources whose first months look as if they had slipped, without proof."""
        return [
            Slip(
                kind=kind,
                source=source,
                month=-1,
                shift=shift,
                log_bf=log_bf,
                share=1.0,
                basis="population",
                n_results=n,
                n_with_history=0,
                rows=np.zeros(0, dtype=np.int64),
                decided=False,
            )
            for kind, source, shift, log_bf, n in self._leaning(sources)
        ]

    def _leaning(self, sources: Sequence[SourceLevels]) -> list[tuple[int, int, int, float, int]]:
        """Return kind, source, shift, log Bayes factor and arrivals where a factor is preferred."""
        out = []
        for kind, state in enumerate(sources):
            precision, away, new, unknown, n = state.arrived
            for source in np.flatnonzero(away**2 > (0.5 * precision) ** 2):
                if (kind, int(source)) in self._trusted:
                    continue
                p = precision[source]
                share_new = new[source] / p
                centre = state.start_variance[source] - BETWEEN_SOURCES_SD**2
                variance = BETWEEN_SOURCES_SD**2 + share_new**2 * centre + 1 / p
                shift, log_bf = _from_population(
                    away[source] / p, variance, self._data.belief.shifts, unknown[source] / p
                )
                if log_bf > LEAN_LOG_BF:
                    out.append((kind, int(source), shift, log_bf, int(n[source])))
        return out

    def _largest_first(self, past: Past) -> tuple[float, float, int, int]:
        # A feed whose laboratories all slipped has one cause, not many.
        n = np.count_nonzero(self._data.results.sources[past.kind] == past.source)
        return -round(past.log_bf / 2), -float(n), past.kind, past.source


def _from_population(
    mean: float, variance: float, shifts: Vector, share_unknown: float
) -> tuple[int, float]:
    """Return the factor that fits a source's mean best, and its log Bayes factor.

    Unrecorded treatment lowers a source's level by as much as it can: a slip downwards
    must fit better than that.
    """
    slips = -((mean - shifts) ** 2) / (2 * variance)
    best = int(np.argmax(slips))
    none = -(mean**2) / (2 * variance)
    lowered = float(np.clip(mean, -_CHANGE_REACH * min(1.0, 2 * share_unknown), 0.0))
    treated = np.log(_CHANGE) - (mean - lowered) ** 2 / (2 * variance)
    if share_unknown <= 0.1:
        treated = -np.inf
    return best, float(slips[best] - max(none, treated))
