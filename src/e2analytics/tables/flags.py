"""Contracts of the men on an aromatase inhibitor, their flags, and the context of these."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl
from pandera.typing.polars import Series

from e2analytics.tables.contract import Table
from e2analytics.tables.vocabulary import (
    ASSAYS,
    BONE_CLASSES,
    CAUSES,
    FITTED_SITES,
    LIMIT_SOURCES,
    LSC_VERDICTS,
    REFERENCES,
    SITES,
    STATUSES,
    TIERS,
)


class Cohort(Table):
    """Every man on an aromatase inhibitor on the as-of date. Grain: patient_id, as_of."""

    patient_id: Series[str]
    clinic_id: Series[str]
    as_of: Series[pl.Date]
    weekly_anastrozole_mg: Series[float] = pa.Field(nullable=True)
    last_e2_low_pg_ml: Series[float] = pa.Field(nullable=True)
    last_e2_high_pg_ml: Series[float] = pa.Field(nullable=True)
    last_e2_on: Series[pl.Date] = pa.Field(nullable=True)
    assay: Series[str] = pa.Field(isin=ASSAYS, nullable=True)
    n_draws: Series[pl.Int64] = pa.Field(ge=0, description="E2 draws that the estimate rests on.")
    e2_expected_pg_ml: Series[float] = pa.Field(nullable=True, description="Level at this dose.")
    e2_ci_low: Series[float] = pa.Field(nullable=True)
    e2_ci_high: Series[float] = pa.Field(nullable=True)
    e2_off_drug_pg_ml: Series[float] = pa.Field(nullable=True)
    p_below_range: Series[float] = pa.Field(nullable=True, ge=0, le=1)
    p_attributable: Series[float] = pa.Field(nullable=True, ge=0, le=1)
    p_below_red_line: Series[float] = pa.Field(nullable=True, ge=0, le=1)
    p_fell_6m: Series[float] = pa.Field(
        nullable=True, ge=0, le=1, description="E2 at this dose fell by over 25 % within 182 days."
    )
    p_fell_12m: Series[float] = pa.Field(
        nullable=True, ge=0, le=1, description="The same within 365 days."
    )
    p_rose_6m: Series[float] = pa.Field(
        nullable=True, ge=0, le=1, description="E2 rose as much (to 4/3 or more) within 182 days."
    )
    p_rose_12m: Series[float] = pa.Field(
        nullable=True, ge=0, le=1, description="The same within 365 days."
    )
    changed_on: Series[pl.Date] = pa.Field(
        nullable=True,
        description="About when it fell or rose within 365 days; null if probably neither.",
    )
    lower_limit_pg_ml: Series[float] = pa.Field(description="The limit in use.")
    limit_source: Series[str] = pa.Field(isin=LIMIT_SOURCES)
    status: Series[str] = pa.Field(isin=STATUSES)
    tier: Series[str] = pa.Field(isin=TIERS)
    reasons: Series[str] = pa.Field(description="Rule names, separated by '; '.")
    rationale: Series[str] = pa.Field(
        description="In words, with file and line of what it rests on."
    )
    t_score_min: Series[float] = pa.Field(nullable=True)
    z_score_min: Series[float] = pa.Field(nullable=True)
    bmd_change_site: Series[str] = pa.Field(
        isin=FITTED_SITES,
        nullable=True,
        description="Where bone changed worst: a loss beyond LSC first, then the least annual change.",
    )
    bmd_change_pct_per_year: Series[float] = pa.Field(
        nullable=True, description="Of the last comparable scans at that site."
    )
    bone_class: Series[str] = pa.Field(
        isin=BONE_CLASSES, nullable=True, description="Worst of the last scans; see densitometry."
    )
    loss_exceeds_lsc: Series[bool] = pa.Field(nullable=True, description="At that site.")
    bone_finding_on: Series[pl.Date] = pa.Field(
        nullable=True,
        description="First day of a fracture, osteoporosis or repeated loss that no bone plan has followed.",
    )
    below_since: Series[pl.Date] = pa.Field(
        nullable=True, description="Since when all results on the drug lie below the limit."
    )
    model_id: Series[str]
    rules_id: Series[str] = pa.Field(
        description="Version of the rules, and digest of what decides and of thresholds."
    )
    results_digest: Series[str] = pa.Field(
        description="Changes when a result, his height or weight does."
    )
    dose_digest: Series[str] = pa.Field(
        description="Changes when an order of his does, of any drug that counts here."
    )
    scans_digest: Series[str] = pa.Field(
        description="Changes when a scan, fracture or bone plan of his does."
    )

    class Config:
        """Facts of the table."""

        key = ("patient_id",)
        of_the_day = ("as_of",)


class Flags(Cohort):
    """The men of ``cohort`` whose tier is not none, with the flag's life. Grain: patient_id."""

    first_flagged_on: Series[pl.Date]
    state: Series[str] = pa.Field(isin=["new", "open", "resolved", "reopened"])
    review_state: Series[str] = pa.Field(isin=["not_reviewed", "reviewed"])
    review_note: Series[str] = pa.Field(nullable=True)


class FlagEvents(Table):
    """What changed at which run, of flags and statuses, and why. Grain: run_id, patient_id, event."""

    run_id: Series[str]
    as_of: Series[pl.Date]
    patient_id: Series[str]
    clinic_id: Series[str]
    event: Series[str] = pa.Field(
        isin=["new", "resolved", "reopened", "tier_changed", "status_changed"]
    )
    was: Series[str] = pa.Field(description="Tier before; of status_changed the status.")
    now: Series[str] = pa.Field(description="Tier now; of status_changed the status.")
    why: Series[str] = pa.Field(
        description="Names of changes in schemas/reference/flag_rules.yaml, separated by '; '."
    )

    class Config:
        """Facts of the table."""

        key = ("run_id", "patient_id", "event")


class FlagEvidence(Table):
    """What a flag rests on and what would change it. Grain: patient_id, position."""

    patient_id: Series[str]
    as_of: Series[pl.Date]
    position: Series[pl.Int64] = pa.Field(ge=0, description="Order of reading; 0 is the paragraph.")
    piece: Series[str] = pa.Field(
        isin=[
            "explanation",
            "e2_result",
            "dose",
            "scan_pair",
            "scan",
            "event",
            "estimate",
            "limit",
            "reason",
            "status",
            "tier",
            "would_change",
            "projection",
        ]
    )
    name: Series[str] = pa.Field(nullable=True, description="Assay, drug, site, rule, dose ...")
    id: Series[str] = pa.Field(
        nullable=True, description="Of the result or scan, as its source has it."
    )
    on: Series[pl.Date] = pa.Field(nullable=True)
    value_low: Series[float] = pa.Field(nullable=True)
    value_high: Series[float] = pa.Field(
        nullable=True, description="Equal to value_low unless it is an interval, null if open."
    )
    unit: Series[str] = pa.Field(nullable=True)
    words: Series[str] = pa.Field(nullable=True)
    source: Series[str] = pa.Field(nullable=True, description="Of a rule, limit or estimate.")
    source_file: Series[str] = pa.Field(nullable=True)
    source_line: Series[pl.Int64] = pa.Field(nullable=True)

    class Config:
        """Facts of the table."""

        key = ("patient_id", "position")
        of_the_day = ("as_of",)


class Causes(Table):
    """How a man's E2 comes about against a reference. Grain: patient_id, cause.

    The log ratios of a man add up to that of his E2 now over the reference. All is on the scale of mass
    spectrometry: the assay is no cause.
    """

    patient_id: Series[str]
    clinic_id: Series[str]
    as_of: Series[pl.Date]
    position: Series[pl.Int64] = pa.Field(ge=0, description="0: what lowers his E2 most.")
    cause: Series[str] = pa.Field(isin=CAUSES)
    log_ratio: Series[float] = pa.Field(
        description="Change of log E2 that it brings; below 0 it lowers E2."
    )
    share: Series[float] = pa.Field(
        nullable=True, description="Of the fall; null where E2 has not fallen by a quarter."
    )
    reference: Series[str] = pa.Field(
        isin=REFERENCES, description="Own best year; without one, men like him off the drug."
    )
    reference_from: Series[pl.Date] = pa.Field(
        nullable=True, description="First draw of his best year."
    )
    reference_until: Series[pl.Date] = pa.Field(nullable=True, description="Its last draw.")
    reference_e2_pg_ml: Series[float] = pa.Field(gt=0, description="Geometric mean.")
    e2_pg_ml: Series[float] = pa.Field(gt=0, description="Now: `e2_expected_pg_ml` of cohort.")

    class Config:
        """Facts of the table."""

        key = ("patient_id", "cause")
        order = ("patient_id", "position")
        of_the_day = ("as_of",)


class Gaps(Table):
    """What is missing in a man's care, whatever his flag. Grain: patient_id, gap."""

    patient_id: Series[str]
    clinic_id: Series[str]
    as_of: Series[pl.Date]
    gap: Series[str] = pa.Field(description="Name in schemas/reference/flag_rules.yaml.")
    since_on: Series[pl.Date] = pa.Field(
        nullable=True, description="Day of the start, change, scan or result that it follows."
    )
    due_on: Series[pl.Date] = pa.Field(nullable=True, description="Last day to be in time.")
    note: Series[str] = pa.Field(
        nullable=True,
        description="The result that it follows, and whether a later one waits, in words; of results above a line.",
    )

    class Config:
        """Facts of the table."""

        key = ("patient_id", "gap")
        of_the_day = ("as_of",)


class Context(Table):
    """Context of a man's E2: descriptive, without cut-offs. Grain: patient_id."""

    patient_id: Series[str]
    clinic_id: Series[str]
    as_of: Series[pl.Date]
    testosterone_ng_dl: Series[float] = pa.Field(nullable=True, description="Last total, ng/dL.")
    testosterone_on: Series[pl.Date] = pa.Field(nullable=True)
    testosterone_usual_ng_dl: Series[float] = pa.Field(
        nullable=True, description="Geometric mean of all his results, ng/dL."
    )
    t_e2_ratio: Series[float] = pa.Field(
        nullable=True,
        description="Testosterone (ng/dL) / E2 (pg/mL) of one day; no cut-off for bone is known.",
    )
    t_e2_on: Series[pl.Date] = pa.Field(nullable=True)
    t_e2_assay: Series[str] = pa.Field(isin=ASSAYS, nullable=True, description="Of that E2.")
    t_e2_earlier_ratio: Series[float] = pa.Field(
        nullable=True, description="Geometric mean of his earlier days by the same assay."
    )
    t_e2_earlier_days: Series[pl.Int64] = pa.Field(
        nullable=True, ge=0, description="How many days these are."
    )
    t_e2_earlier_from_on: Series[pl.Date] = pa.Field(nullable=True, description="The first.")
    free_e2_on: Series[pl.Date] = pa.Field(
        nullable=True,
        description="Last E2 by mass spectrometry with testosterone and SHBG near it.",
    )
    free_e2_pg_ml: Series[float] = pa.Field(
        nullable=True, gt=0, description="Calculated, constants of Södergård 1982."
    )
    free_e2_ci_low: Series[float] = pa.Field(
        nullable=True, gt=0, description="95 % by the assays' errors."
    )
    free_e2_ci_high: Series[float] = pa.Field(nullable=True, gt=0)
    free_e2_as_line_pg_ml: Series[float] = pa.Field(
        nullable=True, gt=0, description="By the constants behind the line of 0.27 pg/mL."
    )
    free_e2_as_line_ci_low: Series[float] = pa.Field(nullable=True, gt=0)
    free_e2_as_line_ci_high: Series[float] = pa.Field(nullable=True, gt=0)
    body_fat_pct: Series[float] = pa.Field(nullable=True, description="Last, %.")
    body_fat_on: Series[pl.Date] = pa.Field(nullable=True)
    body_fat_change_points: Series[float] = pa.Field(
        nullable=True, description="Since the scan before on the same scanner, percentage points."
    )
    body_fat_since_on: Series[pl.Date] = pa.Field(nullable=True, description="That scan's day.")
    calcium_mg_dl: Series[float] = pa.Field(nullable=True, description="Last in serum, mg/dL.")
    calcium_on: Series[pl.Date] = pa.Field(nullable=True)
    vitamin_d_ng_ml: Series[float] = pa.Field(nullable=True, description="Last 25-OH, ng/mL.")
    vitamin_d_on: Series[pl.Date] = pa.Field(nullable=True)
    lifestyle: Series[str] = pa.Field(
        nullable=True,
        description="Calcium beside what is recommended at his age, protein, loading sessions by kind: last answers, in words.",
    )
    early_signals: Series[str] = pa.Field(
        nullable=True,
        description="Bone markers, PTH, magnesium, LH and FSH: last results and what they suggest, in words.",
    )
    bone_class: Series[str] = pa.Field(isin=BONE_CLASSES, nullable=True)
    bone_class_site: Series[str] = pa.Field(isin=SITES, nullable=True)
    bone_class_on: Series[pl.Date] = pa.Field(nullable=True)
    bmd_site: Series[str] = pa.Field(
        isin=SITES, nullable=True, description="Site that changed for the worst against its LSC."
    )
    bmd_first_on: Series[pl.Date] = pa.Field(nullable=True)
    bmd_second_on: Series[pl.Date] = pa.Field(nullable=True)
    bmd_change_pct: Series[float] = pa.Field(nullable=True, description="Between the two, %.")
    lsc_pct: Series[float] = pa.Field(nullable=True, description="What two scans can show, %.")
    lsc_verdict: Series[str] = pa.Field(isin=LSC_VERDICTS, nullable=True)
    bmd_bone_drugs: Series[str] = pa.Field(
        nullable=True, description="Other drugs that moved bone between the two, in words."
    )
    bone_drugs: Series[str] = pa.Field(nullable=True, description="Since when, until when.")
    glucocorticoids: Series[str] = pa.Field(nullable=True, description="Since when, until when.")
    e2_drugs: Series[str] = pa.Field(
        nullable=True, description="Other drugs that change or disturb E2: since when, and how."
    )

    class Config:
        """Facts of the table."""

        key = ("patient_id",)
        of_the_day = ("as_of",)
