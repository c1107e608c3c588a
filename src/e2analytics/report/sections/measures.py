"""The quality measures of a month: each with its months, its clinics, and what they signal.

In    the table ``measures`` of one run; whose report it is; re-based charts
Out   Measures, ready to be set and drawn

A measure that no feed supplies is shown with its reason, never as 0 %. Rows whose counts are suppressed are
shown as hidden and not drawn. Shares are in per cent here, as they are printed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import polars as pl

from e2analytics.models import funnel as funnels
from e2analytics.reference import measures as definitions
from e2analytics.report.formatting import ALL_CLINICS, count, month_name
from e2analytics.report.sections.measure_clinics import (
    Funnel,
    compare_clinics,
    period_of,
    pool,
    share_of_all,
    signals_of_clinics,
)
from e2analytics.report.sections.measure_figures import (
    HIDDEN_FIGURE,
    NO_FIGURE,
    Figure,
    Signal,
    figure_of,
    of_clinic,
    reason,
)
from e2analytics.report.sections.measure_months import Months, chart_months, signals_of_months
from e2analytics.settings import Rebase
from e2analytics.tables.months import month_before

BY_LSC: Final = "bone_loss"
"""The measure that counts by the LSC of each clinic's scanners."""


_NOT_YET: Final = "the version of e2analytics that counted this month did not have it"


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure that was measured.

    ``funnel`` is None where there is nothing to compare: ``why_no_funnel`` says why. ``year`` is of ``period``.
    """

    key: str
    definition: definitions.Measure
    better: str
    better_short: str
    notes: str
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
        """Return whether all its figures are hidden."""
        figures = (self.this, self.last, self.year, *(month.figure for month in self.months.all))
        known = [figure for figure in figures if figure is not NO_FIGURE]
        return not self.funnel and all(figure.words == HIDDEN_FIGURE for figure in known)


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
        Set where nothing at all was measured; else empty.
    why_no_months
        Set where only sums over months are shown, no single month; else empty.
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
    """Describe the measures of a month.

    Parameters
    ----------
    table
        As in ``tables.measures.Measures``.
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
    named = month_name(month)
    of_month = known.filter(pl.col("month") == month, of_clinic(clinic))
    if of_month.is_empty():
        why = f"This run counted no measures of {named}."
        return Measures(named, why, (), (), (), (), (), "")
    scope = _Scope(month, clinic, rebased)
    measured = []
    unmeasured = []
    for key, definition in definitions.load().measures.items():
        if definition.comparator_of is not None:
            continue
        rows = known.filter(pl.col("measure") == key)
        counted = of_month.filter(pl.col("measure") == key).to_dicts()
        if not counted:
            unmeasured.append(Unmeasured(definition.id, definition.name, _NOT_YET))
        elif (now := counted[0])["not_measured"] is not None:
            unmeasured.append(
                Unmeasured(definition.id, definition.name, reason(now["not_measured"]))
            )
        else:
            pooled = released[key] if released else pool(definition, rows, month)
            others = (unlike or {}).get(key, ())
            measure = _measure(key, definition, rows, pooled, scope, others)
            beside = _comparator(key, known, scope, released)
            measured.append(replace(measure, notes=f"{measure.notes} {beside}".strip()))
    # What harms comes before what was not done, and what is worse before what is better.
    harms_first = sorted(measured, key=lambda measure: measure.definition.direction != "low")
    signals = [signal for measure in harms_first for signal in measure.signals]
    signals.sort(key=lambda signal: not signal.worse)
    return Measures(
        month_name=named,
        why_none="" if measured else f"Nothing was measured in {named}.",
        measured=tuple(measured),
        unmeasured=tuple(unmeasured),
        signals=tuple(signals),
        clinics=_clinics(measured) if clinic is None else (),
        quiet=_quiet(known, month) if clinic is None else (),
        chance=_chance(measured) if clinic is None else "",
    )


def without_precision(patients: pl.DataFrame, precision: pl.DataFrame) -> dict[str, frozenset[str]]:
    """Name, by measure, the clinics that are measured otherwise than the others.

    Without a precision of its own a clinic's LSC is the largest that ISCD allows: fewer losses reach it. Where
    no clinic has one, all are alike.
    """
    known = set(precision["clinic_id"])
    return {BY_LSC: frozenset(set(patients["clinic_id"]) - known if known else ())}


class _Scope(NamedTuple):
    """Which month is reported, of whom, and where charts begin anew."""

    month: str
    clinic: str | None
    rebased: Sequence[Rebase]


def _measure(
    key: str,
    definition: definitions.Measure,
    rows: pl.DataFrame,
    pooled: pl.DataFrame,
    scope: _Scope,
    unlike: Collection[str],
) -> Measure:
    month, clinic, rebased = scope
    own = rows.filter(of_clinic(clinic))
    restarts = {
        each.from_month: each.reason
        for each in rebased
        if (each.measure, each.clinic_id) == (key, clinic)
    }
    months = chart_months(definition, own, restarts)
    together = pooled.filter(pl.col("clinic_id").is_null()).row(0, named=True)
    funnel, why_no_funnel = compare_clinics(definition, pooled, month, clinic, unlike)
    where = ALL_CLINICS if clinic is None else clinic
    signals = [
        *signals_of_months(definition, months, where),
        *signals_of_clinics(definition, funnel, rows),
    ]
    last = own.filter(pl.col("month") == month_before(month))
    now = own.filter(pl.col("month") == month).row(0, named=True)
    return Measure(
        key=key,
        definition=definition,
        better="Higher is better" if definition.direction == "high" else "Lower is better",
        better_short="higher" if definition.direction == "high" else "lower",
        notes=_notes(definition, now),
        this=figure_of(now),
        last=figure_of(last.row(0, named=True)) if len(last) else NO_FIGURE,
        year=figure_of(pooled.filter(of_clinic(clinic)).row(0, named=True)),
        period=period_of(definition, month),
        of_all="" if clinic is None else share_of_all(together, pooled, clinic),
        months=months,
        funnel=funnel,
        why_no_funnel=why_no_funnel,
        signals=tuple(signals),
    )


def _comparator(
    key: str,
    known: pl.DataFrame,
    scope: _Scope,
    released: Mapping[str, pl.DataFrame] | None,
) -> str:
    """Say what the men beside whom a measure is read show, of the same months; nothing where it has none."""
    name = definitions.load().comparators().get(key)
    if name is None or name not in known["measure"]:
        return ""
    definition = definitions.load().measures[name]
    rows = known.filter(pl.col("measure") == name)
    pooled = released[name] if released else pool(definition, rows, scope.month)
    figure = figure_of(pooled.filter(of_clinic(scope.clinic)).row(0, named=True))
    between = f", 95 % interval {figure.interval}" if figure.value is not None else ""
    period = period_of(definition, scope.month)
    return f"{definition.name}, {period}, for comparison: {figure.words}{between}."


def _notes(definition: definitions.Measure, row: Mapping[str, Any]) -> str:
    """Say how many units are reported separately, and how many are exceptions."""
    if row["suppressed"]:
        return ""
    said = []
    if row["n_reported_separately"] and definition.reported_separately:
        units = definition.reported_separately
        said.append(f"{count(row['n_reported_separately'], units.one, units.many)} {units.what}.")
    if row["n_excepted"]:
        said.append(f"Excepted: {row['n_excepted']:,} ({definition.exceptions}).")
    return " ".join(said)


def _clinics(measured: Sequence[Measure]) -> tuple[Row, ...]:
    """Set each clinic's shares in one row."""
    cells: dict[str, dict[str, str]] = {}
    for measure in measured:
        for each in measure.funnel.clinics if measure.funnel else ():
            figure = each.figure
            said = "–" if figure.numerator is None else f"{figure.numerator}/{figure.denominator}"
            cells.setdefault(each.clinic_id, {})[measure.key] = f"{said} {each.mark}".strip()
    return tuple(
        Row(clinic_id, tuple(of_clinic.get(measure.key, "–") for measure in measured))
        for clinic_id, of_clinic in sorted(cells.items())
    )


def _quiet(known: pl.DataFrame, month: str) -> tuple[Unmeasured, ...]:
    """Name the clinics without any measure in the month."""
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


def _chance(measured: Sequence[Measure]) -> str:
    n = sum(
        1
        for measure in measured
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
