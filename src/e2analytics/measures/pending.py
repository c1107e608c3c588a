"""Pending: rows of a man's care that wait in quarantine for a correction.

In    every row of the canonical tables with its fate, the men, the as-of date
Out   pending   grain: a row; ``patient_id``, its subject ``what`` (an analyte, a bone scan, the class of a
                drug, the kind of an event) and the day on which it ``happened_on``

Rows without a patient, a subject or a day are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

import polars as pl

from e2analytics.reference.names import ESTRADIOL
from e2analytics.tables.categoricals import to_contract_types
from e2analytics.tables.patient_data import BONE_SCAN, BONE_SITES, AsOfRows
from e2analytics.tables.registry import EVENT_DATE, columns_of
from e2analytics.tables.snapshot import up_to

_PENDING: Final = "quarantined"
# A scan whose site cannot be read may be one of bone.
_OF_BONE: Final = pl.col("site").is_in(BONE_SITES) | pl.col("site").is_null()
_SUBJECT: Final[Mapping[str, pl.Expr]] = {
    "labs": pl.col("analyte"),
    "dxa": pl.when(_OF_BONE).then(pl.lit(BONE_SCAN)),
    "medications": pl.col("drug_class"),
    "events": pl.col("kind"),
}
TABLES: Final = tuple(_SUBJECT)


def as_of_rows(
    accepted: Mapping[str, pl.DataFrame],
    patients: pl.DataFrame,
    with_fate: Mapping[str, pl.DataFrame],
    as_of: date,
) -> AsOfRows:
    """Return the rows that happened on a day or before, accepted and pending.

    Parameters
    ----------
    accepted
        By canonical table: its accepted rows.
    patients
        The men.
    with_fate
        By table of ``TABLES``: its rows with their ``fate``, at least those in quarantine.
    as_of
        The day.
    """
    rows = up_to(accepted, as_of)
    return AsOfRows(
        patients=patients,
        medications=rows["medications"],
        labs=rows["labs"],
        dxa=rows["dxa"],
        events=rows["events"],
        lifestyle=rows["lifestyle"],
        precision=rows["precision"],
        pending=pending(with_fate, patients, as_of),
        pending_e2=pending_e2(with_fate["labs"], patients, as_of),
    )


def pending(
    with_fate: Mapping[str, pl.DataFrame], patients: pl.DataFrame, as_of: date
) -> pl.DataFrame:
    """Return the subjects and days of the men's rows in quarantine."""
    return pl.concat(
        _of_men(table, with_fate[table], patients, as_of)
        .select("patient_id", what.alias("what"), happened_on=EVENT_DATE[table])
        .drop_nulls("what")
        for table, what in _SUBJECT.items()
    )


def pending_e2(labs: pl.DataFrame, patients: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Return the E2 results in quarantine, as rows of ``labs``."""
    rows = _of_men("labs", labs, patients, as_of).select(columns_of("labs"))
    return rows.filter(pl.col("analyte") == ESTRADIOL)


def _of_men(
    table: str, with_fate: pl.DataFrame, patients: pl.DataFrame, as_of: date
) -> pl.DataFrame:
    happened = pl.col(EVENT_DATE[table]) <= pl.lit(as_of)
    rows = to_contract_types(with_fate.filter(pl.col("fate") == _PENDING, happened), table)
    return rows.join(patients, on="patient_id", how="semi")
