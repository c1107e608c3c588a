"""Blocks of men of one kind, whose effects are integrated over together.

In    draws of E2
Out   blocks: men seen on the drug or not, with normal draws alone or with others

Exact readings by mass spectrometry enter as sums over a man and dose: exact, and additive over
partitions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from e2analytics.models.dose_response.types import Block, Cells, Draws, Integers, Rows

_MEN_PER_BLOCK = 4_000


def blocks(draws: Draws) -> Iterator[Block]:
    """Yield the men with draws, in blocks of one kind: seen on the drug or not, all draws normal or not."""
    ever_on = np.zeros(draws.n_men, bool)
    ever_on[draws.man[draws.dose_mg_per_week > 0]] = True
    special = np.zeros(draws.n_men, bool)
    is_normal = draws.ms & draws.is_exact
    special[draws.man[~is_normal]] = True
    order = np.argsort(draws.man, kind="stable")
    ordered = draws.take(order)
    drawn = np.unique(ordered.man)
    for kind in range(4):
        men = drawn[(2 * ever_on + special)[drawn] == kind]
        for first in range(0, len(men), _MEN_PER_BLOCK):
            yield _block(ordered, men[first : first + _MEN_PER_BLOCK], 2 if kind >= 2 else 1)


def _block(ordered: Draws, men: Integers, n_effects: int) -> Block:
    among = np.full(ordered.n_men, -1)
    among[men] = np.arange(len(men))
    first, last = np.searchsorted(ordered.man, [men[0], men[-1] + 1])
    near = ordered.take(np.arange(first, last))
    here = near.take(among[near.man] >= 0)
    within = among[here.man]
    exact, ms = here.is_exact, here.ms
    return Block(
        men,
        n_effects,
        _cells(here.take(exact & ms), within[exact & ms]),
        *(
            _rows(here.take(rows), within[rows])
            for rows in (exact & ~ms, ~exact & ms, ~exact & ~ms)
        ),
    )


def _rows(draws: Draws, within: Integers) -> Rows:
    return Rows(within, draws, (draws.dose_mg_per_week > 0).astype(float))


def _cells(draws: Draws, within: Integers) -> Cells:
    order = np.lexsort((draws.dose_mg_per_week, within))
    man, dose = within[order], draws.dose_mg_per_week[order]
    n_columns = draws.covariates.shape[1] + 1
    if not len(man):
        return Cells(man, dose, dose, np.zeros((0, n_columns, n_columns)))
    starts = np.flatnonzero(np.concatenate([[True], (np.diff(man) != 0) | (np.diff(dose) != 0)]))
    rows = np.column_stack([draws.covariates[order], np.log(draws.low_pg_ml[order])])
    gram = np.add.reduceat(rows[:, :, None] * rows[:, None, :], starts, axis=0)
    return Cells(man[starts], dose[starts], (dose[starts] > 0).astype(float), gram)
