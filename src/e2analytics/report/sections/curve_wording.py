"""What is said of a curve: its name, its verdict, its limit, what it rests on, and its picture.

In    a row of ``curve_summary`` as a mapping, empty where there is none
Out   words; a verdict is about bone, and a cross-sectional curve is given no limit
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from e2analytics.report.formatting import SITE_NAMES, capitalised, count, interval, number, plain
from e2analytics.tables.vocabulary import BONE_OUTCOMES

CHANGE, RISK, LEVEL = BONE_OUTCOMES
OUTCOME_NAMES: Final = {
    CHANGE: "BMD change, % per year",
    RISK: "risk of a measured loss of at least the LSC in 2 years, %",
    LEVEL: "BMD level, g/cm² (cross-sectional)",
}
AXIS_TITLES: Final = {CHANGE: "BMD change, %/year", RISK: "risk in 2 years, %", LEVEL: "BMD, g/cm²"}
HARM_NAMES: Final = {CHANGE: "faster bone loss", RISK: "more bone loss", LEVEL: "lower BMD"}
VERDICT_NAMES: Final = {
    "u_shaped": "U-shaped: {harm} on both sides, best in between",
    "low_side_threshold": "{harm} at low E2, then a plateau",
    "rising": "{harm} at low E2, no plateau seen in these data",
    "high_side_threshold": "a plateau, then {harm} at high E2",
    "falling": "{harm} at high E2, no plateau seen in these data",
    "flat": "no difference that matters at any E2 seen",
    "inconclusive": "inconclusive: these data do not settle the shape",
}
NO_LIMIT_NAMES: Final = {
    "rising": "bone loss does not level off within these data",
    "high_side_threshold": "no harm is shown at low E2",
    "falling": "no harm is shown at low E2",
    "flat": "no E2 seen makes a difference that matters",
    "inconclusive": "the shape is not settled",
}


def title(site: str, outcome: str) -> str:
    """Name a curve by its site and outcome, with the unit."""
    return f"{SITE_NAMES[site]}, {OUTCOME_NAMES[outcome]}"


def verdict(outcome: str, name: str | None) -> str:
    """Say the shape of benefit against E2 in terms of the outcome."""
    words = VERDICT_NAMES[name].format(harm=HARM_NAMES[outcome]) if name else "no verdict"
    return capitalised(words)


def limit(
    outcome: str,
    summary: Mapping[str, Any],
    objection: str | None = None,
    *,
    in_use: bool = False,
) -> str:
    """Say the fitted lower limit with its interval, or why there is none.

    Of the curve that may give flags their limit, ``objection`` says why it is not proposed (``curve.limit``), empty
    where it is, and ``in_use`` whether it was adopted.
    """
    if outcome == LEVEL:
        return "A cross-sectional curve compares different men at one time: it gives no limit."
    why_not = _why(summary)
    limit_pg_ml = summary.get("lower_limit_pg_ml")
    if limit_pg_ml is None:
        return f"No lower limit could be fitted: {why_not or 'no reason given'}."
    ends = interval(summary["lower_limit_ci_low"], summary["lower_limit_ci_high"])
    sentence = f"Fitted lower limit {number(limit_pg_ml)} pg/mL (95 % interval {ends})"
    if summary["supported"]:
        if objection is None:
            return f"{sentence}."
        proposed = "in use" if in_use else "proposed: not in use until a decision adopts it"
        return f"{sentence}. Not settled: {objection}." if objection else f"{sentence}, {proposed}."
    share = number(100 * (summary["lower_limit_share"] or 0), 0)
    found = f"it was found in only {share} % of resampled cohorts"
    return f"{sentence}, not supported and so not proposed: {why_not or found}."


def _why(summary: Mapping[str, Any]) -> str:
    """Say why there is no limit; one that only repeats the verdict is said in its words."""
    why_not = (summary.get("why_not") or "").rstrip(".")
    if why_not.startswith("the verdict is "):
        return NO_LIMIT_NAMES.get(summary["verdict"], plain(why_not))
    return str(why_not)


def data(outcome: str, summary: Mapping[str, Any]) -> str:
    """Say how many men and scan pairs a curve rests on, and what it is adjusted for."""
    if not summary:
        return ""
    men = count(summary["n_patients"], "man", "men")
    rows = "" if outcome == LEVEL else f" with {count(summary['n_intervals'], 'usable scan pair')}"
    return f"Rests on {men}{rows}; adjusted for {summary['covariates']}."


def picture(name: str, shape: str, readings: Sequence[str]) -> str:
    """Describe a chart to who cannot see it; ``readings`` are the curve at round E2."""
    if not readings:
        return f"Line chart: {name} against E2. No part of the curve has enough men behind it."
    read = "; ".join(readings)
    return f"Line chart: {name} against E2 on a log axis. {shape}. Estimate and 95 %: {read}."


def picture_before(alt: str, readings: Sequence[str]) -> str:
    """Add to the description of a chart the line of last month in it."""
    return f"{alt} Thin dashed line, last month's estimate: {'; '.join(readings)}."
