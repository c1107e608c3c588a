"""Measure units of monitoring: vitamin D, counselling, hematocrit and PSA.

Each function returns the units of one measure of ``schemas/reference/measures.yaml``.
"""

from __future__ import annotations

import polars as pl

from e2analytics.measures import treatment_history
from e2analytics.measures.unit_rows import UnitRows, days_of, in_look_back, with_any
from e2analytics.reference.measures import Measure
from e2analytics.reference.names import VITAMIN_D


def vitamin_d_tested(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count men on treatment: met with a vitamin D result."""
    tested = rows.done(rows.results(VITAMIN_D), VITAMIN_D, "collected_on")
    return with_any(rows.men_on_drug, tested, in_look_back(measure), "met")


def vitamin_d_sufficient(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count men on treatment: met with a last vitamin D result that is enough."""
    enough = measure.limits["vitamin_d_ng_ml"]
    last = (
        rows.men_on_drug.join(rows.results(VITAMIN_D), on="patient_id")
        .filter(in_look_back(measure))
        .sort("collected_at", "result_id")
        .group_by("patient_id", "counted_on", maintain_order=True)
        .agg(met=pl.col("value_low").last() >= enough, last_on=pl.col("collected_on").last())
    )
    units = rows.men_on_drug.join(last, on=["patient_id", "counted_on"], how="left")
    since = (pl.col("collected_on") > pl.col("last_on")).fill_null(True)
    # Only the last result counts: where it is in quarantine, an earlier one does not replace it.
    return rows.unless_pending(
        units, VITAMIN_D, "collected_on", in_look_back(measure) & since
    ).with_columns(met=pl.col("met").fill_null(False) & ~pl.col("excepted"))


def calcium_counselling(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count men on treatment: met with counselling."""
    counselled = rows.events("counselling").rename({"occurred_on": "collected_on"})
    units = with_any(rows.men_on_drug, counselled, in_look_back(measure), "met")
    return rows.unless_pending(units, "counselling", "collected_on", in_look_back(measure))


def t_safety(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count men on testosterone: met with hematocrit and PSA."""
    trt = treatment_history.on_testosterone(rows.data.patients, rows.data.medications)
    men = (
        trt.join(rows.month_ends, how="cross")
        .filter(
            pl.col("trt_on") + days_of(measure, "course") <= pl.col("counted_on"),
            pl.col("trt_ended_on") > pl.col("counted_on"),
        )
        .select("patient_id", "counted_on")
    )
    present = treatment_history.while_present(men, rows.away, "counted_on", "counted_on")
    each = ("hematocrit", "psa")
    for analyte in each:
        done = rows.done(rows.results(analyte), analyte, "collected_on")
        present = with_any(present, done, in_look_back(measure), analyte)
    return present.with_columns(met=pl.all_horizontal(each))
