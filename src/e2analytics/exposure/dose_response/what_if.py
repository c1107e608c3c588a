"""What if men of a clinic took other doses: how many would be expected below a limit, and where their E2 would lie.

In    the frozen dose response, ``own_levels`` of the men, their dose now and the other one
Out   samples of the number of men below a limit, and how E2 spreads over a grid, at both doses

Information for those who think about a rule for all men; never an order for one.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from e2analytics.exposure.dose_response.predict import (
    AsOf,
    covariate_variance,
    effects_on,
    usual_covariates,
)
from e2analytics.models.dose_response import predict
from e2analytics.models.dose_response.frozen import FrozenDoseResponse

N_SAMPLES: Final = 1_000
_MEN_AT_ONCE: Final = 2_000


class Expected(NamedTuple):
    """What is expected of n men at their dose now (0) and at the other one (1).

    Attributes
    ----------
    below : integer array of shape (limits, s, 2)
        Men below each limit, in each of s samples.
    share_at : array of shape (2, g)
        Share of men and samples whose E2 lies nearest to each point of the grid.
    beyond : array of shape (2,)
        Share whose E2 lies beyond the ends of the grid; they are counted at its ends.
    """

    below: NDArray[np.int64]
    share_at: NDArray[np.float64]
    beyond: NDArray[np.float64]


def expect(
    response: FrozenDoseResponse,
    men: pl.DataFrame,
    as_of: AsOf,
    limits_pg_ml: NDArray[np.float64],
    grid_pg_ml: NDArray[np.float64],
    seed: int,
) -> Expected:
    """Sample the men's E2 at both doses.

    Parameters
    ----------
    response
        The dose response of the model in force.
    men
        Rows of ``own_levels`` with ``now_mg_per_week`` and ``then_mg_per_week``.
    as_of
        The day, and the changes of testosterone orders.
    limits_pg_ml
        Below which men are counted.
    grid_pg_ml
        Rising.
    seed
        Of the samples.
    """
    rng = np.random.default_rng(seed)
    shifts = predict.sample_shifts(response.model, N_SAMPLES, rng)
    limits, grid = np.log(limits_pg_ml), np.log(grid_pg_ml)
    edges = np.concatenate([[-np.inf], (grid[1:] + grid[:-1]) / 2, [np.inf]])
    below = np.zeros((len(limits), N_SAMPLES, 2), np.int64)
    at = np.zeros((2, len(grid)))
    beyond = np.zeros(2)
    for some in men.iter_slices(_MEN_AT_ONCE):
        log_e2 = predict.sample(
            response.model,
            effects_on(response, some, as_of),
            usual_covariates(some),
            some.select("now_mg_per_week", "then_mg_per_week").to_numpy(),
            covariate_variance(response, some),
            shifts,
            rng,
        )
        below += (log_e2 < limits[:, None, None, None]).sum(axis=2)
        beyond += ((log_e2 < grid[0]) | (log_e2 > grid[-1])).sum(axis=(0, 1))
        at += [np.histogram(log_e2[..., dose], edges)[0] for dose in range(2)]
    return Expected(below, at / (N_SAMPLES * len(men)), beyond / (N_SAMPLES * len(men)))
