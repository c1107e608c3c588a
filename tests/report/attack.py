"""What a reader of a released table could work out of a count: integer programming."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp


def least_and_most(
    cell: NDArray[np.float64], known: LinearConstraint | list[LinearConstraint]
) -> tuple[int, int]:
    """Return the least and the most that a sum of counts could be, by what is known of them."""
    ends = []
    for sign in (1, -1):
        found = milp(
            sign * cell,
            integrality=np.ones(len(cell)),
            bounds=Bounds(0, 1e4),
            constraints=known,
        )
        assert found.status == 0
        ends.append(round(float(cell @ found.x)))
    return ends[0], ends[1]
