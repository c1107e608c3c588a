"""The monthly report on disk: which run it pins, and where it is written."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import polars as pl

from e2analytics.contracts import TABLES
from e2analytics.errors import ConfigurationError, TooLittleDataError, UnreadableError
from e2analytics.report.content import build
from e2analytics.report.render import render_html
from e2analytics.store import open_published


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


def write_report(store: str, month: str, folder: Path) -> Path:
    """Write the report of ``month`` from the first run published as of its last day.

    Raises
    ------
    ConfigurationError
        If ``month`` is not one.
    TooLittleDataError
        If no run was published as of that day.
    UnreadableError
        If the page cannot be written.
    """
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
    tables = {name: opened.table(name, pinned) for name in TABLES}
    this_run = pl.col("run_id") == pinned["run_id"]
    tables["runs"] = tables["runs"].filter(this_run)
    page = render_html(build(tables, month=month))
    file = folder / f"e2-report-{month}-internal.html"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UnreadableError(f"{file} cannot be written ({error.strerror}).") from None
    return file
