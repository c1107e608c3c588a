"""The sweet spot as one picture: each outcome in a lane of its own over the same E2.

In    SweetSpot
Out   SVG text to set into a page, the same bytes each time

Upwards is worse in every lane. A lane is orange where its harm is earned, else grey; the range between the two ends
is one upright stripe through all lanes.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Final

import altair as alt
from altair.typing import ChartType

from e2analytics.report.charts.curve import (
    BLACK,
    BLUE,
    FONT_SIZE,
    GREY,
    TICKS_PG_ML,
    VERMILLION,
    chart_of,
    to_svg,
)
from e2analytics.report.formatting import level, number
from e2analytics.report.sections.sweet_spot import Lane, SweetSpot

WIDTH: Final = 640
LANE_HEIGHT: Final = 54
RANGE_COLOUR: Final = "#009E73"
_ROOM: Final = 1.04
"""Ratio of E2 that is shown beyond the outermost point."""


def sweet_spot_svg(spot: SweetSpot) -> str:
    """Draw the lanes, one below the other, with one axis of E2 under the last."""
    found = [point.e2_pg_ml for lane in spot.lanes for point in lane.points]
    ends = [end for end in (spot.lower_pg_ml, spot.upper_pg_ml) if end is not None]
    domain = (min(*found, *ends) / _ROOM, max(*found, *ends) * _ROOM)
    lanes = [
        alt.layer(
            *_layers(spot, lane, domain, first=place == 0, last=place == len(spot.lanes) - 1)
        ).properties(width=WIDTH, height=LANE_HEIGHT)
        for place, lane in enumerate(spot.lanes)
    ]
    return to_svg(alt.vconcat(*lanes, spacing=3), name="sweet-spot")


def _layers(
    spot: SweetSpot, lane: Lane, domain: tuple[float, float], *, first: bool, last: bool
) -> list[ChartType]:
    x = _x("e2_pg_ml", domain, last=last)
    y_axis = alt.Axis(
        title=[lane.name, lane.unit],
        titleAngle=0,
        titleAlign="right",
        titleAnchor="middle",
        titleBaseline="middle",
        titlePadding=8,
        tickCount=2,
        grid=False,
        labelFontSize=11,
    )
    scale = alt.Scale(zero=False, nice=False, domain=list(_y_domain(lane)))
    colour = VERMILLION if lane.shows_low or lane.shows_high else GREY
    rows = chart_of(asdict(point) for point in lane.points)
    words = chart_of([{"verdict": re.sub(r"([,;]) ", r"\1|", lane.verdict)}]).mark_text(
        align="left", lineBreak="|", fontSize=FONT_SIZE - 2, color=BLACK, dx=8
    )
    return [
        *_range(spot, domain, last=last, labelled=first),
        rows.mark_area(clip=True, color=colour, opacity=0.2).encode(
            x=x, y=alt.Y("band_low:Q", scale=scale, axis=y_axis), y2="band_high:Q"
        ),
        rows.mark_line(clip=True, color=colour, strokeWidth=3).encode(
            x=x, y=alt.Y("estimate:Q", scale=scale, axis=y_axis)
        ),
        words.encode(text="verdict:N", x=alt.value(WIDTH), y=alt.value(LANE_HEIGHT / 2 - 4)),
    ]


def _range(
    spot: SweetSpot, domain: tuple[float, float], *, last: bool, labelled: bool
) -> list[ChartType]:
    """Draw the two ends as upright lines, labelled in the first lane, and what lies between them."""
    lower, upper = spot.lower_pg_ml, spot.upper_pg_ml
    layers: list[ChartType] = []
    if upper is not None and upper > lower:
        between = chart_of([{"low": lower, "high": upper}])
        layers.append(
            between.mark_rect(color=RANGE_COLOUR, opacity=0.14).encode(
                x=_x("low", domain, last=last), x2="high:Q"
            )
        )
    ends = [(lower, BLUE, f"{level(lower)} lower end")]
    if upper is not None:
        ends.append((upper, BLACK, f"{number(upper)} upper end"))
    for e2, colour, label in ends:
        base = chart_of([{"e2_pg_ml": e2, "label": label}])
        layers.append(
            base.mark_rule(color=colour, strokeWidth=2, strokeDash=[6, 3]).encode(
                x=_x("e2_pg_ml", domain, last=last)
            )
        )
        if labelled:
            layers.append(
                base.mark_text(
                    align="center", fontSize=FONT_SIZE, fontWeight="bold", color=colour
                ).encode(x=_x("e2_pg_ml", domain, last=last), text="label:N", y=alt.value(-10))
            )
    return layers


def _x(field: str, domain: tuple[float, float], *, last: bool) -> alt.X:
    ticks = [tick for tick in TICKS_PG_ML if domain[0] <= tick <= domain[1]]
    return alt.X(
        f"{field}:Q",
        scale=alt.Scale(type="log", domain=list(domain), nice=False),
        axis=alt.Axis(
            values=ticks,
            format="d",
            labels=last,
            ticks=last,
            title="E2, pg/mL (log axis)" if last else None,
        ),
    )


def _y_domain(lane: Lane) -> tuple[float, float]:
    """Span the band, but no farther beyond the curve than the curve itself spans: wide ends say little.

    A probability begins at 0 and reaches ``least_top`` at least, so that noise does not look like a shape.
    """
    low = min(point.estimate for point in lane.points)
    high = max(point.estimate for point in lane.points)
    span = max(high - low, 1e-6)
    top = max(min(max(point.band_high for point in lane.points), high + span), lane.least_top)
    bottom = max(min(point.band_low for point in lane.points), low - span)
    return (bottom if lane.bottom is None else lane.bottom, top)
