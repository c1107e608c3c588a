"""How well each draw fits what the man's other draws and all men say of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from e2analytics.models import assay
from e2analytics.models.dose_response import DoseResponse
from e2analytics.models.levels import Own
from e2analytics.models.own_level import Draws, design

Vector = NDArray[np.float64]

_MOST_LEVERAGE = 0.99


def z_scores(response: DoseResponse, own: Own, draws: Draws) -> Vector:
    """Return how far each draw lies from where it was to be expected without it, shape (m,).

    In standard deviations of the predictive distribution: the man's posterior less this draw (in closed
    form, exact for mass spectrometry), and the reading's own error. A censored result counts from its
    nearer bound, and 0 where the expectation lies inside.
    """
    common = response.common
    z = design((draws.dose_mg_per_week > 0).astype(float), 2)
    level = draws.covariates @ common.coefficients
    level = level + common.effect(draws.dose_mg_per_week).log_ratio
    level = level + np.einsum("mi,mi->m", z, own.mean[draws.man])
    left_open = np.einsum("mi,mij,mj->m", z, own.covariance[draws.man], z)
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
