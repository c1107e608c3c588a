"""Months: as integers, counted from year 0 (small, ordered, fast to group by), and as text, YYYY-MM."""

from __future__ import annotations

from datetime import date, timedelta

import polars as pl


def month_of(day: pl.Expr) -> pl.Expr:
    """Return the month number of a date."""
    return day.dt.year().cast(pl.Int32) * 12 + day.dt.month().cast(pl.Int32) - 1


def year_month(month: int) -> str:
    """Write a month as YYYY-MM."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


def last_day(month: str) -> date:
    """Return the last day of a month YYYY-MM.

    >>> last_day("2024-02")
    datetime.date(2024, 2, 29)

    Raises
    ------
    ValueError
        If it is not a month.
    """
    first = date.fromisoformat(f"{month}-01")
    return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def month_before(month: str) -> str:
    """Return the month before one, both YYYY-MM.

    >>> month_before("2026-01"), month_before("2026-12")
    ('2025-12', '2026-11')
    """
    year, of_year = int(month[:4]), int(month[5:])
    return f"{year - 1}-12" if of_year == 1 else f"{year}-{of_year - 1:02d}"


def last_complete_month(day: date) -> str:
    """Return the month YYYY-MM that was complete on ``day``.

    >>> last_complete_month(date(2026, 1, 1)), last_complete_month(date(2026, 9, 30))
    ('2025-12', '2026-08')
    """
    return f"{day.replace(day=1) - timedelta(days=1):%Y-%m}"
