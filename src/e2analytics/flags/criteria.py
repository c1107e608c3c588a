"""Criteria: what the men are assessed by on the as-of date."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from e2analytics.settings import FlagSettings
from e2analytics.tables.limit_in_use import LimitInUse


@dataclass(frozen=True, kw_only=True)
class Criteria:
    """What the men are assessed by.

    Attributes
    ----------
    as_of
        The day.
    limit
        The lower limit of E2 in use.
    limit_quantiles_pg_ml
        Equally probable values of that limit; empty if it has no uncertainty.
    model_id
        Model that his E2 is estimated with.
    sd_of_draw
        Scatter (log scale) of one draw by mass spectrometry around a man's own level; None without a
        fitted dose response.
    settings
        Thresholds.
    """

    as_of: date
    limit: LimitInUse
    limit_quantiles_pg_ml: Sequence[float]
    model_id: str
    sd_of_draw: float | None
    settings: FlagSettings
