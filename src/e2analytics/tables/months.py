"""Months as numbers, counted from year 0: small, in order, and quick to group by."""

from __future__ import annotations

import polars as pl


def month_of(day: pl.Expr) -> pl.Expr:
    """Return the month of a day."""
    return day.dt.year().cast(pl.Int32) * 12 + day.dt.month().cast(pl.Int32) - 1


def spelled(month: int) -> str:
    """Write a month as YYYY-MM."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"
