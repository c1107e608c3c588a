"""Charts: a curve as a vector picture, the same bytes each time.

In    Curve, Limit
Out   SVG text to set into a page

Every line has its own dash and label, not only its colour. What the data do not
support is drawn grey and dashed, on a grey ground.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, Final, Literal, NamedTuple, Self

import altair as alt
import vl_convert
from altair.typing import ChartType
from altair.utils import schemapi

from e2analytics.report.formatting import interval, level, number
from e2analytics.report.sections.curve_wording import CHANGE, LEVEL
from e2analytics.report.sections.curves import Curve, Limit, Point

Rows = Mapping[str, list[dict[str, object]]]

# Okabe and Ito's palette: distinct to the colour-blind, and by lightness when printed grey.
BLUE: Final = "#0072B2"
VERMILLION: Final = "#D55E00"
BLACK: Final = "#222222"
GREY: Final = "#6B6B6B"
PALE: Final = "#EEEEEE"

TICKS_PG_ML: Final = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 25, 30, 40, 50, 60, 80, 100, 150, 200)
LEAST_MEN: Final = 30
MARGIN: Final = 1.07
"""Ratio of E2 that is shown beyond the red line, where the curve does not reach it."""
WIDTH: Final = 940
HEIGHT: Final = 360
FONT_SIZE: Final = 14
STYLE: Final = alt.Config(
    font="sans-serif",
    # The page describes each picture in words; a label on every mark would drown them.
    aria=False,
    background="white",
    axis=alt.AxisConfig(
        labelFontSize=FONT_SIZE,
        titleFontSize=FONT_SIZE,
        titleFontWeight="normal",
        gridColor="#DDDDDD",
        labelColor=BLACK,
        titleColor=BLACK,
    ),
    view=alt.ViewConfig(stroke=GREY, continuousWidth=300, continuousHeight=300),
).to_dict()
ROOM_FOR_WORDS: Final = 0.08
"""Share of the axis that the words on the grey ground need, clear of the red line."""
ROOM_FOR_LABEL: Final = 0.3
"""Share of the axis that the label of the fitted limit needs."""


@dataclass(frozen=True, slots=True)
class Course:
    """The points of a curve and the stretch of E2 that its picture shows, the red line included."""

    points: tuple[Point, ...]
    low: float
    high: float

    @classmethod
    def of(cls, curve: Curve, limit: Limit) -> Self:
        """Show the whole curve, and the red line even where it lies beyond."""
        first, last = curve.points[0].e2_pg_ml, curve.points[-1].e2_pg_ml
        red = limit.red_line_pg_ml
        return cls(curve.points, min(first, red / MARGIN), max(last, red * MARGIN))

    @property
    def unsupported(self) -> list[tuple[float, float]]:
        """Stretches of E2 without support, from the first to the last of the picture."""
        ends = [self.low, *(p.e2_pg_ml for p in self.points if p.supported), self.high]
        if len(ends) == 2:
            return [(self.low, self.high)]
        spans = [(self.low, ends[1]), *self._holes(), (ends[-2], self.high)]
        return [(low, high) for low, high in spans if low < high]

    def _holes(self) -> list[tuple[float, float]]:
        places = [place for place, point in enumerate(self.points) if point.supported]
        return [
            (self.points[before].e2_pg_ml, self.points[after].e2_pg_ml)
            for before, after in pairwise(places)
            if after > before + 1
        ]

    def place(self, e2_pg_ml: float) -> float:
        """Find how far along the axis an E2 is, from 0 to 1."""
        return math.log(e2_pg_ml / self.low) / math.log(self.high / self.low)


def main_svg(curve: Curve, limit: Limit) -> str:
    """Draw the primary curve with its bands and limits, and under it the men behind each E2."""
    course = Course.of(curve, limit)
    shape = [
        *_shape(curve, course),
        *_words_on_ground(course, limit),
        *_limits(curve, course, limit),
    ]
    return to_svg(
        alt.vconcat(
            alt.layer(*shape).properties(width=WIDTH, height=HEIGHT),
            alt.layer(*_support(course)).properties(width=WIDTH, height=110),
            spacing=8,
        ),
        name=curve.name,
    )


def small_svg(curve: Curve, limit: Limit) -> str:
    """Draw one of the other curves, small: the shape, its bands and the red line."""
    course = Course.of(curve, limit)
    red_line = [] if curve.outcome == LEVEL else _red_line(course, limit)
    layers = [*_shape(curve, course), *red_line]
    return to_svg(alt.layer(*layers).properties(width=330, height=200), name=curve.name)


def _shape(curve: Curve, course: Course) -> list[ChartType]:
    """Draw the bands and the curve where it is supported, and its course elsewhere in grey."""
    low, high = y_domain(curve.points, curve.before)
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    x = _x(course)

    def y(field: str) -> alt.Y:
        return alt.Y(f"{field}:Q", scale=scale, title=curve.y_title)

    claimed = chart_of(asdict(point) for point in curve.points if point.supported)
    whole = chart_of(asdict(point) for point in curve.points)
    pale = claimed.mark_area(clip=True, color=BLUE, opacity=0.18)
    dark = claimed.mark_area(clip=True, color=BLUE, opacity=0.34)
    dashes = whole.mark_line(clip=True, color=GREY, strokeDash=[3, 4], strokeWidth=1.5)
    line = claimed.mark_line(clip=True, color=BLUE, strokeWidth=3)
    last_month = chart_of(asdict(point) for point in curve.before).mark_line(
        clip=True, color=BLACK, strokeDash=[6, 3], strokeWidth=1.5
    )
    return [
        *_ground(course),
        *(_no_change() if curve.outcome == CHANGE and low < 0 < high else []),
        pale.encode(x=x, y=y("band_low"), y2="band_high:Q"),
        dark.encode(x=x, y=y("ci_low"), y2="ci_high:Q"),
        dashes.encode(x=x, y=y("estimate")),
        line.encode(x=x, y=y("estimate")),
        *([last_month.encode(x=x, y=y("estimate"))] if curve.before else []),
    ]


def _limits(curve: Curve, course: Course, limit: Limit) -> list[ChartType]:
    """Draw the red line, the limit in use and the fitted one, each labelled at its own height.

    A cross-sectional curve gives no limit, and is not compared with one.
    """
    if curve.outcome == LEVEL:
        return []
    in_use = limit.lower_limit_pg_ml
    label = f"limit in use {level(in_use)}"
    return [
        *_red_line(course, limit, label=f"red line {level(limit.red_line_pg_ml)}"),
        *_rule(course, in_use, colour=BLACK, dash=[], label=label, row=1),
        *_fitted_limit(curve, course, limit),
    ]


def _red_line(course: Course, limit: Limit, *, label: str = "") -> list[ChartType]:
    e2 = limit.red_line_pg_ml
    return _rule(course, e2, colour=VERMILLION, dash=[7, 4], label=label, row=0)


def _rule(
    course: Course, e2_pg_ml: float, *, colour: str, dash: list[int], label: str, row: int
) -> list[ChartType]:
    if not course.low <= e2_pg_ml <= course.high:
        return []
    base = chart_of([{"e2_pg_ml": e2_pg_ml, "label": label}])
    rule = base.mark_rule(color=colour, strokeWidth=2, strokeDash=dash)
    text = base.mark_text(
        align="left", dx=6, color=BLACK, fontSize=FONT_SIZE, fontWeight="bold"
    ).encode(text="label:N", y=alt.value(14 + 20 * row))
    return [rule.encode(x=_x(course)), text.encode(x=_x(course))]


def _fitted_limit(curve: Curve, course: Course, limits: Limit) -> list[ChartType]:
    """Draw the fitted limit as a diamond on its interval, labelled where no line strikes the label."""
    limit = curve.fitted_limit_pg_ml
    if limit is None:
        return []
    ends = curve.fitted_limit_ci_pg_ml or (limit, limit)
    between = f" (95 %: {interval(*ends)})" if curve.fitted_limit_ci_pg_ml else ""
    low, high = (min(max(end, course.low), course.high) for end in ends)
    label = f"fitted limit {number(limit)}{between}"
    places = {"low": low, "high": high, "e2_pg_ml": min(max(limit, course.low), course.high)}
    spot = _free_spot(course, places, (limits.red_line_pg_ml, limits.lower_limit_pg_ml))
    base = chart_of([{"e2_pg_ml": limit, "low": low, "high": high, "label": label}])
    y = alt.value(HEIGHT - 14)
    diamond = base.mark_point(shape="diamond", size=110, filled=True, opacity=1, color=BLACK)
    words = base.mark_text(
        align=spot.align,
        dx=-8 if spot.align == "right" else 8,
        fontSize=FONT_SIZE,
        color=BLACK,
    )
    height = alt.value(HEIGHT - 30) if spot.above else y
    return [
        base.mark_rule(color=BLACK, strokeWidth=2).encode(x=_x(course, "low"), x2="high:Q", y=y),
        diamond.encode(x=_x(course), y=y),
        words.encode(x=_x(course, spot.anchor), text="label:N", y=height),
    ]


class _Spot(NamedTuple):
    """Where a label of the fitted limit can stand: at which end, on which side, how high."""

    anchor: Literal["high", "low", "e2_pg_ml"]
    align: Literal["left", "right"]
    above: bool


_SPOTS: Final = (
    _Spot("high", "left", above=False),
    _Spot("low", "right", above=False),
    _Spot("e2_pg_ml", "right", above=True),
    _Spot("e2_pg_ml", "left", above=True),
)


def _free_spot(
    course: Course, ends_pg_ml: Mapping[str, float], lines_pg_ml: tuple[float, ...]
) -> _Spot:
    """Choose where a label stays in the picture and off the upright lines; else a spot inside."""
    inside = []
    for spot in _SPOTS:
        start = course.place(ends_pg_ml[spot.anchor])
        start -= ROOM_FOR_LABEL if spot.align == "right" else 0
        if start < 0 or start + ROOM_FOR_LABEL > 1:
            continue
        inside.append(spot)
        if not any(start < course.place(line) < start + ROOM_FOR_LABEL for line in lines_pg_ml):
            return spot
    return inside[0] if inside else _SPOTS[-1]


def _support(course: Course) -> list[ChartType]:
    """Draw how many men are near each E2, and how many are needed."""
    axis = alt.Axis(tickCount=3, format="d")
    y = alt.Y("n_effective:Q", title="men near this E2", axis=axis)
    men = chart_of(asdict(point) for point in course.points).mark_area(
        color=GREY, opacity=0.45, line={"color": GREY}
    )
    least = chart_of(
        [{"n_effective": LEAST_MEN, "label": f"dashed: {LEAST_MEN} men, the least for support"}]
    )
    words = least.mark_text(align="left", dx=6, fontSize=13, color=BLACK)
    return [
        *_ground(course),
        men.encode(x=_x(course), y=y),
        least.mark_rule(color=BLACK, strokeDash=[4, 3]).encode(y=y),
        words.encode(x=alt.value(0), y=alt.value(12), text="label:N"),
    ]


def _ground(course: Course) -> list[ChartType]:
    """Grey the ground where there are too few men; the curve claims nothing there."""
    spans = [{"low": low, "high": high} for low, high in course.unsupported]
    if not spans:
        return []
    return [chart_of(spans).mark_rect(color=PALE).encode(x=_x(course, "low"), x2="high:Q")]


def _words_on_ground(course: Course, limit: Limit) -> list[ChartType]:
    """Name the grey ground where there is room, next to the supported stretch."""
    layers: list[ChartType] = []
    red = limit.red_line_pg_ml
    for low, high in course.unsupported:
        leftmost = low == course.low
        free = (max(low, red), high) if leftmost and red < high else (low, high)
        if course.place(free[1]) - course.place(free[0]) < ROOM_FOR_WORDS:
            continue
        label = "too few|men:|no claim"
        base = chart_of([{"anchor": high if leftmost else low, "label": label}])
        align: Literal["left", "right"] = "right" if leftmost else "left"
        words = base.mark_text(
            align=align, dx=-8 if leftmost else 8, fontSize=FONT_SIZE, color=GREY, lineBreak="|"
        )
        layers.append(words.encode(x=_x(course, "anchor"), y=alt.value(60), text="label:N"))
    return layers


def _no_change() -> list[ChartType]:
    return [chart_of([{"level": 0}]).mark_rule(color=GREY, strokeWidth=1).encode(y="level:Q")]


def y_domain(points: tuple[Point, ...], before: tuple[Point, ...] = ()) -> tuple[float, float]:
    """Span what is claimed, with room for labels; what is not claimed may leave the picture."""
    claimed = [end for p in points if p.supported for end in (p.band_low, p.band_high)]
    claimed += [point.estimate for point in before]
    drawn = claimed or [point.estimate for point in points]
    low, high = min(drawn), max(drawn)
    room = max(high - low, 1e-6)
    return low - 0.18 * room, high + 0.2 * room


def _x(course: Course, field: str = "e2_pg_ml") -> alt.X:
    ticks = [tick for tick in TICKS_PG_ML if course.low <= tick <= course.high]
    return alt.X(
        f"{field}:Q",
        scale=alt.Scale(type="log", domain=[course.low, course.high], nice=False),
        axis=alt.Axis(values=ticks, format="d", title="E2, pg/mL (log axis)"),
    )


def chart_of(rows: Iterable[Mapping[str, object]]) -> alt.Chart:
    """Begin a layer with its rows."""
    return alt.Chart(alt.InlineData(values=[dict(row) for row in rows]))


def to_svg(chart: ChartType, *, name: str) -> str:
    """Draw a picture in the house's style; ``name`` is its own on the page."""
    # Checked against the schema where charts are debugged: in tests.
    return draw(chart.to_dict(validate=schemapi.DEBUG_MODE), name=name)


def draw(
    spec: Mapping[str, Any],
    *,
    name: str,
    rows: Rows | None = None,
    values: Mapping[str, float] | None = None,
) -> str:
    """Draw what altair specified.

    Parameters
    ----------
    spec
        Of Vega-Lite.
    name
        The picture's own on the page.
    rows, values
        Data and parameters that the specification names: many pictures may share one.
    """
    filled = {
        **spec,
        "datasets": {**spec.get("datasets", {}), **(rows or {})},
        "params": [{"name": key, "value": value} for key, value in (values or {}).items()],
        # Set here once: altair's configure methods copy the whole picture each.
        "config": STYLE,
    }
    return own_ids(vl_convert.vegalite_to_svg(filled), name=name)


def own_ids(svg: str, *, name: str) -> str:
    """Give the clip paths of a picture ids of its own.

    The renderer numbers them through its life, so the second picture would differ from the first;
    and two pictures on one page would share the same ids.
    """
    found = dict.fromkeys(re.findall(r'id="(clip\d+)"', svg))
    new = {old: f"{name}-clip{position}" for position, old in enumerate(found)}
    return re.sub(r"clip\d+", lambda match: new.get(match[0], match[0]), svg)
