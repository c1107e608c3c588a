"""Clinic rows: what each clinic has sent, source by source and day by day.

In    the men's rows as of a day
Out   clinic_rows      grain clinic_id, source, on (``tables.sums``): how many rows
      scanner_makers   grain clinic_id, scanner_id, manufacturer (``tables.sums``): how many scans
      ``Clinics``, the facts of each clinic that follow from these
"""

from __future__ import annotations

from datetime import date
from typing import Final

import polars as pl

from e2analytics.measures.availability import unavailable
from e2analytics.reference import measures
from e2analytics.reference.drugs import gives_testosterone
from e2analytics.reference.names import ANDROGEN
from e2analytics.tables.clinics import (
    ANY_RESULT,
    ANY_ROW,
    BREAST_SYMPTOM,
    MAN,
    WAITING_TESTOSTERONE,
    Clinics,
    n_makers,
)
from e2analytics.tables.patient_data import BONE_SITES, AsOfRows
from e2analytics.tables.registry import EVENT_DATE
from e2analytics.tables.sums import Sums, added_up
from e2analytics.tables.vocabulary import BREAST_SYMPTOMS

_N: Final = pl.len().cast(pl.Int64).alias("n")
_NO_DAY: Final = pl.lit(None, dtype=pl.Date)


def clinic_sums(rows: AsOfRows) -> Sums:
    """Return the sums that the facts of clinics follow from."""
    return Sums({"clinic_rows": clinic_rows(rows), "scanner_makers": scanner_makers(rows)})


def clinic_rows(rows: AsOfRows) -> pl.DataFrame:
    """Return how many rows of each source each clinic has sent of each day.

    The sources are those of the quality measures and those of :mod:`e2analytics.tables.clinics`. A row in quarantine
    came in as well: it breaks a silence, and one of testosterone tells as much as an accepted one.

    Parameters
    ----------
    rows
        The men's rows.
    """
    defined = measures.load()
    of_laboratory, of_events = (defined.sources_of_kind(kind) for kind in ("laboratory", "event"))
    results, events, orders, scans = rows.labs, rows.events, rows.medications, rows.dxa
    bone = scans.filter(pl.col("site").is_in(BONE_SITES))
    fat = scans.drop_nulls("body_fat_pct")
    began = rows.patients.drop_nulls("trt_started_on")
    testosterone = orders.filter(gives_testosterone())
    waiting = rows.pending.filter(pl.col("what").cast(pl.String) == ANDROGEN)
    of_breast = events.filter(pl.col("kind") == "symptom", pl.col("detail").is_in(BREAST_SYMPTOMS))
    came = [(getattr(rows, table), day) for table, day in EVENT_DATE.items()]
    counted = [
        _counted(rows, results.filter(pl.col("analyte").is_in(of_laboratory)), "collected_on", pl.col("analyte")),
        _counted(rows, events.filter(pl.col("kind").is_in(of_events)), "occurred_on", pl.col("kind")),
        _counted(rows, began, "trt_started_on", pl.lit("trt")),
        _counted(rows, testosterone, "started_on", pl.lit("trt")),
        _counted(rows, orders, "started_on", pl.lit("medications")),
        _counted(rows, bone, "scanned_on", pl.lit("dxa")),
        _counted(rows, fat, "scanned_on", pl.lit("body_fat")),
        *(_counted(rows, table, day, pl.lit(ANY_ROW)) for table, day in came),
        _counted(rows, rows.pending, "happened_on", pl.lit(ANY_ROW)),
        _counted(rows, results, "collected_on", pl.lit(ANY_RESULT)),
        _counted(rows, waiting, "happened_on", pl.lit(WAITING_TESTOSTERONE)),
        _counted(rows, of_breast, "occurred_on", pl.lit(BREAST_SYMPTOM)),
        rows.patients.group_by("clinic_id").agg(_N).with_columns(source=pl.lit(MAN), on=_NO_DAY),
    ]  # fmt: skip
    return added_up(
        "clinic_rows", pl.concat(each.select("clinic_id", "source", "on", "n") for each in counted)
    )


def _counted(men: AsOfRows, rows: pl.DataFrame, day: str, source: pl.Expr) -> pl.DataFrame:
    """Count the rows of a source by clinic and day."""
    return (
        rows.lazy()
        .group_by(pl.col("patient_id").cast(pl.String), source.alias("source"), on=day)
        .agg(_N)
        .join(men.patients.lazy().select("patient_id", "clinic_id"), on="patient_id")
        .group_by("clinic_id", "source", "on")
        .agg(pl.col("n").sum())
        .collect()
    )


def scanner_makers(rows: AsOfRows) -> pl.DataFrame:
    """Return how many scans of each scanner name each maker; scans without a day of their own say nothing."""
    scans = rows.dxa.filter(~pl.col("imputed").str.contains("scanned_on", literal=True)).join(
        rows.patients.select("patient_id", "clinic_id"), on="patient_id"
    )
    return added_up("scanner_makers", scans.with_columns(n=1))


def clinics(sums: Sums, as_of: date) -> Clinics:
    """Return the facts of each clinic as of a day.

    Parameters
    ----------
    sums
        ``clinic_rows`` and ``scanner_makers``.
    as_of
        The day.
    """
    sent, source = sums["clinic_rows"], pl.col("source")
    until = pl.col("on") <= as_of
    facts = sent.group_by("clinic_id").agg(
        newest_result_on=pl.col("on").filter(source == ANY_RESULT).max(),
        tells_of_testosterone=(source.is_in(("trt", WAITING_TESTOSTERONE)) & until).any(),
        names_breast_symptoms=(source == BREAST_SYMPTOM).any(),
    )
    return Clinics(
        as_of=as_of,
        facts=facts.sort("clinic_id"),
        unavailable=unavailable(sent, [as_of]).drop("month_end"),
        makers=n_makers(sums["scanner_makers"]),
    )
