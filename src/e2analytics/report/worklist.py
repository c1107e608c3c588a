"""The worklist: every man with an open flag, the most pressing first, with what his flag rests on.

In    flags, gaps, context, flag_evidence of one run
Out   a CSV or Excel file for the clinic's own use: pseudonyms, values of patients

Text that a spreadsheet could take for a formula stays text.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from io import BytesIO
from pathlib import Path
from typing import Final

import polars as pl

from e2analytics.errors import UnreadableError
from e2analytics.flags import rules as flag_rules
from e2analytics.report.formats.workbook import Sheet, add_table
from e2analytics.report.sections.men import most_pressing_first, still_open
from e2analytics.spreadsheet import Book, harmless

TABLES: Final = ("flags", "gaps", "context", "flag_evidence")
_FLAG: Final = (
    *("patient_id", "clinic_id", "tier", "status", "state", "first_flagged_on", "reasons"),
    *("weekly_anastrozole_mg", "last_e2_low_pg_ml", "last_e2_high_pg_ml", "last_e2_on", "assay"),
    *("e2_expected_pg_ml", "e2_ci_low", "e2_ci_high", "e2_off_drug_pg_ml"),
    *("p_below_range", "p_attributable", "p_below_red_line"),
    *("lower_limit_pg_ml", "limit_source", "t_score_min", "z_score_min"),
    *(
        "bmd_change_site",
        "bmd_change_pct_per_year",
        "loss_exceeds_lsc",
        "review_state",
        "review_note",
    ),
)
_CONTEXT: Final = (
    *("testosterone_ng_dl", "testosterone_on", "t_e2_ratio", "body_fat_pct"),
    *("body_fat_change_points", "vitamin_d_ng_ml", "vitamin_d_on", "calcium_mg_dl"),
    *("bone_drugs", "glucocorticoids"),
)


def worklist(tables: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return one row for each man with an open flag, the most pressing first."""
    rules = flag_rules.load()
    flags = still_open(tables["flags"])
    gap_words = {name: gap.words for name, gap in rules.gaps.items()}
    due = pl.format(" (due {})", "due_on").fill_null("")
    note = pl.format(" ({})", "note").fill_null("")
    gaps = tables["gaps"].with_columns(
        said=pl.format("{}{}{}", _worded(pl.col("gap"), gap_words), note, due)
    )
    missing = gaps.group_by("patient_id", maintain_order=True).agg(
        gaps=pl.col("said").str.join("; ")
    )
    evidence = tables["flag_evidence"]
    paragraph = evidence.filter(pl.col("piece") == "explanation")
    words = {name: reason.words for name, reason in rules.reasons.items()}
    reasons = (
        pl.col("reasons").str.split("; ").list.eval(_worded(pl.element(), words)).list.join("; ")
    )
    return (
        most_pressing_first(flags)
        .select(_FLAG)
        .with_columns(reasons=reasons)
        .pipe(_with, tables["context"].select("patient_id", *_CONTEXT))
        .pipe(_with, missing)
        .pipe(_with, paragraph.select("patient_id", explanation="words"))
    )


def write(rows: pl.DataFrame, file: Path, as_of: date) -> None:
    """Write a worklist as CSV, or as Excel where the file's name ends in .xlsx.

    Raises
    ------
    UnreadableError
        If the file cannot be written.
    """
    if file.suffix.lower() == ".xlsx":
        content = _workbook(rows, as_of)
    else:
        content = rows.with_columns(harmless(pl.col(pl.String))).write_csv().encode()
    try:
        file.write_bytes(content)
    except OSError as error:
        raise UnreadableError(f"{file} cannot be written ({error.strerror}).") from None


def _workbook(rows: pl.DataFrame, as_of: date) -> bytes:
    content = BytesIO()
    book = Book(content, created=datetime.combine(as_of, time()))
    add_table(book, "worklist", Sheet(tuple(rows.columns), tuple(rows.rows())))
    book.close()
    return content.getvalue()


def _with(men: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    return men.join(more, on="patient_id", how="left", maintain_order="left")


def _worded(name: pl.Expr, words: Mapping[str, str]) -> pl.Expr:
    return name.replace(list(words), list(words.values()))
