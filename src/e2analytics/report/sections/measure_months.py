"""The months of a measure: their course, their control limits, and what they signal.

In    a clinic's rows of the table ``measures``, or all clinics', oldest first; where charts begin anew
Out   Months, ready to be drawn, and the signals of the last of them
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

import numpy as np
import polars as pl

from e2analytics.models import xmr
from e2analytics.models.pspline import Array
from e2analytics.reference import measures as definitions
from e2analytics.report.formatting import listing, month_name, percent_of, short_month_name
from e2analytics.report.sections.measure_figures import (
    Figure,
    Signal,
    figure_of,
)

MONTHS_IN_A_TABLE: Final = 6
LEAST_UNITS_A_MONTH: Final = 5
"""Our own rule: with fewer, most months are 0 or 100 % and a chart of them shows noise alone."""
LEAST_RARER_A_MONTH: Final = 1
"""Our own rule: of those who met and those who did not, the fewer need one a month, or a month's limits lie."""
LATELY: Final = 3
"""Signals of so many months are listed; older ones are marked in the chart."""


@dataclass(frozen=True, slots=True)
class Month:
    """One point of the chart of months, with its control lines (per cent) and what it signals."""

    month: str
    name: str
    figure: Figure
    counted: str
    centre: float | None
    lower: float | None
    upper: float | None
    signals: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Months:
    """The months of a measure, oldest first.

    ``drawn`` is empty where a chart would say nothing: then ``why_not`` says why.
    """

    all: tuple[Month, ...]
    drawn: tuple[Month, ...]
    why_not: str
    with_limits: bool
    explanation: str
    alt: str

    @property
    def table(self) -> tuple[Month, ...]:
        """Return the last six, the latest first."""
        return self.all[: -MONTHS_IN_A_TABLE - 1 : -1]


def chart_months(
    definition: definitions.Measure, own: pl.DataFrame, restarts: Mapping[str, str]
) -> Months:
    """Chart the months of a clinic, or of all."""
    figures = [figure_of(row) for row in own.iter_rows(named=True)]
    names = own["month"].to_list()
    values = np.array([np.nan if figure.value is None else figure.value for figure in figures])
    units = [figure.denominator for figure in figures if figure.value is not None]
    starts = [place for place, name in enumerate(names) if name in restarts]
    why_not = _why_no_chart(definition, units)
    too_rare = _too_rare(definition, figures)
    with_limits = definition.months == "disjoint" and not why_not and not too_rare
    drawn = xmr.chart(values if with_limits else np.full(len(values), np.nan), starts)
    restated = (own["counted_as_of"] > _ends(own["month"])).to_list()
    months = tuple(
        Month(
            month=name,
            name=short_month_name(name),
            figure=figures[place],
            counted="restated" if restated[place] else "as first reported",
            centre=_finite(drawn.centre[place]),
            lower=_finite(drawn.lower[place]),
            upper=_finite(drawn.upper[place]),
            signals=_rules(drawn, values, place),
        )
        for place, name in enumerate(names)
    )
    # A chart begins with the first month that was measured.
    n_before = len(list(takewhile(lambda figure: figure.value is None, figures)))
    return Months(
        all=months,
        drawn=() if why_not else months[n_before:],
        why_not=why_not,
        with_limits=with_limits and any(month.centre is not None for month in months),
        explanation=too_rare or _explanation(definition, months, drawn, restarts),
        alt=_alt(definition, months[n_before:]),
    )


def _ends(months: pl.Series) -> pl.Series:
    return (months + "-01").str.to_date().dt.month_end()


def _finite(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _why_no_chart(definition: definitions.Measure, units: Sequence[int | None]) -> str:
    counted = [n for n in units if n is not None]
    if len(counted) < 2:
        return "Fewer than two months were measured: there is no course to draw."
    median = float(np.median(counted))
    if median < LEAST_UNITS_A_MONTH:
        return (
            f"Too few {definition.unit} a month for a chart of months (median {median:g}; "
            f"{LEAST_UNITS_A_MONTH} are needed). Read the twelve months together."
        )
    return ""


def _too_rare(definition: definitions.Measure, figures: Sequence[Figure]) -> str:
    """Say so if months are so often none or all that their own noise cannot be estimated."""
    counted = [(figure.numerator or 0, figure.denominator or 0) for figure in figures]
    counted = [(met, of) for met, of in counted if of]
    met, of = (sum(column) for column in zip(*counted, strict=True)) if counted else (0, 0)
    if definition.months == "overlapping" or min(met, of - met) >= LEAST_RARER_A_MONTH * len(
        counted
    ):
        return ""
    which = "met it" if met < of - met else "did not meet it"
    return f"Fewer than one a month {which}: no limits are drawn, and no signal; the band is the 95 % interval."


def _rules(drawn: xmr.Chart, values: Array, place: int) -> tuple[str, ...]:
    """Name the rules that a month breaks, with the side."""
    high = drawn.side[place] > 0
    side, limit = ("above", "upper") if high else ("below", "lower")
    rising = drawn.trend[place] and _rises(values, place)
    named = (
        (drawn.outside, f"{side} the {limit} limit"),
        (drawn.shift, f"seven or more in a row {side} the mean"),
        (drawn.trend, f"seven or more in a row {'rising' if rising else 'falling'}"),
        (drawn.near_limit, f"two of three near the {limit} limit"),
    )
    return tuple(words for broken, words in named if broken[place])


def _rises(values: Array, place: int) -> bool:
    """Return whether a trend that a point is part of rises: by the step into it, or out of it."""
    seen = np.flatnonzero(~np.isnan(values))
    at = int(np.searchsorted(seen, place))
    other = at - 1 if at > 0 else at + 1
    return bool((values[seen[at]] - values[seen[other]]) * (at - other) > 0)


def _explanation(
    definition: definitions.Measure,
    months: Sequence[Month],
    drawn: xmr.Chart,
    restarts: Mapping[str, str],
) -> str:
    if definition.months == "overlapping":
        return (
            "The men of one month are mostly those of the month before: the course is shown, and no signal "
            "is drawn from it."
        )
    if not any(month.centre is not None for month in months):
        return f"Fewer than {xmr.LEAST_POINTS} months: no limits yet."
    is_final = bool(drawn.settled[-1])
    baseline = (
        f"the first {xmr.BASELINE_POINTS} months"
        if is_final
        else f"the months so far; they settle with {xmr.BASELINE_POINTS}"
    )
    anew = "".join(
        f" Baseline begun anew in {month_name(month)}: {why}." for month, why in restarts.items()
    )
    return f"Mean and limits are those of {baseline}.{anew}"


def _alt(definition: definitions.Measure, months: Sequence[Month]) -> str:
    shown = [month for month in months if month.figure.value is not None]
    if not shown:
        return f"{definition.name}: no month was measured."
    first, last = shown[0], shown[-1]
    limits = ""
    if last.centre is not None and last.lower is not None and last.upper is not None:
        ends = f"{percent_of(max(last.lower, 0))} and {percent_of(min(last.upper, 100))}"
        limits = f" Mean {percent_of(last.centre)} %, limits {ends} %."
    marked = [month.name for month in shown if month.signals]
    signals = f" Signals: {listing(marked)}." if marked else " No signal."
    return (
        f"{definition.name} by month, {first.name} to {last.name}: from {first.figure.words} to "
        f"{last.figure.words}.{limits}{signals if last.centre is not None else ''}"
    )


def signals_of_months(definition: definitions.Measure, months: Months, where: str) -> list[Signal]:
    """Return what the last months signal."""
    lately = [month for month in months.drawn if month.figure.value is not None][-LATELY:]
    rules = dict.fromkeys(rule for month in lately for rule in month.signals)
    by_side: dict[bool, list[str]] = {}
    for rule in rules:
        began = since(months.drawn, rule)
        when = began.name if began.month == lately[-1].month else f"from {began.name}"
        high = any(word in rule for word in ("above", "upper", "rising"))
        by_side.setdefault(high, []).append(f"{rule} ({when})")
    return [
        Signal(definition.name, where, "; ".join(said), high == (definition.direction == "low"))
        for high, said in by_side.items()
    ]


def since(months: Sequence[Month], rule: str) -> Month:
    """Find the first month of the last unbroken row of months that a rule marks."""
    seen = [month for month in months if month.figure.value is not None]
    last = max(place for place, month in enumerate(seen) if rule in month.signals)
    first = last
    while first > 0 and rule in seen[first - 1].signals:
        first -= 1
    return seen[first]
