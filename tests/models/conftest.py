"""Cohorts whose truth is known: the curve that made them, and a calibrated posterior of E2."""

from collections.abc import Callable

import numpy as np
import pytest

from e2analytics.models.rows import CurveData

TRUTHS = {
    "low_side_threshold": lambda x: -2.5 * np.clip((np.log(20) - x) / np.log(2), 0, 1),
    "high_side_threshold": lambda x: -2.5 * np.clip((x - np.log(35)) / np.log(2), 0, 1),
    "u_shaped": lambda x: TRUTHS["low_side_threshold"](x) + TRUTHS["high_side_threshold"](x),
    "rising": lambda x: 2.5 * (x - np.log(60)) / np.log(6),
    "falling": lambda x: -2.5 * (x - np.log(10)) / np.log(6),
    "flat": lambda x: 0.0 * x,
}

AGE_SLOPE, LEVEL, AGE_MEAN = -0.02, -0.3, 50.0


@pytest.fixture
def truth() -> Callable[[str], Callable[[np.ndarray], np.ndarray]]:
    """Change in %/year at log E2, for a man of mean age, under a shape."""
    return lambda shape: lambda log_e2: LEVEL + TRUTHS[shape](log_e2)


@pytest.fixture
def cohort() -> Callable[..., CurveData]:
    """Men with 2-5 intervals; 35 % on a drug that lowers E2 for part of the time."""

    def make(shape: str, n_men: int = 800, seed: int = 0) -> CurveData:
        rng = np.random.default_rng(seed)
        believed = rng.normal(np.log(33), 0.36, n_men)
        true = believed + rng.normal(0, 0.18, n_men)
        drop = np.where(rng.random(n_men) < 0.35, rng.uniform(0.2, 1.2, n_men), 0.0)
        man = np.repeat(np.arange(n_men), rng.integers(2, 6, n_men))
        share = np.where(drop[man] > 0, rng.choice([0.0, 0.5, 1.0], len(man)), 0.0)
        years = rng.uniform(0.9, 3, len(man))
        age = rng.normal(AGE_MEAN, 10, n_men)[man]
        sampling_variance = 2 * 1.3**2 / years**2
        change = (
            LEVEL
            + (1 - share) * TRUTHS[shape](true[man])
            + share * TRUTHS[shape]((true - drop)[man])
            + AGE_SLOPE * (age - AGE_MEAN)
            + rng.normal(0, 0.5, n_men)[man]
            + rng.normal(0, 2, len(man))
            + rng.normal(0, np.sqrt(sampling_variance))
        )
        mean = np.column_stack([believed[man], (believed - drop)[man]])
        weight = np.column_stack([1 - share, share])
        return CurveData(
            log_e2=np.log((np.exp(mean) * weight).sum(axis=1)),
            log_e2_mean=mean,
            log_e2_sd=np.full_like(mean, 0.18),
            episode_weight=weight,
            covariates=age[:, None],
            outcome=change,
            patient=man,
            sampling_variance=sampling_variance,
        )

    return make
