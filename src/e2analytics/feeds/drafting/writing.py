"""Tells how the dates and numbers of a table are written, and what shows it.

In    the texts of columns with dates, or with numbers
Out   :class:`Dates`: the formats, or those between which nothing decides; whether a comma is decimal

A way to write dates is taken only where no other reads as many of them: between day first and month first
nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import polars as pl

_DAYS: Final = {
    "%d.%m.%Y": "day first",
    "%m/%d/%Y": "month first",
    "%d/%m/%Y": "day first",
    "%d-%m-%Y": "day first",
    "%m-%d-%Y": "month first",
    "%Y/%m/%d": "year first",
    "%Y%m%d": "year first",
    "%d-%b-%Y": "the month in letters",
    "%d %b %Y": "the month in letters",
    "%d%b%Y": "the month in letters",
    "%d.%m.%y": "day first, years of two digits",
    "%m/%d/%y": "month first, years of two digits",
    "%d/%m/%y": "day first, years of two digits",
    "%d-%b-%y": "the month in letters, years of two digits",
}
_TIMES: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", "T%H:%M", "T%H:%M:%S")
_LEAST_READABLE: Final = 0.9  # of the dates, to believe in a way to write them
_ISO: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TWO_DIGITS: Final = (
    r"(?:^|[^0-9])[0-9]{1,2}[./-](?:[0-9]{1,2}|[A-Za-z]{3})[./-][0-9]{2}(?:[^0-9]|$)"
)
_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 2100
_COMMA: Final = r"^[<>=\s]*[-+]?[0-9]+,[0-9]+$"
_COMMA_OF_THOUSANDS: Final = r"^[<>=\s]*[-+]?[0-9]{1,3},[0-9]{3}$"
_POINT: Final = r"^[<>=\s]*[-+]?[0-9]*\.[0-9]+$"


class Dates(NamedTuple):
    """How dates are written.

    Attributes
    ----------
    formats
        The ways to write them; empty for ISO 8601, and where nothing decides.
    evidence
        What shows it, as a sentence without a value.
    undecided
        The ways between which nothing decides, each with its formats.
    are_readable
        Whether any way is known.
    """

    formats: tuple[str, ...] = ()
    evidence: str = ""
    undecided: tuple[tuple[str, ...], ...] = ()
    are_readable: bool = True


class _Reading(NamedTuple):
    day: str
    formats: tuple[str, ...]
    n_read: int


def dates(columns: Mapping[str, pl.Series]) -> Dates:
    """Tell how the dates of some columns are written.

    >>> columns = {"Drawn": pl.Series(["02/13/2026 07:50", "03/01/2026"])}
    >>> dates(columns).formats
    ('%m/%d/%Y', '%m/%d/%Y %H:%M')
    >>> dates(columns).evidence
    'month first: 1 of 2 dates cannot be day first'
    >>> dates({"Drawn": pl.Series(["02/03/2026"])}).undecided
    (('%m/%d/%Y',), ('%d/%m/%Y',))
    """
    written = {name: _not_iso(texts) for name, texts in columns.items()}
    every = pl.concat([pl.Series(dtype=pl.String), *written.values()])
    if every.is_empty():
        return Dates()
    readings = [_read(every, day) for day in _DAYS if _may_be(day, every)]
    most = max((each.n_read for each in readings), default=0)
    if most < _LEAST_READABLE * len(every) or not most:
        return Dates(are_readable=False)
    best, *others = sorted(
        (each for each in readings if each.n_read), key=lambda each: -each.n_read
    )
    equals = [each for each in others if each.n_read == most]
    if equals:
        return Dates(undecided=tuple(each.formats for each in (best, *equals)))
    found = _read(every, best.day)
    evidence = _DAYS[best.day]
    for other in others:
        evidence += (
            f": {most - other.n_read:,} of {len(every):,} dates cannot be {_DAYS[other.day]}"
        )
    if most < len(every):
        evidence += f"; {len(every) - most:,} of {len(every):,} are not written so"
    alone = [
        name
        for name, texts in written.items()
        if len(texts) and any(_read(texts, other.day).n_read == len(texts) for other in others)
    ]
    if alone:
        evidence += f"; {', '.join(alone)} alone could be either"
    return Dates(found.formats, evidence)


def has_years_of_two_digits(texts: pl.Series) -> bool:
    """Return whether dates have years of two digits: 61 may be 1961 or 2061."""
    return bool(texts.drop_nulls().str.contains(_TWO_DIGITS).any())


def decimal_comma(texts: pl.Series) -> bool | None:
    """Return whether numbers have a decimal comma; null if their commas may group thousands."""
    with_comma = texts.filter(texts.str.contains(_COMMA))
    if with_comma.is_empty() or texts.str.contains(_POINT).any():
        return False
    return None if with_comma.str.contains(_COMMA_OF_THOUSANDS).all() else True


def share_of_dates(texts: pl.Series) -> float:
    """Return the share of texts that begin like a date of any writing."""
    given = texts.drop_nulls()
    begins = r"^\s*(?:\d{4}-\d{2}|\d{1,2}[./-]\d{1,2}[./-]\d{2}|\d{4}/\d{1,2}/|\d{8}|\d{1,2}[ -]?[A-Za-z]{3})"
    return len(given.filter(given.str.contains(begins))) / len(given) if len(given) else 1.0


def _not_iso(texts: pl.Series) -> pl.Series:
    given = texts.drop_nulls()
    return given.filter(~given.str.contains(_ISO)).rename("")


def _may_be(day: str, texts: pl.Series) -> bool:
    # A year of four digits would be read as one of two with something behind it.
    return day.endswith("%y") == has_years_of_two_digits(texts)


def _read(written: pl.Series, day: str) -> _Reading:
    """Return how many dates can be read in an order of day and month, and the formats it takes."""
    formats, left = [], written
    for time in _TIMES:
        read = (
            left.str.to_datetime(day + time, time_unit="us", strict=False)
            if time
            else left.str.to_date(day, strict=False)
        )
        is_read = read.dt.year().is_between(_FIRST_YEAR, _LAST_YEAR).fill_null(False)
        if is_read.any():
            formats.append(day + time)
            left = left.filter(~is_read)
    return _Reading(day, tuple(formats), len(written) - len(left))


def joined(texts: Iterable[pl.Series]) -> pl.Series:
    """Return all texts of some columns, none of them null."""
    return pl.concat(
        [pl.Series(dtype=pl.String), *(each.rename("") for each in texts)]
    ).drop_nulls()
