"""Fits the curve of bone against E2: each site alone, and all sites together.

In    exposures (or levels, where nothing can be paired)
Out   curve           grain site, outcome, e2_pg_ml
      curve_summary   grain site, outcome

Which rows a curve uses: ``rows``. How it becomes a table: ``tables``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from e2analytics.curve import tables
from e2analytics.curve.rows import (
    CHANGE,
    LEVEL,
    RISK,
    CurveRows,
    Measured,
    complete_rows,
    curves,
)
from e2analytics.errors import TooLittleDataError
from e2analytics.models.curve import CurveFit, CurveSettings, fit_curve
from e2analytics.models.risk_curve import fit_risk
from e2analytics.settings import FitSettings
from e2analytics.tables.registry import schema_of
from e2analytics.tables.vocabulary import POOLED


class Fitted(NamedTuple):
    """The curves of every site, with equally probable values of its lower limit."""

    curve: pl.DataFrame
    summary: pl.DataFrame
    limit_quantiles_pg_ml: Mapping[str, tuple[float, ...]]


def fit(measured: Measured, settings: FitSettings, *, model_id: str) -> Fitted:
    """Fit every curve: change and risk where there are usable pairs, else the level.

    Parameters
    ----------
    measured
        What curves are fitted to.
    settings
        Settings of the fit.
    model_id
        Name of this fit.
    """
    points = [pl.DataFrame(schema=schema_of("curve"))]
    summaries: list[dict[str, object]] = []
    quantiles: dict[str, tuple[float, ...]] = {}
    for site, outcome in curves(measured):
        rows = complete_rows(measured, site, outcome, settings)
        how = how_to_fit(outcome, settings)
        try:
            fitted = fit_rows(rows, how)
        except TooLittleDataError as error:
            summaries.append(tables.not_fitted(str(error), rows, how.delta, model_id))
            continue
        points.append(tables.points(fitted, rows, model_id))
        summaries.append(tables.summary(fitted, rows, how.delta, model_id))
        if outcome == CHANGE:
            quantiles[site] = fitted.lower_limit.quantiles_pg_ml
    return Fitted(
        pl.concat(points),
        pl.DataFrame(summaries, schema=schema_of("curve_summary")),
        quantiles,
    )


def how_to_fit(outcome: str, settings: FitSettings) -> CurveSettings:
    """Return the settings of a curve."""
    deltas = {
        CHANGE: settings.delta_pct_per_year,
        RISK: settings.delta_risk,
        LEVEL: settings.delta_level_g_cm2,
    }
    return CurveSettings(
        delta=deltas[outcome],
        higher_is_better=outcome != RISK,
        seed=settings.seed,
        n_basis=settings.n_basis,
        n_replicates=settings.n_replicates,
    )


def fit_rows(rows: CurveRows, how: CurveSettings) -> CurveFit:
    """Fit the curve of one site and outcome.

    Raises
    ------
    TooLittleDataError
        If there are too few men, losses or, for all sites together, sites.
    """
    if rows.site == POOLED and rows.rows["site"].n_unique() == 1:
        only = rows.rows["site"][0].replace("_", " ")
        raise TooLittleDataError(f"only the {only} has usable pairs: there is nothing to pool")
    if rows.outcome == RISK:
        return fit_risk(rows.data(), rows.years, how)
    return fit_curve(rows.data(), how)
