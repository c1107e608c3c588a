"""Support: how many men lie near each E2, and where that is enough for a claim.

In    exposures, men, a grid of E2
Out   men near each grid point, and the points that are supported
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.pspline import Array
from e2analytics.models.rows import numbered


@dataclass(frozen=True)
class Support:
    """Men near each of g grid points, and the points that they support.

    Attributes
    ----------
    men : integer array of shape (g,)
    supported : boolean array of shape (g,)
    n_rows : int
    """

    men: NDArray[np.int64]
    supported: NDArray[np.bool_]
    n_rows: int


def men_near(
    log_e2: Array, patient: NDArray[np.int64], grid: Array, half_width: float
) -> NDArray[np.int64]:
    """Count the men with a row within ``half_width`` of each grid point.

    Parameters
    ----------
    log_e2, patient : array of shape (n,)
        Exposure of each row, log pg/mL, and whose it is.
    grid : array of shape (g,)
        Ascending, log pg/mL.
    half_width : float
        Log units.

    Returns
    -------
    integer array of shape (g,)
    """
    first = np.searchsorted(grid, log_e2 - half_width, side="left")
    end = np.searchsorted(grid, log_e2 + half_width, side="right")
    # One number for man, first and end: to sort a million of them takes a thirtieth of lexsort's.
    width = len(grid) + 1
    packed = np.sort((numbered(patient) * width + first) * width + end)
    packed, end = np.divmod(packed, width)
    man, first = np.divmod(packed, width)
    # A man's rows ascend, and so do their ends: where two overlap, the second counts only from the
    # end of the first.
    same_man = np.concatenate([[False], man[1:] == man[:-1]])
    covered = np.where(same_man, np.concatenate([[0], end[:-1]]), 0)
    first = np.maximum(first, covered)
    opened = np.bincount(first, minlength=len(grid) + 1)
    closed = np.bincount(end, minlength=len(grid) + 1)
    return np.cumsum(opened - closed)[: len(grid)].astype(np.int64)


def supported_points(
    grid: Array,
    n_effective: NDArray[np.int64],
    min_effective: int,
    central: tuple[float, float],
) -> NDArray[np.bool_]:
    """Points with enough men inside the central range of E2: the longest unbroken run of them.

    A claim about an E2 between two islands of data would rest on no man, so only one island
    counts.

    Parameters
    ----------
    grid, n_effective : array of shape (g,)
    min_effective : int
    central : pair of float
        Central range of E2, log pg/mL.

    Returns
    -------
    boolean array of shape (g,)
    """
    enough = (n_effective >= min_effective) & (grid >= central[0]) & (grid <= central[1])
    edges = np.flatnonzero(np.diff(enough, prepend=False, append=False))
    runs = edges.reshape(-1, 2)
    kept = np.zeros_like(enough)
    if len(runs):
        start, end = runs[np.argmax(runs[:, 1] - runs[:, 0])]
        kept[start:end] = True
    return kept
