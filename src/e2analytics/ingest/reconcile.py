"""Reconciles versions and duplicates: every source row gets its one fate.

In    every row ever read of a table, judged; and the identity status of each patient
Out   the same rows, same grain, with ``fate`` and ``why``

``accepted``      the one current version of its key
``duplicate``     repeats it
``superseded``    a newer version has replaced it
``withdrawn``     its supplier has cancelled it
``set_apart``     excluded from analysis (women, other analytes)
``quarantined``   needs a correction by its supplier, or the row of its patient
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import polars as pl

from e2analytics.ingest.row_owners import (
    CANCELLED,
    IS_SHARED,
    OWNER,
    number_of,
    oldest_report_first,
    with_owner,
)
from e2analytics.reference import lifestyle
from e2analytics.reference.row_rules import (
    CONFLICTING_IDENTITY,
    CONTRADICTING_ENTRIES,
    NUMBER_OF_SEVERAL_PATIENTS,
    NUMBER_OF_SEVERAL_TESTS,
    SUSPECTED_UNIT_SLIP,
    UNKNOWN_PATIENT,
)
from e2analytics.tables.categoricals import TEXT, keys, repeated, to_categories
from e2analytics.tables.registry import columns_of, key_of
from e2analytics.tables.source import PROVENANCE, READING_ORDER, ROW

WOMAN: Final = "woman"
CONFLICT: Final = "conflict"
MENDED: Final = "mended"
SAME_RESULT: Final = "same_result"
SAME_RESULT_RATIO: Final = 0.01
"""Relative difference within which two results of one draw are the same result: conversion and rounding."""

_FATE: Final = ("fate", "why")
_AT: Final = "at"
"""Name of a column: the place of a row among all rows."""
_ABOUT_THE_FILE: Final = (
    *PROVENANCE,
    "failed_rules",
    "assigning_authority",
    "listed_on",
    "reported_at",
    "excluded",
    "reject",
)


def identity_status(patients: pl.DataFrame, confirmed: Collection[str] = ()) -> pl.DataFrame:
    """Return the identity status of each patient: ``man``, ``woman`` or ``conflict``.

    Two dates of birth or two sexes under one number may be two people, and so may two authorities that
    gave it: ``conflict``, unless the clinic has confirmed that the newest row is right. A row that is rejected
    says nothing of a man but who gave his number: results may have come with it.
    """
    accepted = pl.col("reject").is_null()
    birth_date, sex = (pl.col(name).filter(accepted) for name in ("birth_date", "sex"))
    authorities = pl.col("assigning_authority").drop_nulls()
    conflict = pl.any_horizontal(each.n_unique() > 1 for each in (birth_date, sex, authorities))
    is_confirmed = pl.col("patient_id").is_in(list(confirmed))
    return (
        patients.filter(pl.col("excluded").is_null())
        .sort(READING_ORDER)
        .group_by("patient_id", maintain_order=True)
        .agg(conflict=conflict, sex=sex.last(), is_known=accepted.any())
        .filter("is_known")
        .select(
            "patient_id",
            identity_status=pl.when(pl.col("conflict") & ~is_confirmed)
            .then(pl.lit(CONFLICT))
            .when(pl.col("sex") == "F")
            .then(pl.lit(WOMAN))
            .otherwise(pl.lit("man")),
        )
    )


def reconcile(table: str, rows: pl.DataFrame, identities: pl.DataFrame) -> pl.DataFrame:
    """Return ``rows`` of ``table`` with ``fate`` and ``why``.

    Most rows are the only one of their key and need no more than that check. Only the others are sorted
    and compared.

    Parameters
    ----------
    table
        Name of the table.
    rows
        Every row ever read of it, judged.
    identities
        ``patient_id -> identity_status``.
    """
    placed = _fates_of_single_rows(table, rows, identities)
    # A newer row that is excluded supersedes an older one that was not; a row in quarantine supersedes
    # none: bad input must not harm accepted rows.
    versions = _choose_versions(table, rows, placed)
    if table == "labs":
        versions = _count_once(rows, versions)
    return rows.hstack(_superseded_by_correction(table, rows, versions).select(*_FATE))


def _fates_of_single_rows(table: str, rows: pl.DataFrame, identities: pl.DataFrame) -> pl.DataFrame:
    """Return ``fate`` and ``why`` of rows whose fate no other row decides, null for the others."""
    if "patient_id" not in rows.columns:
        status = pl.lit("man")
        known = rows.select("excluded", "reject")
    else:
        known = rows.select("excluded", "reject", "patient_id", *_status(table)).join(
            identities, on="patient_id", how="left", maintain_order="left"
        )
        status = pl.col("identity_status")
    # A cancellation needs no more than the number of what it cancels.
    bare = pl.lit(False)
    if table in CANCELLED:
        bare = (pl.col("status") == "X") & pl.col("patient_id").is_null()
    set_apart = pl.coalesce("excluded", pl.when(status == WOMAN).then(_word(WOMAN)))
    quarantined = pl.coalesce(
        "reject",
        pl.when(status.is_null() & ~bare).then(_word(UNKNOWN_PATIENT)),
        pl.when(status == CONFLICT).then(_word(CONFLICTING_IDENTITY)),
    )
    return known.select(
        fate=pl.when(set_apart.is_not_null())
        .then(_word("set_apart"))
        .when(quarantined.is_not_null())
        .then(_word("quarantined")),
        why=pl.coalesce(set_apart, quarantined),
    )


def _status(table: str) -> list[str]:
    return ["status"] if table in CANCELLED else []


def _have(fates: pl.DataFrame, fate: str) -> pl.Series:
    # In a query: only queries compare categories by their numbers.
    return fates.select((pl.col("fate") == fate).fill_null(False)).to_series()


def _word(text: str | None) -> pl.Expr:
    return pl.lit(text, dtype=TEXT)


def _choose_versions(table: str, rows: pl.DataFrame, placed: pl.DataFrame) -> pl.DataFrame:
    key = key_of(table)
    cancelled = pl.col("status") == "X" if table in CANCELLED else pl.lit(False)
    alone = placed.hstack(rows.select(_status(table))).select(
        fate=pl.when(pl.col("fate").is_not_null())
        .then("fate")
        .when(cancelled)
        .then(_word("withdrawn"))
        .otherwise(_word("accepted")),
        why="why",
    )
    number = number_of(table)
    shared = _shared(keys(rows, number), rows[number[-1]].is_not_null())
    if shared.is_empty():
        return alone
    versions = with_owner(table, _picked(rows, placed, shared))
    alone = _with_fates(alone, _quarantined(versions.filter(IS_SHARED), NUMBER_OF_SEVERAL_PATIENTS))
    waits = (pl.col("fate") == "quarantined").fill_null(False)
    versions = versions.filter(~pl.col(IS_SHARED) & ~waits)
    if table == "labs":
        ambiguous = versions.filter(_number_of_several_tests(key))
        versions = versions.filter(~_number_of_several_tests(key))
        alone = _with_fates(alone, _quarantined(ambiguous, NUMBER_OF_SEVERAL_TESTS))
    if table == "lifestyle":
        contradict = versions.filter(_contradicts_another(key))
        versions = versions.filter(~_contradicts_another(key))
        alone = _with_fates(alone, _quarantined(contradict, CONTRADICTING_ENTRIES))
    return _with_fates(alone, _among_versions(table, versions))


def _number_of_several_tests(key: list[str]) -> pl.Expr:
    # Of one file: a later one may correct the test itself. No version of a result is another result.
    test = pl.when(pl.col("status") != "X").then(pl.col("analyte").cast(pl.String).fill_null(""))
    return test.drop_nulls().n_unique().over([*key, OWNER, "source_file"]) > 1


def _contradicts_another(key: list[str]) -> pl.Expr:
    # Of one file: a later one may correct an entry. What a line leaves empty contradicts none.
    return pl.any_horizontal(
        pl.col(name).drop_nulls().n_unique().over([*key, "source_file"]) > 1
        for name in lifestyle.ENTRIES
    )


def _quarantined(rows: pl.DataFrame, rule: str) -> pl.DataFrame:
    """Quarantine rows by a rule; those that are excluded, or wait for another reason, stay so."""
    undecided = pl.col("fate").is_null()
    return rows.with_columns(
        fate=pl.when(undecided).then(_word("quarantined")).otherwise("fate"),
        why=pl.when(undecided).then(_word(rule)).otherwise("why"),
    )


def _shared(keys: pl.Series, counted: pl.Series) -> pl.Series:
    """Return the places of the ``counted`` rows that share their key with another of them."""
    shared = repeated(keys.filter(counted))
    if shared.is_empty():
        return pl.Series(dtype=pl.get_index_type())
    return (counted & keys.is_in(shared.implode())).arg_true()


def _picked(rows: pl.DataFrame, fates: pl.DataFrame, where: pl.Series) -> pl.DataFrame:
    return rows[where].hstack(fates[where]).with_columns(where.alias(_AT))


def _with_fates(fates: pl.DataFrame, some: pl.DataFrame) -> pl.DataFrame:
    """Return ``fates`` with those of ``some`` rows, which have their places, written over."""
    kinds = some.select(_FATE).unique(maintain_order=True).with_row_index("kind")
    kind_of_some = some.select(_AT, *_FATE).join(
        kinds, on=_FATE, nulls_equal=True, maintain_order="left"
    )
    kind = pl.repeat(None, len(fates), dtype=pl.UInt32, eager=True).scatter(
        kind_of_some[_AT], kind_of_some["kind"]
    )
    for number, fate, why in kinds.iter_rows():
        is_it = pl.lit(kind == number)
        fates = fates.with_columns(
            fate=pl.when(is_it).then(_word(fate)).otherwise("fate"),
            why=pl.when(is_it).then(_word(why)).otherwise("why"),
        )
    return fates


def _among_versions(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Newest report wins, then file, then line; a preliminary result never replaces a final one."""
    key = [*key_of(table), OWNER]
    cancelled = pl.lit(False)
    rows = oldest_report_first(rows, key) if table == "labs" else rows.sort(READING_ORDER)
    if table in CANCELLED:
        cancelled = pl.col("status").last().over(key) == "X"
    names = [name for name in columns_of(table) if name not in _ABOUT_THE_FILE]
    ordered = rows.with_columns(content=pl.struct(names).hash(seed=0))
    as_newest = pl.col("content") == pl.col("content").last().over(key)
    newest_is_excluded = pl.col("fate").last().over(key) == "set_apart"
    # Of rows with the content of the newest, the first is kept: a file that repeats it changes nothing.
    first_read = pl.col("source_order").cum_count().over([*key, "content"]) == 1
    return ordered.with_columns(
        fate=pl.when(pl.col("fate").is_not_null())
        .then("fate")
        .when(newest_is_excluded.fill_null(False))
        .then(_word("superseded"))
        .when(cancelled)
        .then(_word("withdrawn"))
        .when(as_newest & first_read)
        .then(_word("accepted"))
        .when(as_newest)
        .then(_word("duplicate"))
        .otherwise(_word("superseded"))
    )


def _count_once(labs: pl.DataFrame, fates: pl.DataFrame) -> pl.DataFrame:
    """Count a result once that was sent under two ids, or of one draw in two units.

    One man, analyte and instant, values within :data:`SAME_RESULT_RATIO`, and not two known assays:
    the row read first stays.
    """
    draw = ["patient_id", "analyte", "collected_at"]
    several = _shared(keys(labs, draw), _have(fates, "accepted"))
    if several.is_empty():
        return fates
    value = pl.col("value_low")
    same_value = (
        ((value - value.shift(1)).abs() <= SAME_RESULT_RATIO * value.abs())
        & _same_censoring()
        & _assays_agree()
    )
    grouped = (
        _picked(labs, fates, several)
        .sort(*draw, "value_low", "value_high", *READING_ORDER, nulls_last=True)
        .with_columns(group=(~same_value.over(draw).fill_null(False)).cum_sum())
        .sort(READING_ORDER)
    )
    again = grouped.filter(~pl.col("group").is_first_distinct())
    return _with_fates(fates, again.with_columns(fate=pl.lit("duplicate"), why=pl.lit(SAME_RESULT)))


def _same_censoring() -> pl.Expr:
    exact = pl.col("value_low") == pl.col("value_high")
    open_above = pl.col("value_high").is_null()
    high = pl.col("value_high")
    same_bound = (high - high.shift(1)).abs() <= SAME_RESULT_RATIO * high.abs()
    return ((exact == exact.shift(1)).fill_null(False) & (exact | same_bound.fill_null(False))) | (
        open_above & open_above.shift(1)
    )


def _assays_agree() -> pl.Expr:
    assay, other = pl.col("assay"), pl.col("assay").shift(1)
    return (assay == other) | (assay == "unknown") | (other == "unknown")


def _superseded_by_correction(table: str, rows: pl.DataFrame, fates: pl.DataFrame) -> pl.DataFrame:
    """Supersede a quarantined row by a later accepted one of its key and man."""
    key = key_of(table)
    places = _have(fates, "quarantined").arg_true()
    if places.is_empty():
        return fates
    pending = _picked(rows, fates, places)
    whose = ["patient_id"] if "patient_id" in rows.columns and "patient_id" not in key else []
    accepted = _have(fates, "accepted").arg_true()
    corrected = (
        rows.select(*key, *whose, "source_order", "source_line")[accepted]
        .join(pending.select(key).unique(), on=key, how="semi")
        .rename({name: f"corrected_by_{name}" for name in (*whose, "source_order", "source_line")})
    )
    later_file = pl.col("corrected_by_source_order") > pl.col("source_order")
    same_file = pl.col("corrected_by_source_order") == pl.col("source_order")
    later_line = pl.col("corrected_by_source_line") > pl.col("source_line")
    # What names nobody may be his.
    same_man = [(pl.col(name) == pl.col(f"corrected_by_{name}")).fill_null(True) for name in whose]
    superseded = pending.join(corrected, on=key, how="inner", validate="m:1").filter(
        later_file | (same_file & later_line), *same_man
    )
    return _with_fates(
        fates, superseded.with_columns(fate=pl.lit("superseded"), why=pl.lit(MENDED))
    )


def quarantine_suspects(labs: pl.DataFrame, suspects: pl.DataFrame) -> pl.DataFrame:
    """Quarantine accepted results that are suspected to be in another unit than declared.

    Parameters
    ----------
    labs
        Reconciled rows.
    suspects
        ``source_file, source_line, source_part`` of the suspects.
    """
    if suspects.is_empty():
        return labs
    found = (
        labs.select(*ROW, "fate")
        .with_row_index(_AT)
        .join(to_categories(suspects.select(ROW)), on=ROW, how="semi")
        .filter(pl.col("fate") == "accepted")
    )
    quarantined = found.with_columns(fate=pl.lit("quarantined"), why=pl.lit(SUSPECTED_UNIT_SLIP))
    return labs.drop(_FATE).hstack(_with_fates(labs.select(_FATE), quarantined))
