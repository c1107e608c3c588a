"""Limit: which lower limit of E2 is in use, and since when.

In    the limits adopted so far, the fitted curves
Out   the limits with the first supported fitted one taken into use, if there was none; the one in use

A later fit moves nothing: it is shown beside the limit in use until somebody adopts it.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import polars as pl

from e2analytics.curve.rows import CHANGE
from e2analytics.errors import TooLittleDataError
from e2analytics.settings import FitSettings, FlagSettings


class LimitInUse(NamedTuple):
    """The limit that flags are judged by, as an equivalent of mass spectrometry."""

    lower_limit_pg_ml: float
    source: str
    model_id: str | None
    site: str | None


def adopt(
    limits: pl.DataFrame,
    summary: pl.DataFrame,
    fit_settings: FitSettings,
    settings: FlagSettings,
    *,
    as_of: date,
    reason: str | None,
) -> pl.DataFrame:
    """Take the fitted limit into use: the first supported one by itself, later ones for a reason.

    Raises
    ------
    TooLittleDataError
        If a reason is given and there is no limit that may be taken into use.
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
    """Return the fitted limit that may be taken into use: of the curve chosen beforehand alone."""
    return summary.filter(
        (pl.col("site") == fit_settings.primary_site)
        & (pl.col("outcome") == CHANGE)
        & pl.col("supported")
        & pl.col("lower_limit_pg_ml").is_between(
            settings.least_limit_pg_ml, settings.greatest_limit_pg_ml
        )
    )


def why_no_candidate(fit_settings: FitSettings, settings: FlagSettings) -> str:
    """Say why no fitted limit may be taken into use, where :func:`candidates` finds none."""
    return (
        f"There is no fitted limit to adopt: that of {fit_settings.primary_site} is not supported "
        f"or lies outside {settings.least_limit_pg_ml:g}-{settings.greatest_limit_pg_ml:g} pg/mL."
    )


def in_use(limits: pl.DataFrame, settings: FlagSettings, *, as_of: date) -> LimitInUse:
    """Return the limit in use on a day: the last one adopted, else that of the literature."""
    adopted = limits.filter(pl.col("adopted_on") <= as_of)
    if adopted.is_empty():
        return LimitInUse(settings.literature_limit_pg_ml, "literature", None, None)
    last = adopted.row(-1, named=True)
    return LimitInUse(last["lower_limit_pg_ml"], last["source"], last["model_id"], last["site"])
