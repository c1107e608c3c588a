"""Scan pairs and the curves that rest on them; what the dose does to E2."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import numpy as np
from scipy.special import ndtr

from e2analytics.tables import vocabulary
from tests.report.builders.common import CLINICS, MODEL_ID, N_MEN, pseudonym


def exposure_rows(rng: np.random.Generator) -> list[dict[str, Any]]:
    rows = []
    for number in range(1_214):
        usable = number % 16 < 9
        years = float(rng.uniform(0.9, 3.0))
        e2 = float(np.exp(rng.normal(np.log(24), 0.45)))
        change = float(rng.normal(-0.4 - 1.7 * max(0.0, np.log(18 / e2)), 1.5))
        total = change * years
        first_on = date(2022, 1, 1) + timedelta(days=number)
        rows.append(
            {
                "patient_id": pseudonym(number % N_MEN),
                "clinic_id": CLINICS[number % 3],
                "site": vocabulary.FITTED_SITES[number // N_MEN],
                "scanner_id": "hologic-1",
                "first_scan_id": f"scan-{number}",
                "second_scan_id": f"scan-{number}b",
                "first_on": first_on,
                "second_on": first_on + timedelta(days=round(365.25 * years)),
                "years": years,
                "first_bmd_g_cm2": 1.02,
                "second_bmd_g_cm2": 1.02 * float(np.exp(total / 100)),
                "annual_change_pct": change,
                "change_pct": total,
                "cross_calibrated": False,
                "precision_cv_pct": 1.9,
                "lsc_pct": 5.3,
                "lsc_verdict": "loss"
                if total < -5.3
                else "gain"
                if total > 5.3
                else "no_measurable_change",
                "n_draws": 4,
                "coverage": 0.8,
                "share_on_drug": 0.4,
                "weekly_anastrozole_mg": 0.5,
                "e2_pg_ml": e2,
                "e2_ci_low_pg_ml": e2 * 0.8,
                "e2_ci_high_pg_ml": e2 * 1.25,
                "age_years": 54.0,
                "usable": usable,
                "why_not": None if usable else "fewer than two E2 draws in the interval",
            }
        )
    return rows


GRID = np.exp(np.linspace(np.log(5.5), np.log(85), 60))


def curve_rows(site: str, slope: float) -> list[dict[str, Any]]:
    """Falls by ``slope`` per unit of log E2 below 18 pg/mL, level above."""
    estimate = -0.3 + slope * np.logaddexp(0, 6 * np.log(18 / GRID)) / 6
    return points(site, "annual_change_pct", estimate, spread=1.9)


def risk_rows(site: str) -> list[dict[str, Any]]:
    risk = 0.06 + 0.22 * ndtr(2.2 * np.log(12 / GRID))
    return points(site, "risk_loss_lsc_2y", risk, spread=0.08)


def points(
    site: str, outcome: str, estimate: np.ndarray[Any, Any], *, spread: float
) -> list[dict[str, Any]]:
    n_effective = np.round(260 * np.exp(-0.5 * (np.log(GRID / 24) / 0.45) ** 2)).astype(int)
    half = 1.96 * spread / np.sqrt(np.maximum(n_effective, 1))
    return [
        {
            "site": site,
            "outcome": outcome,
            "e2_pg_ml": float(e2),
            "estimate": float(mean),
            "ci_low": float(mean - width),
            "ci_high": float(mean + width),
            "band_low": float(mean - 1.45 * width),
            "band_high": float(mean + 1.45 * width),
            "n_effective": int(n),
            "supported": bool(n >= 30),
            "model_id": MODEL_ID,
        }
        for e2, mean, width, n in zip(GRID, estimate, half, n_effective, strict=True)
    ]


def summary_rows() -> list[dict[str, Any]]:
    spine = summary("lumbar_spine", "annual_change_pct")
    found = {"lower_limit_pg_ml": 17.2, "lower_limit_ci_low": 14.1, "lower_limit_ci_high": 20.6}
    nadir = {"nadir_e2_pg_ml": 31.0, "nadir_ci_low": 23.0, "nadir_ci_high": 48.0}
    limited = {**spine, **found, **nadir, "lower_limit_share": 0.84, "supported": False}
    limited["why_not"] = "a lower limit in only 84 % of bootstrap replicates; 90 % are needed"
    hip = summary("total_hip", "annual_change_pct", why_not="no bend: the limit is not defined")
    risk = {**summary("lumbar_spine", "risk_loss_lsc_2y"), "delta": 0.05}
    neck = summary("femoral_neck", "annual_change_pct", why_not="both sides uncertain")
    return [
        limited,
        {**hip, "verdict": "rising"},
        {**neck, "verdict": "inconclusive"},
        {**risk, "why_not": "lowest supported point not worse than best by enough"},
    ]


def summary(site: str, outcome: str, **changes: Any) -> dict[str, Any]:
    return {
        "site": site,
        "outcome": outcome,
        "verdict": "low_side_threshold",
        "explanation": "Bone is lost faster below about 18 pg/mL; above it the curve is level.",
        "delta": 0.5,
        "edf": 3.4,
        "smoothing": 2.1,
        "covariates": "age, BMI, log testosterone, years on TRT",
        "n_patients": 338,
        "n_intervals": 341,
        "supported": False,
        "model_id": MODEL_ID,
        **changes,
    }


def dose_effect(mg: float, pct: float, n_men: int, **changes: Any) -> dict[str, Any]:
    return {
        "weekly_anastrozole_mg": mg,
        "suppression_pct": pct,
        "ci_low_pct": pct - 2,
        "ci_high_pct": pct + 2,
        "n_men": n_men,
        "prior_share": 0.01,
        "model_id": MODEL_ID,
        **changes,
    }


def e2_check(by: str, name: str, **changes: Any) -> dict[str, Any]:
    return {
        "by": by,
        "name": name,
        "n_draws": 1200,
        "n_outside": 62,
        "share_outside": 62 / 1200,
        "mean_z": 0.03,
        "sd_z": 1.01,
        "fits": True,
        "model_id": MODEL_ID,
        **changes,
    }
