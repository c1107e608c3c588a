"""Compares the curve of this month with that of last month, in two rows and in words.

In    ``curve_summary`` of this month's run and of the run of the month before, None if it has none
Out   Months, of the curve chosen beforehand; a month without a fit claims nothing, its counts included
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from e2analytics.curve import limit
from e2analytics.report.formatting import NOTHING, interval, number
from e2analytics.report.sections import curve_wording
from e2analytics.report.sections.curve_wording import CHANGE
from e2analytics.settings import FlagSettings

NO_REPORT: Final = "No report of the month before: nothing to compare."
SAME_MODEL: Final = "Same model as last month: nothing was fitted anew."


@dataclass(frozen=True, slots=True)
class MonthRow:
    """What the curve said in one month, in words; limits in pg/mL with their 95 % interval."""

    month: str
    verdict: str
    lower_limit: str
    upper_limit: str
    n_men: str
    n_pairs: str
    model: str


@dataclass(frozen=True, slots=True)
class Months:
    """What changed, and the two months; no rows where there is nothing to compare."""

    title: str
    sentence: str
    rows: tuple[MonthRow, ...]


def describe(
    now: pl.DataFrame, before: pl.DataFrame | None, site: str, rules: FlagSettings
) -> Months:
    """Compare the summary of a site's annual change with that of a month ago.

    A limit that may not be taken into use by these rules is marked.
    """
    title = curve_wording.title(site, CHANGE)
    if before is None:
        return Months(title, NO_REPORT, ())
    fit, fit_before = _fit(now, site), _fit(before, site)
    if not fit and not fit_before:
        return Months(title, "Not fitted this month, nor last: nothing to compare.", ())
    rows = (
        _row("This month", fit, limit.objection_to(now, site, rules)),
        _row("Last month", fit_before, limit.objection_to(before, site, rules)),
    )
    return Months(title, _what_changed(fit, fit_before), rows)


def _fit(summary: pl.DataFrame, site: str) -> Mapping[str, Any]:
    """Return the row of the annual change at a site; empty if it was not fitted."""
    of_site = summary.filter(
        pl.col("site") == site, pl.col("outcome") == CHANGE, pl.col("verdict").is_not_null()
    )
    return of_site.row(0, named=True) if of_site.height else {}


def _row(month: str, fit: Mapping[str, Any], objection: str) -> MonthRow:
    if not fit:
        return MonthRow(month, "Not fitted", *5 * (NOTHING,))
    return MonthRow(
        month=month,
        verdict=curve_wording.verdict(CHANGE, fit["verdict"]),
        lower_limit=_limit(fit, "lower") + _not_usable(fit, objection),
        upper_limit=_limit(fit, "upper"),
        n_men=f"{fit['n_patients']:,}",
        n_pairs=f"{fit['n_intervals']:,}",
        model=fit["model_id"],
    )


def _not_usable(fit: Mapping[str, Any], objection: str) -> str:
    """Say that a lower limit may not be taken into use; nothing of one that may, or where there is none."""
    if fit["lower_limit_pg_ml"] is None or not objection:
        return ""
    return ", not settled" if fit["supported"] else ", not supported"


def _limit(fit: Mapping[str, Any], side: str) -> str:
    limit_pg_ml, low, high = (
        fit[f"{side}_limit_{what}"] for what in ("pg_ml", "ci_low", "ci_high")
    )
    if limit_pg_ml is None:
        return NOTHING
    known = low is not None and high is not None
    return f"{number(limit_pg_ml)} ({interval(low, high)})" if known else number(limit_pg_ml)


def _what_changed(now: Mapping[str, Any], then: Mapping[str, Any]) -> str:
    if not then:
        return "Fitted this month, and not last."
    if not now:
        return "Fitted last month, and not this."
    if now["model_id"] == then["model_id"]:
        return SAME_MODEL
    verdicts = [curve_wording.verdict(CHANGE, fit["verdict"]) for fit in (then, now)]
    verdict = "The verdict is the same."
    if verdicts[0] != verdicts[1]:
        verdict = f"The verdict was “{verdicts[0]}” and is “{verdicts[1]}”."
    return f"Fitted anew. {verdict} {_moved(now, then)}"


def _moved(now: Mapping[str, Any], then: Mapping[str, Any]) -> str:
    """Say where the lower limit went, and whether last month's interval holds it."""
    limit, limit_then = now["lower_limit_pg_ml"], then["lower_limit_pg_ml"]
    if limit is None and limit_then is None:
        return "No lower limit was found in either month."
    if limit_then is None:
        return f"A lower limit was found, {number(limit)} pg/mL, and none last month."
    if limit is None:
        return f"No lower limit was found; last month it was {number(limit_then)} pg/mL."
    if number(limit) == number(limit_then):
        return f"The lower limit is the same, {number(limit)} pg/mL."
    moved = f"The lower limit went from {number(limit_then)} to {number(limit)} pg/mL"
    low, high = then["lower_limit_ci_low"], then["lower_limit_ci_high"]
    if low is None or high is None:
        return f"{moved}."
    where = "within" if low <= limit <= high else "outside"
    return f"{moved}, {where} the 95 % interval of last month."
