"""The results of all men, where the rows of some are taken in: a source slips for all its men at once.

In    rows taken in now; what is known of the other men
Out   labs, orders and clinics of all men, those of the others in the few columns that the search reads
"""

from __future__ import annotations

from typing import Final, NamedTuple

import polars as pl

from e2analytics.ingest.unit_errors.find import MixUps
from e2analytics.ingest.unit_errors.sources import CONVERTED, texts_with
from e2analytics.reference.names import ESTRADIOL, TESTOSTERONE
from e2analytics.reference.row_rules import SUSPECTED_UNIT_SLIP
from e2analytics.tables.categoricals import to_categories
from e2analytics.tables.registry import columns_of
from e2analytics.tables.snapshot import Snapshot, is_of
from e2analytics.tables.source import PROVENANCE, READING_ORDER, ROW

_READ: Final = (
    *PROVENANCE,
    "patient_id",
    "analyte",
    "value_low",
    "value_high",
    "collected_on",
    "performing_lab",
    "imputed",
)
_WATCHED: Final = (ESTRADIOL, TESTOSTERONE)
_IS_SUSPECTED: Final = (pl.col("why") == SUSPECTED_UNIT_SLIP).fill_null(False)


class OfAllMen(NamedTuple):
    """What the search reads.

    Attributes
    ----------
    labs
        Rows with their fate; a suspicion of before is forgotten.
    orders
        Accepted rows of ``medications``.
    clinics
        ``patient_id -> clinic_id``.
    suspected
        Rows of men who are not taken in that were suspected before.
    """

    labs: pl.DataFrame
    orders: pl.DataFrame
    clinics: pl.DataFrame
    suspected: pl.DataFrame


def with_others(
    labs: pl.DataFrame,
    orders: pl.DataFrame,
    clinics: pl.DataFrame,
    before: Snapshot,
    men: pl.Series | None,
) -> OfAllMen:
    """Add what is known of the men who are not taken in.

    Parameters
    ----------
    labs
        Reconciled rows of the men who are.
    orders
        Their accepted rows of ``medications``.
    clinics
        ``patient_id -> clinic_id``.
    before
        What is known of all men.
    men
        The men who are taken in; None: all.
    """
    converted = pl.col("imputed").is_in(texts_with(CONVERTED, labs["imputed"]))
    own = labs.filter(pl.col("analyte").is_in(_WATCHED) | converted).select(*_READ, "fate", "why")
    if men is None:
        return OfAllMen(own.sort(READING_ORDER), orders, clinics, own.clear())
    watched = pl.col("analyte").is_in(_WATCHED) | pl.col("imputed").str.contains(
        CONVERTED, literal=True
    )
    others = ~is_of(men)
    stand = before.rows_where("labs", _READ, others & watched)
    released = stand.with_columns(
        fate=pl.when(_IS_SUSPECTED).then(pl.lit("accepted")).otherwise("fate"),
        why=pl.when(~_IS_SUSPECTED).then("why"),
    )
    in_force = others & (pl.col("fate") == "accepted")
    their_orders = before.rows_where("medications", columns_of("medications"), in_force)
    their_clinics = before.rows_where("patients", clinics.columns, others)
    return OfAllMen(
        # In one order, so that sums are the same to the last digit.
        pl.concat([own, to_categories(released)]).sort(READING_ORDER),
        pl.concat([orders, their_orders.select(orders.columns)]),
        pl.concat([clinics, their_clinics.select(clinics.columns)]),
        stand.filter(_IS_SUSPECTED),
    )


def concerned(suspects: pl.DataFrame, all_men: OfAllMen, men: pl.Series | None) -> pl.Series:
    """Return the men who are not taken in whose results are newly suspected, or no longer.

    Parameters
    ----------
    suspects
        Rows that are suspected now.
    all_men
        What was searched.
    men
        The men who are taken in; None: all.
    """
    if men is None:
        return pl.Series("patient_id", [], dtype=pl.String)
    theirs = (
        all_men.labs.filter(~is_of(men))
        .select(pl.col("source_file", "patient_id").cast(pl.String), *ROW[1:])
        .join(suspects.select(ROW), on=ROW, how="semi")
    )
    was = all_men.suspected
    changed = pl.concat(
        [
            now.join(other, on=ROW, how="anti").select("patient_id")
            for now, other in ((theirs, was), (was, theirs))
        ]
    )
    return changed["patient_id"].unique()


def as_before(part: Snapshot) -> MixUps:
    """Return the evidence and the suspicions of before, where nothing new can have changed them."""
    suspects = part.rows("labs").filter(_IS_SUSPECTED).select(ROW)
    named = suspects.with_columns(
        pl.col("source_file").cast(pl.String), slip_id=pl.lit(None, pl.String)
    )
    return MixUps(part.table("unit_slips"), named)
