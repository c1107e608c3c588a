"""The report as one self-contained HTML page: no script, no network, nothing outside the file.

In    Report
Out   HTML text, the same bytes for the same report
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from altair.utils.schemapi import debug_mode
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from e2analytics.report.charts import attrition_flow, measures
from e2analytics.report.charts import curve as charts
from e2analytics.report.charts.sweet_spot import sweet_spot_svg
from e2analytics.report.content import Report
from e2analytics.report.external import men
from e2analytics.report.external.report import ExternalReport
from e2analytics.report.formatting import ALL_CLINICS, HIDDEN, count
from e2analytics.report.sections import ingest, methods
from e2analytics.report.sections.curves import Curve, Limit
from e2analytics.report.sections.measure_clinics import Funnel
from e2analytics.report.sections.measure_figures import Figure
from e2analytics.report.sections.measure_months import Months
from e2analytics.report.sections.sweet_spot import SweetSpot

# Everything that comes from data is escaped; the page's own policy forbids scripts besides.
ENVIRONMENT: Final = Environment(
    loader=PackageLoader("e2analytics.report", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.globals["count"] = count
ENVIRONMENT.filters["grouped"] = "{:,}".format


def render_html(report: Report) -> str:
    """Set ``report`` on a page of its own.

    Returns
    -------
    str
        A whole HTML document. It loads nothing and runs nothing.
    """
    # Altair checks every part of a chart against its schema, which takes longer than to draw it: tests do.
    with debug_mode(False):
        return _page(report)


def _page(report: Report) -> str:
    return ENVIRONMENT.get_template("report.html.j2").render(
        report=report,
        prose=methods,
        fate_names=list(ingest.FATE_NAMES.values()),
        diagrams=[attrition_flow.draw(chain) for chain in report.ingest.chains]
        if report.ingest
        else [],
        main_chart=_main_chart,
        small_chart=_small_chart,
        sweet_spot_chart=_sweet_spot_chart,
        months_chart=_months_chart,
        funnel_chart=_funnel_chart,
        exact=_exact,
    )


def render_external(report: ExternalReport) -> str:
    """Set the version that leaves the clinic on a page of its own."""
    with debug_mode(False):
        return _external_page(report)


def _external_page(report: ExternalReport) -> str:
    lines = report.men.lines(report.clinic)
    return ENVIRONMENT.get_template("external.html.j2").render(
        report=report,
        prose=methods,
        whose=report.clinic or ALL_CLINICS,
        lines=lines,
        together=report.men.lines(),
        all_hidden=all(line.men in (HIDDEN, "0") for line in lines),
        columns=men.column_names(),
        main_chart=_main_chart,
        small_chart=_small_chart,
        sweet_spot_chart=_sweet_spot_chart,
        months_chart=_months_chart,
        funnel_chart=_funnel_chart,
        exact=_exact,
    )


# Reports of a month have many a picture in common, and one takes as long as the rest of a page.
@lru_cache(maxsize=64)
def _main_chart(curve: Curve, limit: Limit) -> Markup:
    return _safe(charts.main_svg(curve, limit))


@lru_cache(maxsize=64)
def _small_chart(curve: Curve, limit: Limit) -> Markup:
    return _safe(charts.small_svg(curve, limit))


@lru_cache(maxsize=64)
def _sweet_spot_chart(spot: SweetSpot) -> Markup:
    return _safe(sweet_spot_svg(spot))


@lru_cache(maxsize=64)
def _months_chart(key: str, months: Months) -> Markup:
    return _safe(measures.months_svg(key, months))


@lru_cache(maxsize=64)
def _funnel_chart(key: str, funnel: Funnel) -> Markup:
    return _safe(measures.funnel_svg(key, funnel))


def _exact(figure: Figure) -> Markup:
    """Give a cell the share behind its words, for those who calculate."""
    if figure.value is None:
        return Markup("")
    return Markup(' data-value="{}"').format(figure.value)


def _safe(svg: str) -> Markup:
    # Made by the chart renderer, which escapes text, from numbers and names that we wrote.
    return Markup(svg)  # noqa: S704 - our own charts, escaped there
