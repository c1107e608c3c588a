"""Tells the names of columns that are no names of fields: a test, a bone density, a day.

In    names of columns, with their labels
Out   what a column named so may measure, in which unit; or that it is one of many days

A wide table has a column for each test or site, a table on its side one for each day. Guesses only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final, NamedTuple

import polars as pl

from e2analytics import reference
from e2analytics.feeds.description import SizeUnit
from e2analytics.feeds.drafting import vocabulary

_DAY: Final = re.compile(
    r"^\D{0,12}(\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2})?)?|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}"
    r"|\d{1,2}[- ]?[A-Za-z]{3}[- ]?\d{2,4})$"
)
_WORDS: Final = re.compile(r"[^\W_]+|%")
_IN_BRACKETS: Final = re.compile(r"^(.*?)[\s_,]*[(\[]([^()\[\]]*)[)\]]\s*$")
_LONGEST_UNIT: Final = 3  # words: pg, ml
_SIZES: Final[dict[str, SizeUnit]] = {
    **{"cm": "cm", "m": "m", "in": "in", "inch": "in", "inches": "in", "ft": "ft", "feet": "ft"},
    **{"kg": "kg", "lb": "lb", "lbs": "lb", "pounds": "lb"},
}
_SIDES: Final = frozenset({"left", "right"})
_OF_A_GROUP: Final = ("value", "unit", "collected_at", "method", "status", "reported_at", "comment")


class Measured(NamedTuple):
    """A column that is called like a test.

    Attributes
    ----------
    name
        The test, in the supplier's words.
    analyte
        What it measures.
    unit
        The unit in its name; none if there is none.
    """

    name: str
    analyte: str
    unit: str | None


class Group(NamedTuple):
    """A column of a group that is called like a test: ``what`` is a column of the table labs."""

    name: str
    what: str


class Density(NamedTuple):
    """A column with what a scan says of a site: ``what`` is a column of the table dxa.

    ``side`` is ``left`` or ``right`` where its name says it, ``site`` none where no site is known by it.
    """

    site: str | None
    what: str
    side: str | None = None


def is_day(name: str) -> bool:
    """Return whether a column is called like a day.

    >>> is_day("01/05/2026"), is_day("2026-01-05"), is_day("14-Mar-2026"), is_day("Result 1")
    (True, True, True, False)
    """
    return _DAY.match(name.strip()) is not None


def measured(names: Iterable[str], labels: Mapping[str, str]) -> dict[str, Measured]:
    """Return the columns that are called, or labelled, like a test of ours.

    >>> measured(["Estradiol (pg/mL)", "Testosterone_Total_ng_dL", "E2", "Estradiol Comment"], {})
    {'Estradiol (pg/mL)': Measured(name='Estradiol', analyte='estradiol', unit='pg/mL'), \
'Testosterone_Total_ng_dL': Measured(name='Testosterone Total', analyte='testosterone_total', unit='ng/dL'), \
'E2': Measured(name='E2', analyte='estradiol', unit=None)}
    """
    found = {name: _test(name) or _test(labels.get(name, "")) for name in names}
    return {name: each for name, each in found.items() if each is not None}


def body_sizes(names: Iterable[str]) -> Iterable[tuple[str, str, SizeUnit]]:
    """Yield the column of ours, the name and the unit of heights and weights with a unit in their name.

    >>> list(body_sizes(["Ht (in)", "Weight (lbs)", "Height (?)", "DOB (in)"]))
    [('height_cm', 'Ht (in)', 'in'), ('weight_kg', 'Weight (lbs)', 'lb')]
    """
    for name in names:
        bracketed = _IN_BRACKETS.match(name)
        unit = _SIZES.get(vocabulary.key(bracketed[2])) if bracketed else None
        if bracketed and unit:
            for ours in vocabulary.columns("patients", [bracketed[1]]):
                if ours == ("weight_kg" if unit in ("kg", "lb") else "height_cm"):
                    yield ours, name, unit


def unit_of(name: str) -> str | None:
    """Return the unit of an analyte in brackets at the end of a column's name.

    >>> unit_of("Zonulin (ng/mL)"), unit_of("Weight (lb)"), unit_of("Comment")
    ('ng/mL', None, None)
    """
    bracketed = _IN_BRACKETS.match(name)
    unit = bracketed[2].strip() if bracketed and bracketed[1] else ""
    return unit if vocabulary.key(unit) in _units_of_any() and not unit.isdigit() else None


def groups(names: Iterable[str]) -> dict[str, Group]:
    """Return the columns whose names are a test and what of it they hold, as of a header of two lines.

    >>> groups(["Estradiol Result", "Estradiol Units", "Estradiol Flag", "Result Date"])
    {'Estradiol Result': Group(name='Estradiol', what='value'), \
'Estradiol Units': Group(name='Estradiol', what='unit')}
    """
    found = {name: _group(name) for name in names}
    return {name: group for name, group in found.items() if group is not None}


def _group(name: str) -> Group | None:
    words = name.split()
    for length in range(1, len(words)):
        head, rest = " ".join(words[:length]), " ".join(words[length:])
        test = _test(head)
        what = next(iter(vocabulary.columns("labs", [rest])), None)
        if test is not None and what in _OF_A_GROUP:
            return Group(head, what)
    return None


def densities(names: Iterable[str], labels: Mapping[str, str]) -> dict[str, Density]:
    """Return the columns that are called, or labelled, like a bone density or score of a site.

    >>> densities(["L1-L4 BMD", "Left Hip T-Score", "Ward's BMD", "Body weight"], {})
    {'L1-L4 BMD': Density(site='lumbar_spine', what='bmd_g_cm2', side=None), \
'Left Hip T-Score': Density(site='total_hip', what='t_score', side='left'), \
"Ward's BMD": Density(site=None, what='bmd_g_cm2', side=None)}
    """
    found = {name: _density(name) or _density(labels.get(name, "")) for name in names}
    return {name: density for name, density in found.items() if density is not None}


def _density(name: str) -> Density | None:
    whole = vocabulary.key(name)
    measures = {"tscore": "t_score", "zscore": "z_score", "bmd": "bmd_g_cm2"}
    word = next((word for word in measures if word in whole), None)
    if word is None:
        return None
    rest = whole.replace("gcm2", "").replace(word, "")
    if not rest:
        return None
    sides = {word.casefold() for word in _WORDS.findall(name)} & _SIDES
    side = sides.pop() if len(sides) == 1 else None
    site = vocabulary.sites().get(rest.replace(side, "") if side else rest)
    return Density(site, measures[word], side if site else None)


def _test(name: str) -> Measured | None:
    for words, unit in _splits(name):
        analyte = _analytes().get(_name_key(words)) if words else None
        if analyte is None:
            continue
        if unit is None:
            return Measured(words, analyte, None)
        for spelling, ours in _units(analyte).items():
            if vocabulary.key(unit) == vocabulary.key(spelling):
                return Measured(words, analyte, ours)
    return None


def _splits(name: str) -> Iterable[tuple[str, str | None]]:
    """Yield how a name may be a test and its unit."""
    if bracketed := _IN_BRACKETS.match(name):
        yield bracketed[1], bracketed[2]
    words = _WORDS.findall(name)
    yield " ".join(words), None
    for length in range(1, min(_LONGEST_UNIT, len(words) - 1) + 1):
        yield " ".join(words[:-length]), "".join(words[-length:])


def _name_key(words: str) -> str:
    return str(pl.select(reference.name_key(pl.lit(words))).item())


@cache
def _analytes() -> dict[str, str]:
    rows = reference.analyte_names().select("spelling", "analyte_by_name").rows()
    return {spelling: analyte for spelling, analyte in rows if spelling and analyte}


@cache
def _units_of_any() -> frozenset[str]:
    every = (_units(analyte) for analyte in reference.load("analytes")["analytes"])
    return frozenset(vocabulary.key(unit) for units in every for unit in units) - {""}


@cache
def _units(analyte: str) -> dict[str, str]:
    entry = reference.load("analytes")["analytes"][analyte]["units"]
    return {
        spelling: unit for unit, facts in entry.items() for spelling in (unit, *facts["spellings"])
    }
