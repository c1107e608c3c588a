"""The quality measures of a month: each with its months, its clinics, and what they signal.

In    the table ``measures`` of one run; whose report it is; re-based charts
Out   Measures, ready to be set and drawn

A measure that no feed supplies is told with its reason and never as 0 %. Rows whose counts are suppressed are
told as hidden and drawn nowhere. Shares are in per cent here, as they are printed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Final

import numpy as np
import polars as pl

from e2analytics import measures as definitions
from e2analytics.models import funnel as funnels
from e2analytics.models import xmr
from e2analytics.models.disclosure import LARGEST
from e2analytics.models.proportion import wilson
from e2analytics.models.pspline import Array
from e2analytics.report.words import MONTHS, count, listing, percent_of
from e2analytics.settings import Rebase

TOGETHER: Final = "all clinics"
HIDDEN_FIGURE: Final = "hidden: few men"
MONTHS_OF_A_FUNNEL: Final = 12
MONTHS_IN_A_TABLE: Final = 6
LEAST_UNITS_A_MONTH: Final = 5
"""House rule: with fewer, most months are 0 or 100 % and a chart of them shows noise alone."""
LEAST_RARER_A_MONTH: Final = 1
"""House rule: of those who met and those who did not, the fewer need one a month, or a month's limits lie."""
LATELY: Final = 3
"""Signals of so many months are told; older ones are marked in the chart."""
ALARM: Final = 2
"""Steps beyond a funnel's limits: 1 is beyond 95 %, 2 beyond 99.8 %."""
BY_LSC: Final = "bone_loss"
"""The measure that counts by the LSC of each clinic's scanners."""
_NO_PRECISION: Final = (
    "no precision of the scanners is known, so that the LSC is the largest that ISCD allows"
)
_LINES: Final = 60


@dataclass(frozen=True, slots=True)
class Figure:
    """A share with its counts; shares in per cent.

    ``numerator`` is None where the measure was not measured or its counts are hidden; ``value`` also where
    nobody counts. ``words`` says it whatever it is.
    """

    numerator: int | None
    denominator: int | None
    value: float | None
    ci_low: float | None
    ci_high: float | None
    words: str
    share: str
    interval: str


@dataclass(frozen=True, slots=True)
class Month:
    """One point of the chart of months, with the lines it is judged by (per cent) and what it signals."""

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


@dataclass(frozen=True, slots=True)
class Clinic:
    """One clinic beside the others: ``beyond`` is 2 (1) above the 99.8 (95) % limit, negative below.

    One that is not ``compared`` is measured otherwise than the others.
    """

    clinic_id: str
    figure: Figure
    beyond: int
    verdict: str
    mark: str
    compared: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """The limits of a funnel at one denominator, in per cent."""

    denominator: float
    alarm_low: float
    warning_low: float
    warning_high: float
    alarm_high: float


@dataclass(frozen=True, slots=True)
class Funnel:
    """The clinics of a measure, and the limits that chance and usual differences allow."""

    period: str
    clinics: tuple[Clinic, ...]
    centre: float
    lines: tuple[Line, ...]
    explanation: str
    alt: str


@dataclass(frozen=True, slots=True)
class Signal:
    """What a chart signals: of which measure, where, and whether it is for the worse."""

    measure: str
    where: str
    words: str
    worse: bool


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure that was measured.

    ``funnel`` is None where there is nothing to compare: ``why_no_funnel`` says why. ``year`` is of ``period``.
    """

    key: str
    definition: definitions.Measure
    better: str
    better_short: str
    beside: str
    this: Figure
    last: Figure
    year: Figure
    period: str
    of_all: str
    months: Months
    funnel: Funnel | None
    why_no_funnel: str
    signals: tuple[Signal, ...]

    @property
    def is_hidden(self) -> bool:
        """Tell whether nothing of it may be shown."""
        figures = (self.this, self.last, self.year, *(month.figure for month in self.months.all))
        told = [figure for figure in figures if figure is not _NO_FIGURE]
        return not self.funnel and all(figure.words == HIDDEN_FIGURE for figure in told)


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A measure, or a clinic's part of one, that says nothing, and why."""

    id: str
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Row:
    """A clinic's line in the table of all measures."""

    clinic_id: str
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Measures:
    """All measures of a month.

    Attributes
    ----------
    why_none
        Said where nothing at all was measured; else empty.
    why_no_months
        Said where single months are told of no measure, but their sums; else empty.
    clinics
        Each clinic's shares, a cell for each of ``measured``.
    quiet
        Clinics that are not measured in the month, and why.
    chance
        How many comparisons there were, and how many of them chance alone would put beyond.
    """

    month_name: str
    why_none: str
    measured: tuple[Measure, ...]
    unmeasured: tuple[Unmeasured, ...]
    signals: tuple[Signal, ...]
    clinics: tuple[Row, ...]
    quiet: tuple[Unmeasured, ...]
    chance: str
    why_no_months: str = ""


def describe(
    table: pl.DataFrame,
    *,
    month: str,
    clinic: str | None = None,
    rebased: Sequence[Rebase] = (),
    unlike: Mapping[str, Collection[str]] | None = None,
    released: Mapping[str, pl.DataFrame] | None = None,
) -> Measures:
    """Tell the measures of a month.

    Parameters
    ----------
    table
        As in ``contracts.Measures``.
    month
        ``YYYY-MM``.
    clinic
        Whose; None for all clinics together.
    rebased
        Where charts begin anew.
    unlike
        Of :func:`without_precision`.
    released
        What may leave of the sums of :func:`pool`, by measure; else they are made of ``table``.
    """
    known = table.filter(pl.col("month") <= month).sort("month", "clinic_id", "measure")
    month_name = _month_name(month)
    of_month = known.filter(pl.col("month") == month, _of(clinic))
    if of_month.is_empty():
        why = f"This run counted no measures of {month_name}."
        return Measures(month_name, why, (), (), (), (), (), "")
    told = []
    unmeasured = []
    for key, definition in definitions.load().measures.items():
        rows = known.filter(pl.col("measure") == key)
        now = of_month.filter(pl.col("measure") == key).row(0, named=True)
        if now["not_measured"] is not None:
            unmeasured.append(
                Unmeasured(definition.id, definition.name, reason(now["not_measured"]))
            )
        else:
            pooled = released[key] if released else pool(definition, rows, month)
            others = (unlike or {}).get(key, ())
            told.append(_measure(key, definition, rows, pooled, month, clinic, rebased, others))
    # What harms comes before what was not done, and what is worse before what is better.
    told_first = sorted(told, key=lambda measure: measure.definition.direction != "low")
    signals = [signal for measure in told_first for signal in measure.signals]
    signals.sort(key=lambda signal: not signal.worse)
    clinics = _clinics(told) if clinic is None else ()
    return Measures(
        month_name=month_name,
        why_none="" if told else f"Nothing was measured in {month_name}.",
        measured=tuple(told),
        unmeasured=tuple(unmeasured),
        signals=tuple(signals),
        clinics=clinics,
        quiet=_quiet(known, month) if clinic is None else (),
        chance=_chance(told) if clinic is None else "",
    )


def without_precision(patients: pl.DataFrame, precision: pl.DataFrame) -> dict[str, frozenset[str]]:
    """Name, by measure, the clinics that are measured otherwise than the others.

    Without a precision of its own a clinic's LSC is the largest that ISCD allows: fewer losses reach it. Where
    no clinic has one, all are alike.
    """
    known = set(precision["clinic_id"])
    return {BY_LSC: frozenset(set(patients["clinic_id"]) - known if known else ())}


def reason(not_measured: str) -> str:
    """Say why a measure says nothing.

    >>> reason("no_dxa"), reason("no_patients"), reason("short_record_of_psa")
    ('no DXA scan has come in', 'there are no patients', 'the record of PSA is still shorter than the measure looks back')
    """
    return listing(_one_reason(each) for each in not_measured.split("; "))


_SOURCES: Final[Mapping[str, tuple[str, str]]] = {
    "medications": ("no medication order", "medication orders"),
    "trt": ("no start of testosterone", "testosterone"),
    "dxa": ("no DXA scan", "DXA scans"),
    "body_fat": ("no body fat", "body fat"),
    "estradiol": ("no E2 result", "E2 results"),
    "vitamin_d_25oh": ("no vitamin D", "vitamin D"),
    "hematocrit": ("no haematocrit", "haematocrit"),
    "psa": ("no PSA", "PSA"),
    "symptom": ("no symptom", "symptoms"),
    "counselling": ("no counselling", "counselling"),
    "bone_plan": ("no bone plan", "bone plans"),
    "ai_review": ("no review of the inhibitor", "reviews of the inhibitor"),
}


def _one_reason(name: str) -> str:
    if name == "no_patients":
        return "there are no patients"
    if name == "nothing_came_in":
        return "nothing at all has come in of late"
    if name.startswith("short_record_of_"):
        what = _SOURCES[name.removeprefix("short_record_of_")][1]
        return f"the record of {what} is still shorter than the measure looks back"
    return f"{_SOURCES[name.removeprefix('no_')][0]} has come in"


def _measure(
    key: str,
    definition: definitions.Measure,
    rows: pl.DataFrame,
    pooled: pl.DataFrame,
    month: str,
    clinic: str | None,
    rebased: Sequence[Rebase],
    unlike: Collection[str],
) -> Measure:
    own = rows.filter(_of(clinic))
    restarts = {
        each.from_month: each.reason
        for each in rebased
        if (each.measure, each.clinic_id) == (key, clinic)
    }
    months = _months(definition, own, restarts)
    together = pooled.filter(pl.col("clinic_id").is_null()).row(0, named=True)
    funnel, why_no_funnel = _funnel(definition, pooled, month, clinic, unlike)
    where = TOGETHER if clinic is None else clinic
    signals = [*_of_months(definition, months, where), *_of_clinics(definition, funnel, rows)]
    last = own.filter(pl.col("month") == _month_before(month))
    now = own.filter(pl.col("month") == month).row(0, named=True)
    return Measure(
        key=key,
        definition=definition,
        better="Higher is better" if definition.direction == "high" else "Lower is better",
        better_short="higher" if definition.direction == "high" else "lower",
        beside=_beside(definition, now),
        this=_figure(now),
        last=_figure(last.row(0, named=True)) if len(last) else _NO_FIGURE,
        year=_figure(pooled.filter(_of(clinic)).row(0, named=True)),
        period=_period(definition, month),
        of_all="" if clinic is None else _of_all(together, pooled, clinic),
        months=months,
        funnel=funnel,
        why_no_funnel=why_no_funnel,
        signals=tuple(signals),
    )


# --- Figures -----------------------------------------------------------------------------------------------

_NO_FIGURE: Final = Figure(None, None, None, None, None, "no such month on record", "–", "–")


def _figure(row: Mapping[str, Any]) -> Figure:
    if row["suppressed"]:
        return Figure(None, None, None, None, None, HIDDEN_FIGURE, "–", "–")
    if row["not_measured"] is not None:
        why = f"not measured: {reason(row['not_measured'])}"
        return Figure(None, None, None, None, None, why, "–", "–")
    counts = row["numerator"], row["denominator"]
    if row["value"] is None:
        return Figure(*counts, None, None, None, "nobody counts", "–", "–")
    shares = tuple(100 * row[name] for name in ("value", "ci_low", "ci_high"))
    share = f"{percent_of(shares[0])} %"
    words = f"{counts[0]:,} of {counts[1]:,} ({share})"
    between = f"{percent_of(shares[1])} to {percent_of(shares[2])} %"
    value, ci_low, ci_high = shares
    return Figure(*counts, value, ci_low, ci_high, words, share, between)


def _beside(definition: definitions.Measure, row: Mapping[str, Any]) -> str:
    """Say who was told beside the measure, and who was excepted."""
    if row["suppressed"]:
        return ""
    said = []
    if row["n_apart"]:
        said.append(f"Beside it: {row['n_apart']:,} {definition.apart}.")
    if row["n_excepted"]:
        said.append(f"Excepted: {row['n_excepted']:,} ({definition.exceptions}).")
    return " ".join(said)


def _of(clinic: str | None) -> pl.Expr:
    """Keep the rows of a clinic, or of all together."""
    return pl.col("clinic_id").eq_missing(pl.lit(clinic, dtype=pl.String))


def _month_name(month: str) -> str:
    return f"{MONTHS[int(month[5:]) - 1]} {month[:4]}"


def _short(month: str) -> str:
    return f"{MONTHS[int(month[5:]) - 1][:3]} {month[:4]}"


def _month_before(month: str) -> str:
    year, of_year = int(month[:4]), int(month[5:])
    return f"{year - 1}-12" if of_year == 1 else f"{year}-{of_year - 1:02d}"


# --- Months ------------------------------------------------------------------------------------------------


def _months(
    definition: definitions.Measure, own: pl.DataFrame, restarts: Mapping[str, str]
) -> Months:
    """Chart the months of a clinic, or of all."""
    figures = [_figure(row) for row in own.iter_rows(named=True)]
    names = own["month"].to_list()
    values = np.array([np.nan if figure.value is None else figure.value for figure in figures])
    units = [figure.denominator for figure in figures if figure.value is not None]
    starts = [place for place, name in enumerate(names) if name in restarts]
    why_not = _why_no_chart(definition, units)
    too_rare = _too_rare(definition, figures)
    with_limits = definition.months == "disjoint" and not why_not and not too_rare
    drawn = xmr.chart(values if with_limits else np.full(len(values), np.nan), starts)
    recounted = (own["counted_as_of"] > _ends(own["month"])).to_list()
    months = tuple(
        Month(
            month=name,
            name=_short(name),
            figure=figures[place],
            counted="again" if recounted[place] else "then",
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
    """Say so if months are so often none or all that their own noise cannot be told."""
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
    """Tell whether a trend that a point is part of rises: by the step into it, or out of it."""
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
    settled = bool(drawn.settled[-1])
    baseline = (
        f"the first {xmr.BASELINE_POINTS} months"
        if settled
        else f"the months so far; they settle with {xmr.BASELINE_POINTS}"
    )
    anew = "".join(
        f" Baseline begun anew in {_month_name(month)}: {why}." for month, why in restarts.items()
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


def _of_months(definition: definitions.Measure, months: Months, where: str) -> list[Signal]:
    """Tell what the last months signal."""
    lately = [month for month in months.drawn if month.figure.value is not None][-LATELY:]
    rules = dict.fromkeys(rule for month in lately for rule in month.signals)
    by_side: dict[bool, list[str]] = {}
    for rule in rules:
        since = _since(months.drawn, rule)
        when = since.name if since.month == lately[-1].month else f"from {since.name}"
        high = any(word in rule for word in ("above", "upper", "rising"))
        by_side.setdefault(high, []).append(f"{rule} ({when})")
    return [
        Signal(definition.name, where, "; ".join(said), high == (definition.direction == "low"))
        for high, said in by_side.items()
    ]


def _since(months: Sequence[Month], rule: str) -> Month:
    """Find the first month of the last unbroken row of months that a rule marks."""
    seen = [month for month in months if month.figure.value is not None]
    last = max(place for place, month in enumerate(seen) if rule in month.signals)
    first = last
    while first > 0 and rule in seen[first - 1].signals:
        first -= 1
    return seen[first]


# --- Clinics -----------------------------------------------------------------------------------------------


def months_pooled(definition: definitions.Measure, month: str) -> list[str]:
    """Name the months that are added up, the last first: twelve where they may be added, else the month."""
    months = [month]
    while definition.months == "disjoint" and len(months) < MONTHS_OF_A_FUNNEL:
        months.append(_month_before(months[-1]))
    return months


def pool(definition: definitions.Measure, rows: pl.DataFrame, month: str) -> pl.DataFrame:
    """Add up the months of each clinic, and of all."""
    months = months_pooled(definition, month)
    measured = pl.col("not_measured").is_null()
    whole = pl.col("numerator").is_not_null()
    pooled = (
        rows.filter(pl.col("month").is_in(months))
        .group_by("clinic_id", maintain_order=True)
        .agg(
            *(
                pl.when(whole.any()).then(pl.col(name).sum())
                for name in ("numerator", "denominator")
            ),
            n_months=measured.sum(),
            suppressed=pl.col("suppressed").any(),
            not_measured=pl.when(~measured.any()).then(pl.col("not_measured").last()),
        )
    )
    return with_shares(pooled)


def with_shares(counts: pl.DataFrame) -> pl.DataFrame:
    """Add the share of ``numerator`` in ``denominator`` and its interval; null where nobody counts."""
    share = wilson(
        *(counts[name].cast(pl.Float64).to_numpy() for name in ("numerator", "denominator"))
    )
    return counts.with_columns(
        pl.Series(name, values).fill_nan(None)
        for name, values in (
            ("value", share.value),
            ("ci_low", share.ci_low),
            ("ci_high", share.ci_high),
        )
    )


def _funnel(
    definition: definitions.Measure,
    pooled: pl.DataFrame,
    month: str,
    clinic: str | None,
    unlike: Collection[str],
) -> tuple[Funnel | None, str]:
    """Compare the clinics, or one with all; or say why there is nothing to compare."""
    each = pooled.filter(pl.col("clinic_id").is_not_null()).sort("clinic_id")
    alike = ~pl.col("clinic_id").is_in(list(unlike))
    counted = each.filter(pl.col("denominator").fill_null(0) > 0, ~pl.col("suppressed"), alike)
    if len(counted) < 2:
        return None, f"{count(len(counted), 'clinic')} counted: nothing to compare."
    n_clinics = len(counted)
    fitted = funnels.fit(counted["numerator"].to_numpy(), counted["denominator"].to_numpy())
    if clinic is not None:
        if clinic in unlike:
            return None, f"Not compared: {_NO_PRECISION}."
        if not _others_are_many(counted, clinic):
            return None, "Too few men elsewhere to compare with: their counts would show."
        each = each.filter(pl.col("clinic_id") == clinic)
        counted = counted.filter(pl.col("clinic_id") == clinic)
        if counted.is_empty():
            return None, "Nobody counts here."
    beyond = dict(zip(counted["clinic_id"], _beyond(fitted, counted), strict=True))
    clinics = tuple(
        replace(told, verdict="not compared", compared=False) if told.clinic_id in unlike else told
        for told in (_clinic(row, beyond.get(row["clinic_id"], 0)) for row in each.to_dicts())
    )
    return (
        Funnel(
            period=_period(definition, month),
            clinics=clinics,
            centre=100 * fitted.centre,
            lines=_lines(fitted, counted["denominator"]),
            explanation=_about_limits(fitted, n_clinics) + _about_others(clinics),
            alt=_funnel_alt(definition, clinics, fitted, clinic),
        ),
        "",
    )


def _others_are_many(counted: pl.DataFrame, clinic: str) -> bool:
    """Tell whether the other clinics' counts may be got by subtracting this one's."""
    others = counted.filter(pl.col("clinic_id") != clinic)
    met = int(others["numerator"].sum())
    return met > LARGEST and int(others["denominator"].sum()) - met > LARGEST and len(others) > 1


def _of_all(together: Mapping[str, Any], pooled: pl.DataFrame, clinic: str) -> str:
    counted = pooled.filter(pl.col("clinic_id").is_not_null(), pl.col("denominator") > 0)
    if not _others_are_many(counted, clinic) or together["value"] is None:
        return "not shown"
    return f"{100 * together['value']:.0f} %"


def _beyond(fitted: funnels.Funnel, counted: pl.DataFrame) -> list[int]:
    met, of = counted["numerator"].to_numpy(), counted["denominator"].to_numpy()
    warning = fitted.beyond(met, of, funnels.WARNING)
    alarm = fitted.beyond(met, of, funnels.ALARM)
    return [int(both) for both in warning + alarm]


def _clinic(row: Mapping[str, Any], beyond: int) -> Clinic:
    side = "above" if beyond > 0 else "below"
    verdicts = {
        0: "within the limits",
        1: f"{side} the 95 % limit",
        2: f"{side} the 99.8 % limit",
    }
    marks = {2: "▲", -2: "▼", 1: "△", -1: "▽", 0: ""}
    return Clinic(
        row["clinic_id"],
        _figure(row),
        beyond,
        verdicts[abs(beyond)] if row["value"] is not None else "",
        marks[beyond],
    )


def _lines(fitted: funnels.Funnel, denominators: pl.Series) -> tuple[Line, ...]:
    largest = int(denominators.max()) * 1.1  # type: ignore[arg-type]
    of = np.unique(np.geomspace(max(1, int(denominators.min()) * 0.7), largest, _LINES).astype(int))  # type: ignore[arg-type]
    ends = [
        100 * end for level in (funnels.ALARM, funnels.WARNING) for end in fitted.limits(of, level)
    ]
    return tuple(
        Line(
            float(n), float(ends[0][at]), float(ends[2][at]), float(ends[3][at]), float(ends[1][at])
        )
        for at, n in enumerate(of)
    )


def _period(definition: definitions.Measure, month: str) -> str:
    if definition.months == "overlapping":
        return f"on the last day of {_month_name(month)}"
    first = month
    for _ in range(MONTHS_OF_A_FUNNEL - 1):
        first = _month_before(first)
    return f"{_month_name(first)} to {_month_name(month)}"


def _about_limits(fitted: funnels.Funnel, n_clinics: int) -> str:
    if n_clinics < funnels.LEAST_CLINICS:
        return (
            "Limits are those of chance alone: their usual differences cannot be told from "
            f"{count(n_clinics, 'clinic')}."
        )
    if fitted.tau == 0:
        return "Limits are those of chance alone: clinics differ no more than that."
    return (
        "Clinics differ more than by chance (over-dispersion "
        f"{fitted.dispersion:.1f}): the limits are widened by their usual differences."
    )


def _about_others(clinics: Sequence[Clinic]) -> str:
    others = [each.clinic_id for each in clinics if not each.compared]
    return f" Not compared, as {_NO_PRECISION}: {listing(others)}." if others else ""


def _funnel_alt(
    definition: definitions.Measure,
    clinics: Sequence[Clinic],
    fitted: funnels.Funnel,
    clinic: str | None,
) -> str:
    out = [f"{each.clinic_id} {each.verdict}" for each in clinics if abs(each.beyond) == ALARM]
    beyond = f"Beyond: {listing(out)}." if out else "No clinic lies beyond the 99.8 % limits."
    whose = "each clinic" if clinic is None else f"clinic {clinic}"
    return (
        f"{definition.name} of {whose} by the number of {definition.unit}, with 95 and 99.8 % limits around "
        f"{percent_of(100 * fitted.centre)} %. {beyond}"
    )


def _of_clinics(
    definition: definitions.Measure, funnel: Funnel | None, rows: pl.DataFrame
) -> list[Signal]:
    """Tell which clinics lie beyond the outer limits, and since when their own months say so."""
    if funnel is None:
        return []
    return [
        Signal(
            definition.name,
            each.clinic_id,
            f"{each.figure.words}, {each.verdict} around {percent_of(funnel.centre)} %"
            f"{_own_since(definition, rows, each)}",
            (each.beyond > 0) == (definition.direction == "low"),
        )
        for each in funnel.clinics
        if abs(each.beyond) == ALARM
    ]


def _own_since(definition: definitions.Measure, rows: pl.DataFrame, clinic: Clinic) -> str:
    """Say since when a clinic's own months lie on the side of its signal."""
    if definition.months == "overlapping":
        return ""
    months = _months(definition, rows.filter(_of(clinic.clinic_id)), {})
    word = "above" if clinic.beyond > 0 else "below"
    rule = f"seven or more in a row {word} the mean"
    marked = [month for month in months.drawn if rule in month.signals]
    return (
        f"; its months are {word} their mean since {_since(months.drawn, rule).name}"
        if marked
        else ""
    )


def _clinics(told: Sequence[Measure]) -> tuple[Row, ...]:
    """Set each clinic's shares in one row."""
    cells: dict[str, dict[str, str]] = {}
    for measure in told:
        for each in measure.funnel.clinics if measure.funnel else ():
            figure = each.figure
            said = "–" if figure.numerator is None else f"{figure.numerator}/{figure.denominator}"
            cells.setdefault(each.clinic_id, {})[measure.key] = f"{said} {each.mark}".strip()
    return tuple(
        Row(clinic_id, tuple(of_clinic.get(measure.key, "–") for measure in told))
        for clinic_id, of_clinic in sorted(cells.items())
    )


def _quiet(known: pl.DataFrame, month: str) -> tuple[Unmeasured, ...]:
    """Name the clinics that say nothing of any measure in the month."""
    rows = known.filter(pl.col("month") == month, pl.col("clinic_id").is_not_null())
    silent = (
        rows.group_by("clinic_id")
        .agg(
            quiet=pl.col("not_measured").is_not_null().all(),
            why=pl.col("not_measured").unique().sort().str.join("; "),
        )
        .filter("quiet")
        .sort("clinic_id")
    )
    return tuple(
        Unmeasured(name, name, reason(why))
        for name, why in silent.select("clinic_id", "why").iter_rows()
    )


def _chance(told: Sequence[Measure]) -> str:
    n = sum(
        1
        for measure in told
        for each in (measure.funnel.clinics if measure.funnel else ())
        if each.figure.value is not None
    )
    if not n:
        return ""
    expected = n * (1 - funnels.ALARM)
    return (
        f"{count(n, 'clinic')} × measures were compared; chance alone would put about {expected:.1f} of them "
        "beyond the 99.8 % limits."
    )
