r"""How far a weekly dose of anastrozole lowers E2: :math:`g(d) = \log(1 - E_{max} d / (d + ED_{50}))`.

A steady state is meant, and the average man: a man's own response comes on top (``types``).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Vector = NDArray[np.float64]


class Effect(NamedTuple):
    """Log ratio of E2 on the drug to E2 off it, and its derivatives, each of the shape of the dose."""

    log_ratio: Vector
    by_logit_emax: Vector
    by_log_ed50: Vector


def effect(dose_mg_per_week: Vector, logit_emax: float, log_ed50: float) -> Effect:
    """Return the effect of doses on log E2.

    Half of the greatest suppression is reached at ED50:

    >>> float(effect(np.array([0.3]), 1.386294, np.log(0.3)).log_ratio[0])  # Emax 0.8: 1 - 0.4
    -0.5108...
    """
    emax, dose = float(expit(logit_emax)), np.asarray(dose_mg_per_week)
    share = dose / (dose + np.exp(log_ed50))
    left = 1 - emax * share
    return Effect(
        np.log(left),
        -share * emax * (1 - emax) / left,
        emax * share * (1 - share) / left,
    )
