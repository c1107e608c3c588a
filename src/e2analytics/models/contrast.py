"""One number to compare curves by: the outcome at a low E2 less that at a sufficient one.

In    a fitted curve
Out   the difference with its 95 % interval, clustered by man; none where a point is not supported

Curves whose limits are null can still be compared by it, and so can curves without a level, such
as the curve within men.
"""

from __future__ import annotations

import numpy as np

from e2analytics.models import intervals
from e2analytics.models.curve import CurveFit
from e2analytics.models.intervals import Interval

# Grid points lie closer than this, log units; farther off there is no point to speak of.
_NEAR = 0.1


def contrast(fitted: CurveFit, low_pg_ml: float, enough_pg_ml: float) -> Interval | None:
    """Return the outcome at ``low_pg_ml`` less that at ``enough_pg_ml``; arrays of shape (1,)."""
    supported = np.flatnonzero(fitted.supported)
    if not len(supported):
        return None
    log_e2 = np.log(fitted.e2_pg_ml)
    wanted = np.log([low_pg_ml, enough_pg_ml])
    away = np.abs(log_e2[supported] - wanted[:, None])
    if np.any(away.min(axis=1) > _NEAR):
        return None
    low, enough = supported[away.argmin(axis=1)]
    gradient = (fitted.gradient[low] - fitted.gradient[enough])[None]
    difference = np.array([fitted.estimate[low] - fitted.estimate[enough]])
    return intervals.around(difference, fitted.influence, gradient, np.ones(1, dtype=np.bool_))
