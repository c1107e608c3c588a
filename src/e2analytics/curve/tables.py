"""A fitted curve as rows of ``curve`` and ``curve_summary``.

In    a fitted curve (or why there is none), and what it was fitted to
Out   rows of the two tables; limits for changes and risks only
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from e2analytics.curve.rows import LEVEL, CurveRows
from e2analytics.models.curve import CurveFit
from e2analytics.models.sweet_spot import Limit

NO_LIMITS_OF_A_LEVEL = "cross-sectional: a level of BMD gives no limits"


def points(fitted: CurveFit, of: CurveRows, model_id: str) -> pl.DataFrame:
    """Return the curve on its grid."""
    return pl.DataFrame(
        {
            "e2_pg_ml": fitted.e2_pg_ml,
            "estimate": fitted.estimate,
            "ci_low": fitted.ci_low,
            "ci_high": fitted.ci_high,
            "band_low": fitted.band_low,
            "band_high": fitted.band_high,
            "n_effective": fitted.n_effective,
            "supported": fitted.supported,
        }
    ).select(
        pl.lit(of.site).alias("site"),
        pl.lit(of.outcome).alias("outcome"),
        pl.all(),
        pl.lit(model_id).alias("model_id"),
    )


def summary(fitted: CurveFit, of: CurveRows, delta: float, model_id: str) -> dict[str, object]:
    """Return verdict, limits and fit of a curve, as a row of ``curve_summary``."""
    # A level is no change: it shows a shape, but never a limit (docs/methods.md).
    limits_count = of.outcome != LEVEL
    lower = fitted.lower_limit if limits_count else None
    upper = fitted.upper_limit if limits_count else None
    return {
        **_about(of, delta, model_id),
        "verdict": fitted.verdict,
        "explanation": fitted.explanation,
        **limits(fitted, limits_count=limits_count),
        "lower_limit_share": lower.share if lower else None,
        "upper_limit_share": upper.share if upper else None,
        "edf": fitted.edf,
        "smoothing": fitted.smoothing,
        "supported": lower is not None and lower.value_pg_ml is not None and lower.supported,
        "why_not": fitted.lower_limit.why_not if limits_count else NO_LIMITS_OF_A_LEVEL,
        "upper_limit_supported": upper is not None
        and upper.value_pg_ml is not None
        and upper.supported,
        "upper_limit_why_not": fitted.upper_limit.why_not if limits_count else NO_LIMITS_OF_A_LEVEL,
    }


def not_fitted(why_not: str, of: CurveRows, delta: float, model_id: str) -> dict[str, object]:
    """Return the row of a curve that could not be fitted, with the reason."""
    return {
        **_about(of, delta, model_id),
        "explanation": "Not fitted: too little data.",
        "supported": False,
        "why_not": why_not,
        "upper_limit_supported": False,
        "upper_limit_why_not": why_not,
    }


def limits(fitted: CurveFit, *, limits_count: bool = True) -> dict[str, float | None]:
    """Return best E2 and limits, each with its interval."""
    return {
        **_limit("nadir_e2_pg_ml", "nadir", fitted.nadir),
        **_limit("lower_limit_pg_ml", "lower_limit", fitted.lower_limit if limits_count else None),
        **_limit("upper_limit_pg_ml", "upper_limit", fitted.upper_limit if limits_count else None),
    }


def _about(of: CurveRows, delta: float, model_id: str) -> Mapping[str, object]:
    return {
        "site": of.site,
        "outcome": of.outcome,
        "model_id": model_id,
        "delta": delta,
        "covariates": of.in_words,
        "n_patients": of.n_men,
        "n_intervals": len(of.rows),
        "n_events": of.n_events,
    }


def _limit(value: str, interval: str, limit: Limit | None) -> dict[str, float | None]:
    return {
        value: limit.value_pg_ml if limit else None,
        f"{interval}_ci_low": limit.ci_low if limit else None,
        f"{interval}_ci_high": limit.ci_high if limit else None,
    }
