"""Accuracy of flags: precision, recall, calibration, and what becomes of men with poor data.

In    the men of judged clinics, with the truth
Out   parts of the section on flags
"""

from __future__ import annotations

from typing import Any, Final

import altair as alt
import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score

from bench.validation.flag_clinics import NOISE
from bench.validation.section import Chart

BINS: Final = np.array([0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 1.0])
_ACCURACY: Final = """
What a whole run says of men on anastrozole, from files with planted defects, cohorts of 4,000 men. A man is
*pushed low* if his E2 of the day lies below the limit in use (16 pg/mL: no clinic here has adopted its own) and off the
drug would not. Precision, recall, average precision, slope and Brier are of the assessed men; the last value
judges the same men by their last E2 alone. Noise is the SD of one draw around a man's own level.
"""
_POOR: Final = """
Where data are poor, the interval of E2 now is to say so, and men of whom it says too little are `not_assessable`.
*Sparse*: one or two days of draws a man in five years. *Immunoassay only*: every laboratory of the world measures so.
*No off-drug draws*: nothing was drawn before the first order. *Half not taken*: a quarter of the men take half of what
is ordered.
"""


def measures(men: pl.DataFrame) -> dict[str, float]:
    """Return how well the status and the probability identify the men whom the drug pushes low."""
    assessed = men.filter(
        pl.col("status") != "not_assessable", pl.col("p_attributable").is_not_null()
    )
    pushed, p = assessed["pushed"].to_numpy(), assessed["p_attributable"].to_numpy()
    said = (assessed["status"] == "below_range").to_numpy()
    by_last = (assessed["last"] < assessed["lower_limit_pg_ml"]).to_numpy()
    low_without = assessed.filter("low", ~pl.col("pushed"))
    return {
        "men": len(men),
        "pushed low": int(men["pushed"].sum()),
        "precision": _share(pushed[said]),
        "recall": _share(said[pushed]),
        "precision of last value": _share(pushed[by_last]),
        "recall of last value": _share(by_last[pushed]),
        "average precision": _average_precision(pushed, p),
        "that of last value": _average_precision(pushed, -assessed["last"].to_numpy()),
        "average precision, all men": _average_precision(
            men.drop_nulls("p_attributable")["pushed"].to_numpy(),
            men["p_attributable"].drop_nulls().to_numpy(),
        ),
        "calibration slope": calibration_slope(p, pushed) if pushed.any() else np.nan,
        "Brier": float(np.mean((p - pushed) ** 2)) if len(p) else np.nan,
        "men low without the drug": len(low_without),
        "below_range of them": _share((low_without["status"] == "below_range").to_numpy()),
        "not assessable": _share((men["status"] == "not_assessable").to_numpy()),
        "of men pushed low, critical or high": _share(
            men.filter("pushed")["tier"].is_in(["critical", "high"]).to_numpy()
        ),
    }


def _average_precision(pushed: np.ndarray[Any, Any], p: np.ndarray[Any, Any]) -> float:
    """Return the average precision; not a number where no man who is pushed low was assessed."""
    return float(average_precision_score(pushed, p)) if pushed.any() else np.nan


def calibration_slope(p: np.ndarray[Any, Any], happened: np.ndarray[Any, Any]) -> float:
    """Return the slope of a logistic regression of what happened on the log odds: 1 is calibrated."""
    x = logit(np.clip(p, 1e-6, 1 - 1e-6))

    def loss(theta: np.ndarray[Any, Any]) -> float:
        odds = theta[0] + theta[1] * x
        return float(np.sum(np.logaddexp(0, odds) - happened * odds))

    def slope(theta: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        off = expit(theta[0] + theta[1] * x) - happened
        return np.array([off.sum(), off @ x])

    return float(minimize(loss, np.array([0.0, 1.0]), jac=slope, method="BFGS").x[1])


def _share(flags: np.ndarray[Any, Any]) -> float:
    return float(np.mean(flags)) if len(flags) else float("nan")


def _with_errors(cohorts: list[dict[str, float]]) -> dict[str, str]:
    """Return the mean over cohorts as text, with its standard error."""
    said = {}
    for name in cohorts[0]:
        values = np.array([each[name] for each in cohorts])
        if name in ("men", "pushed low", "men low without the drug"):
            said[name] = f"{values.mean():,.0f}"
        else:
            error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
            said[name] = f"{values.mean():.3f} ({error:.3f})"
    return said


def accuracy(judged: list[pl.DataFrame]) -> tuple[str | pl.DataFrame | Chart, ...]:
    """Return text, table and chart of the accuracy in clinics with usual data."""
    worlds: dict[str, list[dict[str, float]]] = {}
    for men in judged:
        name = f"{men['shape'][0]}, {men['noise'][0]:.2f}"
        worlds.setdefault(name, []).append(measures(men))
    every = [each for cohorts in worlds.values() for each in cohorts]
    table = pl.DataFrame(
        [
            {"truth, SD of one draw (log)": name, **_with_errors(cohorts)}
            for name, cohorts in {**worlds, "all": every}.items()
        ]
    )
    return (
        _ACCURACY,
        table.transpose(
            include_header=True, header_name="mean (SE)", column_names=table.columns[0]
        ),
        _reliability(pl.concat(judged)),
    )


def _reliability(men: pl.DataFrame) -> Chart:
    known = men.filter(pl.col("status") != "not_assessable").drop_nulls("p_attributable")
    binned = (
        known.with_columns(bin=pl.col("p_attributable").cut(BINS[1:-1].tolist()).cast(pl.String))
        .group_by("bin")
        .agg(said=pl.col("p_attributable").mean(), true=pl.col("pushed").mean(), men=pl.len())
        .sort("said")
    )
    points = alt.Chart(alt.Data(values=binned.to_dicts()))
    drawn = points.mark_line(point=True).encode(
        x=alt.X("said:Q", title="Mean p_attributable", scale=alt.Scale(domain=[0, 1])),
        y=alt.Y("true:Q", title="Share pushed low", scale=alt.Scale(domain=[0, 1])),
    )
    diagonal = [{"said": 0, "true": 0}, {"said": 1, "true": 1}]
    ideal = alt.Chart(alt.Data(values=diagonal)).mark_line(strokeDash=[4, 4], color="gray")
    says = "Reliability: " + ", ".join(
        f"said {row['said']:.2f} true {row['true']:.2f} ({row['men']:,} men)"
        for row in binned.to_dicts()
    )
    return Chart(
        (ideal.encode(x="said:Q", y="true:Q") + drawn).properties(width=360, height=360), says
    )


def poor_data(
    usual: list[pl.DataFrame], judged: list[pl.DataFrame]
) -> tuple[str | pl.DataFrame | Chart, ...]:
    """Return text and table of clinics with poor data, compared with usual ones."""
    kinds: dict[str, list[pl.DataFrame]] = {
        "as it is": [
            men for men in usual if (men["shape"][0], men["noise"][0]) == ("threshold", NOISE[0])
        ]
    }
    for men in judged:
        kinds.setdefault(men["poor"][0], []).append(men)
    table = pl.DataFrame(
        [
            {"data": kind, **_with_errors([measures(men) | _why_not(men) for men in cohorts])}
            for kind, cohorts in kinds.items()
        ]
    )
    return (
        _POOR,
        table.transpose(include_header=True, header_name="mean (SE)", column_names="data"),
    )


def _why_not(men: pl.DataFrame) -> dict[str, float]:
    names = ("no_recent_e2", "no_e2_at_this_dose", "only_uninformative_e2")
    reasons = men["reasons"].str.split("; ")
    to_repeat = reasons.list.contains("repeat_by_mass_spectrometry")
    return {
        **{
            name.replace("_", " "): _share(reasons.list.contains(name).to_numpy()) for name in names
        },
        "to repeat by mass spectrometry": _share(to_repeat.to_numpy()),
        "critical by immunoassay alone": _share(
            (to_repeat & (men["tier"] == "critical")).to_numpy()
        ),
    }
