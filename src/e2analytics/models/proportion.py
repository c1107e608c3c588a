"""Intervals of proportions that stay inside 0 and 1, and hold for small counts.

In    how many of how many
Out   the share and its 95 % interval by Wilson's score

Each unit counts as independent: several results of one man make the interval a little too narrow.
Source: Wilson, J Am Stat Assoc 1927;22:209; chosen by Newcombe, Stat Med 1998;17:857 (method 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from e2analytics.models.normal import Z95
from e2analytics.models.pspline import Array


@dataclass(frozen=True)
class Proportion:
    """Shares and their 95 % intervals, shape (n,) each; NaN where the denominator is 0."""

    value: Array
    ci_low: Array
    ci_high: Array


def wilson(numerator: ArrayLike, denominator: ArrayLike) -> Proportion:
    """Give each share with its interval.

    Parameters
    ----------
    numerator, denominator : integer arrays of shape (n,)
        ``0 <= numerator <= denominator``.
    """
    met = np.asarray(numerator, dtype=np.float64)
    of = np.where(np.asarray(denominator) > 0, denominator, np.nan)
    share = met / of
    z2 = Z95**2
    centre = (met + z2 / 2) / (of + z2)
    reach = Z95 * np.sqrt(met * (1 - share) + z2 / 4) / (of + z2)
    # At no and at all the end is 0 and 1 exactly; rounding must not show 1e-17.
    low = np.where(met == 0, 0 * share, centre - reach)
    high = np.where(met == of, share, centre + reach)
    return Proportion(share, low, high)
