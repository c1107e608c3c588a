"""Guesses which tables of e2analytics a supplier's table fills, and with what.

In    some rows of a table, as text, with the labels of its columns
Out   :class:`Guess` for each table that they may fill, with what shows it

Three layouts are told apart: a row a result; a column a test or a site (``parts``); a row a test and a column
a day (``unpivot``). Values decide how codes are written, and against a column whose texts do not look like
what its name says. None of them comes out, but for codes that ``schemas/drafting.yaml`` knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Final, NamedTuple

import polars as pl

from e2analytics.feeds.description import (
    Column,
    Comparator,
    FileDescription,
    FirstOf,
    Join,
    Source,
    Unpivot,
    columns_named,
    load_feed,
)
from e2analytics.feeds.drafting import evidence, headings, own_numbers, vocabulary, writing
from e2analytics.feeds.drafting import parts as parts_of
from e2analytics.feeds.drafting.own_numbers import OWN
from e2analytics.feeds.text_columns import DATES, NUMBERS
from e2analytics.reference import schemas_folder

_EVENTS_OF_MEN: Final = ("labs", "dxa", "medications", "events", "precision", "lifestyle")
_LEAST_SHARE: Final = 0.5  # of its required columns, for a file to be guessed as a table
_WHO: Final = ("patient_id", "sex", "birth_date")
_LEAST_ALIKE: Final = 0.5  # of a column's texts must look like what its name says
_FEWEST_DAYS: Final = 2
_FEWEST_PATIENTS: Final = 3
_PATIENTS_PER_CLINIC: Final = 3
HEADING: Final = "heading"
CELL: Final = "cell"
PARTS: Final = "parts"
"""Of the notes: what is said of all parts."""
UNKNOWN_PARTS: Final = "unknown parts"
"""Of the notes: the columns beside the parts that are called like results, of which nothing is known."""


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
    parts
        Of a line with several results: what fills further columns, by result.
    unpivot
        How a table on its side is turned.
    notes
        What shows it, or is to be settled, by column.
    """

    table: str
    columns: dict[str, Source]
    missing: tuple[str, ...] = ()
    unknown_codes: tuple[str, ...] = ()
    parts: tuple[dict[str, Source], ...] = ()
    unpivot: Unpivot | None = None
    notes: Mapping[str, str] = {}


def guess(rows: pl.DataFrame, labels: Mapping[str, str] | None = None) -> tuple[Guess, ...]:
    """Return the tables that ``rows`` may fill: an event of a man, himself, or both.

    >>> rows = pl.DataFrame({"MRN": ["7"], "Gender": ["Male"], "DOB": ["1970-01-01"]})
    >>> guess(rows)[0].columns["sex"].values
    {'Male': 'M'}
    """
    labels = labels or {}
    special = _on_its_side(rows, labels) or _wide(rows, labels)
    shares = {table: _share(table, rows, labels) for table in _EVENTS_OF_MEN}
    best = max(shares, key=lambda table: shares[table])
    guesses = special if special else ()
    if not special and shares[best] > _LEAST_SHARE:
        guesses = (_guess(best, rows, labels),)
    who = _named("patients", rows, labels)
    if set(_WHO) <= set(who) or (not guesses and {"patient_id", "birth_date"} <= set(who)):
        guesses += (_guess("patients", rows, labels),)
    return guesses


def required(table: str) -> tuple[str, ...]:
    """Return the columns that a table cannot do without: those that the canonical feed requires."""
    return _canonical(table).required


@cache
def _canonical(table: str) -> FileDescription:
    kinds = load_feed(schemas_folder() / "feeds" / "canonical.yaml").files
    return next(kind for kind in kinds if kind.target == table)


def _share(table: str, rows: pl.DataFrame, labels: Mapping[str, str]) -> float:
    found = _named(table, rows, labels)
    if table == "lifestyle" and found.keys().isdisjoint(_canonical(table).one_of):
        return 0.0  # a patient and a day are in every table
    return sum(name in found for name in required(table)) / len(required(table))


def _named(table: str, rows: pl.DataFrame, labels: Mapping[str, str]) -> dict[str, str]:
    """Return the columns by their names, but for those whose texts say otherwise."""
    left, by_name = list(rows.columns), vocabulary.columns(table, rows.columns, labels)
    found = by_name
    while wrong := {
        column
        for name, column in found.items()
        if not _looks_like(table, name, column, found, rows)
    }:
        left = [name for name in left if name not in wrong]
        found = vocabulary.columns(table, left, labels)
    free = {name: each for name, each in by_name.items() if each not in found.values()}
    # A date that nobody can read is still the date, and is asked about; a dose in words is a sig.
    kept = {name: column for name, column in free.items() if name in DATES - found.keys()}
    if "dose_mg" in free and "sig" not in found:
        kept["sig"] = free["dose_mg"]
    return {**found, **kept}


def _looks_like(
    table: str, name: str, column: str, found: Mapping[str, str], rows: pl.DataFrame
) -> bool:
    texts = rows[column]
    if texts.null_count() == len(texts):
        return True
    if name in DATES:
        return writing.share_of_dates(texts) >= _LEAST_ALIKE
    if name in NUMBERS and (table, name) != ("labs", "value"):
        return evidence.share_of_numbers(texts) >= _LEAST_ALIKE
    if table == "patients" and name == "clinic_id" and "patient_id" in found:
        # As many "accounts" as patients are the patients' own.
        patients = rows[found["patient_id"]].n_unique()
        return patients < _FEWEST_PATIENTS or texts.n_unique() * _PATIENTS_PER_CLINIC <= patients
    return True


def _guess(
    table: str,
    rows: pl.DataFrame,
    labels: Mapping[str, str],
    columns: dict[str, Source] | None = None,
    **layout: object,
) -> Guess:
    """Return the guess for a table; ``columns`` are those of a layout of its own."""
    named = _named(table, rows, labels)
    found: dict[str, Source] = {}
    notes: dict[str, str] = {}
    unknown_codes = []
    times = vocabulary.times(table, rows.columns, labels)
    for name, column in named.items():
        texts = rows[column].drop_nulls().unique(maintain_order=True).to_list()
        found[name] = column
        if name in times and not any(":" in text for text in texts):
            found[name] = Join(join=(column, times[name]), by=" ")
        elif known := vocabulary.codes(table, name):
            if name == "sex" and _may_be_spanish(texts):
                del found[name]
                notes[name] = (
                    "H and M stand there: is M mujer? Then: {column: ..., values: {H: M, M: F}}"
                )
                continue
            if table == "medications" and name == "status":
                known = known | dict.fromkeys(vocabulary.ended(), "F")
            found[name] = _recoded(column, texts, known)
            if any(vocabulary.key(text) not in known for text in texts):
                unknown_codes.append(name)
    found = {**found, **(columns or {})}
    _settle(table, found, notes, rows, labels)
    for name, source in found.items():
        if note := _note(name, source, rows):
            notes.setdefault(name, note)
    parts: tuple[dict[str, Source], ...] = layout.get("parts", ())  # type: ignore[assignment]
    filled = {*found, *(name for part in parts for name in part)}
    if table in own_numbers.OWN and not (parts or layout.get("unpivot")):
        number = own_numbers.of(table, found, rows, labels)
        if number is not None:
            own, source, note = number
            found = {own: source, **found}
            notes[own] = note
            filled.add(own)
    if "sig" in filled:
        filled.add("dose_mg")  # the sig says it, with the strength
    missing = tuple(name for name in required(table) if name not in filled)
    return Guess(table, found, missing, tuple(unknown_codes), parts, layout.get("unpivot"), notes)  # type: ignore[arg-type]


def _settle(
    table: str,
    found: dict[str, Source],
    notes: dict[str, str],
    rows: pl.DataFrame,
    labels: Mapping[str, str],
) -> None:
    """Settle what two columns say together."""
    if table == "patients":
        for name, column, unit in headings.body_sizes(rows.columns):
            if name not in found and evidence.share_of_numbers(rows[column]) >= _LEAST_ALIKE:
                found[name] = Column(column=column, unit=unit)
    if table == "patients" and "birth_date" in found:
        texts = texts_of(found["birth_date"], rows)
        if writing.has_years_of_two_digits(texts):
            del found["birth_date"]
            notes["birth_date"] = "years of two digits: 61 may be 1961 or 2061. Ask for four"
    operator = vocabulary.operator(rows.columns, labels)
    if table == "labs" and isinstance(value := found.get("value"), str) and operator is not None:
        found["value"] = _with_operator(operator, value, rows)
    if table == "medications" and isinstance(status := found.get("status"), str | Column):
        column = status if isinstance(status, str) else status.column
        words = rows[column].drop_nulls().unique(maintain_order=True).to_list()
        over = [word for word in words if vocabulary.key(word) in vocabulary.ended()]
        if over:
            unknown_end = Column(column=column, values=dict.fromkeys(over, "unknown"), otherwise="")
            ends = found.get("stopped_on")
            found["stopped_on"] = FirstOf(first_of=(ends, unknown_end)) if ends else unknown_end
            notes["stopped_on"] = (
                "these words end an order, they do not withdraw it; one without a day waits"
            )


def _with_operator(operator: str, value: str, rows: pl.DataFrame) -> Source:
    known = vocabulary.marks()
    written = rows[operator].drop_nulls().unique(maintain_order=True).to_list()
    met = {text: known[text] for text in written if text in known}
    return Column(column=value, comparator=Comparator(column=operator, values=met))


def _may_be_spanish(texts: Iterable[str]) -> bool:
    keys = {vocabulary.key(text) for text in texts}
    return {"h", "m"} <= keys and not keys & {"f", "w"}


def _recoded(column: str, texts: Iterable[str], known: dict[str, str]) -> Source:
    meant = {text: known[vocabulary.key(text)] for text in texts if vocabulary.key(text) in known}
    # Case does not count in our codes.
    if all(text.casefold() == code.casefold() for text, code in meant.items()):
        return column
    return Column(column=column, values=meant)


def _note(name: str, source: Source, rows: pl.DataFrame) -> str:
    column = next(columns_named(source), None)
    if column is None or column not in rows.columns:
        return ""
    texts = rows[column]
    if name == "patient_id":
        return evidence.of_numbers(texts)
    if name == "unit":
        return evidence.of_units(texts)
    return evidence.of_results(texts) if name == "value" else ""


def _wide(rows: pl.DataFrame, labels: Mapping[str, str]) -> tuple[Guess, ...]:
    """Return what a table with a column for each test, or for each site, fills."""
    named = _named("labs", rows, labels)
    taken = {*named.values()} - {named.get("value")}
    names = [name for name in rows.columns if name not in taken]
    grouped = headings.groups(names)
    results = {
        column: test
        for column, test in headings.measured(names, labels).items()
        if column not in grouped and evidence.share_of_numbers(rows[column]) >= _LEAST_ALIKE
    }
    of_groups = [column for column, each in grouped.items() if each.what == "value"]
    guesses = []
    if (results or of_groups) and "test_name" not in named:
        base = [named[name] for name in ("patient_id", "collected_at") if name in named]
        parts = [parts_of.result(column, test, base) for column, test in results.items()]
        parts += [parts_of.grouped(grouped[column].name, grouped, named) for column in of_groups]
        of_parts = ("value", "unit", "loinc", "method", *(name for part in parts for name in part))
        perhaps = [
            column
            for column in names
            if column not in {*results, *grouped} and headings.unit_of(column)
        ]
        guesses.append(_guess_wide("labs", rows, labels, tuple(parts), of_parts, perhaps))
    scans = headings.densities(rows.columns, labels)
    sites = list(dict.fromkeys((each.site, each.side) for each in scans.values() if each.site))
    named = _named("dxa", rows, labels)
    if sites and "site" not in named:
        base = [named[name] for name in ("patient_id", "scanned_on") if name in named]
        scanned = tuple(parts_of.scan(site, side, scans, base) for site, side in sites)
        guesses.append(
            _guess_wide(
                "dxa",
                rows,
                labels,
                scanned,
                ("bmd_g_cm2", "t_score", "z_score"),
                [column for column, each in scans.items() if each.site is None],
            )
        )
    return tuple(guesses)


def _guess_wide(
    table: str,
    rows: pl.DataFrame,
    labels: Mapping[str, str],
    parts: tuple[dict[str, Source], ...],
    not_of_the_line: tuple[str, ...],
    unknown: list[str],
) -> Guess:
    in_parts = {
        column
        for part in parts
        for name, each in part.items()
        if name != OWN[table]
        for column in columns_named(each)
    }
    of_line = set(_named(table, rows, labels).values()) - in_parts
    kept = [name for name in rows.columns if name in of_line or name not in in_parts]
    of_lines = _guess(table, rows.select(kept), labels, parts=parts)
    columns = {
        name: source
        for name, source in of_lines.columns.items()
        if name not in (*not_of_the_line, OWN[table])
    }
    notes = dict(of_lines.notes)
    if (own := parts[0].get(OWN[table])) is not None and (
        note := own_numbers.why_not_one_each(own, rows)
    ):
        notes[PARTS] = f"TODO: {note}: which column tells them apart? Join it as well"
    if unknown:
        notes[UNKNOWN_PARTS] = ", ".join(unknown)
    return of_lines._replace(columns=columns, notes=notes)


def _on_its_side(rows: pl.DataFrame, labels: Mapping[str, str]) -> tuple[Guess, ...]:
    """Return what a table with a row for each test and a column for each day fills."""
    days = [name for name in rows.columns if headings.is_day(name)]
    kept = rows.select(name for name in rows.columns if name not in days)
    named = _named("labs", kept, labels)
    if len(days) < _FEWEST_DAYS or "test_name" not in named:
        return ()
    unpivot = Unpivot(keep=tuple(kept.columns), heading=HEADING, cell=CELL)
    who = [named["patient_id"]] if "patient_id" in named else []
    columns: dict[str, Source] = {
        "result_id": Join(join=(*who, HEADING, named["test_name"])),
        "collected_at": HEADING,
        "value": CELL,
    }
    turned = _guess("labs", kept, labels, columns, unpivot=unpivot)
    cells = writing.joined(rows[name] for name in days)
    notes = {
        "collected_at": f"{len(days):,} columns are called like a day",
        "value": evidence.of_results(cells),
    }
    return (turned._replace(notes={**turned.notes, **notes}),)


def texts_of(source: Source, rows: pl.DataFrame) -> pl.Series:
    """Return all texts that ``rows`` have for a column of a table, of what can be shown without mapping."""
    match source:
        case Join(by=between):
            names = [name for name in columns_named(source) if name in rows.columns]
            return rows.select(
                pl.concat_str(names, separator=between, ignore_nulls=True).alias("")
            ).to_series()
        case str() if source == HEADING and source not in rows.columns:
            days = [name for name in rows.columns if headings.is_day(name)]
            return pl.Series("", days, dtype=pl.String)
        case str() if source == CELL and source not in rows.columns:
            return writing.joined(rows[name] for name in rows.columns if headings.is_day(name))
        case str():
            return rows[source].alias("")
        case Column(column=column):
            return rows[column].alias("")
        case FirstOf(first_of=sources):
            return texts_of(sources[0], rows)
        case _:
            return pl.Series(dtype=pl.String)
