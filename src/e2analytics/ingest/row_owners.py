"""Says whose version a row is: no version of a man's row is another man's.

In    rows of a table that share their number (namespace and id) with others, judged
Out   the same rows with the patient whom each names (``named``) and whose version it is (``owner``)

A number that several patients' rows have, in one file or in several nights, is of none of them until its
supplier has cancelled all but one man's, or given each a number of its own.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics.tables.registry import key_of
from e2analytics.tables.source import READING_ORDER

CANCELLED: Final = ("labs", "dxa", "medications")
"""Tables whose rows can be cancelled, or withdrawn as entered in error."""
OWNER: Final = "owner"
"""Name of a column: whose version a row is."""
_NAMED: Final = "named"
_OF_NUMBER: Final = 2


def number_of(table: str) -> list[str]:
    """Return the columns of a key that are its number: a namespace and an id; a scan has a site besides."""
    return key_of(table)[:_OF_NUMBER]


def with_owner(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Add whom each row names, and whose version it is: no version of a man's row is another man's.

    Once all that a man had under a number is cancelled, the number names him no longer. A cancellation
    that names nobody is of the one man whom the number still names.
    """
    if "patient_id" not in rows.columns:
        nobody = pl.lit(None, dtype=pl.String)
        return rows.with_columns(nobody.alias(OWNER), nobody.alias(_NAMED), is_settled=False)
    number, own = number_of(table), [*key_of(table), "patient_id"]
    is_settled = pl.lit(False)
    if table in CANCELLED:
        rows = oldest_report_first(rows, own) if table == "labs" else rows.sort(READING_ORDER)
        cancels = (pl.col("status") == "X").fill_null(False)
        is_settled = (cancels.last() & ~cancels.all()).over(own) & pl.col(
            "patient_id"
        ).is_not_null()
    patient = pl.col("patient_id").cast(pl.String)
    return (
        rows.with_columns(is_settled=is_settled)
        .with_columns(pl.when(~pl.col("is_settled")).then(patient).alias(_NAMED))
        .with_columns(
            pl.coalesce(patient, pl.col(_NAMED).drop_nulls().first().over(number)).alias(OWNER)
        )
    )


def number_of_several_patients(table: str) -> pl.Expr:
    """Return whether a row's number names several patients, and the row is not settled."""
    # In whatever file or night they came: which man is meant, only the supplier can say.
    n_patients = pl.col(_NAMED).drop_nulls().n_unique().over(number_of(table))
    return (n_patients > 1) & ~pl.col("is_settled")


def oldest_report_first(rows: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Order the versions of each result; where a time of report is missing, file and line decide.

    A correction keeps the time of what it corrects in many systems: of one time of report it wins.
    """
    preliminary = pl.col("status") == "P"
    behind = preliminary & (~preliminary).any().over(key)
    newest_so_far = pl.col("reported_at").cum_max().forward_fill().over(key)
    has_correction = (pl.col("status") == "C").any().over([*key, "reported_at"])
    corrected = (pl.col("status") == "F") & pl.col("reported_at").is_not_null() & has_correction
    return (
        rows.sort(READING_ORDER)
        .with_columns(
            behind=behind,
            reported=pl.coalesce("reported_at", newest_so_far),
            corrected=corrected,
        )
        .sort(~pl.col("behind"), "reported", ~pl.col("corrected"), *READING_ORDER, nulls_last=False)
        .drop("behind", "reported", "corrected")
    )
