"""Ages in completed years."""

from __future__ import annotations

import polars as pl


def completed_years(on: pl.Expr) -> pl.Expr:
    """Return completed years from ``birth_date`` to a day: a man is 50 from his birthday on.

    >>> from datetime import date
    >>> man = pl.DataFrame({"birth_date": [date(1960, 3, 1)]})
    >>> [man.select(completed_years(pl.lit(date(2010, month, 1)))).item() for month in (2, 3)]
    [49, 50]
    """
    day, born = on.dt, pl.col("birth_date").dt
    before_birthday = (day.month() * 100 + day.day()) < (born.month() * 100 + born.day())
    return day.year().cast(pl.Int64) - born.year() - before_birthday.cast(pl.Int64)
