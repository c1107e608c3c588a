"""Disclosure control: no count of 1-10 men can be read, summed or subtracted out of what is shown.

In    a table of counts with all its sums, which of its cells are to be printed, a base for rounding
Out   what may be shown: small counts hidden, and as many others as it takes to protect them

Zero may be shown (CMS cell size policy, ResDAC 2024), and a zero that is printed is never hidden: who knows
a clinic knows its zeros. So a reader who knows these rules knows that a hidden count is 1 or more. A count of
1-10 is protected if, for all that he is shown, it could still be anything from 1 to 10: one whole table
agrees with everything shown and has 1 there, another has 10 or more. That is more than hiding it and one
other: where two hidden counts can only add up to 5, neither is protected. Of a sum of seven counts that are
not zero the least is 7, whatever is hidden.

Which further counts to hide is searched one small count at a time, for the cheapest change of the
table that moves it as far as it must and leaves all sums right (Kelly, Golden and Assad, Networks
1992;22:397); the cells that the change needs are hidden. Larger cells cost more, so totals go last. It
always ends: with everything but the zeros hidden, any multiple of the table agrees.

A clinic that is sent the table knows its own row, and could subtract it: where two clinics are hidden, each
would learn the other. ``readers`` names such rows; every count is protected from each of them alone, not
from two that put their rows together.

Percentages, intervals and charts of a hidden count must be hidden by the caller that prints them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from e2analytics.models.pspline import Array

SMALLEST: Final = 1
LARGEST: Final = 10
"""Counts from 1 to 10 are small (CMS)."""
_WHOLE: Final = 1e-6
_NEXT_TO_NOTHING: Final = 1e-3

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Table:
    """Counts with all their sums.

    Attributes
    ----------
    counts : integer array of shape (r, c)
    relations : sparse array of shape (m, r * c)
        Each row is a sum: 1 at the total, -1 at its parts, so that ``relations @ counts`` vanishes.
    """

    counts: Counts
    relations: sparse.csr_array


@dataclass(frozen=True)
class Released:
    """What may leave, of the table's shape.

    Attributes
    ----------
    shown : array of shape (r, c)
        Rounded counts; NaN where hidden or not printed, so that a hidden count is not read as 0.
    hidden : boolean array of shape (r, c)
        Printed cells whose count must not be shown, small or not: the reader does not learn which.
    """

    shown: Array
    hidden: Flags


def crossed(parts: ArrayLike, row_sums: ArrayLike = (), column_sums: ArrayLike = ()) -> Table:
    """Add to a table all its sums, over either dimension and over both.

    Any cell that a reader could get by adding or subtracting must be in the table, printed or not: men of a
    clinic who meet a measure and who do not, and their sum; those below 10 and from 10 to 16, and those
    below 16.

    Parameters
    ----------
    parts : integer array of shape (r, c)
        Men who are counted in one cell only.
    row_sums, column_sums : arrays of shape (R, r) and (C, c)
        1 where a row (column) of the parts belongs to the sum, else 0.

    Returns
    -------
    Table
        Of shape (r + R, c + C), the sums after the parts.

    Examples
    --------
    >>> crossed([[3, 20], [12, 0]], row_sums=[[1, 1]], column_sums=[[1, 1]]).counts
    array([[ 3, 20, 23],
           [12,  0, 12],
           [15, 20, 35]])
    """
    counts = np.asarray(parts, dtype=np.int64)
    by_row = np.asarray(row_sums, dtype=np.int64).reshape(-1, counts.shape[0])
    by_column = np.asarray(column_sums, dtype=np.int64).reshape(-1, counts.shape[1])
    all_rows = np.vstack([np.eye(counts.shape[0], dtype=np.int64), by_row])
    all_columns = np.vstack([np.eye(counts.shape[1], dtype=np.int64), by_column])
    over_rows = sparse.kron(_vanishing(by_row), sparse.eye_array(len(all_columns)))
    over_columns = sparse.kron(sparse.eye_array(len(all_rows)), _vanishing(by_column))
    return Table(
        all_rows @ counts @ all_columns.T,
        sparse.csr_array(sparse.vstack([over_rows, over_columns])),
    )


def _vanishing(sums: Counts) -> sparse.csr_array:
    """Return each sum less its parts."""
    return sparse.csr_array(np.hstack([-sums, np.eye(len(sums), dtype=np.int64)]))


def protect(
    table: Table,
    printed: ArrayLike = True,
    base: int = 1,
    readers: Sequence[int] = (),
    given: ArrayLike = False,
) -> Released:
    """Hide what must be hidden and round the rest.

    Parameters
    ----------
    table : Table
    printed : boolean array that broadcasts to shape (r, c)
        Cells that are not printed cost nothing to hide. They are protected all the same: 19 of 20 printed
        tell of the one who is not.
    base : int
        Counts are shown to the nearest multiple, but never as 1-10; each by itself, so that rounded counts
        need not add up. 1 rounds nothing.
    readers : sequence of int
        Rows of the parts whose owners will see the table, and know all of their row.
    given : boolean array that broadcasts to shape (r, c)
        Cells that are shown elsewhere, so that they cannot be hidden here: a table of those who were
        counted there. A small count is protected as far as they leave it open.

    Raises
    ------
    ValueError
        If a count is negative, a sum is not the sum of its parts, or a small count is given.
    """
    counts = table.counts.ravel()
    if np.any(counts < 0) or np.any(table.relations @ counts):
        raise ValueError("The table's counts are negative or do not add up.")
    to_print = np.broadcast_to(np.asarray(printed, dtype=bool), table.counts.shape).ravel()
    known = np.zeros((1 + len(readers), *table.counts.shape), dtype=bool)
    for number, row in enumerate(readers, start=1):
        known[number, row] = True
    elsewhere = np.broadcast_to(np.asarray(given, dtype=bool), table.counts.shape).ravel()
    if np.any(_is_small(counts[elsewhere])):
        raise ValueError("A count of 1-10 is given: it was shown elsewhere.")
    known = known.reshape(len(known), -1) | elsewhere
    hidden = _Search(counts, table.relations, to_print, known).hidden()
    shown = np.where(to_print & ~hidden, _rounded(counts, base), np.nan)
    shape = table.counts.shape
    return Released(shown.reshape(shape), (to_print & hidden).reshape(shape))


def _is_small(counts: Counts) -> Flags:
    return (counts >= SMALLEST) & (counts <= LARGEST)


def _rounded(counts: Counts, base: int) -> Array:
    least_shown = base * (LARGEST // base + 1)
    nearest = base * np.rint(counts / base)
    return np.where(counts > 0, np.maximum(nearest, least_shown), 0.0)


class _Search:
    """Grows the set of hidden cells until every small count is protected from every reader.

    Each row of ``known`` is a reader: the cells that he knows beforehand, the first but what is given. ``least`` and
    ``most`` are what each cell is, for him, in tables already found that agree with all that is shown.
    Hiding more leaves them in agreement, so that no count need be looked at twice.
    """

    def __init__(
        self, counts: Counts, relations: sparse.csr_array, printed: Flags, known: Flags
    ) -> None:
        self._counts = counts
        self._printed = printed
        self._known = known
        self._are_given = bool(known[0].any())
        self._is_hidden = _is_small(counts) | ~printed
        self._is_sum = np.asarray((relations > 0).sum(axis=0)).ravel() > 0
        # As the solver takes it: made once, for it is asked hundreds of times.
        self._sums_stay_right = LinearConstraint(
            sparse.hstack([relations, -relations], format="csc"), 0.0, 0.0
        )
        self._least = np.tile(counts, (len(known), 1))
        self._most = self._least.copy()

    def hidden(self) -> Flags:
        small = np.flatnonzero(_is_small(self._counts))
        # The largest go first: what moves them moves many of the others far enough.
        for cell in small[np.argsort(-self._counts[small], kind="stable")]:
            # Who knows nothing comes last: what keeps it from the others mostly keeps it from him.
            for reader in np.flatnonzero(~self._known[:, cell])[::-1]:
                most = self._extreme(cell, reader, LARGEST)
                if self._most[reader, cell] < most:
                    self._move(cell, most, reader)
                least = self._extreme(cell, reader, SMALLEST)
                if self._least[reader, cell] > least:
                    self._move(cell, least, reader)
        return self._is_hidden

    def _extreme(self, cell: np.int64, reader: np.int64, wanted: int) -> int:
        """Return how near to ``wanted`` a cell can be for who knows nothing but his row and the zeros."""
        found = (self._least if wanted == SMALLEST else self._most)[reader, cell]
        if found <= SMALLEST if wanted == SMALLEST else found >= LARGEST:
            return wanted
        # Only a sum is bound by its parts; of a part nothing but its sums would tell, and unless they are
        # given they can be hidden.
        if not self._is_sum[cell] and not self._are_given:
            return wanted
        rise, fall = self._bounds(reader)
        up, down = _parts_of(wanted - int(self._counts[cell]))
        rise[cell], fall[cell] = min(rise[cell], up), min(fall[cell], down)
        objective = np.zeros(2 * len(self._counts))
        objective[[cell, len(self._counts) + cell]] = -1.0
        change = self._solve(objective, rise, fall)[cell]
        # Towards the true count: what is possible in whole numbers only.
        return int(self._counts[cell] + np.trunc(change + np.sign(change) * _WHOLE))

    def _move(self, cell: np.int64, to: int, reader: np.int64) -> None:
        """Find the cheapest table in which a cell is ``to``, and hide what differs from the true one."""
        # Next to nothing for what is hidden already: the fewer rows differ, the more readers believe it.
        cost = np.where(self._is_hidden, _NEXT_TO_NOTHING, 1.0 + self._counts)
        rise, fall = self._bounds(reader)
        least = np.zeros((2, len(cost)))
        rise[cell], fall[cell] = least[:, cell] = _parts_of(to - int(self._counts[cell]))
        objective = np.concatenate([cost, cost])
        change = self._solve(objective, rise, fall, least)
        # A vertex of most tables is whole; of those with several sums over both dimensions, not always.
        if np.any(np.abs(change - np.rint(change)) > _WHOLE):
            change = self._solve(objective, rise, fall, least, whole=True)
        moved = self._counts + np.rint(change).astype(np.int64)
        differs = moved != self._counts
        self._is_hidden |= differs
        believed_by = ~np.any(self._known & differs, axis=1)
        self._least[believed_by] = np.minimum(self._least[believed_by], moved)
        self._most[believed_by] = np.maximum(self._most[believed_by], moved)

    def _bounds(self, reader: np.int64) -> tuple[Array, Array]:
        """Return how far each cell can rise and fall for a reader: a count that is printed not to zero."""
        fixed = self._known[reader] | (self._printed & (self._counts == 0))
        least = np.where(self._printed, 1.0, 0.0)
        rise = np.where(fixed, 0.0, np.inf)
        return rise, np.where(fixed, 0.0, self._counts - least)

    def _solve(
        self,
        objective: Array,
        rise: Array,
        fall: Array,
        least: Array | None = None,
        *,
        whole: bool = False,
    ) -> Array:
        """Return the change of every cell that costs least and leaves all sums right."""
        most = np.concatenate([rise, fall])
        at_least = np.zeros(len(most)) if least is None else least.ravel()
        found = milp(
            objective,
            integrality=np.full(len(most), whole, dtype=np.int64),
            bounds=Bounds(at_least, most),
            constraints=self._sums_stay_right,
        )
        if found.status != 0:
            raise ValueError("No other table agrees: a small count cannot be protected.")
        return np.asarray(found.x[: len(rise)] - found.x[len(rise) :])


def _parts_of(change: int) -> tuple[int, int]:
    """Return by how much to rise and by how much to fall."""
    return max(change, 0), max(-change, 0)
