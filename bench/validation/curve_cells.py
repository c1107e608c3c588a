"""One fit of the curve compared with its truth, and the summary of many such fits.

In    a cohort (``cohorts``), shape, effect, idea of the exposure; or a fit and its truth
Out   a flat row of what held
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from bench.validation import cohorts
from bench.validation.cohorts import Exposed, Exposure, Shape
from e2analytics.models import sweet_spot
from e2analytics.models.curve import CurveFit, CurveSettings, fit_curve
from e2analytics.models.sweet_spot import Limit
from e2analytics.simulate.cohort import Vector

REGION_ENDS_PG_ML: Final = (0.0, 12.0, 16.0, 20.0, 30.0, 45.0, 60.0, np.inf)
REGIONS: Final = ("< 12", "12-16", "16-20", "20-30", "30-45", "45-60", "> 60")
AT_PG_ML: Final = (12.0, 16.0, 20.0, 30.0, 60.0)
SETTINGS: Final = CurveSettings()


@dataclass(frozen=True)
class Cell:
    """What is simulated, and how E2 is known."""

    shape: Shape
    effect_pct_per_year: float
    n_men: int
    exposure: Exposure = "calibrated"
    adjusted: bool = True


def judged(cell: Cell, exposed: Exposed) -> dict[str, object]:
    """Fit one cohort of a cell and say what held."""
    measured = cohorts.outcome(exposed, cell.shape, cell.effect_pct_per_year)
    covariates = None
    if not cell.adjusted:
        covariates = np.delete(exposed.covariates, 2, axis=1)
    elif cell.shape == "confounded":
        covariates = cohorts.with_known_testosterone(exposed)
    fit = fit_curve(cohorts.curve_data(exposed, measured, cell.exposure, covariates), SETTINGS)
    true = cohorts.true_level(exposed, cell.shape, cell.effect_pct_per_year, np.log(fit.e2_pg_ml))
    return {
        "shape": cell.shape,
        "effect": cell.effect_pct_per_year,
        "n_men": cell.n_men,
        "exposure": cell.exposure,
        "adjusted": cell.adjusted,
        **compared(fit, true),
    }


def compared(fit: CurveFit, true: Vector) -> dict[str, object]:
    """Say what of a fit holds, given the true level at each point of its grid."""
    return {
        "n_pairs": fit.n_intervals,
        "verdict": str(fit.verdict),
        "edf": fit.edf,
        **_coverage(fit, true),
        **_limits(fit, true),
    }


def _coverage(fit: CurveFit, true: Vector) -> dict[str, object]:
    """Say where intervals and band hold the truth, and how far off the estimate is."""
    supported = fit.supported
    inside = (fit.ci_low <= true) & (true <= fit.ci_high)
    in_band = (fit.band_low <= true) & (true <= fit.band_high)
    off = fit.estimate - true
    region = np.digitize(fit.e2_pg_ml, REGION_ENDS_PG_ML) - 1
    said: dict[str, object] = {
        "n_supported": int(supported.sum()),
        "lowest": float(fit.e2_pg_ml[supported].min()) if supported.any() else None,
        "highest": float(fit.e2_pg_ml[supported].max()) if supported.any() else None,
        "pointwise": float(inside[supported].mean()) if supported.any() else None,
        "band": bool(in_band[supported].all()) if supported.any() else None,
        "rmse": float(np.sqrt(np.mean(off[supported] ** 2))) if supported.any() else None,
        "width": float(np.mean(fit.ci_high[supported] - fit.ci_low[supported]))
        if supported.any()
        else None,
    }
    for number, name in enumerate(REGIONS):
        here = supported & (region == number)
        said[f"in {name}"] = float(inside[here].mean()) if here.any() else None
    for level in AT_PG_ML:
        at = int(np.argmin(np.abs(np.log(fit.e2_pg_ml / level))))
        near = supported[at] and abs(np.log(fit.e2_pg_ml[at] / level)) < 0.05
        said[f"error {level:g}"] = float(off[at]) if near else None
        said[f"inside {level:g}"] = bool(inside[at]) if near else None
    return said


def _limits(fit: CurveFit, true: Vector) -> dict[str, object]:
    supported = fit.supported
    if supported.sum() < 2:
        return {}
    log_e2, benefit = np.log(fit.e2_pg_ml[supported]), true[None, supported]
    spot = sweet_spot.find(log_e2, benefit, SETTINGS.delta, SETTINGS.window_ratio)
    best = _best_levels(log_e2, benefit)
    nadir = fit.nadir
    return {
        **_limit("lower", fit.lower_limit, float(spot.lower_log_e2[0])),
        **_limit("upper", fit.upper_limit, float(spot.upper_log_e2[0])),
        "nadir": nadir.value_pg_ml,
        "nadir holds": nadir.value_pg_ml is not None
        and bool(nadir.ci_low <= best[1] and best[0] <= nadir.ci_high),
    }


def _best_levels(log_e2: Vector, benefit: Vector) -> tuple[float, float]:
    """Lowest and highest E2 whose window is best in truth: a plateau has many, pg/mL."""
    width = np.log(SETTINGS.window_ratio)
    starts, means = sweet_spot._window_means(log_e2, benefit, width)
    best = np.exp(starts[means[0] >= means.max() - 1e-9] + width / 2)
    return float(best.min()), float(best.max())


def _limit(name: str, found: Limit, true_log_e2: float) -> dict[str, object]:
    true = None if np.isnan(true_log_e2) else float(np.exp(true_log_e2))
    holds = None
    if found.value_pg_ml is not None and true is not None:
        holds = bool(found.ci_low <= true <= found.ci_high)
    return {
        name: found.value_pg_ml,
        f"{name} true": true,
        f"{name} low": found.ci_low,
        f"{name} high": found.ci_high,
        f"{name} share": found.share,
        f"{name} supported": found.supported,
        f"{name} holds": holds,
    }


def cohort_rows(n_men: int, seed: int, cells: list[Cell]) -> list[dict[str, object]]:
    """Fit one cohort under every cell of its size."""
    exposed = cohorts.exposed(n_men, seed)
    return [{"seed": seed, **judged(cell, exposed)} for cell in cells]
