"""The curve under other modelling choices, and who is given the drug."""

from __future__ import annotations

from typing import Any

from tests.report.builders.common import MODEL_ID


def sensitivity_rows() -> list[dict[str, Any]]:
    return [
        varied("primary", "nothing: the curve as chosen beforehand"),
        varied("crude", "no covariates", effect=-1.9),
        varied("with_bone_drugs", "with men on bone drugs"),
        varied("within_men", "each man against himself (fixed effects)", verdict="rising"),
        varied("age_under_50", "only men under 50", p_value=0.34, lower_limit_pg_ml=16.1),
        varied("assay_ms", "only E2 by mass spectrometry throughout", p_value=0.0002),
        {
            **textbook("bmi_under_30", "only BMI under 30", None),
            "why_not": "a curve needs at least 30 men",
            "finding": None,
        },
        textbook("two_lines", "two lines", 0.4),
        textbook("textbook_quadratic", "a parabola in log E2", 0.01),
        {**textbook("shape_linear", "a straight line", 0.02), "prediction_error": 2.341},
        {**textbook("shape_spline", "a spline", None), "prediction_error": 2.25},
    ]


def varied(variant: str, varies: str, **changes: Any) -> dict[str, Any]:
    return {
        **textbook(variant, varies, None),
        "verdict": "low_side_threshold",
        "lower_limit_pg_ml": 17.2,
        "lower_limit_ci_low": 14.1,
        "lower_limit_ci_high": 20.6,
        "effect": -1.7,
        "effect_ci_low": -2.2,
        "effect_ci_high": -1.2,
        "why_not": None,
        **changes,
    }


def textbook(variant: str, varies: str, p_value: float | None) -> dict[str, Any]:
    return {
        "site": "lumbar_spine",
        "outcome": "annual_change_pct",
        "variant": variant,
        "varies": varies,
        "n_men": 338,
        "n_intervals": 341,
        "finding": f"What {variant} finds.",
        "p_value": p_value,
        "why_not": "a textbook test gives no limit",
        "model_id": MODEL_ID,
    }


def prescribing_rows() -> list[dict[str, Any]]:
    return [
        characteristic("E2 off the drug", "pg/mL", 44.0, 28.0, 1.1),
        characteristic("BMI", "kg/m2", 29.4, 28.9, 0.1),
        characteristic("BMD at the first scan", "g/cm2", 1.131, 1.129, 0.01),
    ]


def characteristic(
    name: str, unit: str, given: float, others: float, difference: float
) -> dict[str, Any]:
    return {
        "characteristic": name,
        "unit": unit,
        "n_given": 120,
        "mean_given": given,
        "n_others": 218,
        "mean_others": others,
        "standardised_difference": difference,
        "model_id": MODEL_ID,
    }
