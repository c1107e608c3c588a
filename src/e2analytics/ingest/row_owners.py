"""Says whose version a row is: no version of a man's row is another man's.

In    rows of a table that share their number (namespace and id) with others, judged
Out   the same rows with ``owner``, whose version each is, and ``is_shared``, whether its number is that of
      rows of several patients

A number that several patients' rows have, in one file or in several nights, is of none of them until its
supplier has cancelled all but one man's, or given each a number of its own.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics.tables.categoricals import keys
from e2analytics.tables.registry import key_of
from e2analytics.tables.source import READING_ORDER

CANCELLED: Final = ("labs", "dxa", "medications")
"""Tables whose rows can be cancelled, or withdrawn as entered in error."""
OWNER: Final = "owner"
"""Name of a column: whose version a row is."""
IS_SHARED: Final = "is_shared"
"""Name of a column: whether the row's number is that of rows of several patients."""
_OF_NUMBER: Final = 2


def number_of(table: str) -> list[str]:
    """Return the columns of a key that are its number: a namespace and an id; a scan has a site besides."""
    return key_of(table)[:_OF_NUMBER]


def with_owner(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Add whose version each row is, and whether its number is shared by several patients.

    Once all that a man had under a number is cancelled, the number names him no longer. A cancellation
    that names nobody is of the one man whom the number still names.
    """
    if "patient_id" not in rows.columns:
        return rows.with_columns(pl.lit(None, dtype=pl.UInt32).alias(OWNER), _shared_if(False))
    number = keys(rows, number_of(table))
    patients = rows.select(pl.col("patient_id").to_physical().alias(OWNER)).to_series()
    # Nearly every number names one patient: only the others are worth the work of ordering their rows.
    named = pl.DataFrame({"number": number, OWNER: patients}).group_by("number")
    several = named.agg(pl.col(OWNER).n_unique()).filter(pl.col(OWNER) > 1)["number"]
    of_several = number.is_in(several.implode())
    rows = rows.with_columns(patients)
    of_one = rows.filter(~of_several).with_columns(_shared_if(False))
    if several.is_empty():
        return of_one
    return pl.concat([of_one, _of_several(table, rows.filter(of_several))])


def _of_several(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Add the same to rows of numbers that are not all of one patient."""
    number, own = number_of(table), [*key_of(table), OWNER]
    is_settled = pl.lit(False)
    if table in CANCELLED:
        rows = oldest_report_first(rows, own) if table == "labs" else rows.sort(READING_ORDER)
        cancels = (pl.col("status") == "X").fill_null(False)
        is_settled = (cancels.last() & ~cancels.all()).over(own) & pl.col(OWNER).is_not_null()
    rows = rows.with_columns(is_settled=is_settled).with_columns(
        still_named=pl.when(~pl.col("is_settled")).then(OWNER)
    )
    still_named = pl.col("still_named").drop_nulls()
    # In whatever file or night they came: which man is meant, only the supplier can say.
    is_shared = (still_named.n_unique().over(number) > 1) & ~pl.col("is_settled")
    owner = pl.coalesce(OWNER, still_named.first().over(number))
    return rows.with_columns(_shared_if(is_shared), owner.alias(OWNER)).drop(
        "is_settled", "still_named"
    )


def _shared_if(shared: pl.Expr | bool) -> pl.Expr:
    return (pl.lit(shared) if isinstance(shared, bool) else shared).alias(IS_SHARED)


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
