"""True E2 from day to day, and the bone change that it causes.

E2 approaches the level of the dose in force with the drug's half-life, on the log scale. A man's
curve part over an interval is the average of the curve over the days, not the curve of the average.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.signal import lfilter

from e2analytics.simulate import parameters as world
from e2analytics.simulate.cohort import Integers, Men, Vector
from e2analytics.simulate.settings import SimulationSettings
from e2analytics.simulate.treatment import Spells
from e2analytics.simulate.truth import spine_change_pct
from e2analytics.simulate.worlds import Moves

_MONTH_DAYS: Final = 30
MEN_PER_BLOCK: Final = 500  # a block of day-by-day arrays fits in a processor's cache


@dataclass(frozen=True)
class Traced:
    """What was read off the true paths.

    Attributes
    ----------
    draw_log_e2 : ndarray of shape (n_draws,)
        Log E2 on the day of each draw.
    interval_log_e2 : ndarray of shape (n_intervals,)
        Mean log E2 from the first to the second scan.
    interval_change_pct : ndarray of shape (n_intervals,)
        Mean of the spine's curve over the same days, %/year.
    now_log_e2 : ndarray of shape (n_men,)
        Log E2 on the last day.
    moved_log_e2 : ndarray of shape (n_men,)
        Of it, what has moved beside the drug.
    """

    draw_log_e2: Vector
    interval_log_e2: Vector
    interval_change_pct: Vector
    now_log_e2: Vector
    moved_log_e2: Vector


@dataclass(frozen=True)
class Spans:
    """Stretches of days of men, sorted by man: `first_day` and later `last_day`, shape (n,)."""

    man: Integers
    first_day: Integers
    last_day: Integers


def trace(
    men: Men,
    spells: Spells,
    draw_man: Integers,
    draw_day: Integers,
    intervals: Spans,
    settings: SimulationSettings,
    moves: Moves | None = None,
) -> Traced:
    """Read the true paths at draws (sorted by man) and over intervals (sorted by man)."""
    draws, means, changes, now, moved = [], [], [], [], []
    for first, log_e2, moved_now in _blocks(men, spells, settings, moves):
        block = slice(first, first + len(log_e2))
        here = _rows_of(draw_man, block)
        draws.append(log_e2[draw_man[here] - first, draw_day[here]])
        here = _rows_of(intervals.man, block)
        span = Spans(
            intervals.man[here] - first, intervals.first_day[here], intervals.last_day[here]
        )
        means.append(_mean_over(log_e2, span))
        changes.append(_mean_over(spine_change_pct(log_e2, settings), span))
        now.append(log_e2[:, -1])
        moved.append(moved_now)
    return Traced(*(np.concatenate(parts) for parts in (draws, means, changes, now, moved)))


def on_days(
    men: Men,
    spells: Spells,
    man: Integers,
    day: Integers,
    settings: SimulationSettings,
    moves: Moves | None,
) -> Vector:
    """Return log E2 of men (n,), sorted, each on a day of his."""
    return np.concatenate(
        [
            log_e2[man[here] - first, day[here]]
            for first, log_e2, _ in _blocks(men, spells, settings, moves)
            for here in [_rows_of(man, slice(first, first + len(log_e2)))]
        ]
    )


def monthly(
    men: Men, spells: Spells, settings: SimulationSettings, moves: Moves | None
) -> tuple[Integers, Vector]:
    """Return days, about a month apart, and log E2 on them, shape (n_men, n_days)."""
    days = np.arange(settings.last_day, -1, -_MONTH_DAYS)[::-1]
    blocks = _blocks(men, spells, settings, moves)
    return days, np.concatenate([log_e2[:, days] for _, log_e2, _ in blocks])


def _blocks(
    men: Men, spells: Spells, settings: SimulationSettings, moves: Moves | None
) -> Iterator[tuple[int, Vector, Vector]]:
    """Yield the first man of a block, the block's log E2 (men, days), and what has moved by the last day."""
    effect = spells.log_effect(men.response)
    for first in range(0, len(men), MEN_PER_BLOCK):
        block = slice(first, min(first + MEN_PER_BLOCK, len(men)))
        here = _rows_of(spells.man, block)
        steps = np.zeros((block.stop - first, settings.last_day + 2))
        row = spells.man[here] - first
        for day, change in (
            (spells.start_day[here], effect[here]),
            (spells.end_day[here], -effect[here]),
        ):
            np.add.at(steps, (row, day.clip(0, settings.last_day + 1)), change)
        steady = steps.cumsum(axis=1)[:, :-1]
        log_e2 = men.log_e2_off[block, None] + _approach(steady)
        if moves is None:
            yield first, log_e2, np.zeros(len(log_e2))
            continue
        moved = moves.daily_log_e2(block, log_e2.shape[1])
        yield first, log_e2 + moved, moved[:, -1]


def _approach(steady: Vector) -> Vector:
    """Follow `steady` (men, days) with the drug's half-life, starting in balance."""
    kept = 0.5 ** (1 / world.HALF_LIFE_DAYS)
    followed, _ = lfilter([1 - kept], [1, -kept], steady, axis=1, zi=kept * steady[:, :1])
    return np.asarray(followed)


def _rows_of(man: Integers, block: slice) -> slice:
    """Return the rows of a block's men in an array sorted by man."""
    first, stop = np.searchsorted(man, [block.start, block.stop])
    return slice(int(first), int(stop))


def _mean_over(values: Vector, span: Spans) -> Vector:
    """Average `values` (men, days) over each span, its first day included and its last not."""
    total = np.zeros((values.shape[0], values.shape[1] + 1))
    np.cumsum(values, axis=1, out=total[:, 1:])
    summed = total[span.man, span.last_day] - total[span.man, span.first_day]
    return np.asarray(summed / (span.last_day - span.first_day))
