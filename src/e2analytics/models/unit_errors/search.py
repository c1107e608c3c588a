"""Whose results, and of which months, came in another unit than they were declared in.

In    log results of one analyte with man, month, treatment and the sources that they came through
Out   slips: one per source and month, with the rows under suspicion and how strong the evidence is

The months are walked in their order, as they would have come in. What is expected of a result is the
man's own level, learnt from his earlier results that are not under suspicion (recent ones weigh
more; on and off the drug he counts as two men), shrunk towards his source's level, which is learnt
from its own earlier months, and before it has any from the other sources and clinical knowledge. A
slip is looked for

* in every month of a source, of any share of its results: against the men's own levels;
* in a source from its first month on: against the other sources' men and clinical knowledge alone,
  because the men's own results have slipped with it. What other sources say is heard only if it is
  clinically possible: they may all have slipped;
* where a source changes by a factor, before the change as well as after it: whichever side lies
  further from where it should.

The month after a slip, a slip of the same factor is expected to go on. Every slip that is found is
taken out before the walk goes on, so that it teaches nobody a wrong level. Where the evidence of a
source's first months points to a slip without proving it, that is said (``decided`` is false, no
rows), never guessed.

A few odd results of men of whom nothing is known are boys, or men on letrozole, as well as a slip:
taken out, they would hide the very danger that they show (NHANES 2017-20: 139 of 4,058). That, too,
is said and nobody is suspect for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from e2analytics.models.unit_errors.arrays import (
    UNKNOWN,
    WHOLE,
    Basis,
    Belief,
    Codes,
    Doubt,
    Flags,
    Results,
    Slip,
)
from e2analytics.models.unit_errors.screen import ENOUGH_LOG_BF, Screen
from e2analytics.models.unit_errors.slip_evidence import Group, Integers, Vector, Verdict, judge
from e2analytics.models.unit_errors.source_levels import (
    BETWEEN_SOURCES_SD,
    SourceLevels,
    beginning,
    in_bins,
    medians_of,
    scales_of,
)

MIN_MEN: Final = 30
"""Fewer men do not tell where a population lies: nothing is decided by them alone."""

# Our own rules, on the natural log scale, where nothing else is said.
_MONTH_SD: Final = 0.12  # of a source's own level from one month to the next: lots, methods
_DRIFT_SD: Final = 0.03
_HALF_LIFE_MONTHS: Final = 12.0
_KNOWN_SHARE: Final = 0.5
"""Of the suspects of a month that slipped in part, so many must have earlier results of their own."""
_CHANGE: Final = 0.2  # prior that men's treatment is not what was thought
_LOW: Final = (-1.1, -0.3)
"""A man's level, from where his source began: treatment lowers only from above the first, raises only
from below the second."""
_CHANGE_REACH: Final = 1.4
_SOURCE_PRIOR: Final = 0.01  # a source declares the wrong unit from its first day
_GOES_ON: Final = (0.05, 0.5)  # after a slip of some results, of all
_GOES_ON_ODDS: Final = 3.0
_LEAN_LOG_BF: Final = float(np.log(10.0))
_SIDE_LOG_ODDS: Final = float(np.log(3.0))


@dataclass(frozen=True, slots=True)
class _Past:
    """A source's first months, found to have slipped in hindsight."""

    kind: int
    source: int
    shift: int
    until: int
    log_bf: float
    basis: Basis


class _History(NamedTuple):
    """What the earlier results of its man say of each result; arrays of shape (n,).

    Attributes
    ----------
    weight, pull : ndarray
        How many there are and their sum, older ones counting for less.
    own : ndarray
        What they contribute to what is expected of the result.
    of_source : ndarray
        How much of what is expected is the level of its source.
    sd : ndarray
        Standard deviation of the result around what is expected.
    """

    weight: Vector
    pull: Vector
    own: Vector
    of_source: Vector
    sd: Vector

    def of(self, some: Flags | Integers) -> _History:
        """Return the history of some of the results."""
        return _History(*(each[some] for each in self))

    def expected(self, level: Vector | float) -> Vector:
        """Return what is expected of each result, given the level of its source."""
        return self.own + self.of_source * level


class _Month(NamedTuple):
    """A month's results; arrays of shape (n,), ``rows`` their places among all."""

    rows: Integers
    residual: Vector
    key: Codes
    treated: Codes
    sources: tuple[Codes, ...]

    def of(self, some: Flags) -> _Month:
        """Return some of the results."""
        return _Month(
            self.rows[some],
            self.residual[some],
            self.key[some],
            self.treated[some],
            tuple(code[some] for code in self.sources),
        )


def find(results: Results, belief: Belief) -> tuple[Slip, ...]:
    """Return the slips, in order of month.

    Parameters
    ----------
    results : Results
    belief : Belief
    """
    if not len(results.log_value):
        return ()
    order = _order(results)
    walk = _Walk(results.of(order), belief)
    while walk.again():  # each time with fewer rows
        pass
    found = sorted([*walk.in_hindsight, *walk.found], key=lambda s: (s.month, s.kind, s.source))
    return tuple(replace(slip, rows=order[slip.rows]) for slip in found)


def _order(results: Results) -> Integers:
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


class _Walk:
    """One analyte, month by month, and again from the start when hindsight changes the past.

    Parameters
    ----------
    results : Results
        In the order of months.
    belief : Belief
    """

    def __init__(self, results: Results, belief: Belief) -> None:
        self.results, self.belief = results, belief
        self.residual = results.log_value - np.asarray(belief.centre)[results.treated]
        self.key = results.man * 3 + results.treated
        self.scales = scales_of(self.residual, self.key, results.month)
        self.screen = Screen(belief.shifts, self.scales)
        self.binned = in_bins(self.residual)
        self.months, starts = np.unique(results.month, return_index=True)
        self.ends = [*starts[1:].tolist(), len(results.month)]
        self.excluded = np.zeros(len(self.residual), dtype=bool)
        self.in_hindsight: list[Slip] = []
        self.trusted: set[tuple[int, int]] = set()
        self.past: list[_Past] = []
        self.found: list[Slip] = []

    def again(self) -> bool:
        """Walk all months; return whether the past has changed and another walk is needed."""
        self._start()
        start = 0
        for month, end in zip(self.months.tolist(), self.ends, strict=True):
            news = self._month(month, self._results_in(slice(start, end)))
            if news and self._change_the_past(news):
                return True
            start = end
        self.found.extend(self._undecided())
        return False

    def _start(self) -> None:
        n_keys = int(self.key.max()) + 1
        self.weight = np.zeros(n_keys)
        self.pull = np.zeros(n_keys)
        self.seen = np.zeros(n_keys, dtype=np.int64)
        self.found = []
        self.last = [np.full(n_keys, -1, dtype=np.int32) for _ in self.results.sources]
        self.sources = [self._known(codes) for codes in self.results.sources]

    def _known(self, codes: Codes) -> SourceLevels:
        n = max(int(codes.max()) + 1, 1)
        usable = (codes >= 0) & ~self.excluded
        medians, counts = medians_of(self.binned[usable], codes[usable], n)
        return SourceLevels(*beginning(medians, counts, self.belief.centre_sd))

    # One month -----------------------------------------------------------------------------------

    def _results_in(self, place: slice) -> _Month:
        results = self.results
        all_of_it = _Month(
            np.arange(place.start, place.stop),
            self.residual[place],
            self.key[place],
            results.treated[place],
            tuple(code[place] for code in results.sources),
        )
        excluded = self.excluded[place]
        return all_of_it.of(~excluded) if excluded.any() else all_of_it

    def _month(self, month: int, seen: _Month) -> list[_Past]:
        for past in self.past:
            if past.until == month:
                source = self.sources[past.kind]
                source.goes_on[past.source] = past.shift
                source.goes_on_prior[past.source] = _GOES_ON[1]
        if not len(seen.rows):
            return []
        age = (month - self.seen[seen.key]) / _HALF_LIFE_MONTHS
        fade = 0.5**age
        history = self._history(self.weight[seen.key] * fade, self.pull[seen.key] * fade)
        slips, news = self._slips(month, seen, history)
        self.found.extend(slips)
        if slips:
            kept = ~np.isin(seen.rows, np.concatenate([slip.rows for slip in slips]))
            seen, history = seen.of(kept), history.of(kept)
        self._learn_sources(seen, history)
        self._learn_men(month, seen, history)
        return news or self._from_the_start(month)

    def _history(self, weight: Vector, pull: Vector) -> _History:
        prior = 1 / self.scales.between_sd**2
        within = self.scales.within_sd**2
        variance = 1 / (prior + weight / within)
        return _History(
            weight, pull, pull / within * variance, prior * variance, np.sqrt(variance + within)
        )

    def _slips(self, month: int, seen: _Month, history: _History) -> tuple[list[Slip], list[_Past]]:
        rows = seen.rows
        free = np.ones(len(rows), dtype=bool)
        said = np.zeros(len(rows), dtype=bool)
        candidates = [
            (kind, source)
            for kind in range(len(self.sources))
            for source in self._worth_a_look(kind, seen, history)
        ]
        slips: list[Slip] = []
        news: list[_Past] = []
        weighed = {each: self._weigh(month, *each, rows, history, free) for each in candidates}
        while weighed:
            each = min(weighed, key=lambda c: _blame(weighed[c]))
            slip = weighed.pop(each)
            members = np.isin(rows, slip.rows)
            if not slip.decided:
                # Said once, of the purest source.
                if slip.doubt and len(slip.rows) and np.mean(said[members]) < 0.5:
                    slips.append(replace(slip, rows=slip.rows[:0]))
                    said |= members
                continue
            before = self._which_side(slip)
            back = self._inverse(slip.shift)
            if before is not None and back is not None and before >= _SIDE_LOG_ODDS:
                news.append(
                    _Past(*each, back, self._month_before(month), slip.log_bf, "own_results")
                )
                continue
            if before is not None and before > -_SIDE_LOG_ODDS:
                slip = replace(slip, basis="either_side")
            slips.append(replace(slip, rows=slip.rows[~self.results.released[slip.rows]]))
            self._expect_more(slip)
            # What was released is explained as well: no other source is blamed for it.
            free &= ~members
            touched = [c for c in weighed if np.any(members & self._of(c, rows))]
            for other in touched:
                weighed[other] = self._weigh(month, *other, rows, history, free)
        # A source that was looked at because a slip was expected to go on, and did not.
        for kind, source in candidates:
            if not any(s.decided and (s.kind, s.source) == (kind, source) for s in slips):
                self.sources[kind].goes_on[source] = -1
        return slips, news

    def _month_before(self, month: int) -> int:
        return int(self.months[np.searchsorted(self.months, month) - 1])

    def _of(self, candidate: tuple[int, int], rows: Integers) -> Flags:
        kind, source = candidate
        return np.asarray(self.results.sources[kind][rows] == source)

    def _worth_a_look(self, kind: int, seen: _Month, history: _History) -> list[int]:
        """Return the sources in which some results fit a slip: a cheap bound, generous on purpose."""
        state = self.sources[kind]
        seen, history = _with_source(kind, seen, history)
        code, n_sources = seen.sources[kind], len(state.level)
        deviation = seen.residual - history.expected(state.level[code])
        strong = self.screen.log_bf(deviation, history.sd, code, n_sources) > ENOUGH_LOG_BF
        there = np.bincount(code, minlength=n_sources) > 0
        look = there & (strong | (state.goes_on >= 0))
        return [int(source) for source in np.flatnonzero(look)]

    def _weigh(
        self,
        month: int,
        kind: int,
        source: int,
        rows: Integers,
        history: _History,
        free: Flags,
    ) -> Slip:
        """Judge one source's month by its results that no other slip has claimed."""
        state = self.sources[kind]
        member = np.flatnonzero(self._of((kind, source), rows) & free)
        own, history = rows[member], history.of(member)
        mean = history.expected(state.level[source])
        _, who, times = np.unique(self.results.man[own], return_inverse=True, return_counts=True)
        each = 1 / times[who.ravel()]
        share_new = float(np.average(history.of_source, weights=each)) if len(own) else 0.0
        unknown = self.results.treated[own] == UNKNOWN
        verdict = judge(
            Group(
                deviation=self.residual[own] - mean,
                sd=history.sd,
                weight=each,
                offset_sd=float(np.sqrt(_MONTH_SD**2 + share_new**2 * state.variance[source])),
                may_fall=unknown & (mean - state.start[source] > _LOW[0]),
                may_rise=unknown & (mean - state.start[source] < _LOW[1]),
            ),
            self.belief.shifts,
            self.scales.odd,
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
        """Return the log Bayes factor from which a slip that nobody expected is held for real."""
        prior = self.belief.slip_prior / len(self.belief.shifts)
        return float(np.log(self.belief.least_odds) - np.log(prior))

    def _needed(self, state: SourceLevels, source: int) -> float:
        if state.goes_on[source] < 0:
            return self._needed_for_new()
        prior = state.goes_on_prior[source]
        return float(np.log(_GOES_ON_ODDS) - np.log(prior) + np.log1p(-prior))

    def _expect_more(self, slip: Slip) -> None:
        state = self.sources[slip.kind]
        state.goes_on[slip.source] = slip.shift
        state.goes_on_prior[slip.source] = _GOES_ON[int(slip.whole)]

    # Learning ------------------------------------------------------------------------------------

    def _learn_sources(self, seen: _Month, history: _History) -> None:
        """Move the level of each source towards its month, and note what arrived from elsewhere."""
        for kind, state in enumerate(self.sources):
            own, past = _with_source(kind, seen, history)
            code, n = own.sources[kind], len(state.level)
            self._note_arrivals(kind, own, past)
            level = state.level[code]
            near = level + np.clip(own.residual - level, -1.5, 1.5)
            size = np.bincount(code, minlength=n)
            middle = np.bincount(code, near, n) / np.maximum(size, 1)
            # The middle of its men, whoever they are: men who all changed move it no further.
            one = self.scales.between_sd**2 + self.scales.within_sd**2
            doubt = one / np.maximum(size, 1) + _MONTH_SD**2
            gain = np.where(size > 0, state.variance / (state.variance + doubt), 0.0)
            state.level = state.level + gain * (middle - state.level)
            state.variance = (1 - gain) * state.variance + _DRIFT_SD**2 * (size > 0)

    def _note_arrivals(self, kind: int, seen: _Month, history: _History) -> None:
        """Add up the men who are new to a source: against what others, not it, say of them."""
        state = self.sources[kind]
        code = seen.sources[kind]
        arriving = np.flatnonzero(self.last[kind][seen.key] != code)
        at, of_source = code[arriving], history.of_source[arriving]
        expected = history.own[arriving] + of_source * state.start[at]
        away = np.clip(seen.residual[arriving] - expected, -6.0, 6.0)
        precision = 1 / history.sd[arriving] ** 2
        unknown = seen.treated[arriving] == UNKNOWN
        amounts = (precision, precision * away, precision * of_source, precision * unknown, None)
        for place, amount in enumerate(amounts):
            state.arrived[place] += np.bincount(at, amount, len(state.level))
        self.last[kind][seen.key] = code

    def _learn_men(self, month: int, seen: _Month, history: _History) -> None:
        key = seen.key
        # An odd result teaches little.
        reach = np.where(history.weight > 0, 2.5 * history.sd, np.inf)
        taught = history.own + np.clip(seen.residual - history.own, -reach, reach)
        # A man's results stand beside each other.
        first = np.flatnonzero(np.diff(key, prepend=-1))
        n_taught = np.diff(first, append=len(key))
        self.weight[key[first]] = history.weight[first] + n_taught
        self.pull[key[first]] = history.pull[first] + np.add.reduceat(taught, first)
        self.seen[key[first]] = month

    # Hindsight -----------------------------------------------------------------------------------

    def _from_the_start(self, month: int) -> list[_Past]:
        """Return the sources whose results since the first month have slipped, by population alone."""
        news = []
        needed = np.log(self.belief.least_odds * len(self.belief.shifts) / _SOURCE_PRIOR)
        for kind, source, shift, log_bf, n_men in self._leaning():
            if n_men >= MIN_MEN and log_bf >= needed:
                news.append(_Past(kind, source, shift, month, log_bf, "population"))
        return news

    def _leaning(self) -> list[tuple[int, int, int, float, int]]:
        """Return kind, source, shift, log Bayes factor and arrivals where a factor is preferred."""
        out = []
        for kind, state in enumerate(self.sources):
            precision, pull, new, unknown, n = state.arrived
            for source in np.flatnonzero(pull**2 > (0.5 * precision) ** 2):
                if (kind, int(source)) in self.trusted:
                    continue
                p = precision[source]
                share_new = new[source] / p
                centre = state.start_variance[source] - BETWEEN_SOURCES_SD**2
                variance = BETWEEN_SOURCES_SD**2 + share_new**2 * centre + 1 / p
                shift, log_bf = _from_population(
                    pull[source] / p, variance, self.belief.shifts, unknown[source] / p
                )
                if log_bf > _LEAN_LOG_BF:
                    out.append((kind, int(source), shift, log_bf, int(n[source])))
        return out

    def _which_side(self, slip: Slip) -> float | None:
        """Return by how much (log) it is likelier that the months before a change are the wrong ones.

        Null where nothing, or what somebody released, lies before, or no slip that its return would be.
        """
        state = self.sources[slip.kind]
        source = slip.source
        if not slip.whole or slip.basis == "continued" or self._inverse(slip.shift) is None:
            return None
        earlier = (self.results.sources[slip.kind] == source) & (self.results.month < slip.month)
        earlier &= ~self.excluded
        if not earlier.any() or self.results.released[earlier].mean() > 0.5:
            return None
        before = state.level[source] - state.start[source]
        after = before + self.belief.shifts[slip.shift]
        return float((before**2 - after**2) / state.start_variance[source])

    def _inverse(self, shift: int) -> int | None:
        back = np.flatnonzero(np.isclose(self.belief.shifts, -self.belief.shifts[shift]))
        return int(back[0]) if len(back) else None

    def _change_the_past(self, news: Sequence[_Past]) -> bool:
        """Take the months out that hindsight found; return whether any row was taken out."""
        changed = np.zeros(len(self.excluded), dtype=bool)
        for past in sorted(news, key=self._largest_first):
            codes = self.results.sources[past.kind]
            rows = np.flatnonzero(
                (codes == past.source) & (self.results.month <= past.until) & ~self.excluded
            )
            # Another source, blamed already, explains them.
            if not len(rows) or changed[rows].mean() > 0.5:
                continue
            rows = rows[~changed[rows]]
            suspects = rows[~self.results.released[rows]]
            if len(suspects) < 0.5 * len(rows):
                self.trusted.add((past.kind, past.source))
            else:
                self.past.append(past)
            changed[suspects] = True
            for month in np.unique(self.results.month[rows]):
                own = rows[self.results.month[rows] == month]
                self.in_hindsight.append(
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
                        rows=own[~self.results.released[own]],
                        decided=True,
                    )
                )
        self.excluded |= changed
        return bool(changed.any())

    def _largest_first(self, past: _Past) -> tuple[float, float, int, int]:
        # A feed whose laboratories all slipped has one cause, not many.
        n = np.count_nonzero(self.results.sources[past.kind] == past.source)
        return -round(past.log_bf / 2), -float(n), past.kind, past.source

    def _undecided(self) -> list[Slip]:
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
            for kind, source, shift, log_bf, n in self._leaning()
        ]


def _with_source(kind: int, seen: _Month, history: _History) -> tuple[_Month, _History]:
    """Return the results that have a source of this kind."""
    belongs = seen.sources[kind] >= 0
    if belongs.all():
        return seen, history
    return seen.of(belongs), history.of(belongs)


def _decision(verdict: Verdict, needed: float, known: Flags) -> tuple[bool, Doubt | None]:
    """Tell whether a slip is held for real, and if it only looks like one, why not.

    ``known`` says of each suspect whether his man has earlier results.
    """
    if len(known) and verdict.log_bf >= needed:
        guessed = verdict.share < WHOLE and float(np.mean(known)) < _KNOWN_SHARE
        return (False, "no_history") if guessed else (True, None)
    # Where treatment explains it far better there is nothing to tell.
    treated = -_LEAN_LOG_BF < verdict.log_bf < needed <= verdict.log_bf_untreated
    return False, "treatment" if treated else None


def _blame(slip: Slip) -> tuple[float, ...]:
    """Order slips that may explain each other: decided, purest source, most results."""
    return (not slip.decided, -round(slip.share, 1), -float(len(slip.rows)), slip.kind, slip.source)


def _from_population(
    mean: float, variance: float, shifts: Vector, share_unknown: float
) -> tuple[int, float]:
    """Return the factor that fits a source's mean best, and its log Bayes factor.

    Treatment that nobody told us of lowers a source's level by as much as it can: a slip downwards
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
