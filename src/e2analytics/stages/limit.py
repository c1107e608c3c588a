"""Limit: which lower limit of E2 is in use, and since when.

In    the limits adopted so far, the fitted curves
Out   the limits with the first supported fitted one taken into use, if there was none; the one in use

A later fit moves nothing: it is shown beside the limit in use until somebody adopts it.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import polars as pl

from e2analytics.settings import FitSettings, FlagSettings
from e2analytics.stages.fit import CHANGE


class LimitInUse(NamedTuple):
    """The limit that flags are judged by, as an equivalent of mass spectrometry."""

    lower_limit_pg_ml: float
    source: str
    model_id: str | None


def adopt_first(
    limits: pl.DataFrame,
    summary: pl.DataFrame,
    fit_settings: FitSettings,
    settings: FlagSettings,
    *,
    as_of: date,
) -> pl.DataFrame:
    """Take the first supported fitted limit into use, if it is plausible and none is in use yet."""
    if not limits.filter(pl.col("adopted_on") <= as_of).is_empty():
        return limits
    found = candidates(summary, fit_settings, settings)
    first = found.select(
        pl.lit(as_of).alias("adopted_on"),
        "lower_limit_pg_ml",
        limit_ci_low="lower_limit_ci_low",
        limit_ci_high="lower_limit_ci_high",
        source=pl.lit("fitted"),
        model_id="model_id",
        reason=pl.lit("first supported fit"),
    )
    return pl.concat([limits, first]).sort("adopted_on", maintain_order=True)


def candidates(
    summary: pl.DataFrame, fit_settings: FitSettings, settings: FlagSettings
) -> pl.DataFrame:
    """Return the fitted limit that may be taken into use: of the curve chosen beforehand alone."""
    return summary.filter(
        (pl.col("site") == fit_settings.primary_site)
        & (pl.col("outcome") == CHANGE)
        & pl.col("supported")
        & pl.col("lower_limit_pg_ml").is_between(
            settings.least_limit_pg_ml, settings.greatest_limit_pg_ml
        )
    )


def in_use(limits: pl.DataFrame, settings: FlagSettings, *, as_of: date) -> LimitInUse:
    """Return the limit in use on a day: the last one adopted, else that of the literature."""
    adopted = limits.filter(pl.col("adopted_on") <= as_of)
    if adopted.is_empty():
        return LimitInUse(settings.literature_limit_pg_ml, "literature", None)
    last = adopted.row(-1, named=True)
    return LimitInUse(last["lower_limit_pg_ml"], last["source"], last["model_id"])
