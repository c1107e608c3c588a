"""The version that leaves the clinic: the same month without rows, names or counts of few men.

In    the tables of one published run
Out   ExternalReport of all clinics and of each, made together: what one hides, no other shows

Only released tables reach the page: the men are counted and hidden first (``external.men``), and the tables
that have a row for each man or file are left behind. Percentages, charts and sentences are made of what is
released, so that none shows more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from e2analytics.models.disclosure import LARGEST, SMALLEST
from e2analytics.report.content import Report, build
from e2analytics.report.external.disclosure import Level, release
from e2analytics.report.external.measures import describe_released, release_measures
from e2analytics.report.external.men import Men, release_men, shown_count
from e2analytics.report.formatting import HIDDEN, level
from e2analytics.report.sections import headlines
from e2analytics.report.sections.curves import Curves, SiteData, sites_of
from e2analytics.report.sections.dose_response import DoseResponse
from e2analytics.report.sections.header import Header
from e2analytics.report.sections.headlines import Headline
from e2analytics.report.sections.measures import Measures, without_precision
from e2analytics.report.sections.methods import Rules

_KEPT: Final = ("runs", "models", "limits")
"""Tables that count no men. The others are released below, or left behind: new ones, too, until they are."""
_RELEASED_SETTINGS: Final = re.compile(r"(fit|flag)\.\w+")
_FEW: Final = "too few men"
_OF_PAIRS: Final = (
    Level(("pairs",), {}),
    Level(("usable", "not_usable"), {}, whole="pairs", silent=("not_usable",)),
    Level(("loss", "no_loss"), {}, whole="usable", silent=("no_loss",)),
    Level(("men",), {}),
)


@dataclass(frozen=True, slots=True)
class ExternalReport:
    """One month for readers outside; of all clinics, or of one."""

    header: Header
    clinic: str | None
    base: int
    headlines: tuple[Headline, ...]
    men: Men
    measures: Measures
    dose_response: DoseResponse
    curves: Curves
    methods: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]


def release_reports(
    tables: Mapping[str, pl.DataFrame],
    *,
    month: str,
    base: int,
    before: Mapping[str, pl.DataFrame] | None = None,
) -> tuple[ExternalReport, ...]:
    """Make the outside reports of a month: of all clinics, then of each.

    Parameters
    ----------
    tables : mapping of str to polars.DataFrame
        As for :func:`e2analytics.report.content.build`.
    month : str
        ``YYYY-MM``.
    base : int
        Counts are rounded to its multiples.
    before : mapping of str to polars.DataFrame, optional
        ``curve`` and ``curve_summary`` of the month before, released here as this month's are.
    """
    men = release_men(tables, month, base)
    counted, sums = release_measures(tables["measures"], men, month=month, base=base)
    whole = build(
        _released(tables, base) | {"measures": counted},
        month=month,
        before=_released_curves(before, base) if before else None,
    )
    rebased = Rules.of(json.loads(tables["runs"]["settings"][0])).measures.rebased
    unlike = without_precision(tables["patients"], tables["precision"])
    described = {
        clinic: describe_released(counted, sums, month, clinic, rebased, unlike)
        for clinic in (None, *men.clinics)
    }
    curves = replace(whole.curves, sites=_sites(tables["exposures"], base))
    return tuple(
        ExternalReport(
            header=whole.header,
            clinic=clinic,
            base=base,
            headlines=_headlines(men, measures, whole, clinic, base),
            men=men,
            measures=measures,
            dose_response=whole.dose_response,
            curves=curves,
            methods=whole.methods,
            settings=tuple(
                pair for pair in whole.settings if _RELEASED_SETTINGS.fullmatch(pair[0])
            ),
        )
        for clinic, measures in described.items()
    )


def _released(tables: Mapping[str, pl.DataFrame], base: int) -> dict[str, pl.DataFrame]:
    """Return the tables without rows of men, and with their counts hidden or rounded."""
    left_behind = {name: frame.clear() for name, frame in tables.items() if name not in _KEPT}
    return {
        **tables,
        **left_behind,
        "files": tables["files"].with_columns(source_file=pl.lit("")),
        **_released_curves(tables, base),
        "dose_effects": tables["dose_effects"]
        .filter(~_is_small("n_men"))
        .with_columns(_rounded("n_men", base)),
        "e2_checks": tables["e2_checks"]
        .filter(~_is_small("n_draws"), ~_is_small("n_outside"))
        .with_columns(_rounded("n_draws", base)),
    }


def _released_curves(tables: Mapping[str, pl.DataFrame], base: int) -> dict[str, pl.DataFrame]:
    """Return the curves where more than few men stand behind them, with their counts rounded."""
    return {
        "curve": tables["curve"]
        .filter(pl.col("n_effective") > LARGEST)
        .with_columns(_rounded("n_effective", base)),
        "curve_summary": _without_few(tables["curve_summary"]).with_columns(
            _rounded(name, base) for name in ("n_patients", "n_intervals", "n_events")
        ),
    }


def _is_small(name: str) -> pl.Expr:
    return pl.col(name).is_between(SMALLEST, LARGEST)


def _rounded(name: str, base: int) -> pl.Expr:
    least_shown = base * (LARGEST // base + 1)
    nearest = (pl.col(name) / base).round().cast(pl.Int64) * base
    return (
        pl.when(pl.col(name) > 0)
        .then(pl.max_horizontal(nearest, least_shown))
        .otherwise(0)
        .alias(name)
    )


def _without_few(summary: pl.DataFrame) -> pl.DataFrame:
    """Say of a curve that rests on few men, or would show how few, only that they are few."""
    few = _is_small("n_patients") | _is_small("n_intervals") | _is_small("n_events")
    told = r"\b([1-9]|10) (men|man|pairs?|scans?|events?)\b"
    return summary.with_columns(
        pl.when((few | pl.col(name).str.contains(told)).fill_null(False))
        .then(pl.lit(_FEW))
        .otherwise(name)
        .alias(name)
        for name in ("why_not", "upper_limit_why_not")
    )


def _sites(exposures: pl.DataFrame, base: int) -> tuple[SiteData, ...]:
    """Say what the curves of each site rest on."""
    return tuple(
        _site(line, exposures.filter(pl.col("site") == site), base)
        for site, line in sites_of(exposures).items()
    )


def _site(line: SiteData, pairs: pl.DataFrame, base: int) -> SiteData:
    usable = pairs.filter("usable")
    losses = usable.filter(pl.col("lsc_verdict") == "loss").height
    counts = {
        "pairs": pairs.height,
        "usable": usable.height,
        "not_usable": pairs.height - usable.height,
        "loss": losses,
        "no_loss": usable.height - losses,
        "men": usable["patient_id"].n_unique(),
    }
    shown = release(_OF_PAIRS, {name: [n] for name, n in counts.items()}, base)
    shown_as = {name: shown_count(values[-1]) for name, values in shown.items()}
    # Quantiles of few men are values of single men.
    few = HIDDEN in (shown_as["usable"], shown_as["men"])
    return SiteData(
        site=line.site,
        n_pairs=shown_as["pairs"],
        n_usable=shown_as["usable"],
        n_men=shown_as["men"],
        years=HIDDEN if few else line.years,
        e2=HIDDEN if few else line.e2,
        n_losses=shown_as["loss"],
    )


def _headlines(
    men: Men, measures: Measures, whole: Report, clinic: str | None, base: int
) -> tuple[Headline, ...]:
    """Say what a reader outside must not miss, in counts that may be hidden."""
    whose = clinic or "All clinics"

    def n(name: str) -> str:
        return men.count(name, clinic)

    limit = level(whole.curves.limit.lower_limit_pg_ml)
    return (
        Headline(
            f"Men with an open flag: {n('flagged')}",
            f"{whose}. Critical: {n('critical')}; high: {n('high')}; watch: {n('watch')}. First flagged in "
            f"{whole.header.month_name}: {n('first_flagged')}. Not reviewed yet: {n('not_reviewed')}. "
            f"Flags resolved: {n('resolved')}.",
        ),
        Headline(
            f"Below range by the drug: {n('below_range')}",
            f"Of {n('known')} men known, on an aromatase inhibitor: {n('on_drug')}; assessed: {n('assessed')}. "
            f"E2 probably below {limit} pg/mL because of the drug: {n('below_range')}; low for another reason: "
            f"{n('low_not_attributable')}; in range: {n('in_range')}.",
        ),
        headlines.what_signals(measures),
        headlines.what_the_curve_says(whole.curves),
        Headline(
            "Counts of few men are hidden",
            f"Counts of 1 to 10 men are hidden, and as many others as would give them back; the rest are rounded "
            f"to multiples of {base}, each by itself, so that they need not add up. Shares are made of what is shown.",
        ),
    )
