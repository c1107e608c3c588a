"""Measure units of estradiol: results after a change, assays, low results, indicated starts.

Each function returns the units of one measure of ``schemas/reference/measures.yaml``.
"""

from __future__ import annotations

import polars as pl

from e2analytics.measures import treatment_history
from e2analytics.measures.unit_rows import UnitRows, days_of, with_any, within
from e2analytics.reference.measures import Measure
from e2analytics.reference.names import ESTRADIOL
from e2analytics.tables.censoring import wholly_below
from e2analytics.tables.patient_data import MS_EQUIVALENT


def e2_after_change(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count starts and changes of dose: met with an E2 result at the new dose."""
    start = pl.col("started_on")
    first = start + days_of(measure, "from")
    changes = rows.doses.filter(
        pl.col("is_start") | pl.col("is_change"), pl.col("ended_on") >= first
    ).with_columns(counted_on=start + days_of(measure, "until"))
    present = treatment_history.while_present(changes, rows.away, "started_on", "counted_on")
    drawn = rows.done(rows.data.draws, ESTRADIOL, "collected_on")
    at_this_dose = pl.col("collected_on") < pl.col("ended_on")
    in_time = within("collected_on", first, pl.col("counted_on")) & at_this_dose
    return with_any(present, drawn, in_time, "met")


def ms_share(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count E2 results on treatment: met by mass spectrometry."""
    return rows.draws_on_drug.select(
        "patient_id", counted_on="collected_on", met=pl.col("assay") == "ms"
    )


def e2_below(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count men on treatment with an E2 result in the month: met below the measure's line."""
    line = measure.limits["e2_pg_ml"]
    last_of_month = (
        rows.draws_on_drug.filter(~pl.col("in_transition"))
        .with_columns(month=pl.col("collected_on").dt.truncate("1mo"))
        .sort(~pl.col("pending"), "collected_at", "result_id")
        .unique(["patient_id", "month"], keep="last", maintain_order=True)
    )
    # 16 by immunoassay may be 10 or 25: only mass spectrometry gives the side of the line.
    by_ms = pl.col("assay") == "ms"
    not_below = pl.col("value_low") >= line
    met = pl.when(by_ms & wholly_below(line)).then(True).when(by_ms & not_below).then(False)
    return last_of_month.select(
        "patient_id", counted_on="collected_on", met=met, reported_separately=met.is_null()
    )


def response_to_low_e2(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count low E2 results on treatment: met with a lower dose, or a result that is not low any more.

    Another low result answers nothing, nor does one of before a steady state, nor an immunoassay what mass
    spectrometry found.
    """
    line = measure.limits["e2_pg_ml"]
    by_ms = pl.col("assay") == "ms"
    low = (
        rows.draws_on_drug.filter(wholly_below(line))
        .group_by("patient_id", drawn_on="collected_on", maintain_order=True)
        .agg(low_by_ms=by_ms.any())
        .with_columns(counted_on=pl.col("drawn_on") + days_of(measure, "until"))
    )
    present = treatment_history.while_present(low, rows.away, "drawn_on", "counted_on")
    then = _in_force(rows, present, "drawn_on")
    asked = present.join(then, on=["patient_id", "drawn_on"], how="semi")
    soon = (pl.col("collected_on") > pl.col("drawn_on")) & (
        pl.col("collected_on") <= pl.col("counted_on")
    )
    not_low = (
        ~pl.col("in_transition") & (pl.col("value_low") >= line) & (by_ms | ~pl.col("low_by_ms"))
    )
    recovered = with_any(asked, rows.draws, soon & not_low, "recovered")
    lowered = _lowered(then, _in_force(rows, present, "counted_on"))
    units = recovered.join(lowered, on=["patient_id", "drawn_on"], how="left").with_columns(
        met=pl.col("recovered") | pl.col("lowered").fill_null(False)
    )
    # What waits may be the result that is not low any more.
    return rows.unless_pending(units, ESTRADIOL, "collected_on", soon)


def indicated_start(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count starts of treatment: met with a high E2 before, or a raised one and a symptom, as mass spectrometry reads.

    A result that cannot tell is an exception.
    """
    first = pl.col("started_on") - days_of(measure, "before")
    high, with_symptom = (
        measure.limits[name] for name in ("high_e2_pg_ml", "symptomatic_e2_pg_ml")
    )
    starts = rows.courses.select("patient_id", "started_on", counted_on="started_on")
    # Same-day ties: a result with a value last.
    last = (
        starts.join(rows.draws, on="patient_id")
        .filter(within("collected_on", first, pl.col("started_on")))
        .sort("collected_on", ~pl.col("pending"), "collected_at", "result_id")
        .group_by("patient_id", "started_on", maintain_order=True)
        .agg(pl.col(MS_EQUIVALENT).last(), drawn=pl.lit(True))
    )
    tested = starts.join(last, on=["patient_id", "started_on"], how="left")
    in_time = within("occurred_on", first, pl.col("started_on"))
    least, most = (pl.col(name) for name in MS_EQUIVALENT)
    symptom, drawn = pl.col("symptom"), pl.col("drawn").is_not_null()
    met = ((least > high) | ((least >= with_symptom) & symptom)).fill_null(False)
    not_met = ((most < with_symptom) | ((most <= high) & ~symptom)).fill_null(False)
    return with_any(tested, rows.events("symptom"), in_time, "symptom").with_columns(
        met=met, excepted=drawn & ~met & ~not_met, reported_separately=~drawn
    )


def _in_force(rows: UnitRows, units: pl.DataFrame, day: str) -> pl.DataFrame:
    """Return the inhibitors in force on a day of each unit, one row each."""
    return (
        units.select("patient_id", "drawn_on", pl.col(day).alias("day"))
        .join(rows.doses, on="patient_id")
        .filter(pl.col("started_on") <= pl.col("day"), pl.col("ended_on") > pl.col("day"))
        .select("patient_id", "drawn_on", "drug", "weekly_dose_mg")
    )


def _lowered(then: pl.DataFrame, due: pl.DataFrame) -> pl.DataFrame:
    """Tell for each unit whether an inhibitor was stopped or cut, and none raised or begun."""
    unit = ["patient_id", "drawn_on"]
    doses = then.with_columns(then=True).join(
        due.with_columns(due=True), on=[*unit, "drug"], how="full", coalesce=True, suffix="_due"
    )
    stopped = pl.col("due").is_null()
    cut = (pl.col("weekly_dose_mg_due") < pl.col("weekly_dose_mg")).fill_null(False)
    begun = pl.col("then").is_null()
    raised = (pl.col("weekly_dose_mg_due") > pl.col("weekly_dose_mg")).fill_null(False)
    return doses.group_by(unit).agg(lowered=(stopped | cut).any() & ~(begun | raised).any())
