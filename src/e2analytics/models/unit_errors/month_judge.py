"""Judges the sources of one month: which have slipped, by which factor, and which of their results.

In    a month's results with what is expected of them, and the levels of their sources
Out   slips, and what they show of earlier months

Where several sources explain the same results, the purest is blamed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from e2analytics.models.unit_errors.arrays import UNKNOWN, WHOLE, Basis, Doubt, Flags, Slip
from e2analytics.models.unit_errors.hindsight import GOES_ON, LEAN_LOG_BF, Hindsight, Past
from e2analytics.models.unit_errors.learner import MONTH_SD, History, Learner, with_source
from e2analytics.models.unit_errors.prepared import Month, Prepared
from e2analytics.models.unit_errors.screen import ENOUGH_LOG_BF
from e2analytics.models.unit_errors.slip_evidence import Group, Integers, Verdict, judge
from e2analytics.models.unit_errors.source_levels import SourceLevels

# Our own rules, on the natural log scale, where nothing else is said.
_KNOWN_SHARE: Final = 0.5
"""Of the suspects of a month that slipped in part, so many must have earlier results of their own."""
_LOW: Final = (-1.1, -0.3)
"""A man's level, from where his source began: treatment lowers only from above the first, raises only
from below the second."""
_GOES_ON_ODDS: Final = 3.0
_SIDE_LOG_ODDS: Final = float(np.log(3.0))


class MonthJudge:
    """Judges month after month by what was learnt before it.

    Parameters
    ----------
    data : Prepared
    learner : Learner
    hindsight : Hindsight
    """

    def __init__(self, data: Prepared, learner: Learner, hindsight: Hindsight) -> None:
        self._data = data
        self._sources = learner.sources
        self._hindsight = hindsight

    def judge(self, month: int, seen: Month, history: History) -> tuple[list[Slip], list[Past]]:
        """Return the slips of a month, and the past months that they show to have slipped."""
        rows = seen.rows
        free = np.ones(len(rows), dtype=bool)
        reported = np.zeros(len(rows), dtype=bool)
        candidates = [
            (kind, source)
            for kind in range(len(self._sources))
            for source in self._candidates_of(kind, seen, history)
        ]
        slips: list[Slip] = []
        past_slips: list[Past] = []
        weighed = {each: self._weigh(month, *each, rows, history, free) for each in candidates}
        while weighed:
            each = min(weighed, key=lambda c: _blame(weighed[c]))
            slip = weighed.pop(each)
            members = np.isin(rows, slip.rows)
            if not slip.decided:
                # Reported once, of the purest source.
                if slip.doubt and len(slip.rows) and np.mean(reported[members]) < 0.5:
                    slips.append(replace(slip, rows=slip.rows[:0]))
                    reported |= members
                continue
            before = self._hindsight.which_side(slip, self._sources[slip.kind])
            back = self._data.inverse(slip.shift)
            if before is not None and back is not None and before >= _SIDE_LOG_ODDS:
                past_slips.append(
                    Past(*each, back, self._data.month_before(month), slip.log_bf, "own_results")
                )
                continue
            if before is not None and before > -_SIDE_LOG_ODDS:
                slip = replace(slip, basis="either_side")
            slips.append(replace(slip, rows=slip.rows[~self._data.results.released[slip.rows]]))
            self._expect_more(slip)
            # What was released is explained as well: no other source is blamed for it.
            free &= ~members
            touched = [c for c in weighed if np.any(members & self._of(c, rows))]
            for other in touched:
                weighed[other] = self._weigh(month, *other, rows, history, free)
        # A slip that was expected to go on and did not is expected no more.
        for kind, source in candidates:
            if not any(s.decided and (s.kind, s.source) == (kind, source) for s in slips):
                self._sources[kind].goes_on[source] = -1
        return slips, past_slips

    def _of(self, candidate: tuple[int, int], rows: Integers) -> Flags:
        kind, source = candidate
        return np.asarray(self._data.results.sources[kind][rows] == source)

    def _candidates_of(self, kind: int, seen: Month, history: History) -> list[int]:
        """Return the sources in which some results fit a slip: a cheap bound, generous on purpose."""
        state = self._sources[kind]
        seen, history = with_source(kind, seen, history)
        code, n_sources = seen.sources[kind], len(state.level)
        deviation = seen.residual - history.expected(state.level[code])
        strong = self._data.screen.log_bf(deviation, history.sd, code, n_sources) > ENOUGH_LOG_BF
        there = np.bincount(code, minlength=n_sources) > 0
        candidates = there & (strong | (state.goes_on >= 0))
        return [int(source) for source in np.flatnonzero(candidates)]

    def _weigh(
        self,
        month: int,
        kind: int,
        source: int,
        rows: Integers,
        history: History,
        free: Flags,
    ) -> Slip:
        """Judge one source's month by its results that no other slip has claimed."""
        state = self._sources[kind]
        member = np.flatnonzero(self._of((kind, source), rows) & free)
        own, history = rows[member], history.of(member)
        mean = history.expected(state.level[source])
        _, man, times = np.unique(
            self._data.results.man[own], return_inverse=True, return_counts=True
        )
        each = 1 / times[man.ravel()]
        share_new = float(np.average(history.of_source, weights=each)) if len(own) else 0.0
        unknown = self._data.results.treated[own] == UNKNOWN
        verdict = judge(
            Group(
                deviation=self._data.residual[own] - mean,
                sd=history.sd,
                weight=each,
                offset_sd=float(np.sqrt(MONTH_SD**2 + share_new**2 * state.variance[source])),
                may_fall=unknown & (mean - state.start[source] > _LOW[0]),
                may_rise=unknown & (mean - state.start[source] < _LOW[1]),
            ),
            self._data.belief.shifts,
            self._data.scales.odd,
            enough=self._needed(state, source),
        )
        basis: Basis = "own_results"
        needed = self._needed_for_new()
        if verdict.shift == state.goes_on[source]:
            basis, needed = "continued", self._needed(state, source)
        suspect = np.full(len(own), True) if verdict.share >= WHOLE else verdict.moved >= 0.5
        known = history.weight > 0
        decided, doubt = _decision(verdict, needed, known[suspect])
        return Slip(
            kind=kind,
            source=source,
            month=month,
            shift=verdict.shift,
            log_bf=verdict.log_bf,
            share=verdict.share,
            basis=basis,
            n_results=len(own),
            n_with_history=int(np.sum(known)),
            rows=own[suspect],
            decided=decided,
            doubt=doubt,
        )

    def _needed_for_new(self) -> float:
        """Return the log Bayes factor from which an unexpected slip is held to be real."""
        prior = self._data.belief.slip_prior / len(self._data.belief.shifts)
        return float(np.log(self._data.belief.least_odds) - np.log(prior))

    def _needed(self, state: SourceLevels, source: int) -> float:
        if state.goes_on[source] < 0:
            return self._needed_for_new()
        prior = state.goes_on_prior[source]
        return float(np.log(_GOES_ON_ODDS) - np.log(prior) + np.log1p(-prior))

    def _expect_more(self, slip: Slip) -> None:
        state = self._sources[slip.kind]
        state.goes_on[slip.source] = slip.shift
        state.goes_on_prior[slip.source] = GOES_ON[int(slip.whole)]


def _decision(verdict: Verdict, needed: float, known: Flags) -> tuple[bool, Doubt | None]:
    """Decide whether a slip is held to be real, and if it only looks like one, why not.

    ``known``: whether the man of each suspect has earlier results.
    """
    if len(known) and verdict.log_bf >= needed:
        guessed = verdict.share < WHOLE and float(np.mean(known)) < _KNOWN_SHARE
        return (False, "no_history") if guessed else (True, None)
    # Where treatment explains it far better nothing is reported.
    treated = -LEAN_LOG_BF < verdict.log_bf < needed <= verdict.log_bf_untreated
    return False, "treatment" if treated else None


def _blame(slip: Slip) -> tuple[float, ...]:
    """Order slips that may explain each other: decided, purest source, most results."""
    return (not slip.decided, -round(slip.share, 1), -float(len(slip.rows)), slip.kind, slip.source)
