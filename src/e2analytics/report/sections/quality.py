"""Quality of each feed's data in the month, suspected unit mix-ups, and abrupt shifts of scanners.

In    quality, unit_slips and scanner_shifts of one run
Out   Quality, ready to be set

Shown in the network's report only: rows of a feed carry no clinic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from e2analytics.report.formatting import NOTHING, count, month_name, number, plain, share

_SOURCE_NAMES: Final = {"performing_lab": "laboratory", "clinic": "clinic", "feed": "feed"}
GRADE_WORDS: Final = {grade: f"Grade {grade} (A best, D worst)" for grade in "ABCD"}
ALL_MONTHS: Final = "all"
_OF_SHIFTS: Final = {
    "not_paired": "scans before and after are not compared",
    "released": "released by configuration: scans are compared",
}
_LEAST_P: Final = 1e-4


@dataclass(frozen=True, slots=True)
class FeedQuality:
    """One feed's rows of the month that go to one table."""

    feed: str
    table: str
    n_rows: int
    completeness: str
    conformance: str
    plausibility: str
    days_to_report: str
    days_to_read: str
    grade: str


@dataclass(frozen=True, slots=True)
class Slip:
    """Results of a source and a month whose unit looks wrong."""

    source: str
    analyte: str
    month: str
    looks_like: str
    n_results: int
    done: str


@dataclass(frozen=True, slots=True)
class ScannerShift:
    """A step in the readings of a scanner's own men."""

    scanner: str
    clinic: str
    began: str
    sites: str
    step: str
    evidence: str
    done: str


@dataclass(frozen=True, slots=True)
class Quality:
    """The month's data by feed, the known unit mix-ups and the shifts of scanners, the latest first."""

    feeds: tuple[FeedQuality, ...]
    slips: tuple[Slip, ...]
    alarm: str
    shifts: tuple[ScannerShift, ...]


def describe(
    quality: pl.DataFrame, unit_slips: pl.DataFrame, scanner_shifts: pl.DataFrame, *, month: str
) -> Quality:
    """Describe the quality of the data of ``month``, every unit mix-up up to it, and the shifts of scanners."""
    rows = quality.filter(pl.col("month") == month).sort("feed", "table")
    slips = unit_slips.filter((pl.col("month") <= month) | (pl.col("month") == ALL_MONTHS)).sort(
        "month", "source_kind", "source", "analyte", descending=[True, False, False, False]
    )
    return Quality(
        feeds=tuple(_feed(row) for row in rows.iter_rows(named=True)),
        slips=tuple(_slip(row) for row in slips.iter_rows(named=True)),
        alarm=_alarm(slips, month),
        shifts=tuple(
            _shift(row)
            for row in scanner_shifts.sort("first_on", descending=True).iter_rows(named=True)
        ),
    )


def _feed(row: Mapping[str, Any]) -> FeedQuality:
    completeness, conformance, plausibility = (
        share(row[f"{name}_n"], row[f"{name}_of"])
        for name in ("completeness", "conformance", "plausibility")
    )
    return FeedQuality(
        feed=row["feed"],
        table=row["table"],
        n_rows=row["n_rows"],
        completeness=completeness,
        conformance=conformance,
        plausibility=plausibility,
        days_to_report=number(row["days_to_report"]),
        days_to_read=number(row["days_to_read"]),
        grade=GRADE_WORDS.get(row["grade"], NOTHING),
    )


def _slip(row: Mapping[str, Any]) -> Slip:
    return Slip(
        source=f"{_SOURCE_NAMES[row['source_kind']]} {row['source']}",
        analyte=plain(row["analyte"]),
        month=_month_name(row["month"]),
        looks_like=row["direction"],
        n_results=row["n_suspects"],
        done=plain(row["action"]),
    )


def _shift(row: Mapping[str, Any]) -> ScannerShift:
    maker = f" ({row['maker']})" if row["maker"] else ""
    one_day = row["first_on"] == row["last_on"]
    return ScannerShift(
        scanner=f"{row['scanner_id']}{maker}",
        clinic=row["clinic_id"],
        began=f"{row['first_on']}" if one_day else f"{row['first_on']} to {row['last_on']}",
        sites=", ".join(plain(site) for site in row["sites"].split(" ")),
        step=(
            f"{row['step_pct']:+.1f} % ({row['step_ci_low_pct']:+.1f} to {row['step_ci_high_pct']:+.1f})"
        ),
        evidence=(
            f"{count(row['n_across'], 'change')} across it, {row['n_compared']} beside it; p "
            f"{'< 0.0001' if row['p_value'] < _LEAST_P else format(row['p_value'], '.1g')}"
        ),
        done=_OF_SHIFTS[row["action"]],
    )


def _alarm(slips: pl.DataFrame, month: str) -> str:
    """Count the unit mix-ups of the month, and those of other months."""
    n_now = slips.filter(pl.col("month") == month).height
    n_before = slips.height - n_now
    if not slips.height:
        return "No unit mix-up detected."
    before = f"{count(n_before, 'unit mix-up')} of other months {'is' if n_before == 1 else 'are'} listed."
    if not n_now:
        return f"No unit mix-up detected in {_month_name(month)}; {before}"
    found = f"{count(n_now, 'unit mix-up')} found in {_month_name(month)}."
    return f"{found} {before}" if n_before else found


def _month_name(month: str) -> str:
    if month == ALL_MONTHS:
        return "all months"
    return month_name(month)
