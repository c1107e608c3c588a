"""The fitted lower limit of E2: whether it may be proposed, and its adoption.

In    the limits adopted so far, the fitted curves
Out   limits   grain adopted_on, model_id

A fitted limit changes nothing until the clinic adopts it, with a reason. Which limit is in use on a day:
:mod:`e2analytics.tables.limit_in_use`.
"""

from __future__ import annotations

from datetime import date

import polars as pl

from e2analytics.curve.rows import CHANGE
from e2analytics.errors import TooLittleDataError
from e2analytics.settings import FlagSettings


def adopt(
    limits: pl.DataFrame,
    summary: pl.DataFrame,
    primary_site: str,
    settings: FlagSettings,
    *,
    as_of: date,
    reason: str,
) -> pl.DataFrame:
    """Take the proposed limit into use from a day on.

    Raises
    ------
    TooLittleDataError
        If no fitted limit may be proposed.
    """
    objection = objection_to(summary, primary_site, settings)
    if objection:
        raise TooLittleDataError(
            f"No fitted limit can be adopted: of the {primary_site.replace('_', ' ')} curve, {objection}. "
            "See: e2analytics limits show"
        )
    adopted = _primary(summary, primary_site).select(
        pl.lit(as_of).alias("adopted_on"),
        "site",
        "lower_limit_pg_ml",
        limit_ci_low="lower_limit_ci_low",
        limit_ci_high="lower_limit_ci_high",
        source=pl.lit("fitted"),
        model_id="model_id",
        reason=pl.lit(reason),
    )
    # Adopting the same fit again on the same day changes nothing but the reason.
    kept = limits.join(adopted, on=["adopted_on", "model_id"], how="anti")
    return pl.concat([kept, adopted]).sort("adopted_on", maintain_order=True)


def objection_to(summary: pl.DataFrame, primary_site: str, settings: FlagSettings) -> str:
    """Say in a clause why the fitted limit may not be adopted; empty where it is proposed.

    Parameters
    ----------
    summary
        ``curve_summary`` of one model.
    primary_site
        Only the annual change there, chosen beforehand, gives a limit: never the curve that looks best.
    settings
        Where a limit may lie, and how wide its interval may be.
    """
    found = _primary(summary, primary_site).filter(pl.col("supported"))
    if found.is_empty():
        return "there is no supported limit"
    limit = found.row(0, named=True)
    value, low, high = (limit[f"lower_limit_{what}"] for what in ("pg_ml", "ci_low", "ci_high"))
    least, greatest = settings.least_limit_pg_ml, settings.greatest_limit_pg_ml
    if not least <= value <= greatest:
        return f"the limit lies outside {least:g} to {greatest:g} pg/mL"
    if not is_settled(low, high, settings):
        return (
            "the ends of the 95 % interval of the limit are more than a ratio of "
            f"{settings.max_limit_interval_ratio:g} apart"
        )
    other = summary.filter(
        (pl.col("outcome") == CHANGE)
        & pl.col("supported")
        & ((pl.col("lower_limit_ci_low") > high) | (pl.col("lower_limit_ci_high") < low))
    )
    if other.height:
        sites = " and ".join(site.replace("_", " ") for site in other["site"].sort())
        return f"the 95 % interval of the limit and that of the {sites} exclude each other"
    return ""


def is_settled(ci_low: float | None, ci_high: float | None, settings: FlagSettings) -> bool:
    """Tell whether the 95 % interval of an end of the sweet spot, pg/mL, is narrow enough to act on.

    >>> is_settled(12.5, 20.0, FlagSettings()), is_settled(None, 20.0, FlagSettings())
    (True, False)
    """
    if ci_low is None or ci_high is None:
        return False
    return ci_high <= settings.max_limit_interval_ratio * ci_low


def _primary(summary: pl.DataFrame, primary_site: str) -> pl.DataFrame:
    return summary.filter((pl.col("site") == primary_site) & (pl.col("outcome") == CHANGE))
