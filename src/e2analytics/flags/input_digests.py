"""Input digests: digests of the rows that a flag depends on, so that the next run sees what is new.

In    the men's rows as of a day, the men on the drug
Out   grain patient_id: ``results_digest``, ``dose_digest``, ``scans_digest``

A digest changes when a row comes, goes or is corrected, and at no other time: not with a model, not with the
day.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics.reference.drugs import explain_low_e2
from e2analytics.reference.names import BODY_MASS_INDEX, BONE_DRUGS, ESTRADIOL, TESTOSTERONE
from e2analytics.tables.patient_data import PatientData

_ANALYTES: Final = (ESTRADIOL, TESTOSTERONE, BODY_MASS_INDEX)
_RESULT: Final = ("analyte", "result_id", "collected_on", "value_low", "value_high", "assay")
_MAN: Final = ("birth_date", "height_cm", "weight_kg")
_SPELL: Final = ("drug", "started_on", "ended_on", "weekly_dose_mg", "ordered_on")
_SCAN: Final = ("site", "first_scan_id", "second_scan_id", "change_pct", "lsc_pct", "lsc_verdict")
_ORDER: Final = ("drug", "started_on", "stopped_on", "weekly_dose_mg")
_EVENT: Final = ("kind", "occurred_on")
_EVENTS_OF_BONE: Final = ("fracture", "bone_plan")
_COUNTED_ORDERS: Final = (*BONE_DRUGS, "glucocorticoid", *explain_low_e2())
_CLASSED: Final = ("site", "scan_id", "scanned_on", "bone_class")


def digests(data: PatientData, exposures: pl.DataFrame, men: pl.DataFrame) -> pl.DataFrame:
    """Return the digests of the rows of ``men``."""
    results = [
        _digest(data.labs.filter(pl.col("analyte").is_in(_ANALYTES)), men, _RESULT),
        _digest(data.patients, men, _MAN),
    ]
    waiting = data.pending.filter(pl.col("what").is_in(["bone_plan", *BONE_DRUGS])).unique()
    of_bone = data.events.filter(pl.col("kind").is_in(_EVENTS_OF_BONE))
    scans = [
        _digest(exposures, men, _SCAN),
        _digest(data.densitometry, men, _CLASSED),
        _digest(_alike_once(of_bone, _EVENT), men, _EVENT),
        _digest(waiting, men, ("what", "happened_on")),
    ]
    others = data.medications.filter(pl.col("drug_class").cast(pl.String).is_in(_COUNTED_ORDERS))
    doses = [
        _digest(data.episodes, men, _SPELL),
        _digest(_alike_once(others, _ORDER), men, _ORDER),
    ]
    return (
        men.select("patient_id")
        .join(_named(_summed(results), "results_digest"), on="patient_id", how="left")
        .join(_named(_summed(doses), "dose_digest"), on="patient_id", how="left")
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


def _alike_once(rows: pl.DataFrame, columns: tuple[str, ...]) -> pl.DataFrame:
    """Return rows that are alike once, so that none cancels another."""
    return rows.select("patient_id", *columns).unique()


def _summed(parts: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(parts).group_by("patient_id").agg(pl.col("digest").bitwise_xor())


def _named(digest: pl.DataFrame, name: str) -> pl.DataFrame:
    return digest.select("patient_id", pl.col("digest").cast(pl.String).alias(name))
