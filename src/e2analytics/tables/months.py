"""Months as integers, counted from year 0: small, ordered, and fast to group by."""

from __future__ import annotations

import polars as pl


def month_of(day: pl.Expr) -> pl.Expr:
    """Return the month number of a date."""
    return day.dt.year().cast(pl.Int32) * 12 + day.dt.month().cast(pl.Int32) - 1


def year_month(month: int) -> str:
    """Write a month as YYYY-MM."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"
