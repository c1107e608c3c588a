"""The curve of E2 against bone, and the limit that is in use.

In    curve, curve_summary, curve_sensitivity, prescribing, exposures, limits, cohort of one run; curve,
      curve_summary of the run of the month before
Out   Curves: what to draw and what to say of it, for the primary curve and the others

Claims nothing on unsupported points, and gives a cross-sectional curve no limit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import polars as pl

from e2analytics.curve import limit
from e2analytics.reference.constants import DEFAULT_LOWER_LIMIT_E2
from e2analytics.report.formatting import SITE_NAMES, day, interval, level, number, plain, signed
from e2analytics.report.sections import curve_months, curve_wording, sweet_spot
from e2analytics.report.sections.curve_wording import AXIS_TITLES, CHANGE, LEVEL, RISK
from e2analytics.report.sections.sensitivity import Sensitivity, describe_sensitivity
from e2analytics.settings import FlagSettings
from e2analytics.tables.vocabulary import BONE_OUTCOMES, FITTED_SITES

TABLE_E2_PG_ML: Final = (6.0, 8.0, 10.0, 12.0, 16.0, 20.0, 25.0, 30.0, 40.0, 60.0, 80.0)


@dataclass(frozen=True, slots=True)
class Point:
    """The curve at one E2; risks in per cent."""

    e2_pg_ml: float
    estimate: float
    ci_low: float
    ci_high: float
    band_low: float
    band_high: float
    n_effective: int
    supported: bool


@dataclass(frozen=True, slots=True)
class CurveRow:
    """The curve at one E2, in words, for the table under the chart."""

    e2: str
    estimate: str
    pointwise: str
    simultaneous: str
    n_men: str


@dataclass(frozen=True, slots=True)
class Limit:
    """The limit in use: the value that the flags were made with, and where it comes from."""

    lower_limit_pg_ml: float
    red_line_pg_ml: float
    sentence: str


@dataclass(frozen=True, slots=True)
class Curve:
    """One fitted curve: what to draw and what to say.

    ``before`` are the supported points of last month's curve, where it was another.
    """

    name: str
    title: str
    outcome: str
    y_title: str
    points: tuple[Point, ...]
    table: tuple[CurveRow, ...]
    fitted_limit_pg_ml: float | None
    fitted_limit_ci_pg_ml: tuple[float, float] | None
    verdict: str
    explanation: str
    limit_sentence: str
    data_sentence: str
    alt: str
    before: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteData:
    """What the curves of one site rest on."""

    site: str
    n_pairs: str
    n_usable: str
    n_men: str
    years: str
    e2: str
    n_losses: str


@dataclass(frozen=True, slots=True)
class Curves:
    """All curves of a run. ``primary`` is None where there is none, and ``why_none`` says why."""

    primary: Curve | None
    cross_sectional: bool
    why_none: str
    others: tuple[Curve, ...]
    unfitted: tuple[str, ...]
    sites: tuple[SiteData, ...]
    limit: Limit
    months: curve_months.Months
    sensitivity: Sensitivity | None
    sweet_spot: sweet_spot.SweetSpot


# Ten parameters: the tables of the run that the section reads, each by its name, and its settings.
def describe(
    tables: Mapping[str, pl.DataFrame],
    *,
    primary_site: str,
    rules: FlagSettings,
    before: Mapping[str, pl.DataFrame] | None = None,
) -> Curves:
    """Say what the curves of a run show.

    Parameters
    ----------
    tables : mapping of str to polars.DataFrame
        ``curve``, ``curve_summary``, ``curve_sensitivity``, ``prescribing``, ``exposures``, ``limits`` and
        ``cohort`` of one run.
    primary_site : str
        Site whose annual change was chosen beforehand to give the limit. Where that was not
        fitted, the level of that site or the first other stands in, named cross-sectional and without limits.
    rules : FlagSettings
        The red line, the limit of the literature and where a fitted one may lie, in force.
    before : mapping of str to polars.DataFrame, optional
        ``curve`` and ``curve_summary`` of the month before; None if it has no run.
    """
    of_bone = pl.col("outcome").is_in(BONE_OUTCOMES)
    summary = tables["curve_summary"].filter(of_bone)
    primary = (primary_site, CHANGE)
    objection = limit.objection_to(summary, primary_site, rules)
    adopted = tables["limits"]["model_id"].to_list()[-1:]
    drawn = {
        key: _curve(*key, part, summary, objection if key == primary else None, adopted)
        for key, part in _by_curve(tables["curve"].filter(of_bone)).items()
    }
    levels = ((site, LEVEL) for site in (primary_site, *FITTED_SITES))
    chosen = next((key for key in (primary, *levels) if key in drawn), None)
    unfitted = {key: why for key, why in _unfitted(summary).items() if key not in drawn}
    missing = unfitted.pop(primary, "there is no usable scan pair yet")
    if before and primary in drawn:
        earlier = _by_curve(before["curve"]).get(primary)
        drawn[primary] = (
            drawn[primary] if earlier is None else _with_earlier(drawn[primary], earlier)
        )
    in_use = _limit_in_use(tables["limits"], tables["cohort"], rules)
    return Curves(
        primary=drawn[chosen] if chosen else None,
        cross_sectional=chosen is not None and chosen[1] == LEVEL,
        why_none=f"{curve_wording.title(*primary)} was not fitted: {missing}.",
        others=tuple(drawn[key] for key in sorted(drawn, key=_place) if key != chosen),
        unfitted=tuple(
            f"{curve_wording.title(*key)}: {unfitted[key]}" for key in sorted(unfitted, key=_place)
        ),
        sites=tuple(sites_of(tables["exposures"]).values()),
        limit=in_use,
        months=curve_months.describe(
            summary, before["curve_summary"] if before else None, primary_site, rules
        ),
        sensitivity=describe_sensitivity(tables["curve_sensitivity"], tables["prescribing"]),
        sweet_spot=sweet_spot.describe(
            tables["curve"],
            tables["curve_summary"],
            _bone_lane(drawn.get(primary), summary, primary_site),
            lower=(in_use.lower_limit_pg_ml, in_use.sentence),
            rules=rules,
        ),
    )


def _bone_lane(primary: Curve | None, summary: pl.DataFrame, site: str) -> sweet_spot.Lane | None:
    """Return the primary curve of bone as a loss: upwards is worse in the picture of all outcomes."""
    if primary is None:
        return None
    fitted = summary.filter(pl.col("site") == site, pl.col("outcome") == CHANGE)
    points = tuple(
        sweet_spot.LanePoint(each.e2_pg_ml, -each.estimate, -each.band_high, -each.band_low)
        for each in primary.points
        if each.supported
    )
    return sweet_spot.bone_lane(fitted["verdict"].first(), points)  # type: ignore[arg-type]


def _by_curve(curve: pl.DataFrame) -> dict[tuple[str, str], pl.DataFrame]:
    parts = curve.sort("e2_pg_ml").partition_by("site", "outcome", as_dict=True)
    return {(str(key[0]), str(key[1])): part for key, part in parts.items()}


def _place(key: tuple[str, str]) -> tuple[int, str, str]:
    return BONE_OUTCOMES.index(key[1]), *key


def _unfitted(summary: pl.DataFrame) -> dict[tuple[str, str], str]:
    rows = summary.filter(pl.col("verdict").is_null())
    reasons = rows.select("site", "outcome", pl.col("why_not").fill_null("no reason given"))
    return {(site, outcome): plain(why).rstrip(".") for site, outcome, why in reasons.iter_rows()}


def _curve(
    site: str,
    outcome: str,
    curve: pl.DataFrame,
    summary: pl.DataFrame,
    objection: str | None,
    adopted: Sequence[str],
) -> Curve:
    found = summary.filter(pl.col("site") == site, pl.col("outcome") == outcome)
    fitted: dict[str, Any] = found.row(0, named=True) if found.height else {}
    points = tuple(_point(row, outcome) for row in curve.iter_rows(named=True))
    limit_pg_ml = fitted.get("lower_limit_pg_ml") if outcome != LEVEL else None
    ends = (fitted.get("lower_limit_ci_low"), fitted.get("lower_limit_ci_high"))
    verdict = curve_wording.verdict(outcome, fitted.get("verdict"))
    title = curve_wording.title(site, outcome)
    table = _table(points, outcome)
    readings = [f"{row.estimate} ({row.pointwise}) at {row.e2} pg/mL" for row in table]
    return Curve(
        name=f"{site}-{outcome}".replace("_", "-"),
        title=title,
        outcome=outcome,
        y_title=AXIS_TITLES[outcome],
        points=points,
        table=table,
        fitted_limit_pg_ml=limit_pg_ml,
        fitted_limit_ci_pg_ml=(ends[0], ends[1]) if limit_pg_ml and ends[0] and ends[1] else None,
        verdict=verdict,
        explanation=fitted.get("explanation") or "",
        limit_sentence=curve_wording.limit(
            outcome, fitted, objection, in_use=fitted.get("model_id") in adopted
        ),
        data_sentence=curve_wording.data(outcome, fitted),
        alt=curve_wording.picture(title, verdict, readings),
    )


def _with_earlier(curve: Curve, earlier: pl.DataFrame) -> Curve:
    """Add last month's curve to this one, unless it is the same."""
    points = tuple(_point(row, curve.outcome) for row in earlier.iter_rows(named=True))
    before = tuple(point for point in points if point.supported)
    if not before or points == curve.points:
        return curve
    readings = [f"{row.estimate} at {row.e2} pg/mL" for row in _table(before, curve.outcome)]
    return replace(curve, before=before, alt=curve_wording.picture_before(curve.alt, readings))


def _point(row: dict[str, Any], outcome: str) -> Point:
    scale = 100.0 if outcome == RISK else 1.0
    return Point(
        e2_pg_ml=row["e2_pg_ml"],
        estimate=scale * row["estimate"],
        ci_low=scale * row["ci_low"],
        ci_high=scale * row["ci_high"],
        band_low=scale * row["band_low"],
        band_high=scale * row["band_high"],
        n_effective=row["n_effective"],
        supported=row["supported"],
    )


def _table(points: tuple[Point, ...], outcome: str) -> tuple[CurveRow, ...]:
    """Read the curve at the grid point nearest to each round E2, on supported points only."""
    supported = [point for point in points if point.supported]
    if not supported:
        return ()
    nearest = {
        min(supported, key=lambda point: abs(math.log(point.e2_pg_ml / e2)))
        for e2 in TABLE_E2_PG_ML
    }
    said = signed if outcome == CHANGE else number
    decimals = 3 if outcome == LEVEL else 1
    return tuple(
        CurveRow(
            e2=number(point.e2_pg_ml),
            estimate=said(point.estimate, decimals),
            pointwise=f"{said(point.ci_low, decimals)} to {said(point.ci_high, decimals)}",
            simultaneous=f"{said(point.band_low, decimals)} to {said(point.band_high, decimals)}",
            n_men=f"{point.n_effective:,}",
        )
        for point in sorted(nearest, key=lambda point: point.e2_pg_ml)
    )


def _limit_in_use(limits: pl.DataFrame, cohort: pl.DataFrame, rules: FlagSettings) -> Limit:
    """Return the limit in use for the men, with its origin."""
    adopted = limits.row(-1, named=True) if limits.height else None
    value, source = rules.literature_limit_pg_ml, "literature"
    if cohort.height:
        value, source = cohort.select("lower_limit_pg_ml", "limit_source").row(0)
    elif adopted:
        value, source = adopted["lower_limit_pg_ml"], adopted["source"]
    cited = value == DEFAULT_LOWER_LIMIT_E2.value
    origin = (
        f"from the literature: {DEFAULT_LOWER_LIMIT_E2.source}" if cited else "set by the clinic"
    )
    if adopted and adopted["source"] == source == "fitted":
        ends = interval(adopted["limit_ci_low"], adopted["limit_ci_high"])
        origin = f"fitted to this store's own data, 95 % interval {ends}, in use since {day(adopted['adopted_on'])}"
    elif source == "fitted":
        origin = "fitted to this store's own data"
    sentence = f"The lower limit in use is {level(value)} pg/mL, {origin}."
    return Limit(value, rules.red_line_pg_ml, sentence)


def sites_of(exposures: pl.DataFrame) -> dict[str, SiteData]:
    """Say of each site what its curves rest on."""
    return {
        site: _site(SITE_NAMES[site], exposures.filter(pl.col("site") == site))
        for site in FITTED_SITES
        if site in exposures["site"]
    }


def _site(name: str, pairs: pl.DataFrame) -> SiteData:
    usable = pairs.filter("usable")
    e2 = [usable["e2_pg_ml"].quantile(q, "linear") for q in (0.5, 0.025, 0.975)]
    return SiteData(
        site=name,
        n_pairs=f"{pairs.height:,}",
        n_usable=f"{usable.height:,}",
        n_men=f"{usable['patient_id'].n_unique():,}",
        years=number(usable.select(pl.median("years")).item()),
        e2=f"{number(e2[0])} ({interval(e2[1], e2[2])})",
        n_losses=f"{int((usable['lsc_verdict'] == 'loss').sum()):,}",
    )
