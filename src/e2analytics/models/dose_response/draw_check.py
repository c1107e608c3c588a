"""How well each draw fits what the man's other draws and all men say of it."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.dose_response import assay
from e2analytics.models.dose_response.fit import DoseResponse
from e2analytics.models.dose_response.predict import Own, own
from e2analytics.models.dose_response.random_effects import Draws, design

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]

SET_ASIDE_BEYOND_SD: Final = 4.0
"""Our own rule: 1 draw in 16,000 lies farther by chance. ``make validate`` shows what it does to the error of the
men's levels, with results in a wrong unit, with heavy tails and with neither."""
_ROUNDS_OF_SETTING_ASIDE = 2
_LEAST_DRAWS_TO_SET_ONE_ASIDE = 4
_MOST_LEVERAGE = 0.99


def z_scores(response: DoseResponse, men: Own, draws: Draws) -> Vector:
    """Return how far each draw lies from where it was to be expected without it, shape (m,).

    In standard deviations of the predictive distribution: the man's posterior less this draw (in closed
    form, exact for mass spectrometry), and the reading's own error. A censored result counts from its
    nearer bound, and 0 where the expectation lies inside.
    """
    common = response.common
    z = design((draws.dose_mg_per_week > 0).astype(float), 2)
    level = draws.covariates @ common.coefficients
    level = level + common.effect(draws.dose_mg_per_week).log_ratio
    level = level + np.einsum("mi,mi->m", z, men.mean[draws.man])
    left_open = np.einsum("mi,mij,mj->m", z, men.covariance[draws.man], z)
    at, slope = assay.expected(level, draws.ms, common.assays)
    scale = np.where(draws.ms, common.assays.sd_ms, common.assays.ia_cv)
    information = (slope / scale) ** 2
    leverage = np.where(draws.is_exact, information * left_open, 0.0).clip(max=_MOST_LEVERAGE)
    # On the scale of the reading: its error, and what is left open of the level.
    spread = scale * np.sqrt(np.where(draws.is_exact, 1 - leverage, 1 + information * left_open))
    low = np.where(
        draws.low_pg_ml > 0, assay.on_scale(draws.low_pg_ml, draws.ms, common.assays), -np.inf
    )
    high = assay.on_scale(draws.high_pg_ml, draws.ms, common.assays)
    return np.asarray((np.maximum(low - at, 0.0) + np.minimum(high - at, 0.0)) / spread)


def fitting(response: DoseResponse, draws: Draws) -> Flags:
    """Return which draws are kept, shape (m,): all but those that fit nothing else, one of a man a round.

    A man's last draw stays: nothing later contradicts it, and it may be the danger itself. His draws
    stand in the order of time.
    """
    kept = np.ones(len(draws.man), bool)
    for _ in range(_ROUNDS_OF_SETTING_ASIDE):
        rows = np.flatnonzero(kept)
        left = draws.taken(rows)
        away = np.abs(z_scores(response, own(response, left), left))
        farthest, last = np.zeros(draws.n_men), np.zeros(draws.n_men, np.int64)
        np.maximum.at(farthest, left.man, away)
        last[left.man] = np.arange(len(rows))
        enough = np.bincount(left.man, minlength=draws.n_men) >= _LEAST_DRAWS_TO_SET_ONE_ASIDE
        odd = (away > SET_ASIDE_BEYOND_SD) & (away == farthest[left.man]) & enough[left.man]
        odd &= np.arange(len(rows)) != last[left.man]
        if not odd.any():
            break
        kept[rows[odd]] = False
    return kept
