"""Adoption of a fitted lower limit of E2.

In    the limits adopted so far, the fitted curves
Out   limits   grain adopted_on, model_id: with the first supported fit, if there was none

A later fit changes nothing until the clinic adopts it. Which limit is in use on a day:
:mod:`e2analytics.tables.limit_in_use`.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from e2analytics.curve.rows import CHANGE
from e2analytics.errors import TooLittleDataError
from e2analytics.settings import FitSettings, FlagSettings


def adopt(
    limits: pl.DataFrame,
    summary: pl.DataFrame,
    fit_settings: FitSettings,
    settings: FlagSettings,
    *,
    as_of: date,
    reason: str | None,
) -> pl.DataFrame:
    """Adopt the fitted limit: the first supported one by itself, a later one only for a reason.

    Raises
    ------
    TooLittleDataError
        If a reason is given and no fitted limit may be adopted.
    """
    found = candidates(summary, fit_settings, settings)
    if reason is None and not limits.filter(pl.col("adopted_on") <= as_of).is_empty():
        return limits
    if reason is not None and found.is_empty():
        raise TooLittleDataError(
            f"{why_no_candidate(fit_settings, settings)} See: e2analytics limits show"
        )
    adopted = found.select(
        pl.lit(as_of).alias("adopted_on"),
        "site",
        "lower_limit_pg_ml",
        limit_ci_low="lower_limit_ci_low",
        limit_ci_high="lower_limit_ci_high",
        source=pl.lit("fitted"),
        model_id="model_id",
        reason=pl.lit(reason or "first supported fit"),
    )
    # Adopting the same fit again on the same day changes nothing but the reason.
    kept = limits.join(adopted, on=["adopted_on", "model_id"], how="anti")
    return pl.concat([kept, adopted]).sort("adopted_on", maintain_order=True)


def candidates(
    summary: pl.DataFrame, fit_settings: FitSettings, settings: FlagSettings
) -> pl.DataFrame:
    """Return the fitted limit that may be adopted: only that of the curve chosen beforehand."""
    return summary.filter(
        (pl.col("site") == fit_settings.primary_site)
        & (pl.col("outcome") == CHANGE)
        & pl.col("supported")
        & pl.col("lower_limit_pg_ml").is_between(
            settings.least_limit_pg_ml, settings.greatest_limit_pg_ml
        )
    )


def why_no_candidate(fit_settings: FitSettings, settings: FlagSettings) -> str:
    """Explain why no fitted limit may be adopted, where :func:`candidates` finds none."""
    return (
        f"There is no fitted limit to adopt: that of {fit_settings.primary_site} is not supported "
        f"or lies outside {settings.least_limit_pg_ml:g}-{settings.greatest_limit_pg_ml:g} pg/mL."
    )
