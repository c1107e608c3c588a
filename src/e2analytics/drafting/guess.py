"""Guesses what the columns of a table mean, from their names and some of their values.

In    some rows of a table, as text
Out   :class:`Guess`: the table they belong to, what fills its columns, how dates and numbers are written

Values decide how dates, decimals and codes are written; none of them comes out, but for codes that
``schemas/drafting.yaml`` knows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import polars as pl

from e2analytics.drafting import words
from e2analytics.feeds.description import (
    DATES,
    NUMBERS,
    Column,
    FileDescription,
    Join,
    Source,
    load_feed,
)
from e2analytics.reference import schemas_folder

_LEAST_SHARE: Final = 0.5
"""Of a table's required columns, to be taken for it."""
_DAY_ORDERS: Final = (
    ("%d.%m.%Y",),
    ("%m/%d/%Y",),
    ("%d/%m/%Y",),
    ("%d-%m-%Y",),
    ("%m-%d-%Y",),
    ("%Y/%m/%d",),
    ("%Y%m%d",),
    ("%d-%b-%Y",),
    ("%d %b %Y",),
    ("%b %d, %Y",),
)
_TIMES: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_ISO: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"
_YEARS: Final = (1900, 2100)
_COMMA_FOR_SURE: Final = re.compile(r"^[<>=\s]*[-+]?[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})$")
_COMMA: Final = re.compile(r"^[<>=\s]*[-+]?[0-9]+,[0-9]+$")


class Dates(NamedTuple):
    """How dates are written; ``or_else`` if the same texts can be read in other ways, too."""

    formats: tuple[str, ...]
    or_else: tuple[str, ...] = ()
    unreadable: bool = False


class Guess(NamedTuple):
    """What a table may be.

    Attributes
    ----------
    target
        Table of e2analytics.
    columns
        What fills its columns.
    missing
        Its required columns that nothing seems to fill.
    unknown_codes
        Columns with codes that nobody taught us.
    unused
        Columns of the file that nothing uses.
    """

    target: str
    columns: dict[str, Source]
    missing: tuple[str, ...]
    unknown_codes: tuple[str, ...]
    unused: tuple[str, ...]


@cache
def required(target: str) -> tuple[str, ...]:
    """Return the columns that a table cannot do without: those that the canonical feed requires."""
    kinds = load_feed(schemas_folder() / "feeds" / "canonical.yaml").files
    return next(kind for kind in kinds if kind.target == target).required
