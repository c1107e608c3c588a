"""Fit: the curve of bone against E2, site by site, and what it says.

In    exposures (or levels, where nothing can be paired)
Out   curve           grain site, outcome, e2_pg_ml
      curve_summary   grain site, outcome
      losses          grain position: men and pairs of the primary site lost on the way to the curve

Covariates were chosen beforehand: age, BMI, log testosterone, years on TRT. One that no feed supplies,
or that is missing in too many rows, is left out and named; of the others only complete rows are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from e2analytics.contracts import FITTED_SITES, schema_of
from e2analytics.errors import TooLittleDataError
from e2analytics.models.curve import CurveData, CurveFit, CurveSettings, fit_curve
from e2analytics.models.pspline import Array
from e2analytics.models.sweet_spot import Limit
from e2analytics.settings import FitSettings

COVARIATES: Final = ("age_years", "bmi_kg_m2", "log_testosterone", "years_on_trt")
LEVEL_COVARIATES: Final = ("age_years", "bmi_kg_m2")
NAMES: Final = {
    "age_years": "age",
    "bmi_kg_m2": "BMI",
    "log_testosterone": "log testosterone",
    "years_on_trt": "years on TRT",
}
CHANGE: Final = "annual_change_pct"
LEVEL: Final = "bmd_level_g_cm2"


class Fitted(NamedTuple):
    """What was learnt of every site, with equally probable values of its lower limit."""

    curve: pl.DataFrame
    summary: pl.DataFrame
    limit_quantiles_pg_ml: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class _Complete:
    """Rows of one site with all covariates in use, and what was left out."""

    rows: pl.DataFrame
    covariates: tuple[str, ...]
    left_out: tuple[str, ...]

    @property
    def in_words(self) -> str:
        used = ", ".join(NAMES[name] for name in self.covariates) or "none"
        return f"{used}; left out: {', '.join(self.left_out)}" if self.left_out else used


def fit(
    exposures: pl.DataFrame,
    episodes: pl.DataFrame,
    levels: pl.DataFrame,
    settings: FitSettings,
    *,
    model_id: str,
) -> Fitted:
    """Fit every site: annual change where there are usable pairs, else the level where there are scans.

    Parameters
    ----------
    exposures, episodes, levels
        ``contracts.Exposures``, ``contracts.ExposureEpisodes`` and ``contracts.Levels``.
    settings
        How to fit.
    model_id
        Name of this fit.
    """
    curves: list[pl.DataFrame] = []
    summaries: list[dict[str, object]] = []
    quantiles: dict[str, tuple[float, ...]] = {}
    for site in FITTED_SITES:
        complete = complete_rows(exposures, levels, site, settings)
        outcome = outcome_of(exposures, levels, site)
        delta = settings.delta_level_g_cm2 if outcome == LEVEL else settings.delta_pct_per_year
        about = {"site": site, "outcome": outcome, "model_id": model_id}
        how = CurveSettings(
            delta=delta,
            seed=settings.seed,
            n_basis=settings.n_basis,
            n_replicates=settings.n_replicates,
        )
        try:
            fitted = fit_curve(_data(complete, episodes, outcome), how)
        except TooLittleDataError as error:
            summaries.append(_not_fitted(about, str(error), delta, complete))
            continue
        curves.append(_curve(fitted, about))
        summaries.append(_summary(fitted, about, delta, complete))
        if outcome == CHANGE:
            quantiles[site] = fitted.lower_limit.quantiles_pg_ml
    empty = pl.DataFrame(schema=schema_of("curve"))
    return Fitted(
        pl.concat([empty, *curves]),
        pl.DataFrame(summaries, schema=schema_of("curve_summary")),
        quantiles,
    )


def outcome_of(exposures: pl.DataFrame, levels: pl.DataFrame, site: str) -> str:
    """Return ``annual_change_pct``, or the level where nothing can be paired but there are scans."""
    at_site = pl.col("site") == site
    unpaired = exposures.filter(at_site).is_empty()
    return LEVEL if unpaired and not levels.filter(at_site).is_empty() else CHANGE


def complete_rows(
    exposures: pl.DataFrame, levels: pl.DataFrame, site: str, settings: FitSettings
) -> _Complete:
    """Return the rows of a site that the curve can use: usable, with every covariate in use."""
    if outcome_of(exposures, levels, site) == LEVEL:
        rows = levels.filter(pl.col("site") == site)
        wanted: tuple[str, ...] = LEVEL_COVARIATES
    else:
        rows = exposures.filter((pl.col("site") == site) & pl.col("usable"))
        wanted = COVARIATES
    missing = {name: rows[name].null_count() / max(len(rows), 1) for name in wanted}
    left_out = {
        name: f"{NAMES[name]} (missing in {share:.0%})"
        for name, share in missing.items()
        if share > settings.max_missing_covariate
    }
    used = tuple(name for name in wanted if name not in left_out)
    return _Complete(rows.drop_nulls(list(used)), used, tuple(left_out.values()))


def _data(complete: _Complete, episodes: pl.DataFrame, outcome: str) -> CurveData:
    rows = complete.rows
    names = complete.covariates
    covariates = rows.select(names).to_numpy().astype(float).reshape(len(rows), len(names))
    patient = (rows["patient_id"].rank("dense").cast(pl.Int64) - 1).to_numpy()
    if outcome == LEVEL:
        return CurveData.at_points(
            rows["e2_pg_ml"].log().to_numpy(), rows["bmd_g_cm2"].to_numpy(), patient, covariates
        )
    mean, sd, share = _along(rows, episodes)
    return CurveData(
        log_e2=rows["e2_pg_ml"].log().to_numpy(),
        log_e2_mean=mean,
        log_e2_sd=sd,
        episode_weight=share,
        covariates=covariates,
        outcome=rows[CHANGE].to_numpy(),
        patient=patient,
        # Two scans, each with the precision error; in %/year.
        sampling_variance=(2 * rows["precision_cv_pct"] ** 2 / rows["years"] ** 2).to_numpy(),
    )


def _along(rows: pl.DataFrame, episodes: pl.DataFrame) -> tuple[Array, Array, Array]:
    """Return mean and SD of log E2 and the share of the days of each row's episodes, (n, k) each."""
    key = ["patient_id", "site", "first_scan_id"]
    of_rows = (
        rows.select(key)
        .with_row_index("row")
        .join(episodes, on=key)
        .sort("row", "weekly_anastrozole_mg")
        .with_columns(column=pl.int_range(pl.len()).over("row"))
    )
    row, column = of_rows["row"].to_numpy(), of_rows["column"].to_numpy()
    mean, sd, share = np.zeros((3, len(rows), int(column.max(initial=0)) + 1))
    for array, name in ((mean, "log_e2_mean"), (sd, "log_e2_sd"), (share, "share")):
        array[row, column] = of_rows[name].to_numpy()
    return mean, sd, share


def _curve(fitted: CurveFit, about: Mapping[str, str]) -> pl.DataFrame:
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
        pl.lit(about["site"]).alias("site"),
        pl.lit(about["outcome"]).alias("outcome"),
        pl.all(),
        pl.lit(about["model_id"]).alias("model_id"),
    )


def _summary(
    fitted: CurveFit, about: Mapping[str, str], delta: float, complete: _Complete
) -> dict[str, object]:
    # A level is no change: it shows a shape, but never a limit (interfaces.md).
    limits_count = about["outcome"] != LEVEL
    lower = fitted.lower_limit if limits_count else None
    upper = fitted.upper_limit if limits_count else None
    why_not = (
        fitted.lower_limit.why_not
        if limits_count
        else "cross-sectional: a level of BMD gives no limits"
    )
    return {
        **about,
        "verdict": fitted.verdict,
        "explanation": fitted.explanation,
        **_limit("nadir_e2_pg_ml", "nadir", fitted.nadir),
        **_limit("lower_limit_pg_ml", "lower_limit", lower),
        "lower_limit_share": lower.share if lower else None,
        **_limit("upper_limit_pg_ml", "upper_limit", upper),
        "upper_limit_share": upper.share if upper else None,
        "delta": delta,
        "edf": fitted.edf,
        "smoothing": fitted.smoothing,
        "covariates": complete.in_words,
        "n_patients": fitted.n_patients,
        "n_intervals": fitted.n_intervals,
        "supported": lower is not None and lower.value_pg_ml is not None and lower.supported,
        "why_not": why_not,
    }


def _limit(value: str, interval: str, limit: Limit | None) -> dict[str, float | None]:
    return {
        value: limit.value_pg_ml if limit else None,
        f"{interval}_ci_low": limit.ci_low if limit else None,
        f"{interval}_ci_high": limit.ci_high if limit else None,
    }


def _not_fitted(
    about: Mapping[str, str], why_not: str, delta: float, complete: _Complete
) -> dict[str, object]:
    return {
        **about,
        "explanation": "Not fitted: too little data.",
        "delta": delta,
        "covariates": complete.in_words,
        "n_patients": complete.rows["patient_id"].n_unique(),
        "n_intervals": len(complete.rows),
        "supported": False,
        "why_not": why_not,
    }
