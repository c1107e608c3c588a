"""Monthly reports: the run that each is made from, and its files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from itertools import chain, starmap
from multiprocessing import get_context
from pathlib import Path
from shlex import quote
from typing import Any, Final

import polars as pl

from e2analytics.curve import frozen_model
from e2analytics.errors import ConfigurationError, TooLittleDataError, UnreadableError
from e2analytics.exposure.patient_data import linked
from e2analytics.measures import restatement
from e2analytics.report.compare import Comparison, compare
from e2analytics.report.content import Report, build
from e2analytics.report.external.report import ExternalReport, release_reports
from e2analytics.report.formats import render
from e2analytics.run.measured import as_measured
from e2analytics.settings import FlagSettings, LinkSettings, ReportSettings
from e2analytics.store.store import Store, open_published
from e2analytics.tables.clinics import Clinics
from e2analytics.tables.months import last_day
from e2analytics.tables.patient_data import AsOfRows, PatientData
from e2analytics.tables.registry import TABLES

_LONGEST_NAME: Final = 40
_MONTH: Final = re.compile(r"\d{4}-\d{2}")
_FEW_VERSIONS: Final = 12
"""Up to this number, one process is faster than starting others."""
Version = Report | ExternalReport


@dataclass(frozen=True, slots=True)
class WrittenReports:
    """The files of one month's reports.

    Attributes
    ----------
    report
        The internal report of all clinics.
    external
        The external report of all clinics, after disclosure control.
    network, clinics
        Files of all clinics together, and of single ones.
    """

    report: Report
    external: ExternalReport
    network: tuple[Path, ...]
    clinics: tuple[Path, ...]


def write_reports(
    store: str,
    month: str,
    folder: Path,
    report_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> WrittenReports:
    """Write the internal and external reports of ``month``, from the run as of its last day.

    Parameters
    ----------
    store
        Address of the store.
    month
        ``YYYY-MM``.
    folder
        Where the files go.
    report_progress
        Called with the number of reports written, and their total.

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
    external = release_reports(tables, month=month, base=base, before=before)
    since = None if before is None else restatement.between(tables, before, _linker(tables))
    corrected = None if before is None else restatement.corrected_men(tables, before)
    clinics = [report.clinic for report in external]
    changes: dict[str, Any] = {"restated": since, "corrected": corrected, "before": before}
    whole = build(tables, month=month, **changes)
    internal = (
        whole if clinic is None else build(tables, month=month, clinic=clinic, **changes)
        for clinic in clinics
    )
    stem = folder / f"e2-report-{month}"
    versions: Iterator[tuple[Version, str]] = chain(
        ((report, f"{stem}-internal{_clinic_suffix(report.clinic)}") for report in internal),
        ((report, f"{stem}-outside{_clinic_suffix(report.clinic)}") for report in external),
    )
    files: dict[bool, list[Path]] = {True: [], False: []}
    written = _written(versions, 2 * len(clinics))
    for number, (clinic, of_version) in enumerate(zip(clinics * 2, written, strict=True), start=1):
        files[clinic is None] += of_version
        report_progress(number, 2 * len(clinics))
    return WrittenReports(whole, external[0], tuple(files[True]), tuple(files[False]))


def _written(versions: Iterable[tuple[Version, str]], total: int) -> Iterator[tuple[Path, ...]]:
    """Write the reports, many of them in parallel, and yield the files of each in order."""
    if total <= _FEW_VERSIONS:
        yield from starmap(_write, versions)
        return
    # Spawned, not forked: a forked process whose libraries have threads may wait for ever.
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        try:
            for each in [pool.submit(_write, *version) for version in versions]:
                yield each.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _clinic_suffix(clinic: str | None) -> str:
    """Return the part of a file name that names a clinic, in characters that every file system takes.

    >>> _clinic_suffix(None), _clinic_suffix("C01"), _clinic_suffix("Café 1/2")
    ('', '-clinic-C01', '-clinic-Caf-1-2-973c07')
    """
    if clinic is None:
        return ""
    safe = re.sub(r"[^A-Za-z0-9_]+", "-", clinic).strip("-")[:_LONGEST_NAME]
    # Two clinics must not share a file, nor differ by case alone.
    digest = "" if clinic == safe == clinic.upper() else sha256(clinic.encode()).hexdigest()[:6]
    return "-".join(part for part in ("-clinic", safe, digest) if part)


def _linker(tables: Mapping[str, pl.DataFrame]) -> restatement.Link:
    """Return how rows are linked to be counted again: under the model of the run that is reported."""
    model = frozen_model.by_id(tables["models"], tables["runs"]["model_id"][0])
    response = model.response if model else None

    def link(
        rows: AsOfRows, clinics: Clinics, link_settings: LinkSettings, flag_settings: FlagSettings
    ) -> PatientData:
        data = linked(rows, clinics, link_settings, flag_settings)
        return as_measured(data, response, flag_settings, clinics.as_of)

    return link


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
            f"e2analytics run --drop DIR --store {quote(store)} --as-of {day}"
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
    tables |= {name: opened.pending(table, run) for table, name in restatement.PENDING.items()}
    return tables | {"runs": tables["runs"].filter(pl.col("run_id") == run["run_id"])}


def _write(report: Version, stem: str) -> tuple[Path, ...]:
    files = []
    for suffix, content in render.render(report).items():
        file = Path(stem + suffix)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        except OSError as error:
            raise UnreadableError(f"{file} cannot be written ({error.strerror}).") from None
        files.append(file)
    return tuple(files)
