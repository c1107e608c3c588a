"""Finds the sources and months whose results came in another unit than declared.

In    log results of one analyte with man, month, treatment and the sources that they came through
Out   slips: one per source and month, with the rows under suspicion and how strong the evidence is

The months are walked in their order, as they would have come in. What is expected of a result is the
man's own level, learnt from his earlier results that are not under suspicion (recent ones weigh
more; on and off the drug he counts as two men), shrunk towards his source's level, which is learnt
from its own earlier months, and before it has any from the other sources and clinical knowledge. A
slip is looked for

* in every month of a source, of any share of its results: against the men's own levels;
* in a source from its first month on: against the other sources' men and clinical knowledge alone,
  because the men's own results have slipped with it. Other sources count only if their levels are
  clinically possible: they may all have slipped;
* where a source changes by a factor, before the change as well as after it: whichever side lies
  further from where it should.

The month after a slip, a slip of the same factor is expected to go on. Every slip that is found is
excluded before the walk goes on, so that no wrong level is learnt from it. Where the evidence of a
source's first months points to a slip without proving it, it is reported (``decided`` is false, no
rows), never guessed.

A few odd results of men of whom nothing is known are boys, or men on letrozole, as well as a slip:
excluded, they would hide the very danger that they show (NHANES 2017-20: 139 of 4,058). That is
reported, too, and no result is under suspicion for it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from e2analytics.models.unit_errors.arrays import Belief, Results, Slip
from e2analytics.models.unit_errors.hindsight import Hindsight, Past
from e2analytics.models.unit_errors.learner import Learner
from e2analytics.models.unit_errors.month_judge import MonthJudge
from e2analytics.models.unit_errors.prepared import Month, Prepared, order_of, prepare


def find(results: Results, belief: Belief) -> tuple[Slip, ...]:
    """Return the slips, in order of month.

    Parameters
    ----------
    results : Results
    belief : Belief
    """
    if not len(results.log_value):
        return ()
    order = order_of(results)
    data = prepare(results.of(order), belief)
    hindsight = Hindsight(data)
    slips = None
    while slips is None:  # each time with fewer rows
        slips = _walk(data, hindsight)
    in_order = sorted([*hindsight.slips, *slips], key=lambda s: (s.month, s.kind, s.source))
    return tuple(replace(slip, rows=order[slip.rows]) for slip in in_order)


def _walk(data: Prepared, hindsight: Hindsight) -> list[Slip] | None:
    """Walk all months; none if hindsight has changed the past and another walk is needed."""
    learner = Learner(data, hindsight.excluded)
    judge = MonthJudge(data, learner, hindsight)
    slips: list[Slip] = []
    for month, seen in data.by_month(hindsight.excluded):
        found, past_slips = _month(month, seen, learner, judge, hindsight)
        slips.extend(found)
        if past_slips and hindsight.exclude(past_slips):
            return None
    return [*slips, *hindsight.undecided(learner.sources)]


def _month(
    month: int, seen: Month, learner: Learner, judge: MonthJudge, hindsight: Hindsight
) -> tuple[list[Slip], list[Past]]:
    """Judge one month and learn from what is left of it."""
    hindsight.expect_more(month, learner.sources)
    if not len(seen.rows):
        return [], []
    history = learner.history(month, seen)
    slips, past_slips = judge.judge(month, seen, history)
    if slips:
        kept = ~np.isin(seen.rows, np.concatenate([slip.rows for slip in slips]))
        seen, history = seen.of(kept), history.of(kept)
    learner.learn(month, seen, history)
    return slips, past_slips or hindsight.from_the_start(month, learner.sources)
