"""How well each draw fits the man's other draws and the population.

In    a fitted dose response, the men's random effects and draws
Out   a z score for each draw; which draws are kept
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.dose_response import assay
from e2analytics.models.dose_response.batches import Batch, batches
from e2analytics.models.dose_response.fit import DoseResponse
from e2analytics.models.dose_response.propagation import integrate
from e2analytics.models.dose_response.types import Draws
from e2analytics.models.threads import one_blas_thread, side_by_side

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]

OUTLIER_BEYOND_SD: Final = 4.0
"""Our own rule: 1 draw in 16,000 lies farther by chance. ``make validate`` shows what it does to the error of the
men's levels, with results in a wrong unit, with heavy tails and with neither."""
_ROUNDS = 2
_LEAST_DRAWS = 4
_LEAST_PRECISION = 1e-6


def z_scores(response: DoseResponse, draws: Draws) -> Vector:
    """Return how far each draw lies from where it was to be expected without it, shape (m,).

    In standard deviations of the predictive distribution: what the man's other draws say of that day, which may
    be movement, and the reading's own error. Exact for mass spectrometry. A censored result counts from its
    nearer bound, and 0 where the expectation lies inside.
    """
    population = response.population
    numbered = np.arange(len(draws.man), dtype=float)
    # Draws change their order in batches: each takes its number along.
    marked = replace(draws, covariates=np.column_stack([draws.covariates, numbered]))
    level, left_open = np.empty((2, len(draws.man)))

    def one(batch: Batch) -> None:
        place = batch.draws.covariates[:, -1].astype(np.int64)
        plain = replace(batch.draws, covariates=batch.draws.covariates[:, :-1])
        found = integrate(replace(batch, draws=plain), population)
        precision = np.maximum(1 / found.variance - found.sites.precision, _LEAST_PRECISION)
        shift = found.mean / found.variance - found.sites.shift
        level[place], left_open[place] = shift / precision, 1 / precision

    with one_blas_thread():
        side_by_side(one, batches(marked))
    at, slope = assay.expected(level, draws.ms, population.assays)
    scale = np.where(draws.ms, population.assays.sd_ms, population.assays.ia_cv)
    # On the scale of the reading: its error, and what is left open of the level.
    spread = scale * np.sqrt(1 + (slope / scale) ** 2 * left_open)
    low = np.where(
        draws.low_pg_ml > 0, assay.on_scale(draws.low_pg_ml, draws.ms, population.assays), -np.inf
    )
    high = assay.on_scale(draws.high_pg_ml, draws.ms, population.assays)
    return np.asarray((np.maximum(low - at, 0.0) + np.minimum(high - at, 0.0)) / spread)


def inliers(response: DoseResponse, draws: Draws) -> Flags:
    """Return which draws are kept, shape (m,): all but outliers, at most one of a man in each round.

    A man's last draw stays: nothing later contradicts it, and it may be the danger itself. His draws
    stand in the order of time.
    """
    kept, doubted = np.ones(len(draws.man), bool), np.ones(draws.n_men, bool)
    for _ in range(_ROUNDS):
        # Only where a draw was left out do the others say something new.
        rows = np.flatnonzero(kept & doubted[draws.man])
        left = draws.take(rows)
        away = np.abs(z_scores(response, left))
        farthest, last = np.zeros(draws.n_men), np.zeros(draws.n_men, np.int64)
        np.maximum.at(farthest, left.man, away)
        last[left.man] = np.arange(len(rows))
        enough = np.bincount(left.man, minlength=draws.n_men) >= _LEAST_DRAWS
        odd = (away > OUTLIER_BEYOND_SD) & (away == farthest[left.man]) & enough[left.man]
        odd &= np.arange(len(rows)) != last[left.man]
        if not odd.any():
            break
        kept[rows[odd]] = False
        doubted = np.zeros(draws.n_men, bool)
        doubted[left.man[odd]] = True
    return kept
