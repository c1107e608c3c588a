"""What of a table of men may leave: counts of 1-10 hidden, with all that would give them back.

In    counts by clinic, from the whole to its parts
Out   what may be shown of every count, of each clinic and of all together; NaN where hidden

Counts are released level by level: of the men known those on the drug, of these those flagged. What a level
shows is given in the next, so that no table of parts can show what a table of wholes hid, and the parts of
a whole that is hidden are not released. Every clinic is sent the network's figures and knows its own: each
count is protected from every clinic, too (``models.disclosure``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from e2analytics.models.disclosure import Counts, crossed, protect
from e2analytics.models.pspline import Array

Shown = dict[str, Array]
"""By name of a count: shape (clinics + 1,), all together last; rounded, NaN where hidden."""


@dataclass(frozen=True, slots=True)
class Level:
    """A whole and its parts.

    Attributes
    ----------
    parts
        Counts that no man is in two of.
    sums
        Sums of parts that are released, too.
    whole
        Name of the sum of all parts, which a level above has released; None if they have none.
    silent
        Parts that are not released, and could be derived by subtraction.
    """

    parts: tuple[str, ...]
    sums: Mapping[str, tuple[str, ...]]
    whole: str | None = None
    silent: tuple[str, ...] = ()


def release(
    levels: Sequence[Level],
    counts: Mapping[str, Sequence[int]],
    base: int,
    *,
    above: Shown | None = None,
    together: Mapping[str, float] | None = None,
    to_rows: bool = True,
) -> Shown:
    """Say what may be shown of the counts.

    Parameters
    ----------
    levels
        Wholes before their parts.
    counts
        By name of a part: its count in each clinic, in one order.
    base
        Counts are rounded to it.
    above
        Wholes that were released elsewhere.
    together
        What was released elsewhere of all together, NaN where it was hidden: then its parts are hidden, too.
    to_rows
        Whether those of a row (the clinics) are sent the whole, too, and know their own.
    """
    shown: Shown = {}
    for level in levels:
        parts = np.column_stack([np.asarray(counts[name], dtype=np.int64) for name in level.parts])
        wholes = (above or {}) | shown
        shown |= _released(level, parts, wholes, together or {}, base, to_rows=to_rows)
    return shown


def _released(
    level: Level,
    parts: Counts,
    wholes: Shown,
    together: Mapping[str, float],
    base: int,
    *,
    to_rows: bool,
) -> Shown:
    sums = dict(level.sums) | ({level.whole: level.parts} if level.whole else {})
    names = [*level.parts, *sums]
    n_rows = len(parts)
    if not n_rows:
        return {name: np.zeros(1) for name in names}
    printed = np.ones((n_rows + 1, len(names)), dtype=bool)
    given = np.zeros_like(printed)
    if level.whole:
        known = ~np.isnan(wholes[level.whole])
        printed &= known[:, None]
        given[:, -1] = known
    printed[:, [names.index(name) for name in level.silent]] = False
    for place, name in enumerate(names):
        if name in together:
            given[-1, place] = not math.isnan(together[name])
            printed[:, place] &= given[-1, place]
    released = protect(
        crossed(
            parts,
            [[1] * n_rows],
            [[name in sum_of for name in level.parts] for sum_of in sums.values()],
        ),
        printed,
        base,
        readers=range(n_rows) if to_rows and n_rows > 1 else (),
        given=given,
    )
    shown = dict(zip(names, released.shown.T, strict=True))
    return {
        name: values for name, values in shown.items() if name not in (*level.silent, level.whole)
    }
