"""Fills what the newest version of a row leaves empty from the older ones.

In    reconciled rows of a table
Out   its accepted rows, same grain

Messages name a patient without his height, and two forms may be two lines of one man and day; what a drop does
not mention is unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from e2analytics.reference import lifestyle
from e2analytics.tables.categoricals import to_contract_types
from e2analytics.tables.registry import columns_of, key_of
from e2analytics.tables.source import READING_ORDER

_CARRIED_FORWARD: Final = ("height_cm", "weight_kg", "trt_started_on")


def known_patients(patients: pl.DataFrame) -> pl.DataFrame:
    """Return the accepted patients; an imputed clinic does not replace one that was read.

    Parameters
    ----------
    patients
        Reconciled rows.
    """
    imputed_clinic = pl.col("imputed").str.contains("clinic_id", literal=True)
    carried = {"clinic_id": pl.when(~imputed_clinic).then("clinic_id")} | {
        name: pl.col(name) for name in _CARRIED_FORWARD
    }
    return _filled("patients", patients, carried)


def known_entries(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the accepted entries of lifestyle; a line that ever waited fills none.

    Parameters
    ----------
    rows
        Reconciled rows.
    """
    never_waited = rows.filter(pl.col("why").is_null())
    return _filled("lifestyle", never_waited, {name: pl.col(name) for name in lifestyle.ENTRIES})


def _filled(table: str, rows: pl.DataFrame, carried: Mapping[str, pl.Expr]) -> pl.DataFrame:
    """Return the accepted rows; where a ``carried`` column is empty, with its newest value in older versions."""
    ours = to_contract_types(
        rows.filter(pl.col("fate").is_in(["accepted", "superseded", "duplicate"])), table
    )
    key = key_of(table)
    known = (
        ours.sort(READING_ORDER)
        .group_by(key)
        .agg(column.drop_nulls().last().alias(f"known_{name}") for name, column in carried.items())
    )
    return (
        ours.filter(pl.col("fate") == "accepted")
        .join(known, on=key, how="left", maintain_order="left")
        .with_columns(
            pl.coalesce(column, f"known_{name}", name).alias(name)
            for name, column in carried.items()
        )
        .select(columns_of(table))
    )
