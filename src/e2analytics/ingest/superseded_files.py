"""Resent: lines without a number give way once their whole file has come again.

In    the settled rows of a table, and the ledger
Out   the same rows, same grain; lines that nobody could find again by a number are ``superseded``

A row that waits gives way to a later one of its number (``settle``). One whose number is missing or wrong
has none to be found by, and neither has a line that cannot be read. It gives way where its file was sent
again: under the same name, with every row that had a number, and with no fewer rows. What is still wrong
there is listed under the new file. Most drops use the same names every night, so the name alone proves
nothing; and of a file without any numbered row nobody can tell: its lines stay listed.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics.ingest.reconcile import MENDED
from e2analytics.ingest.rules.row_rules import UNREADABLE_RULES
from e2analytics.reference.row_rules import NUMBER_OF_SEVERAL_TESTS, of_table
from e2analytics.tables.categoricals import TEXT
from e2analytics.tables.registry import key_of

_SENT_AS: Final = ["feed", "table", "named"]
_WAITS: Final = pl.col("fate") == "quarantined"


def give_way(table: str, settled: pl.DataFrame, files: pl.DataFrame) -> pl.DataFrame:
    """Let the lines without a number of ``table`` give way to their file sent again.

    Parameters
    ----------
    table
        Name of the table.
    settled
        Its rows with ``fate`` and ``why``.
    files
        The ledger: ``source_file, feed, table, named, source_order, refused, rows_read``.
    """
    waiting = settled.filter(_WAITS).filter(_has_no_number(table))
    if waiting.is_empty():
        return settled
    candidates = _sent_again(files, waiting["source_file"].unique().cast(pl.String))
    replaced = _replaced(table, settled, candidates)
    of_them = _WAITS & pl.col("source_file").cast(pl.String).is_in(replaced)
    gives_way = pl.when(of_them).then(_has_no_number(table))
    return settled.with_columns(
        fate=pl.when(gives_way).then(pl.lit("superseded", TEXT)).otherwise("fate"),
        why=pl.when(gives_way).then(pl.lit(MENDED, TEXT)).otherwise("why"),
    )


def _has_no_number(table: str) -> pl.Expr:
    of_number = [rule.name for rule in of_table(table) if rule.column in key_of(table)]
    broken = pl.col("failed_rules").cast(pl.String).str.split(" ")
    shared = (pl.col("why").cast(pl.String) == NUMBER_OF_SEVERAL_TESTS).fill_null(False)
    return pl.any_horizontal(
        shared, *(broken.list.contains(name) for name in [*of_number, *UNREADABLE_RULES])
    )


def _sent_again(files: pl.DataFrame, old: pl.Series) -> pl.DataFrame:
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


def _replaced(table: str, settled: pl.DataFrame, sent_again: pl.DataFrame) -> list[str]:
    """Return the files all of whose numbered rows stand in one of those that were sent again."""
    key = key_of(table)
    meant = {*sent_again["source_file"], *sent_again["again"]}
    numbered = (
        settled.filter(pl.col("source_file").cast(pl.String).is_in(sorted(meant)))
        .filter(~_has_no_number(table))
        .select(pl.col("source_file").cast(pl.String), *key)
    )
    replaced = set()
    for old, again in sent_again.iter_rows():
        before, after = (numbered.filter(pl.col("source_file") == file) for file in (old, again))
        if len(before) and before.join(after, on=key, how="anti").is_empty():
            replaced.add(old)
    return sorted(replaced)
