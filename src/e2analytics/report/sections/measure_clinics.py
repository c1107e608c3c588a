"""Compares the clinics of a measure: their sums, the limits of a funnel, and who lies beyond.

In    the rows of the table ``measures`` of all clinics
Out   Funnel, ready to be drawn, and the signals of clinics
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import polars as pl

from e2analytics.models import funnel as funnels
from e2analytics.models.disclosure import LARGEST
from e2analytics.models.proportion import wilson
from e2analytics.reference import measures as definitions
from e2analytics.report.formatting import count, listing, month_name, percent_of
from e2analytics.report.sections.measure_figures import (
    Figure,
    Signal,
    figure_of,
    of_clinic,
)
from e2analytics.report.sections.measure_months import chart_months, since
from e2analytics.tables.months import month_before

MONTHS_OF_A_FUNNEL: Final = 12
ALARM: Final = 2
"""Steps beyond a funnel's limits: 1 is beyond 95 %, 2 beyond 99.8 %."""
_NO_PRECISION: Final = (
    "no precision of the scanners is known, so that the LSC is the largest that ISCD allows"
)
_LINES: Final = 60


@dataclass(frozen=True, slots=True)
class Clinic:
    """One clinic compared with the others: ``beyond`` is 2 (1) above the 99.8 (95) % limit, negative below.

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


def months_pooled(definition: definitions.Measure, month: str) -> list[str]:
    """Name the months that are added up, the last first: twelve where they may be added, else the month."""
    months = [month]
    while definition.months == "disjoint" and len(months) < MONTHS_OF_A_FUNNEL:
        months.append(month_before(months[-1]))
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
    """Add the share of ``numerator`` in ``denominator`` and its interval; null where no unit is eligible."""
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


def compare_clinics(
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
            return None, "No eligible patients here."
    beyond = dict(zip(counted["clinic_id"], _beyond(fitted, counted), strict=True))
    clinics = tuple(
        replace(each, verdict="not compared", compared=False) if each.clinic_id in unlike else each
        for each in (_clinic(row, beyond.get(row["clinic_id"], 0)) for row in each.to_dicts())
    )
    return (
        Funnel(
            period=period_of(definition, month),
            clinics=clinics,
            centre=100 * fitted.centre,
            lines=_lines(fitted, counted["denominator"]),
            explanation=_about_limits(fitted, n_clinics) + _about_others(clinics),
            alt=_funnel_alt(definition, clinics, fitted, clinic),
        ),
        "",
    )


def _others_are_many(counted: pl.DataFrame, clinic: str) -> bool:
    """Return whether the other clinics' counts stay hidden when this one's are subtracted."""
    others = counted.filter(pl.col("clinic_id") != clinic)
    met = int(others["numerator"].sum())
    return met > LARGEST and int(others["denominator"].sum()) - met > LARGEST and len(others) > 1


def share_of_all(together: Mapping[str, Any], pooled: pl.DataFrame, clinic: str) -> str:
    """Return the share of all clinics, unless the others' counts could be derived from it."""
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
        figure_of(row),
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


def period_of(definition: definitions.Measure, month: str) -> str:
    """Say which months are added up."""
    if definition.months == "overlapping":
        return f"on the last day of {month_name(month)}"
    first = month
    for _ in range(MONTHS_OF_A_FUNNEL - 1):
        first = month_before(first)
    return f"{month_name(first)} to {month_name(month)}"


def _about_limits(fitted: funnels.Funnel, n_clinics: int) -> str:
    if n_clinics < funnels.LEAST_CLINICS:
        return (
            "Limits are those of chance alone: their usual differences cannot be estimated from "
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


def signals_of_clinics(
    definition: definitions.Measure, funnel: Funnel | None, rows: pl.DataFrame
) -> list[Signal]:
    """Name the clinics beyond the outer limits, and since when their own months signal."""
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
    months = chart_months(definition, rows.filter(of_clinic(clinic.clinic_id)), {})
    word = "above" if clinic.beyond > 0 else "below"
    rule = f"seven or more in a row {word} the mean"
    marked = [month for month in months.drawn if rule in month.signals]
    return (
        f"; its months are {word} their mean since {since(months.drawn, rule).name}"
        if marked
        else ""
    )
