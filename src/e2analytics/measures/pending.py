"""Waiting: what came in of a man's care and waits in quarantine until it is mended.

In    every row of the canonical tables with its fate, the men, the as-of date
Out   waiting   grain: a row; ``patient_id``, ``what`` it is of (an analyte, a bone scan, the class of a drug,
                the kind of an event) and the day on which it ``happened_on``

Rows that do not say of whom, of what or of which day they are speak for nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final

import polars as pl

from e2analytics.tables.categoricals import plain
from e2analytics.tables.registry import EVENT_DATE, columns_of
from e2analytics.tables.vocabulary import FITTED_SITES

BONE_SITES: Final = (*FITTED_SITES, "one_third_radius")
BONE_SCAN: Final = "bone_scan"
_WAITS: Final = "quarantined"
# Of a scan whose site cannot be read it may be the bone.
_OF_BONE: Final = pl.col("site").is_in(BONE_SITES) | pl.col("site").is_null()
_TOLD: Final[Mapping[str, pl.Expr]] = {
    "labs": pl.col("analyte"),
    "dxa": pl.when(_OF_BONE).then(pl.lit(BONE_SCAN)),
    "medications": pl.col("drug_class"),
    "events": pl.col("kind"),
}

TABLES: Final = tuple(_TOLD)


def waiting(rows: Mapping[str, pl.DataFrame], patients: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Return what waits of each man.

    Parameters
    ----------
    rows
        By canonical table: its rows with their ``fate``.
    patients
        The men.
    as_of
        What happened later is not seen.
    """
    return pl.concat(
        _of_men(table, rows[table], patients, as_of)
        .select("patient_id", what.alias("what"), happened_on=EVENT_DATE[table])
        .drop_nulls("what")
        for table, what in _TOLD.items()
    )


def e2(labs: pl.DataFrame, patients: pl.DataFrame, as_of: date) -> pl.DataFrame:
    """Return the E2 results that wait, as rows of ``labs``."""
    rows = _of_men("labs", labs, patients, as_of).select(columns_of("labs"))
    return rows.filter(pl.col("analyte") == "estradiol")


def _of_men(table: str, rows: pl.DataFrame, patients: pl.DataFrame, as_of: date) -> pl.DataFrame:
    happened = pl.col(EVENT_DATE[table]) <= pl.lit(as_of)
    waits = plain(rows.filter(pl.col("fate") == _WAITS, happened), table)
    return waits.join(patients, on="patient_id", how="semi")
