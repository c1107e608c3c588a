"""What the curve says of E2 that is spread otherwise over men: the difference of their mean change of bone.

In    rows of the primary curve, E2 spread over its supported points before and after
Out   the mean outcome after, less that before, with its 95 % interval, clustered by man
"""

from __future__ import annotations

import numpy as np

from e2analytics.models import intervals
from e2analytics.models.curve import CurveFit
from e2analytics.models.intervals import Interval
from e2analytics.models.pspline import Array


def supported_points(fitted: CurveFit) -> Array:
    """Return the supported points of the grid, pg/mL, rising."""
    return fitted.e2_pg_ml[fitted.supported]


def mean_difference(fitted: CurveFit, share_before: Array, share_after: Array) -> Interval:
    """Return the mean outcome after, less that before; arrays of shape (1,).

    Parameters
    ----------
    fitted
        The curve.
    share_before, share_after : array of shape (g,)
        Shares of men at each supported point.
    """
    weights = (share_after - share_before)[None]
    supported = fitted.supported
    return intervals.around(
        weights @ fitted.estimate[supported],
        fitted.influence,
        weights @ fitted.gradient[supported],
        np.ones(1, dtype=np.bool_),
    )
