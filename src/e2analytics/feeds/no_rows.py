"""Tells lines of a table that are no rows: footers, and headers that are repeated.

In    rows of one record of a file, as its reader gave them
Out   of each row why it is none, or null; nothing at all where every row is one
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

import polars as pl

from e2analytics import reference
from e2analytics.tables.categoricals import TEXT

FOOTER: Final = "footer"
REPEATED_HEADER: Final = "repeated_header"
COLUMNS_OF_READERS: Final = frozenset({"source_line", "source_part", "short_line"})
_MOST_CELLS: Final = 2
"""Cells of a footer. A row of a table has a number, a day and a value at the least."""


@cache
def footer_pattern() -> re.Pattern[str]:
    """Return what the first cell of a footer begins like."""
    return re.compile("|".join(f"(?:{each})" for each in reference.load("footers")["begins"]), re.I)


def why_no_row(rows: pl.DataFrame) -> pl.Series | None:
    """Return for each row why it is none; None if all are rows, as nearly always.

    Parameters
    ----------
    rows
        Columns of texts, and those of the readers.
    """
    names = [name for name in rows.columns if name not in COLUMNS_OF_READERS]
    reasons = [
        *([(FOOTER, found)] if (found := _footers(rows, names)) is not None else []),
        *([(REPEATED_HEADER, found)] if (found := _headers(rows, names)) is not None else []),
    ]
    if not reasons:
        return None
    why = pl.coalesce(
        pl.when(pl.lit(found)).then(pl.lit(reason, dtype=TEXT)) for reason, found in reasons
    )
    return rows.select(why.alias("why")).to_series()


def _footers(rows: pl.DataFrame, names: list[str]) -> pl.Series | None:
    # Counting what is missing costs nothing: with more columns that are full no row is a footer.
    n_full = sum(rows[name].null_count() == 0 for name in names)
    if n_full > _MOST_CELLS or len(names) <= _MOST_CELLS:
        return None
    filled = pl.sum_horizontal(pl.col(name).is_not_null() for name in names)
    first = pl.coalesce(names).str.strip_chars()
    sparse = rows.with_row_index("at").filter(filled <= _MOST_CELLS).select("at", first=first)
    begins = footer_pattern()
    at = [at for at, text in sparse.iter_rows() if text is not None and begins.match(text)]
    return _are_at(at, len(rows)) if at else None


def _headers(rows: pl.DataFrame, names: list[str]) -> pl.Series | None:
    if not names or not (candidates := (rows[names[0]] == names[0]).fill_null(False)).any():
        return None
    again = rows.with_row_index("at").filter(candidates)
    same = pl.all_horizontal((pl.col(name) == name).fill_null(True) for name in names)
    at = again.filter(same).get_column("at").to_list()
    return _are_at(at, len(rows)) if at else None


def _are_at(places: list[int], n_rows: int) -> pl.Series:
    return pl.int_range(n_rows, eager=True).is_in(places)
