"""Textbook tests of the same rows, as rows of ``curve_sensitivity``.

In    the primary curve's arrays
Out   rows of two lines, a parabola, and four shapes compared in men they were not fitted to

No verdict and no limit comes from them.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from e2analytics.models import textbook, weights
from e2analytics.models.curve import MIN_PATIENTS, CurveSettings, plan_curve
from e2analytics.models.rows import CurveData
from e2analytics.models.shape import ALPHA
from e2analytics.models.textbook import Prediction, Quadratic, Slope, TwoLines

NO_LIMIT: Final = "a textbook test gives no limit"
_LEAST_LEVELS: Final = 30
_LEAST_P: Final = 0.001
"""Smaller ones are not written out: they rest on the far tail of a distribution."""
_SHAPES: Final = {
    "linear": "a straight line in log E2",
    "plateau": "a straight line up to a plateau",
    "quadratic": "a parabola in log E2",
    "spline": "a spline",
}


def rows(data: CurveData, how: CurveSettings) -> list[dict[str, object]]:
    """Return the rows; none with fewer than 30 men, or too few levels of E2 for a line on either side."""
    n_men = len(np.unique(data.patient))
    # Levels that rounding alone tells apart are one.
    if n_men < MIN_PATIENTS or len(np.unique(data.log_e2.round(3))) < _LEAST_LEVELS:
        return []
    weight = weights.estimate([data], plan_curve([data], how)).weights(data.sampling_variance)
    table = textbook.Rows(data.log_e2, data.outcome, data.covariates, weight, data.patient)
    about: dict[str, object] = {
        "n_men": n_men,
        "n_intervals": len(data),
        "why_not": NO_LIMIT,
    }
    found = [_two_lines(textbook.two_lines(table)), _quadratic(textbook.quadratic(table))]
    found += [_shape(name, each) for name, each in textbook.out_of_sample(table).items()]
    return [{**about, **row} for row in found]


def _two_lines(found: TwoLines) -> dict[str, object]:
    return {
        "variant": "two_lines",
        "varies": "two straight lines that break where the data say (Simonsohn 2018)",
        "finding": (
            f"{_optimum(found.p)}. Below a break at {found.break_pg_ml:.0f} pg/mL "
            f"{_per_doubling(found.low)} %/year with each doubling of E2 (rise: "
            f"{_p(found.low.p)}), above it {_per_doubling(found.high)} (fall: "
            f"{_p(found.high.p)})."
        ),
        "p_value": found.p,
    }


def _per_doubling(slope: Slope) -> str:
    return f"{slope.value * np.log(2):+.1f}"


def _quadratic(found: Quadratic) -> dict[str, object]:
    low, high = found.ci_pg_ml or (None, None)
    best = f"top at {found.best_e2_pg_ml:.0f} pg/mL" if found.best_e2_pg_ml else "it opens upwards"
    fieller = f" (Fieller {low:.0f} to {high:.0f})" if found.ci_pg_ml else ""
    return {
        "variant": "textbook_quadratic",
        "varies": "a parabola in log E2 (Lind and Mehlum 2010)",
        "finding": (
            f"{_optimum(found.p)}; {best}{fieller}. A parabola says so of every threshold too: alone "
            "it proves no optimum."
        ),
        "nadir_e2_pg_ml": found.best_e2_pg_ml,
        "nadir_ci_low": low,
        "nadir_ci_high": high,
        "p_value": found.p,
    }


def _p(value: float) -> str:
    return "p < 0.001" if value < _LEAST_P else f"p = {value:.2g}"


def _optimum(p: float) -> str:
    return f"{'It claims an optimum' if p <= ALPHA else 'No optimum is shown'} ({_p(p)})"


def _shape(name: str, found: Prediction) -> dict[str, object]:
    rank = (
        "Predicts best of the four"
        if found.p_as_good is None
        else f"Predicts no better than the best ({_p(found.p_as_good)} of predicting as well)"
    )
    return {
        "variant": f"shape_{name}",
        "varies": f"{_SHAPES[name]}, by what it predicts of men it was not fitted to",
        "finding": f"{rank}: off by {found.error:.3f} %/year.",
        "p_value": found.p_as_good,
        "prediction_error": found.error,
    }
