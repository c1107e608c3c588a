"""The monthly reports on disk: which run they pin, and where they are written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import polars as pl

from e2analytics import recount
from e2analytics.contracts import TABLES
from e2analytics.errors import ConfigurationError, TooLittleDataError, UnreadableError
from e2analytics.report import editions
from e2analytics.report.compare import Comparison, compare
from e2analytics.report.content import Report, build
from e2analytics.report.outside import OutsideReport, release_reports
from e2analytics.settings import ReportSettings
from e2analytics.store import Store, open_published

_LONGEST_NAME: Final = 40
_MONTH: Final = re.compile(r"\d{4}-\d{2}")


def last_day(month: str) -> date:
    """Return the last day of a month ``YYYY-MM``.

    >>> last_day("2024-02")
    datetime.date(2024, 2, 29)

    Raises
    ------
    ValueError
        If it is not a month.
    """
    first = date.fromisoformat(f"{month}-01")
    return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def month_before(day: date) -> str:
    """Return the month that was complete on ``day``.

    >>> month_before(date(2026, 1, 1))
    '2025-12'
    """
    return f"{day.replace(day=1) - timedelta(days=1):%Y-%m}"


@dataclass(frozen=True, slots=True)
class Written:
    """The files of one month's reports.

    Attributes
    ----------
    report
        Of all clinics, with nothing left out.
    outside
        Of all clinics, as it may leave.
    network, clinics
        Files of all clinics together, and of single ones.
    """

    report: Report
    outside: OutsideReport
    network: tuple[Path, ...]
    clinics: tuple[Path, ...]


def write_reports(store: str, month: str, folder: Path) -> Written:
    """Write the reports of ``month``, inside and outside, from the run as of its last day.

    Raises
    ------
    ConfigurationError
        If ``month`` is not one.
    TooLittleDataError
        If no run was published as of that day.
    UnreadableError
        If a file cannot be written.
    """
    tables = pinned_tables(store, month)
    settings = json.loads(tables["runs"]["settings"][0])
    base = ReportSettings(**settings.get("report", {})).round_to
    before = tables_of_month_before(store, tables)
    outside = release_reports(tables, month=month, base=base, before=before)
    since = None if before is None else recount.between(tables, before)
    inside = [
        build(tables, month=month, clinic=report.clinic, recount=since, before=before)
        for report in outside
    ]
    files: dict[bool, list[Path]] = {True: [], False: []}
    versions: tuple[tuple[str, Sequence[Report | OutsideReport]], ...] = (
        ("internal", inside),
        ("outside", outside),
    )
    for version, reports in versions:
        for report in reports:
            stem = f"e2-report-{month}-{version}{_of(report.clinic)}"
            files[report.clinic is None] += _write(report, folder / stem)
    return Written(inside[0], outside[0], tuple(files[True]), tuple(files[False]))


def _of(clinic: str | None) -> str:
    """Name a clinic in a file name: as it is called, where every file system takes it.

    >>> _of(None), _of("C01"), _of("Café 1/2")
    ('', '-clinic-C01', '-clinic-Caf-1-2-973c07')
    """
    if clinic is None:
        return ""
    safe = re.sub(r"[^A-Za-z0-9_]+", "-", clinic).strip("-")[:_LONGEST_NAME]
    # Two clinics must not share a file, nor differ by case alone.
    digest = "" if clinic == safe == clinic.upper() else sha256(clinic.encode()).hexdigest()[:6]
    return "-".join(part for part in ("-clinic", safe, digest) if part)


def pinned_tables(store: str, month: str) -> dict[str, pl.DataFrame]:
    """Return the tables of the run that the reports of ``month`` are made from."""
    try:
        day = last_day(month)
    except ValueError:
        raise ConfigurationError(f"{month!r} is not a month; write YYYY-MM.") from None
    opened, _ = open_published(store)
    pinned = opened.first_as_of(day)
    if pinned is None:
        raise TooLittleDataError(
            f"No run was published as of {day}, the last day of {month}. Make one: "
            f"e2analytics run --drop DIR --store {store} --as-of {day}"
        )
    return _tables_of(opened, pinned)


def tables_of_month_before(
    store: str, tables: Mapping[str, pl.DataFrame]
) -> dict[str, pl.DataFrame] | None:
    """Return the tables of the run that the month before is reported from; None if it has none."""
    as_of: date = tables["runs"]["as_of"][0]
    opened, _ = open_published(store)
    pinned = opened.first_as_of(as_of.replace(day=1) - timedelta(days=1))
    return None if pinned is None else _tables_of(opened, pinned)


def compare_reports(store: str, month: str, other: str) -> Comparison:
    """Compare the report of ``month`` with that of another month, or with what another run would report.

    Raises
    ------
    ConfigurationError
        If ``other`` is neither a month nor a run of the store.
    TooLittleDataError
        If a month has no run.
    """
    here = pinned_tables(store, month)
    if _MONTH.fullmatch(other):
        return compare(here, pinned_tables(store, other))
    opened, _ = open_published(store)
    runs = opened.runs().filter(pl.col("run_id") == other)
    if runs.is_empty():
        raise ConfigurationError(
            f"{other!r} is neither a month, YYYY-MM, nor a run of the store; see e2analytics status."
        )
    return compare(here, _tables_of(opened, runs.row(0, named=True)))


def _tables_of(opened: Store, run: Mapping[str, Any]) -> dict[str, pl.DataFrame]:
    tables = {name: opened.table(name, run) for name in TABLES}
    tables |= {name: opened.waiting(target, run) for target, name in recount.WAITING.items()}
    return tables | {"runs": tables["runs"].filter(pl.col("run_id") == run["run_id"])}


def _write(report: Report | OutsideReport, stem: Path) -> tuple[Path, ...]:
    files = []
    for suffix, content in editions.render(report).items():
        file = stem.with_name(stem.name + suffix)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        except OSError as error:
            raise UnreadableError(f"{file} cannot be written ({error.strerror}).") from None
        files.append(file)
    return tuple(files)
