"""Input digests: digests of the rows that a flag depends on, so that the next run sees what is new.

In    the men's rows as of a day, the men on the drug
Out   grain patient_id: ``results_digest``, ``dose_digest``, ``scans_digest``

A digest changes when a row comes, goes or is corrected, and at no other time: not with a model, not with the
day.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics.reference.names import BODY_MASS_INDEX, ESTRADIOL, TESTOSTERONE
from e2analytics.tables.patient_data import PatientData

_ANALYTES: Final = (ESTRADIOL, TESTOSTERONE, BODY_MASS_INDEX)
_RESULT: Final = ("analyte", "result_id", "collected_on", "value_low", "value_high", "assay")
_MAN: Final = ("birth_date", "height_cm", "weight_kg")
_SPELL: Final = ("drug", "started_on", "ended_on", "weekly_dose_mg", "ordered_on")
_SCAN: Final = ("site", "first_scan_id", "second_scan_id", "change_pct", "lsc_pct", "lsc_verdict")
_CLASSED: Final = ("site", "scan_id", "scanned_on", "bone_class")


def digests(data: PatientData, exposures: pl.DataFrame, men: pl.DataFrame) -> pl.DataFrame:
    """Return the digests of the rows of ``men``."""
    results = [
        _digest(data.labs.filter(pl.col("analyte").is_in(_ANALYTES)), men, _RESULT),
        _digest(data.patients, men, _MAN),
    ]
    scans = [_digest(exposures, men, _SCAN), _digest(data.densitometry, men, _CLASSED)]
    return (
        men.select("patient_id")
        .join(_named(_summed(results), "results_digest"), on="patient_id", how="left")
        .join(
            _named(_digest(data.episodes, men, _SPELL), "dose_digest"), on="patient_id", how="left"
        )
        .join(_named(_summed(scans), "scans_digest"), on="patient_id", how="left")
        .with_columns(pl.col("results_digest", "dose_digest", "scans_digest").fill_null("none"))
    )


def _digest(rows: pl.DataFrame, men: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
    texts = [
        pl.col(name).cast(pl.String) if rows.schema[name] in (pl.Categorical, pl.Enum) else name
        for name in columns
    ]
    return (
        rows.with_columns(pl.col("patient_id").cast(pl.String))
        .join(men.select("patient_id"), on="patient_id", how="semi")
        .group_by("patient_id")
        # Rows differ, so that none cancels another.
        .agg(digest=pl.struct(texts).hash(seed=0).bitwise_xor())
    )


def _summed(parts: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(parts).group_by("patient_id").agg(pl.col("digest").bitwise_xor())


def _named(digest: pl.DataFrame, name: str) -> pl.DataFrame:
    return digest.select("patient_id", pl.col("digest").cast(pl.String).alias(name))
