"""Bone: what a man's scans, fractures, bone drugs and bone plans say, whatever his E2 is.

In    the men's rows as of a day, the exposures between two scans, the criteria
Out   grain patient_id: his lowest scores and worst class, his worst change, and what no bone plan has followed

A finding is a fracture on an inhibitor, a score of osteoporosis, or a loss at two sites or twice at one. It is
planned for where a bone plan came on its day or later, or a drug for bone was in force then; one that waits in
quarantine counts, too.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

import polars as pl

from e2analytics.flags.criteria import Criteria
from e2analytics.reference import constants
from e2analytics.reference.names import BONE_DRUGS
from e2analytics.tables.patient_data import NEVER, PatientData
from e2analytics.tables.vocabulary import FITTED_SITES, OF_TWO_KINDS

IS_SO: Final = ("loss_repeated", "on_glucocorticoid", "denosumab_ended")
"""Columns of :func:`of_men` that are true or false; false for a man without rows."""
WORST_FIRST: Final = (
    "osteoporosis",
    "below_expected_for_age",
    "low_bone_mass",
    "within_expected",
    "normal",
)
"""Classes of bone, in the order in which a man's worst site is chosen."""
_TO_BE_PLANNED_FOR: Final = WORST_FIRST[:2]
BONE_PLAN: Final = "bone_plan"
FRACTURE: Final = "fracture"
_DENOSUMAB: Final = "denosumab"
_GLUCOCORTICOID: Final = "glucocorticoid"
_NOT_COMPARABLE: Final = (*OF_TWO_KINDS, "interval_too_short", "interval_too_long")
_SITES_OR_TIMES: Final = 2
"""Losses beyond LSC, at different sites or one after the other, that are more than chance at one of three sites."""


def of_men(data: PatientData, exposures: pl.DataFrame, criteria: Criteria) -> pl.DataFrame:
    """Return what is known of the bone of every man of whom something is.

    Parameters
    ----------
    data
        The men's rows.
    exposures
        Comparable scans with their change and its verdict.
    criteria
        The day, and the days of washout.
    """
    # What is older supports no flag; when bone was first low it still tells.
    oldest = oldest_scan(criteria)
    recent_pairs = exposures.filter(pl.col("second_on") >= oldest)
    recent_scans = data.densitometry.filter(pl.col("scanned_on") >= oldest)
    lost = _repeated_loss(recent_pairs)
    fractures = fractures_on_the_drug(data, criteria)
    findings = pl.concat(
        [
            fractures.select("patient_id", found_on="occurred_on"),
            _first_low_score(data.densitometry, recent_scans),
            lost.select("patient_id", found_on="loss_repeated_on"),
        ]
    )
    tables = (
        _worst_change(recent_pairs),
        _scores(recent_scans),
        lost.select("patient_id", loss_repeated=pl.lit(True)),
        fractures.group_by("patient_id").agg(fractured_on=pl.col("occurred_on").max()),
        _without_a_plan(findings, data),
        _drugs_that_add_risk(data.medications, criteria),
    )
    men = data.patients.select("patient_id")
    for table in tables:
        men = men.join(table, on="patient_id", how="left", validate="1:1")
    return men


def oldest_scan(criteria: Criteria) -> date:
    """Return the first day of which a scan still supports a flag."""
    return criteria.as_of - timedelta(
        days=round(criteria.settings.old_scan_years * constants.DAYS_PER_YEAR)
    )


def fractures_on_the_drug(data: PatientData, criteria: Criteria) -> pl.DataFrame:
    """Return the fractures on a day with an inhibitor in force, or not yet washed out."""
    washout = pl.duration(days=criteria.settings.washout_days)
    fractures = data.events.filter(pl.col("kind") == FRACTURE)
    on_drug = (
        fractures.select("patient_id", "occurred_on")
        .join(data.episodes.select("patient_id", "started_on", "ended_on"), on="patient_id")
        .filter(
            pl.col("started_on") <= pl.col("occurred_on"),
            pl.col("ended_on").is_null() | (pl.col("occurred_on") <= pl.col("ended_on") + washout),
        )
    )
    return fractures.join(on_drug, on=["patient_id", "occurred_on"], how="semi")


def last_pairs(exposures: pl.DataFrame) -> pl.DataFrame:
    """Return every man's last comparable scan pair of spine, hip and femoral neck."""
    return _comparable(exposures).unique(["patient_id", "site"], keep="last", maintain_order=True)


def _comparable(exposures: pl.DataFrame) -> pl.DataFrame:
    comparable = exposures.filter(~pl.col("why_not").fill_null("").is_in(_NOT_COMPARABLE))
    return comparable.filter(pl.col("site").is_in(FITTED_SITES)).sort("second_on", "first_on")


def last_scans(densitometry: pl.DataFrame) -> pl.DataFrame:
    """Return every man's last scan of spine, hip and femoral neck."""
    return (
        densitometry.filter(pl.col("site").is_in(FITTED_SITES))
        .sort("scanned_on", "namespace", "scan_id")
        .unique(["patient_id", "site"], keep="last", maintain_order=True)
    )


def _worst_change(exposures: pl.DataFrame) -> pl.DataFrame:
    """Return the last comparable pair of the site where bone changed worst: site, change and verdict of one pair."""
    lost = pl.col("lsc_verdict") == "loss"
    return (
        last_pairs(exposures)
        .sort("patient_id", ~lost, "annual_change_pct", "site")
        .group_by("patient_id", maintain_order=True)
        .agg(
            bmd_change_site=pl.col("site").first(),
            bmd_change_pct_per_year=pl.col("annual_change_pct").first(),
            loss_exceeds_lsc=lost.first(),
        )
    )


def _scores(densitometry: pl.DataFrame) -> pl.DataFrame:
    """Return the lowest scores of the last scans, and the class that is worst for bone."""
    last = last_scans(densitometry)
    return last.group_by("patient_id").agg(
        t_score_min=pl.col("t_score").min(),
        z_score_min=pl.col("z_score").min(),
        bone_class=pl.coalesce(
            pl.when((pl.col("bone_class") == name).any()).then(pl.lit(name)) for name in WORST_FIRST
        ),
    )


def _first_low_score(densitometry: pl.DataFrame, recent: pl.DataFrame) -> pl.DataFrame:
    """Return the first scan with osteoporosis of the men who still have it by a last scan, a recent one."""
    low = pl.col("bone_class").is_in(_TO_BE_PLANNED_FOR)
    still = last_scans(recent).filter(low)
    return (
        densitometry.filter(low, pl.col("site").is_in(FITTED_SITES))
        .join(still.select("patient_id"), on="patient_id", how="semi")
        .group_by("patient_id")
        .agg(found_on=pl.col("scanned_on").min())
    )


def _repeated_loss(exposures: pl.DataFrame) -> pl.DataFrame:
    """Return the day of the scan that showed a loss at a second site, or at one for the second time on end."""
    lost = pl.col("lsc_verdict") == "loss"
    last = last_pairs(exposures).filter(lost)
    two_sites = last.group_by("patient_id").agg(
        found_on=pl.col("second_on").max(), n=pl.len().cast(pl.Int64)
    )
    site = ["patient_id", "site"]
    twice = (
        _comparable(exposures)
        .group_by(site, maintain_order=True)
        .tail(_SITES_OR_TIMES)
        .group_by(site, maintain_order=True)
        .agg(found_on=pl.col("second_on").max(), n=lost.sum().cast(pl.Int64))
        .select("patient_id", "found_on", "n")
    )
    return (
        pl.concat([two_sites, twice])
        .filter(pl.col("n") >= _SITES_OR_TIMES)
        .group_by("patient_id")
        .agg(loss_repeated_on=pl.col("found_on").min())
    )


def _without_a_plan(findings: pl.DataFrame, data: PatientData) -> pl.DataFrame:
    """Return the first day, ``bone_finding_on``, of a finding that nothing has followed."""
    waiting = data.pending.filter(pl.col("what").is_in([BONE_PLAN, *BONE_DRUGS]))
    plans = pl.concat(
        [
            data.events.filter(pl.col("kind") == BONE_PLAN).select(
                "patient_id", acts_until="occurred_on"
            ),
            waiting.select("patient_id", acts_until="happened_on"),
            _bone_drugs(data.medications).select(
                "patient_id",
                # Of an order that goes on no end is known; one that has ended was in force until the day before.
                acts_until=(pl.col("stopped_on") - pl.duration(days=1)).fill_null(NEVER),
            ),
        ]
    )
    numbered = findings.with_row_index("finding")
    planned = numbered.join(plans, on="patient_id").filter(
        pl.col("acts_until") >= pl.col("found_on")
    )
    return (
        numbered.join(planned, on="finding", how="anti")
        .group_by("patient_id")
        .agg(bone_finding_on=pl.col("found_on").min())
    )


def _bone_drugs(medications: pl.DataFrame) -> pl.DataFrame:
    return _of_classes(medications, BONE_DRUGS)


def _of_classes(medications: pl.DataFrame, classes: tuple[str, ...]) -> pl.DataFrame:
    return medications.filter(pl.col("drug_class").cast(pl.String).is_in(classes)).select(
        pl.col("patient_id").cast(pl.String),
        pl.col("drug_class").cast(pl.String),
        "started_on",
        "stopped_on",
    )


def _drugs_that_add_risk(medications: pl.DataFrame, criteria: Criteria) -> pl.DataFrame:
    """Return who takes a glucocorticoid, and whose denosumab ended with no drug for bone since."""
    as_of = criteria.as_of
    in_force = (pl.col("started_on") <= as_of) & (
        pl.col("stopped_on").is_null() | (pl.col("stopped_on") > as_of)
    )
    glucocorticoids = _of_classes(medications, (_GLUCOCORTICOID,)).filter(in_force)
    of_bone = _bone_drugs(medications).filter(pl.col("started_on") <= as_of)
    denosumab = pl.col("drug_class") == _DENOSUMAB
    ended = of_bone.group_by("patient_id").agg(
        denosumab_ended=denosumab.any()
        & ~in_force.any()
        & (pl.col("stopped_on").max() == pl.col("stopped_on").filter(denosumab).max())
    )
    return (
        glucocorticoids.select("patient_id", on_glucocorticoid=pl.lit(True))
        .unique()
        .join(ended, on="patient_id", how="full", coalesce=True)
    )
