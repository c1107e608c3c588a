"""Shares of simulated cohorts, each with its 99 % interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from scipy.stats import beta, norm

_BEYOND: Final = 0.005


@dataclass(frozen=True)
class Share:
    """A share of ``of`` cohorts with its 99 % interval."""

    share: float
    low: float
    high: float
    of: int

    def meets(self, target: tuple[float, float]) -> bool:
        """Whether the interval and the target have something in common."""
        return self.low <= target[1] and self.high >= target[0]

    def __str__(self) -> str:
        return f"{self.share:.1%} ({self.low:.1%}-{self.high:.1%})" if self.of else "–"


def binomial(held: pl.Series) -> Share:
    """Share of cohorts in which something held, with the exact interval of Clopper and Pearson."""
    known = held.drop_nulls()
    n, k = len(known), int(known.sum() or 0)
    if not n:
        return Share(np.nan, 0.0, 1.0, 0)
    low = float(beta.ppf(_BEYOND, k, n - k + 1)) if k else 0.0
    high = float(beta.ppf(1 - _BEYOND, k + 1, n - k)) if k < n else 1.0
    return Share(k / n, low, high, n)


def mean_share(shares: pl.Series) -> Share:
    """Mean of one share per cohort (of grid points), with the interval that cohorts give it."""
    known = shares.drop_nulls().to_numpy()
    if not len(known):
        return Share(np.nan, 0.0, 1.0, 0)
    reach = float(norm.ppf(1 - _BEYOND)) * float(np.std(known)) / np.sqrt(len(known))
    mean = float(known.mean())
    return Share(mean, max(mean - reach, 0.0), min(mean + reach, 1.0), len(known))
