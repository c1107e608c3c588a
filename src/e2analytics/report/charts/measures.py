"""Charts of the measures: months with their limits, clinics in a funnel; the same bytes each time.

In    Measure
Out   SVG text to set into a page

What signals is a diamond among circles and stands out in grey; every line has its own dash and label.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Final

import altair as alt
from altair.typing import ChartType

from e2analytics.report.charts.curve import BLACK, BLUE, GREY, VERMILLION, draw
from e2analytics.report.formatting import percent_of
from e2analytics.report.sections.measure_clinics import ALARM, Funnel
from e2analytics.report.sections.measure_months import Month, Months

WIDTH: Final = 400
HEIGHT: Final = 230
ROOM_FOR_WORDS: Final = 84
"""Pixels right of the chart of months, for the names of its lines."""
SMALL: Final = 12


def months_svg(key: str, of: Months) -> str:
    """Draw a measure month by month, with mean and limits where it has them."""
    months = [month for month in of.drawn if month.figure.value is not None]
    points: list[dict[str, object]] = [
        {
            "month": month.month,
            "value": month.figure.value,
            "loud": bool(month.signals),
            "low": month.figure.ci_low,
            "high": month.figure.ci_high,
        }
        for month in months
    ]
    with_limits = of.with_limits
    lines = _lines(of.drawn) if with_limits else []
    ends = [
        end
        for month in months
        for end in (
            (month.lower, month.upper)
            if with_limits
            else (month.figure.ci_low, month.figure.ci_high)
        )
    ]
    # The last row of each line carries its name.
    words = list({line["line"]: line for line in lines}.values())
    return draw(
        _months_spec(with_limits),
        name=f"{key}-months",
        rows={"points": points, "lines": lines, "words": words},
        values=_domain([*(month.figure.value for month in months), *ends]),
    )


def funnel_svg(key: str, funnel: Funnel) -> str:
    """Draw the clinics by their size, within the limits of 95 and 99.8 %."""
    clinics = [each for each in funnel.clinics if each.compared and each.figure.value is not None]
    points: list[dict[str, object]] = [
        {
            "denominator": each.figure.denominator,
            "value": each.figure.value,
            "clinic": each.clinic_id,
            "loud": abs(each.beyond) == ALARM,
            "named": abs(each.beyond) == ALARM or len(clinics) == 1,
        }
        for each in clinics
    ]
    # Of the smallest clinics everything is possible: their limits do not stretch the picture.
    far = funnel.lines[len(funnel.lines) // 3 :]
    ends = [end for line in far for end in (line.alarm_low, line.alarm_high)]
    return draw(
        _funnel_spec(),
        name=f"{key}-funnel",
        rows={"points": points, "limits": _funnel_rows(funnel)},
        values=_domain([*(each.figure.value for each in clinics), *ends]),
    )


# Altair takes longer to specify a picture than Vega to draw it: all measures share two.
@cache
def _months_spec(with_limits: bool) -> dict[str, Any]:
    # Months sort as they are written.
    x = alt.X(
        "month:O",
        title=None,
        axis=alt.Axis(
            labelAngle=0,
            labelFontSize=SMALL,
            labelOverlap="greedy",
            labelSeparation=14,
            labelExpr=(
                "monthAbbrevFormat(toNumber(substring(datum.label, 5)) - 1) "
                "+ ' ' + substring(datum.label, 0, 4)"
            ),
        ),
        scale=alt.Scale(paddingOuter=0.1),
    )
    behind = _named_lines(x) if with_limits else [_band(x)]
    return (
        alt.layer(*behind, _thread(x), *_marks(x)).properties(width=WIDTH, height=HEIGHT).to_dict()
    )


@cache
def _funnel_spec() -> dict[str, Any]:
    x = alt.X(
        "denominator:Q",
        title="patients (or results)",
        scale=alt.Scale(domainMin=0, nice=False),
        axis=alt.Axis(tickCount=6, format="d", grid=False),
    )
    return (
        alt.layer(_funnel_lines(x), *_marks(x), _names(x))
        .properties(width=WIDTH + ROOM_FOR_WORDS, height=HEIGHT)
        .to_dict()
    )


def _domain(drawn: Iterable[float | None]) -> dict[str, float]:
    """Span what is drawn; from 0 where that wastes less than half of the picture."""
    values = [min(max(value, 0.0), 100.0) for value in drawn if value is not None]
    low, high = min(values), max(*values, 1.0)
    room = 0.08 * (high - low)
    return {
        "lowest": 0.0 if low < high / 2 else low - room,
        "highest": min(100.0, high + room),
    }


def _y(field: str) -> alt.Y:
    scale = alt.Scale(
        domainMin=alt.ExprRef(expr="lowest"),
        domainMax=alt.ExprRef(expr="highest"),
        nice=False,
        zero=False,
    )
    return alt.Y(f"{field}:Q", scale=scale, title="%", axis=alt.Axis(tickCount=5))


def _of(name: str) -> alt.Chart:
    return alt.Chart(alt.NamedData(name=name))


def _thread(x: alt.X) -> ChartType:
    line = _of("points").mark_line(color=BLUE, strokeWidth=1.5)
    drawn: ChartType = line.encode(x=x, y=_y("value"))
    return drawn


def _band(x: alt.X) -> ChartType:
    """Draw the 95 % intervals, where there are no limits to judge by."""
    band = _of("points").mark_area(color=BLUE, opacity=0.2)
    drawn: ChartType = band.encode(x=x, y=_y("low"), y2="high:Q")
    return drawn


def _marks(x: alt.X) -> list[ChartType]:
    """Draw the points, those that signal as larger diamonds."""
    points = _of("points")
    calm = points.transform_filter("!datum.loud").mark_point(
        shape="circle", size=36, filled=True, opacity=1, color=BLUE
    )
    loud = points.transform_filter("datum.loud").mark_point(
        shape="diamond", size=130, filled=True, opacity=1, color=VERMILLION, stroke=BLACK
    )
    return [layer.encode(x=x, y=_y("value")) for layer in (calm, loud)]


def _lines(months: Sequence[Month]) -> list[dict[str, object]]:
    """Give mean and limits month by month; a limit beyond 0 or 100 % counts and is not drawn."""
    return [
        {"month": month.month, "level": level, "line": line, "label": f"{line} {percent_of(level)}"}
        for line, field in (("upper limit", "upper"), ("mean", "centre"), ("lower limit", "lower"))
        for month in months
        if (level := getattr(month, field)) is not None and 0 < level < 100
    ]


def _named_lines(x: alt.X) -> list[ChartType]:
    """Draw mean and limits, each with its name and number at its end."""
    dashes = alt.Scale(
        domain=["upper limit", "mean", "lower limit"], range=[[5, 4], [1, 0], [5, 4]]
    )
    line = _of("lines").mark_line(color=GREY, strokeWidth=1.5, interpolate="step")
    words = _of("words").mark_text(align="left", dx=12, fontSize=SMALL, color=BLACK, clip=False)
    return [
        line.encode(
            x=x, y=_y("level"), strokeDash=alt.StrokeDash("line:N", scale=dashes, legend=None)
        ),
        words.encode(x=x, y=_y("level"), text="label:N"),
    ]


def _funnel_rows(funnel: Funnel) -> list[dict[str, object]]:
    return [
        {"denominator": line.denominator, "level": level, "end": end, "kind": kind}
        for line in funnel.lines
        for end, kind, level in (
            ("alarm_low", "99.8 %", line.alarm_low),
            ("alarm_high", "99.8 %", line.alarm_high),
            ("warning_low", "95 %", line.warning_low),
            ("warning_high", "95 %", line.warning_high),
            ("centre", "all", funnel.centre),
        )
    ]


def _funnel_lines(x: alt.X) -> ChartType:
    dashes = alt.Scale(domain=["99.8 %", "95 %", "all"], range=[[1, 0], [5, 4], [1, 3]])
    drawn: ChartType = (
        _of("limits")
        .mark_line(color=GREY, strokeWidth=1.5, clip=True)
        .encode(
            x=x,
            y=_y("level"),
            detail="end:N",
            strokeDash=alt.StrokeDash("kind:N", scale=dashes, legend=None),
        )
    )
    return drawn


def _names(x: alt.X) -> ChartType:
    words = (
        _of("points")
        .transform_filter("datum.named")
        .mark_text(align="right", dx=-9, fontSize=SMALL, fontWeight="bold", color=BLACK)
    )
    drawn: ChartType = words.encode(x=x, y=_y("value"), text="clinic:N")
    return drawn
