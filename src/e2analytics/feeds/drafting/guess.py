"""Guesses which tables of e2analytics a supplier's table fills, and how its texts are written.

In    some rows of a table, as text
Out   :class:`Guess` for each table that they may fill; how their dates and decimals are written

Values decide how dates, decimals and codes are written. None of them comes out, but for codes that
``schemas/drafting.yaml`` knows.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final, NamedTuple

import polars as pl

from e2analytics.feeds.description import Column, Join, Source, columns_named, load_feed
from e2analytics.feeds.drafting import vocabulary
from e2analytics.feeds.text_columns import DATES, NUMBERS
from e2analytics.reference import schemas_folder

_EVENTS_OF_MEN: Final = ("labs", "dxa", "medications", "events", "precision")
_LEAST_SHARE: Final = 0.5  # of its required columns, for a file to be guessed as a table
_WHO: Final = ("patient_id", "sex", "birth_date")
_DAYS: Final = (
    "%d.%m.%Y",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%Y%m%d",
    "%d-%b-%Y",
    "%d %b %Y",
)
_TIMES: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_LEAST_READABLE: Final = 0.9  # of the dates, to believe in a way to write them
_ISO: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 2100
_COMMA: Final = r"^[<>=\s]*[-+]?[0-9]+,[0-9]+$"
_COMMA_OF_THOUSANDS: Final = r"^[<>=\s]*[-+]?[0-9]{1,3},[0-9]{3}$"
_POINT: Final = r"^[<>=\s]*[-+]?[0-9]*\.[0-9]+$"


class Guess(NamedTuple):
    """What a table may be.

    Attributes
    ----------
    table
        Table of e2analytics.
    columns
        What fills its columns.
    missing
        Its required columns that nothing seems to fill.
    unknown_codes
        Its columns with unrecognised codes.
    """

    table: str
    columns: dict[str, Source]
    missing: tuple[str, ...]
    unknown_codes: tuple[str, ...]


class Dates(NamedTuple):
    """How dates are written, and how else the same texts could be read; both empty for ISO 8601."""

    formats: tuple[str, ...] = ()
    or_else: tuple[tuple[str, ...], ...] = ()
    are_readable: bool = True


def guess(rows: pl.DataFrame) -> tuple[Guess, ...]:
    """Return the tables that ``rows`` may fill: an event of a man, himself, or both.

    >>> rows = pl.DataFrame({"MRN": ["7"], "Gender": ["Male"], "DOB": ["1970-01-01"]})
    >>> guess(rows)[0].columns["sex"]
    Column(column='Gender', values={'Male': 'M'}, otherwise=None, prefix='', below_detection=None)
    """
    best = max(_EVENTS_OF_MEN, key=lambda table: _share(table, rows.columns))
    tables = [best] if _share(best, rows.columns) > _LEAST_SHARE else []
    if set(_WHO) <= set(vocabulary.columns("patients", rows.columns)):
        tables.append("patients")
    return tuple(_guess(table, rows) for table in tables)


@cache
def required(table: str) -> tuple[str, ...]:
    """Return the columns that a table cannot do without: those that the canonical feed requires."""
    kinds = load_feed(schemas_folder() / "feeds" / "canonical.yaml").files
    return next(kind.required for kind in kinds if kind.target == table)


def _share(table: str, names: Iterable[str]) -> float:
    found = vocabulary.columns(table, names)
    return sum(name in found for name in required(table)) / len(required(table))


def _guess(table: str, rows: pl.DataFrame) -> Guess:
    columns: dict[str, Source] = {}
    unknown_codes = []
    times = vocabulary.times(table, rows.columns)
    for name, column in vocabulary.columns(table, rows.columns).items():
        texts = rows[column].drop_nulls().unique(maintain_order=True).to_list()
        columns[name] = column
        if name in times and not any(":" in text for text in texts):
            columns[name] = Join(join=(column, times[name]), by=" ")
        elif known := vocabulary.codes(name):
            columns[name] = _recoded(column, texts, known)
            if any(vocabulary.key(text) not in known for text in texts):
                unknown_codes.append(name)
    missing = tuple(name for name in required(table) if name not in columns)
    return Guess(table, columns, missing, tuple(unknown_codes))


def _recoded(column: str, texts: Iterable[str], known: dict[str, str]) -> Source:
    meant = {text: known[vocabulary.key(text)] for text in texts if vocabulary.key(text) in known}
    # Case does not count in our codes.
    if all(text.casefold() == code.casefold() for text, code in meant.items()):
        return column
    return Column(column=column, values=meant)


def texts_of(names: Iterable[str], guesses: Iterable[Guess], rows: pl.DataFrame) -> pl.Series:
    """Return all texts that ``rows`` have for some columns of the tables guessed."""
    found = [each.columns[name] for each in guesses for name in names if name in each.columns]
    texts = [_texts(source, rows) for source in found]
    return pl.concat([pl.Series(dtype=pl.String), *texts]).drop_nulls()


def _texts(source: Source, rows: pl.DataFrame) -> pl.Series:
    match source:
        case Join(by=between):
            return rows.select(
                pl.concat_str([*columns_named(source)], separator=between, ignore_nulls=True).alias(
                    ""
                )
            ).to_series()
        case str():
            return rows[source].alias("")
        case _:
            return pl.Series(dtype=pl.String)


def dates(guesses: Iterable[Guess], rows: pl.DataFrame) -> Dates:
    """Tell how dates are written.

    >>> both = pl.DataFrame({"Collected": ["02/13/2026 07:50", "03/01/2026"]})
    >>> dates([Guess("labs", {"collected_at": "Collected"}, (), ())], both).formats
    ('%m/%d/%Y', '%m/%d/%Y %H:%M')
    """
    texts = texts_of(sorted(DATES), guesses, rows)
    written = texts.filter(~texts.str.contains(_ISO))
    if written.is_empty():
        return Dates()
    readings = {day: _read(written, day) for day in _DAYS}
    most = max(n_read for n_read, _ in readings.values())
    if most < _LEAST_READABLE * len(written):
        return Dates(are_readable=False)
    best, *others = [formats for n_read, formats in readings.values() if n_read == most]
    return Dates(best, tuple(others))


def _read(written: pl.Series, day: str) -> tuple[int, tuple[str, ...]]:
    """Return how many dates can be read in an order of day and month, and the formats it takes."""
    formats, left = [], written
    for time in _TIMES:
        read = (
            left.str.to_datetime(day + time, time_unit="us", strict=False)
            if time
            else (left.str.to_date(day, strict=False))
        )
        is_read = read.dt.year().is_between(_FIRST_YEAR, _LAST_YEAR).fill_null(False)
        if is_read.any():
            formats.append(day + time)
            left = left.filter(~is_read)
    return len(written) - len(left), tuple(formats)


def decimal_comma(guesses: Iterable[Guess], rows: pl.DataFrame) -> bool | None:
    """Return whether numbers have a decimal comma; null if their commas may group thousands."""
    texts = texts_of(sorted(NUMBERS), guesses, rows)
    with_comma = texts.filter(texts.str.contains(_COMMA))
    if with_comma.is_empty() or texts.str.contains(_POINT).any():
        return False
    return None if with_comma.str.contains(_COMMA_OF_THOUSANDS).all() else True
