"""A resent file supersedes its unnumbered lines.

In    the reconciled rows of a table, and the ledger
Out   the same rows, same grain; quarantined lines without a number of a resent file are ``superseded``

A quarantined row with a number is superseded by a later one of the same number (``reconcile``). A line
whose number is missing or wrong, or that cannot be read, has none to match. It is superseded where its
file was resent: under the same name, with every row that had a number, and with no fewer rows. What is
still wrong there is listed under the new file. Most drops use the same names every night, so the name
alone proves nothing; a file without any numbered row proves nothing either, and its lines stay listed.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import polars as pl

from e2analytics.ingest.reconcile import MENDED
from e2analytics.ingest.rules.row_rules import UNREADABLE_RULES
from e2analytics.reference.row_rules import (
    NUMBER_OF_SEVERAL_PATIENTS,
    NUMBER_OF_SEVERAL_TESTS,
    of_table,
)
from e2analytics.tables.categoricals import TEXT
from e2analytics.tables.registry import key_of
from e2analytics.tables.source import ROW

_SENT_AS: Final = ["feed", "table", "named"]
_QUARANTINED: Final = pl.col("fate") == "quarantined"
_AT: Final = "at"


def supersede(table: str, reconciled: pl.DataFrame, files: pl.DataFrame) -> pl.DataFrame:
    """Supersede the unnumbered lines of a table whose file was resent.

    Parameters
    ----------
    table
        Name of the table.
    reconciled
        Its rows with ``fate`` and ``why``.
    files
        The ledger: ``source_file, feed, table, named, source_order, refused, rows_read``.
    """
    pending = reconciled.filter(_QUARANTINED).filter(_has_no_number(table))
    if pending.is_empty():
        return reconciled
    candidates = _resent_as(files, pending["source_file"].unique().cast(pl.String))
    replaced = _replaced(table, reconciled, candidates)
    of_resent_file = _QUARANTINED & pl.col("source_file").cast(pl.String).is_in(replaced)
    return _superseded_where(pl.when(of_resent_file).then(_has_no_number(table)), reconciled)


def sent_again(
    files: pl.DataFrame, read_now: Collection[str], open_lines: pl.DataFrame
) -> pl.DataFrame:
    """Return ``table``, ``source_file`` and ``again``: files with open lines that a file read now may stand for.

    Parameters
    ----------
    files
        The ledger, with the files read now.
    read_now
        Their ``source_file``.
    open_lines
        The open lines of ``quarantine``.
    """
    again = _resent_as(files, open_lines["source_file"].unique())
    now = again.filter(pl.col("again").is_in([*read_now]))
    return now.join(files.select("source_file", "table"), on="source_file")


def stay(table: str, reconciled: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """Leave superseded the unnumbered lines that were, of files that were not sent again since.

    Parameters
    ----------
    table
        Name of the table.
    reconciled
        Its rows with ``fate`` and ``why``.
    before
        The same rows as they were.
    """
    superseded = before.filter((pl.col("fate") == "superseded") & (pl.col("why") == MENDED))
    waits_again = (
        reconciled.with_row_index(_AT)
        .filter(_QUARANTINED)
        .filter(_has_no_number(table))
        .join(superseded.select(ROW), on=ROW, how="semi")
    )
    is_superseded = pl.int_range(pl.len()).is_in(waits_again[_AT].implode())
    return _superseded_where(is_superseded, reconciled)


def _superseded_where(is_superseded: pl.Expr, reconciled: pl.DataFrame) -> pl.DataFrame:
    return reconciled.with_columns(
        fate=pl.when(is_superseded).then(pl.lit("superseded", TEXT)).otherwise("fate"),
        why=pl.when(is_superseded).then(pl.lit(MENDED, TEXT)).otherwise("why"),
    )


def _has_no_number(table: str) -> pl.Expr:
    of_number = [rule.name for rule in of_table(table) if rule.column in key_of(table)]
    broken = pl.col("failed_rules").cast(pl.String).str.split(" ")
    why = pl.col("why").cast(pl.String)
    # Where files disagree on whose a number is, one of them is not the other's mended copy.
    of_one_file = pl.col("source_file").n_unique().over(key_of(table)) == 1
    shared = (why == NUMBER_OF_SEVERAL_TESTS) | ((why == NUMBER_OF_SEVERAL_PATIENTS) & of_one_file)
    return pl.any_horizontal(
        shared.fill_null(False),
        *(broken.list.contains(name) for name in [*of_number, *UNREADABLE_RULES]),
    )


def _resent_as(files: pl.DataFrame, old: pl.Series) -> pl.DataFrame:
    """Return ``source_file`` and ``again``: later files of the same name with no fewer rows."""
    read = files.filter(pl.col("refused").is_null())
    later = read.select(*_SENT_AS, "source_order", "rows_read", again="source_file")
    return (
        read.filter(pl.col("source_file").is_in(old.implode()))
        .join(later, on=_SENT_AS, suffix="_again")
        .filter(
            pl.col("source_order_again") > pl.col("source_order"),
            pl.col("rows_read_again") >= pl.col("rows_read"),
        )
        .select("source_file", "again")
    )


def _replaced(table: str, reconciled: pl.DataFrame, resent: pl.DataFrame) -> list[str]:
    """Return the files all of whose numbered rows are in a file that was sent in their place."""
    key = key_of(table)
    concerned = {*resent["source_file"], *resent["again"]}
    numbered = (
        reconciled.filter(pl.col("source_file").cast(pl.String).is_in(sorted(concerned)))
        .filter(~_has_no_number(table))
        .select(pl.col("source_file").cast(pl.String), *key)
    )
    replaced = set()
    for old, again in resent.iter_rows():
        before, after = (numbered.filter(pl.col("source_file") == file) for file in (old, again))
        if len(before) and before.join(after, on=key, how="anti").is_empty():
            replaced.add(old)
    return sorted(replaced)
