"""Measure units of bone: scans, losses, osteoporosis, body fat.

Each function returns the units of one measure of ``schemas/reference/measures.yaml``.
"""

from __future__ import annotations

import polars as pl

from e2analytics.measures import treatment_history
from e2analytics.measures.unit_rows import UnitRows, days_of, with_any, within
from e2analytics.reference.measures import Measure
from e2analytics.reference.names import AROMATASE_INHIBITOR, BONE_DRUGS
from e2analytics.tables.censoring import wholly_below
from e2analytics.tables.patient_data import BONE_SCAN
from e2analytics.tables.vocabulary import FITTED_SITES


def baseline_dxa(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count starts of treatment: met with a bone scan around the start."""
    starts = (
        rows.courses.join(rows.trt, on="patient_id")
        .filter(pl.col("trt_on") <= pl.col("started_on"))
        .with_columns(counted_on=pl.col("started_on") + days_of(measure, "after"))
        .filter(pl.col("ended_on") > pl.col("counted_on"))
        .select("patient_id", "started_on", "counted_on")
    )
    present = treatment_history.while_present(starts, rows.away, "started_on", "counted_on")
    first, last = pl.col("started_on") - days_of(measure, "before"), pl.col("counted_on")
    in_time = within("scanned_on", first, last)
    done = rows.done(rows.scans, BONE_SCAN, "scanned_on")
    scanned = with_any(present, done, in_time, "met")
    refused = within("occurred_on", first, last)
    return with_any(scanned, rows.events("dxa_refused"), refused, "excepted")


def follow_up_dxa(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count courses with a baseline scan: met with a later scan on the same scanner."""
    start = pl.col("started_on")
    lasting = rows.courses.filter(
        pl.col("ended_on") > start + days_of(measure, "course")
    ).with_columns(counted_on=start + days_of(measure, "until"))
    present = treatment_history.while_present(lasting, rows.away, "started_on", "counted_on")
    in_baseline = within(
        "scanned_on", start - days_of(measure, "before"), start + days_of(measure, "after")
    )
    with_baseline = with_any(present, rows.scans, in_baseline, "scanned").filter("scanned")
    # The join leaves out unnamed scanners: they may differ.
    again = rows.scans.join(
        rows.scans.rename({"scanned_on": "scanned_again_on"}),
        on=["patient_id", "site", "scanner_id"],
    )
    first, last = start + days_of(measure, "from"), pl.col("counted_on")
    in_time = within("scanned_again_on", first, last)
    followed = with_any(with_baseline, again, in_baseline & in_time, "met")
    refused = within("occurred_on", first, last)
    units = with_any(followed, rows.events("dxa_refused"), refused, "excepted")
    again_in_time = within("scanned_on", first, last)
    return rows.unless_pending(units, BONE_SCAN, "scanned_on", again_in_time)


def bone_loss(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count men with a comparable scan pair on treatment: met with a loss of at least the LSC."""
    spells = rows.doses.select("patient_id", "started_on", "ended_on")
    on_drug = (pl.col("started_on") < pl.col("scanned_on_2")) & (
        pl.col("ended_on") > pl.col("scanned_on")
    )
    units = _losses(with_any(_pairs(rows), spells, on_drug, "on_drug").filter("on_drug"))
    return units.with_columns(reported_separately=pl.col("met").is_null())


def bone_loss_off_the_drug(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count men on testosterone with a comparable scan pair without an inhibitor: met as in :func:`bone_loss`.

    Orders are asked, not treatment: men who are not judged have none, and are no comparator.
    """
    orders = rows.data.medications.filter(pl.col("drug_class") == AROMATASE_INHIBITOR)
    inhibited = (pl.col("started_on") < pl.col("scanned_on_2")) & (
        pl.col("stopped_on") > pl.col("scanned_on")
    ).fill_null(True)
    on_testosterone = (pl.col("trt_on") < pl.col("scanned_on_2")) & (
        pl.col("trt_ended_on") > pl.col("scanned_on")
    )
    pairs = with_any(_pairs(rows), rows.trt, on_testosterone, "on_testosterone")
    pairs = with_any(pairs, orders, inhibited, "inhibited")
    units = _losses(pairs.filter(pl.col("on_testosterone"), ~pl.col("inhibited")))
    return units.drop_nulls("met")


def _pairs(rows: UnitRows) -> pl.DataFrame:
    return rows.data.pairs.filter(pl.col("site").is_in(FITTED_SITES))


def _losses(pairs: pl.DataFrame) -> pl.DataFrame:
    """Tell of each man and day whether a comparable site lost its LSC; null where no site can be compared."""
    comparable = pl.col("why_not").is_null()
    change_pct = 100 * (pl.col("bmd_g_cm2_2") / pl.col("bmd_g_cm2")).log()
    lost = comparable & (change_pct <= -pl.col("lsc_pct"))
    return pairs.group_by("patient_id", counted_on="scanned_on_2", maintain_order=True).agg(
        met=pl.when(comparable.any()).then(lost.any())
    )


def osteoporosis_action(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count findings of osteoporosis and fractures: met with a plan or a drug for bone."""
    first_scan = (
        rows.data.densitometry.filter(
            pl.col("bone_class") == "osteoporosis", pl.col("site").is_in(FITTED_SITES)
        )
        .group_by("patient_id", maintain_order=True)
        .agg(found_on=pl.col("scanned_on").min())
    )
    fractures = rows.events("fracture").rename({"occurred_on": "found_on"})
    findings = (
        pl.concat([first_scan, fractures])
        .unique(maintain_order=True)
        .with_columns(counted_on=pl.col("found_on") + days_of(measure, "until"))
    )
    present = treatment_history.while_present(findings, rows.away, "found_on", "counted_on")
    in_time = within("occurred_on", pl.col("found_on"), pl.col("counted_on"))
    planned = with_any(present, rows.events("bone_plan"), in_time, "planned")
    drugs = rows.data.medications.filter(pl.col("drug_class").is_in(BONE_DRUGS)).select(
        "patient_id", "started_on", "stopped_on"
    )
    in_force = (pl.col("started_on") <= pl.col("counted_on")) & (
        pl.col("stopped_on").is_null() | (pl.col("stopped_on") > pl.col("found_on"))
    )
    units = with_any(planned, drugs, in_force, "treated").with_columns(
        met=pl.col("planned") | pl.col("treated")
    )
    return rows.unless_pending(units, ("bone_plan", *BONE_DRUGS), "occurred_on", in_time)


def de_escalation(rows: UnitRows, measure: Measure) -> pl.DataFrame:
    """Count fat losses of men with a low E2 on treatment: met with a review of the inhibitor."""
    of_scanner = ["patient_id", "scanner_id"]
    scans = (
        rows.data.dxa.drop_nulls(["body_fat_pct", "scanner_id"])
        .group_by(*of_scanner, "scanned_on")
        .agg(fat=pl.col("body_fat_pct").mean())
        .sort(*of_scanner, "scanned_on")
    )
    loss = pl.col("fat").shift(1).over(of_scanner) - pl.col("fat")
    leaner = scans.filter(loss >= measure.limits["fat_points"]).select(
        "patient_id",
        "scanned_on",
        counted_on=pl.col("scanned_on") + days_of(measure, "until"),
    )
    in_time = within(
        "collected_on", pl.col("scanned_on") - days_of(measure, "before"), pl.col("scanned_on")
    )
    last = (
        leaner.join(rows.draws_on_drug, on="patient_id")
        .filter(in_time)
        .sort("collected_at", "result_id")
        .group_by("patient_id", "scanned_on", maintain_order=True)
        .agg(low=wholly_below(measure.limits["e2_pg_ml"]).last())
    )
    low = leaner.join(last.filter("low"), on=["patient_id", "scanned_on"], how="semi")
    on_drug = (pl.col("started_on") <= pl.col("scanned_on")) & (
        pl.col("ended_on") > pl.col("scanned_on")
    )
    treated = with_any(low, rows.doses, on_drug, "on_drug").filter("on_drug")
    present = treatment_history.while_present(treated, rows.away, "scanned_on", "counted_on")
    reviewed = within("occurred_on", pl.col("scanned_on"), pl.col("counted_on"))
    units = with_any(present, rows.events("ai_review"), reviewed, "met")
    return rows.unless_pending(units, "ai_review", "occurred_on", reviewed)
