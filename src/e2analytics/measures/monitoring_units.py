"""Measure units of monitoring: vitamin D, counselling, haematocrit and PSA.

Each function returns the units of one measure of ``schemas/reference/measures.yaml``.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics import reference
from e2analytics.measures import treatment_history
from e2analytics.measures.unit_rows import UnitRows, days_of, in_look_back, with_any
from e2analytics.reference.measures import Measure
from e2analytics.reference.names import BONE_DRUGS, HEMATOCRIT, PSA, VITAMIN_D
from e2analytics.tables.censoring import wholly_above, wholly_below
from e2analytics.tables.patient_data import is_aged

_LOW_BONE: Final = ("osteoporosis", "low_bone_mass", "below_expected_for_age")


def vitamin_d_tested(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count men on treatment with an indication: met with a vitamin D result."""
    tested = rows.done(rows.results(VITAMIN_D), VITAMIN_D, "collected_on")
    return with_any(_with_indication(rows, measure), tested, in_look_back(measure), "met")


def vitamin_d_sufficient(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count men on treatment with an indication: met with a last vitamin D result that is enough."""
    enough = measure.limits["vitamin_d_ng_ml"]
    men = _with_indication(rows, measure)
    last = (
        men.join(rows.results(VITAMIN_D), on="patient_id")
        .filter(in_look_back(measure))
        .sort("collected_at", "result_id")
        .group_by("patient_id", "counted_on", maintain_order=True)
        .agg(met=pl.col("value_low").last() >= enough, last_on=pl.col("collected_on").last())
    )
    units = men.join(last, on=["patient_id", "counted_on"], how="left")
    since = (pl.col("collected_on") > pl.col("last_on")).fill_null(True)
    # Only the last result counts: where it is in quarantine, an earlier one does not replace it.
    return rows.unless_pending(
        units, VITAMIN_D, "collected_on", in_look_back(measure) & since
    ).with_columns(met=pl.col("met").fill_null(False) & ~pl.col("excepted"))


def _with_indication(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Return the men on treatment with something by that day for which 25-OH vitamin D is measured."""
    data, limits = rows.data, reference.load("early_signals")["limits"]
    pth, calcium = (pl.col("analyte") == name for name in ("pth", "calcium"))
    outside = (pth & wholly_above(limits["pth"]["high"])) | (
        calcium & (wholly_above(limits["calcium"]["high"]) | wholly_below(limits["calcium"]["low"]))
    )
    of_bone = pl.concat(
        [
            data.densitometry.filter(pl.col("bone_class").is_in(_LOW_BONE)).select(
                "patient_id", on="scanned_on"
            ),
            rows.events("fracture").select("patient_id", on="occurred_on"),
            data.medications.filter(pl.col("drug_class").is_in(BONE_DRUGS)).select(
                "patient_id", on="started_on"
            ),
        ]
    )
    results = data.labs.filter(outside).select("patient_id", "collected_on")
    found = with_any(rows.men_on_drug, of_bone, pl.col("on") <= pl.col("counted_on"), "bone")
    found = with_any(found, results, in_look_back(measure), "result")
    return found.filter(pl.col("bone") | pl.col("result")).select("patient_id", "counted_on")


def calcium_counselling(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count men on treatment: met with counselling."""
    counselled = rows.events("counselling").rename({"occurred_on": "collected_on"})
    units = with_any(rows.men_on_drug, counselled, in_look_back(measure), "met")
    return rows.unless_pending(units, "counselling", "collected_on", in_look_back(measure))


def haematocrit_tested(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count men long on testosterone: met with a haematocrit."""
    return _tested(rows, measure, HEMATOCRIT, _long_on_testosterone(rows, measure))


def psa_tested(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count men of an age long on testosterone: met with a PSA."""
    ages = (measure.limits["from_years"], measure.limits["below_years"])
    men = _long_on_testosterone(rows, measure).filter(is_aged(*ages, pl.col("counted_on")))
    return _tested(rows, measure, PSA, men)


def _long_on_testosterone(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    day = pl.col("counted_on")
    return (
        rows.trt.join(rows.month_ends, how="cross")
        .filter(pl.col("trt_on") + days_of(measure, "course") <= day, pl.col("trt_ended_on") > day)
        .join(rows.data.patients.select("patient_id", "birth_date"), on="patient_id")
    )


def _tested(rows: UnitRows, measure: Measure, analyte: str, men: pl.DataFrame) -> pl.DataFrame:
    present = treatment_history.while_present(
        men.select("patient_id", "counted_on"), rows.away, "counted_on", "counted_on"
    )
    done = rows.done(rows.results(analyte), analyte, "collected_on")
    return with_any(present, done, in_look_back(measure), "met")


def haematocrit_high(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count men on testosterone with a haematocrit in the month: met with a last one above the line."""
    line = measure.limits["hematocrit_pct"]
    above, not_above = wholly_above(line), pl.col("value_high") <= line
    day, month = pl.col("collected_on"), pl.col("collected_on").dt.truncate("1mo")
    last_of_month = (
        rows.data.labs.filter(pl.col("analyte") == HEMATOCRIT)
        .join(rows.trt, on="patient_id")
        .filter(pl.col("trt_on") <= day, pl.col("trt_ended_on") > day)
        .with_columns(month=month)
        .sort("collected_at", "result_id")
        .unique(["patient_id", "month"], keep="last", maintain_order=True)
        .select(
            "patient_id", counted_on=day, met=above, excepted=~(above | not_above.fill_null(False))
        )
    )
    later = (day > pl.col("counted_on")) & (month == pl.col("counted_on").dt.truncate("1mo"))
    return rows.unless_pending(last_of_month, HEMATOCRIT, "collected_on", later)
