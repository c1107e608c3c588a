"""Collects unrecognised values: a supplier's words for tests, units, drugs, sites and codes.

In    rows of a table as text, and the same rows judged
Out   ``table, what, text, n_rows``: each text with the number of its rows

A text may be a patient's, where a description maps the wrong column. One that is long, or not shared by
several rows of several patients, comes out as :data:`RARE`, together with all others like it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import polars as pl

from e2analytics.ingest.normalise.laboratory import OTHER_ANALYTE
from e2analytics.ingest.normalise.tables import OTHER_DRUG

RARE: Final = "(rare or long texts)"
FEWEST: Final = 3
"""Rows, and patients, that a text must have to be shown."""
LONGEST: Final = 60


class _Word(NamedTuple):
    """Texts of ``columns``, in rows that are excluded for a reason or break the rule named ``sign``."""

    what: str
    columns: tuple[str, ...]
    sign: str


_WORDS: Final = {
    "patients": (_Word("sex", ("sex",), "unknown_sex"),),
    "labs": (
        _Word("test", ("test_name", "loinc"), OTHER_ANALYTE),
        _Word("test", ("test_name", "loinc"), "unknown_test"),
        _Word("unit", ("unit",), "unknown_unit"),
        _Word("status", ("status",), "unknown_status"),
    ),
    "dxa": (
        _Word("site", ("site",), "unknown_site"),
        _Word("status", ("status",), "unknown_status"),
    ),
    "medications": (
        _Word("drug", ("drug", "rxnorm"), OTHER_DRUG),
        _Word("drug", ("drug", "rxnorm"), "drug_not_understood"),
    ),
    "events": (
        _Word("kind", ("kind",), "unknown_kind"),
        _Word("detail", ("detail",), "unknown_detail"),
    ),
    "lifestyle": (),
    "precision": (_Word("site", ("site",), "unknown_site"),),
}
_SCHEMA: Final = {
    "table": pl.String(),
    "what": pl.String(),
    "text": pl.String(),
    "n_rows": pl.UInt32(),
    "patients": pl.List(pl.String),
}


class UnknownTexts:
    """The unrecognised texts of one file."""

    def __init__(self) -> None:
        self._texts: list[pl.DataFrame] = []

    def add(self, table: str, text: pl.DataFrame, judged: pl.DataFrame) -> None:
        """Add the unrecognised texts of rows of ``table``; ``text`` and ``judged`` are the same rows."""
        broken = judged["failed_rules"].cast(pl.String).str.split(" ")
        for word in _WORDS[table]:
            is_it = (judged["excluded"].cast(pl.String) == word.sign).fill_null(False)
            rows = text.filter(is_it | broken.list.contains(word.sign))
            if len(rows):
                self._texts.append(_counted(table, word, rows))

    def counts(self, *, show_all: bool) -> pl.DataFrame:
        """Return the texts by number of rows, the most frequent first."""
        each = (
            pl.concat([pl.DataFrame(schema=_SCHEMA), *self._texts])
            .group_by("table", "what", "text", maintain_order=True)
            .agg(
                pl.col("n_rows").sum(),
                n_patients=pl.col("patients")
                .list.explode(keep_nulls=False, empty_as_null=False)
                .n_unique(),
            )
        )
        is_shown = pl.lit(show_all) | (pl.min_horizontal("n_rows", "n_patients") >= FEWEST) & (
            pl.col("text").str.len_chars() <= LONGEST
        )
        return (
            each.with_columns(pl.when(is_shown).then("text").otherwise(pl.lit(RARE)).alias("text"))
            .group_by("table", "what", "text", maintain_order=True)
            .agg(pl.col("n_rows").sum())
            .sort("table", "what", pl.col("text") == RARE, -pl.col("n_rows").cast(pl.Int64), "text")
        )


def _counted(table: str, word: _Word, rows: pl.DataFrame) -> pl.DataFrame:
    # In a table without patients every row counts as one.
    patient = "patient_id" if "patient_id" in rows.columns else "source_line"
    patients = pl.col(patient).cast(pl.String).drop_nulls().unique().head(FEWEST)
    return (
        rows.group_by(
            pl.concat_str(word.columns, separator="  ", ignore_nulls=True).alias("text"),
            maintain_order=True,
        )
        .agg(pl.len().alias("n_rows"), patients.alias("patients"))
        .select(
            pl.lit(table).alias("table"),
            pl.lit(word.what).alias("what"),
            "text",
            "n_rows",
            "patients",
        )
    )
