"""What every table of the store promises: grain, columns, units, meaning.

``schemas/contracts/*.yaml`` is exported from here by ``e2analytics schemas``; a test keeps the two
equal. What a supplier's *row* must satisfy before it may enter a table stands in ``rules``: those
rules set rows apart, these contracts stop the run.
"""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import pandera.polars as pa
import polars as pl
from pandera.typing.polars import Series

SITES: Final = ("lumbar_spine", "total_hip", "femoral_neck", "one_third_radius", "total_body")
FITTED_SITES: Final = ("lumbar_spine", "total_hip", "femoral_neck")
POOLED: Final = "pooled"
"""All fitted sites in one curve, with a term for each site."""
CURVES_OF: Final = (*FITTED_SITES, POOLED)
ASSAYS: Final = ("ms", "ia", "unknown")
STATUSES: Final = ("below_range", "low_not_attributable", "in_range", "not_assessable")
GRADES: Final = ("A", "B", "C", "D")
BONE_CLASSES: Final = (
    "normal",
    "low_bone_mass",
    "osteoporosis",
    "within_expected",
    "below_expected_for_age",
)
TIERS: Final = ("critical", "high", "watch", "none")
VERDICTS: Final = (
    "u_shaped",
    "low_side_threshold",
    "rising",
    "high_side_threshold",
    "falling",
    "flat",
    "inconclusive",
)
PARTS: Final = ("all", "ingest", "fit", "flag")
OUTCOMES: Final = ("annual_change_pct", "risk_loss_lsc_2y", "bmd_level_g_cm2")

EVENT_DATE: Final = {
    "labs": "collected_on",
    "dxa": "scanned_on",
    "medications": "started_on",
    "events": "occurred_on",
}
"""By canonical table: the day on which a row happened."""

Utc: TypeAlias = Annotated[pl.Datetime, "us", "UTC"]


class Table(pa.DataFrameModel):
    """Base of all contracts: no column more, none less, none of another type."""

    class Config:
        """Strictness shared by all tables."""

        strict = True
        ordered = True


class SourceRow(Table):
    """What every row that came out of a supplier's file carries."""

    source_file: Series[str] = pa.Field(description="Feed file and hash prefix; never its name.")
    source_line: Series[pl.Int64] = pa.Field(
        ge=1, description="Line in that file; the header is line 1."
    )
    source_part: Series[pl.Int64] = pa.Field(
        ge=0, description="Which of several results that one line holds; 0 if there is one."
    )
    source_order: Series[pl.Int64] = pa.Field(
        ge=0, description="Order in which files were first read: which of two versions is later."
    )
    broken: Series[str] = pa.Field(
        description="Rules that the row breaks, separated by blanks: doubts, if it was accepted."
    )


class Patients(SourceRow):
    """One man known to a clinic. Grain: patient_id."""

    patient_id: Series[str] = pa.Field(unique=True, description="Keyed pseudonym; never an MRN.")
    namespace: Series[str] = pa.Field(description="Whose numbering the source id belongs to.")
    clinic_id: Series[str] = pa.Field(description="Clinic that treats him.")
    sex: Series[str] = pa.Field(isin=["M"], description="Only men are analysed.")
    birth_date: Series[pl.Date] = pa.Field(description="Date of birth.")
    height_cm: Series[float] = pa.Field(nullable=True, description="Height, cm.")
    weight_kg: Series[float] = pa.Field(nullable=True, description="Weight, kg.")
    trt_started_on: Series[pl.Date] = pa.Field(nullable=True, description="First testosterone.")
    imputed: Series[str] = pa.Field(description="Columns the feed declared instead of reading.")


class Labs(SourceRow):
    """One laboratory result in its analyte's one unit. Grain: namespace, result_id."""

    namespace: Series[str]
    result_id: Series[str] = pa.Field(description="The laboratory's number of the result.")
    patient_id: Series[str] = pa.Field(description="Keyed pseudonym.")
    collected_at: Series[Utc] = pa.Field(description="Instant of the draw, UTC.")
    collected_on: Series[pl.Date] = pa.Field(description="Local date of the draw.")
    analyte: Series[str] = pa.Field(description="Name in schemas/reference/analytes.yaml.")
    value_low: Series[float] = pa.Field(ge=0, description="Least value the result allows.")
    value_high: Series[float] = pa.Field(
        nullable=True,
        description="Greatest value; equal to value_low unless censored, null if open.",
    )
    unit: Series[str] = pa.Field(description="UCUM unit of the analyte.")
    assay: Series[str] = pa.Field(isin=ASSAYS, description="Never pooled without a term for it.")
    loinc: Series[str] = pa.Field(nullable=True)
    performing_lab: Series[str] = pa.Field(nullable=True)
    status: Series[str] = pa.Field(isin=["F", "C", "P"], description="HL7 result status.")
    reported_at: Series[Utc] = pa.Field(nullable=True)
    imputed: Series[str] = pa.Field(description="Columns the feed declared instead of reading.")

    class Config:
        """Grain."""

        unique = ["namespace", "result_id"]


class Dxa(SourceRow):
    """One site of one DXA scan. Grain: namespace, scan_id, site."""

    namespace: Series[str]
    scan_id: Series[str] = pa.Field(description="The scanner's number of the scan.")
    patient_id: Series[str] = pa.Field(description="Keyed pseudonym.")
    scanned_on: Series[pl.Date]
    site: Series[str] = pa.Field(isin=SITES)
    bmd_g_cm2: Series[float] = pa.Field(gt=0, description="Areal bone mineral density.")
    t_score: Series[float] = pa.Field(nullable=True)
    z_score: Series[float] = pa.Field(nullable=True)
    scanner_id: Series[str] = pa.Field(nullable=True)
    manufacturer: Series[str] = pa.Field(nullable=True)
    body_fat_pct: Series[float] = pa.Field(nullable=True)
    vertebrae: Series[str] = pa.Field(nullable=True)
    side: Series[str] = pa.Field(nullable=True)
    reference_db: Series[str] = pa.Field(nullable=True)
    status: Series[str] = pa.Field(isin=["F", "C", "P"], description="As of a laboratory result.")
    imputed: Series[str] = pa.Field(description="Columns the feed declared instead of reading.")

    class Config:
        """Grain."""

        unique = ["namespace", "scan_id", "site"]


class Medications(SourceRow):
    """One order of a drug that matters here. Grain: namespace, order_id."""

    namespace: Series[str]
    order_id: Series[str]
    patient_id: Series[str] = pa.Field(description="Keyed pseudonym.")
    drug: Series[str] = pa.Field(description="Ingredient, as in schemas/reference/drugs.yaml.")
    drug_class: Series[str] = pa.Field(description="aromatase_inhibitor, androgen ...")
    dose_mg: Series[float] = pa.Field(nullable=True, description="mg per dose; null if unknown.")
    doses_per_week: Series[float] = pa.Field(nullable=True)
    weekly_dose_mg: Series[float] = pa.Field(nullable=True, description="mg/week; null if unknown.")
    started_on: Series[pl.Date]
    stopped_on: Series[pl.Date] = pa.Field(nullable=True, description="First day without the drug.")
    status: Series[str] = pa.Field(isin=["F", "C", "P"], description="As of a laboratory result.")

    class Config:
        """Grain."""

        unique = ["namespace", "order_id"]


class Events(SourceRow):
    """Something that happened to a man. Grain: namespace, event_id."""

    namespace: Series[str]
    event_id: Series[str]
    patient_id: Series[str] = pa.Field(description="Keyed pseudonym.")
    kind: Series[str]
    occurred_on: Series[pl.Date]

    class Config:
        """Grain."""

        unique = ["namespace", "event_id"]


class Precision(SourceRow):
    """What a clinic measured of its scanner. Grain: namespace, clinic_id, scanner_id, site."""

    namespace: Series[str]
    clinic_id: Series[str]
    scanner_id: Series[str]
    site: Series[str] = pa.Field(isin=SITES)
    cv_pct: Series[float] = pa.Field(gt=0, description="Precision error, coefficient of variation.")

    class Config:
        """Grain."""

        unique = ["namespace", "clinic_id", "scanner_id", "site"]


class Files(Table):
    """The ledger: every file ever read, and what became of its rows. Grain: source_file."""

    source_file: Series[str] = pa.Field(unique=True, description="Feed file and hash prefix.")
    sha256: Series[str] = pa.Field(description="Hash of the whole file.")
    feed: Series[str]
    target: Series[str] = pa.Field(description="Table its rows go to.")
    source_order: Series[pl.Int64] = pa.Field(ge=0)
    run_id: Series[str] = pa.Field(description="Run that read it last.")
    described_by: Series[str] = pa.Field(
        description="Digest of the feed description and the reference tables it was read with."
    )
    named: Series[str] = pa.Field(
        description="Keyed hash of the file's name, by which a mended file is known again."
    )
    refused: Series[str] = pa.Field(nullable=True, description="Rule by which it was refused.")
    rows_read: Series[pl.Int64] = pa.Field(ge=0)
    accepted: Series[pl.Int64] = pa.Field(ge=0)
    duplicate: Series[pl.Int64] = pa.Field(ge=0)
    superseded: Series[pl.Int64] = pa.Field(ge=0)
    withdrawn: Series[pl.Int64] = pa.Field(ge=0)
    set_apart: Series[pl.Int64] = pa.Field(ge=0)
    quarantined: Series[pl.Int64] = pa.Field(ge=0)


class Quarantine(Table):
    """Why a row waits outside, or came in with a doubt. Grain: source_file, source_line, rule.

    A line whose cause is gone stays as ``resolved``.
    """

    feed: Series[str]
    target: Series[str] = pa.Field(description="Table that the row belongs to.")
    source_file: Series[str]
    source_line: Series[pl.Int64] = pa.Field(nullable=True, description="Null: the whole file.")
    rule: Series[str]
    severity: Series[str] = pa.Field(isin=["reject", "warn"])
    column: Series[str] = pa.Field(nullable=True)
    advice: Series[str] = pa.Field(description="What the supplier can do about it.")
    state: Series[str] = pa.Field(isin=["open", "resolved"])
    run_id: Series[str] = pa.Field(description="Run that listed it first.")
    resolved_run_id: Series[str] = pa.Field(nullable=True, description="Run that found it gone.")


class Attrition(Table):
    """From rows read to men analysed, step by step. Grain: run_id, unit, position."""

    run_id: Series[str]
    position: Series[pl.Int64] = pa.Field(ge=0, description="Order of the steps.")
    step: Series[str]
    unit: Series[str] = pa.Field(isin=["rows", "patients", "pairs"])
    n_in: Series[pl.Int64] = pa.Field(ge=0)
    n_out: Series[pl.Int64] = pa.Field(ge=0, description="Leaving at this step.")
    n_left: Series[pl.Int64] = pa.Field(ge=0, description="n_in - n_out.")
    reason: Series[str]


class UnitSlips(Table):
    """Results that look as if they were in another unit than declared. Grain: slip_id."""

    slip_id: Series[str]
    source_kind: Series[str] = pa.Field(isin=["performing_lab", "clinic", "feed"])
    source: Series[str]
    analyte: Series[str]
    month: Series[str] = pa.Field(description="YYYY-MM of the draws, or all.")
    factor: Series[float] = pa.Field(nullable=True, description="By which results look too large.")
    direction: Series[str] = pa.Field(description="The suspicion in words.")
    n_results: Series[pl.Int64] = pa.Field(ge=0)
    n_suspects: Series[pl.Int64] = pa.Field(ge=0)
    n_with_history: Series[pl.Int64] = pa.Field(
        ge=0, description="Results of men who have others to compare with."
    )
    share: Series[float] = pa.Field(nullable=True, description="Of the month that is shifted.")
    log10_bayes_factor: Series[float] = pa.Field(nullable=True)
    compared_with: Series[str] = pa.Field(description="What the evidence rests on.")
    action: Series[str] = pa.Field(description="quarantined, released, converted ...")
    release_line: Series[str] = pa.Field(
        nullable=True, description="Configuration that would release them."
    )
    convert_line: Series[str] = pa.Field(
        nullable=True,
        description="Configuration that would convert them; null: a part of the month slipped.",
    )


class Quality(Table):
    """How good a supplier's data are (Kahn et al. 2016). Grain: feed, target, month."""

    feed: Series[str]
    target: Series[str] = pa.Field(description="Table its rows go to.")
    month: Series[str] = pa.Field(
        nullable=True, description="YYYY-MM of the event; null: rows without a possible date."
    )
    n_rows: Series[pl.Int64] = pa.Field(
        ge=1, description="Rows that stand or wait: accepted and quarantined."
    )
    completeness_n: Series[pl.Int64] = pa.Field(ge=0)
    completeness_of: Series[pl.Int64] = pa.Field(ge=0)
    completeness: Series[float] = pa.Field(
        nullable=True, ge=0, le=1, description="Share with all that the analyses need."
    )
    completeness_grade: Series[str] = pa.Field(nullable=True, isin=GRADES)
    conformance_n: Series[pl.Int64] = pa.Field(ge=0)
    conformance_of: Series[pl.Int64] = pa.Field(ge=0)
    conformance: Series[float] = pa.Field(
        nullable=True,
        ge=0,
        le=1,
        description="Share that breaks no rejecting rule: not in quarantine.",
    )
    conformance_grade: Series[str] = pa.Field(nullable=True, isin=GRADES)
    plausibility_n: Series[pl.Int64] = pa.Field(ge=0)
    plausibility_of: Series[pl.Int64] = pa.Field(ge=0, description="Accepted rows.")
    plausibility: Series[float] = pa.Field(
        nullable=True, ge=0, le=1, description="Share of accepted rows without a warning."
    )
    plausibility_grade: Series[str] = pa.Field(nullable=True, isin=GRADES)
    days_to_report: Series[float] = pa.Field(
        nullable=True, ge=0, description="Median days from the draw to its report; accepted rows."
    )
    days_to_report_of: Series[pl.Int64] = pa.Field(ge=0, description="Rows that tell it.")
    timeliness_grade: Series[str] = pa.Field(nullable=True, isin=GRADES, description="Of reports.")
    days_to_read: Series[float] = pa.Field(
        nullable=True, ge=0, description="Median days from the event to the run; not graded."
    )
    days_to_read_of: Series[pl.Int64] = pa.Field(ge=0)
    grade: Series[str] = pa.Field(
        nullable=True, isin=GRADES, description="House rule: the worst grade that is known."
    )

    class Config:
        """Grain."""

        unique = ["feed", "target", "month"]


class Densitometry(Table):
    """What one scan says by itself. Grain: namespace, scan_id, site."""

    namespace: Series[str]
    scan_id: Series[str] = pa.Field(description="The scanner's number of the scan.")
    site: Series[str] = pa.Field(isin=SITES)
    patient_id: Series[str] = pa.Field(description="Keyed pseudonym.")
    scanned_on: Series[pl.Date]
    age_years: Series[pl.Int64] = pa.Field(description="Completed years on the day of the scan.")
    bone_class: Series[str] = pa.Field(
        isin=BONE_CLASSES, nullable=True, description="From 50 by T, below by Z (ISCD)."
    )
    score_used: Series[str] = pa.Field(isin=["t_score", "z_score"], nullable=True)
    why_not: Series[str] = pa.Field(
        isin=["no_t_score", "no_z_score", "site_has_no_class"],
        nullable=True,
        description="Null where classed.",
    )
    t_score: Series[float] = pa.Field(nullable=True, description="As reported.")
    z_score: Series[float] = pa.Field(nullable=True, description="As reported.")
    t_score_recomputed: Series[float] = pa.Field(
        nullable=True, description="(BMD - mean)/SD; null if the reference is not known."
    )
    t_score_agrees: Series[bool] = pa.Field(
        nullable=True, description="Reported within 0.15 of recomputed."
    )
    reference_db: Series[str] = pa.Field(nullable=True, description="As reported.")
    doubts: Series[str] = pa.Field(
        description="radius_in_special_cases t_score_disagrees male_reference, separated by blanks."
    )

    class Config:
        """Grain."""

        unique = ["namespace", "scan_id", "site"]


class Exposures(Table):
    """Two successive scans of a man and his E2 between them. Grain: patient_id, site, first scan."""

    patient_id: Series[str]
    clinic_id: Series[str]
    site: Series[str] = pa.Field(isin=SITES)
    scanner_id: Series[str]
    first_scan_id: Series[str]
    second_scan_id: Series[str]
    first_on: Series[pl.Date]
    second_on: Series[pl.Date]
    years: Series[float] = pa.Field(gt=0)
    first_bmd_g_cm2: Series[float]
    second_bmd_g_cm2: Series[float]
    annual_change_pct: Series[float] = pa.Field(description="100 ln(b2/b1)/years, %/year.")
    change_pct: Series[float] = pa.Field(description="Total change, 100 ln(b2/b1), %.")
    cross_calibrated: Series[bool] = pa.Field(
        description="Two scanners, by the clinic's own equation; BMD on scanner_id's scale."
    )
    precision_cv_pct: Series[float]
    lsc_pct: Series[float] = pa.Field(description="Least significant change, 2.77 x precision.")
    lsc_verdict: Series[str] = pa.Field(isin=["loss", "gain", "no_measurable_change"])
    n_draws: Series[pl.Int64]
    coverage: Series[float] = pa.Field(ge=0, description="Share of the interval that draws cover.")
    share_on_drug: Series[float] = pa.Field(ge=0, description="Share of the interval on the drug.")
    weekly_anastrozole_mg: Series[float] = pa.Field(
        nullable=True,
        description="Time-weighted mean over the interval; null if a dose is unknown.",
    )
    e2_pg_ml: Series[float] = pa.Field(nullable=True, description="Geometric mean over the time.")
    e2_ci_low_pg_ml: Series[float] = pa.Field(nullable=True)
    e2_ci_high_pg_ml: Series[float] = pa.Field(nullable=True)
    age_years: Series[float] = pa.Field(description="At the first scan.")
    bmi_kg_m2: Series[float] = pa.Field(nullable=True)
    log_testosterone: Series[float] = pa.Field(nullable=True, description="Mean log ng/dL.")
    years_on_trt: Series[float] = pa.Field(nullable=True, description="At the first scan.")
    usable: Series[bool]
    why_not: Series[str] = pa.Field(nullable=True, description="Null exactly where usable.")


class ExposureEpisodes(Table):
    """What a man held between two scans, and his E2 under it. Grain: patient_id, site, first scan, dose."""

    patient_id: Series[str]
    site: Series[str] = pa.Field(isin=SITES)
    first_scan_id: Series[str]
    weekly_anastrozole_mg: Series[float] = pa.Field(nullable=True, description="0: off the drug.")
    share: Series[float] = pa.Field(gt=0, le=1, description="Of the days between the scans.")
    log_e2_mean: Series[float] = pa.Field(description="Posterior, log pg/mL.")
    log_e2_sd: Series[float] = pa.Field(ge=0)


class OwnLevels(Table):
    """A man's own E2 under the dose response of the month. Grain: patient_id.

    His log E2 at a dose is what his covariates and the dose say of all men, plus his own level, plus on
    the drug his own response.
    """

    patient_id: Series[str] = pa.Field(unique=True)
    n_draws: Series[pl.Int64] = pa.Field(ge=1, description="E2 draws that it rests on.")
    n_on: Series[pl.Int64] = pa.Field(ge=0, description="Of them on the drug.")
    n_ms: Series[pl.Int64] = pa.Field(ge=0, description="Of them by mass spectrometry.")
    n_ms_on: Series[pl.Int64] = pa.Field(ge=0, description="Of those on the drug.")
    n_set_aside: Series[pl.Int64] = pa.Field(
        ge=0, description="Draws that fit nothing else of his."
    )
    draws_digest: Series[str] = pa.Field(
        description="Changes when a draw or what is beside it does."
    )
    log_testosterone: Series[float] = pa.Field(description="His usual one, log ng/dL.")
    log_testosterone_variance: Series[float] = pa.Field(ge=0, description="How sure that is.")
    bmi_kg_m2: Series[float] = pa.Field(description="His own, else the mean of all men.")
    age_years: Series[float] = pa.Field(description="On the day of the fit.")
    ever_on_drug: Series[float] = pa.Field(isin=[0.0, 1.0])
    level_mean: Series[float] = pa.Field(description="Own level, beyond his covariates; log ratio.")
    response_mean: Series[float] = pa.Field(description="Own response, beyond the dose; log ratio.")
    level_variance: Series[float] = pa.Field(ge=0)
    level_response_covariance: Series[float]
    response_variance: Series[float] = pa.Field(ge=0)
    level_by_constant: Series[float] = pa.Field(
        description="Fall per unit of a parameter, as all below."
    )
    level_by_log_testosterone: Series[float]
    level_by_bmi_kg_m2: Series[float]
    level_by_age_years: Series[float]
    level_by_ever_on_drug: Series[float]
    level_by_logit_emax: Series[float]
    level_by_log_ed50: Series[float]
    level_by_log_ia_slope: Series[float]
    level_by_ia_constant_pg_ml: Series[float]
    response_by_constant: Series[float]
    response_by_log_testosterone: Series[float]
    response_by_bmi_kg_m2: Series[float]
    response_by_age_years: Series[float]
    response_by_ever_on_drug: Series[float]
    response_by_logit_emax: Series[float]
    response_by_log_ed50: Series[float]
    response_by_log_ia_slope: Series[float]
    response_by_ia_constant_pg_ml: Series[float]
    model_id: Series[str]


class DoseEffects(Table):
    """How far a weekly dose lowers the average man's E2, at steady state. Grain: dose."""

    weekly_anastrozole_mg: Series[float] = pa.Field(gt=0)
    suppression_pct: Series[float] = pa.Field(ge=0, le=100, description="Of E2 off the drug.")
    ci_low_pct: Series[float] = pa.Field(
        description="95 % interval of the average, not of one man."
    )
    ci_high_pct: Series[float]
    n_men: Series[pl.Int64] = pa.Field(ge=0, description="With a draw at this dose.")
    known_before_the_data: Series[float] = pa.Field(
        ge=0,
        description="Greatest share of what is known of Emax or ED50 that came from the prior.",
    )
    model_id: Series[str]


class E2Checks(Table):
    """Whether E2 draws lie where the dose response expects them. Grain: by, name."""

    by: Series[str] = pa.Field(isin=["assay", "clinic", "laboratory", "dose"])
    name: Series[str]
    n_draws: Series[pl.Int64] = pa.Field(ge=1, description="Exact results.")
    n_outside: Series[pl.Int64] = pa.Field(
        ge=0, description="Outside their 95 % predictive interval."
    )
    share_outside: Series[float] = pa.Field(ge=0, le=1, description="0.05 is to be expected.")
    mean_z: Series[float] = pa.Field(description="Mean distance from the expected, in SD.")
    sd_z: Series[float] = pa.Field(nullable=True, description="1 is to be expected.")
    fits: Series[bool] = pa.Field(nullable=True, description="Null: too few draws to tell.")
    model_id: Series[str]


class Projections(Table):
    """What E2 would be at common doses: information, never an order. Grain: patient_id, dose."""

    patient_id: Series[str]
    weekly_anastrozole_mg: Series[float] = pa.Field(ge=0)
    e2_pg_ml: Series[float] = pa.Field(gt=0)
    e2_ci_low_pg_ml: Series[float] = pa.Field(gt=0)
    e2_ci_high_pg_ml: Series[float] = pa.Field(gt=0)


class Levels(Table):
    """One scan beside one E2: cross-sectional, never gives limits. Grain: patient_id, site."""

    patient_id: Series[str]
    site: Series[str] = pa.Field(isin=SITES)
    bmd_g_cm2: Series[float]
    e2_pg_ml: Series[float]
    age_years: Series[float]
    bmi_kg_m2: Series[float] = pa.Field(nullable=True)


class Curve(Table):
    """The fitted curve on its grid. Grain: site, outcome, e2_pg_ml."""

    site: Series[str] = pa.Field(isin=CURVES_OF)
    outcome: Series[str] = pa.Field(isin=OUTCOMES)
    e2_pg_ml: Series[float] = pa.Field(gt=0)
    estimate: Series[float] = pa.Field(description="Adjusted mean outcome, in the outcome's unit.")
    ci_low: Series[float] = pa.Field(description="Pointwise 95 %, clustered by patient.")
    ci_high: Series[float]
    band_low: Series[float] = pa.Field(description="Simultaneous 95 % over the supported points.")
    band_high: Series[float]
    n_effective: Series[pl.Int64] = pa.Field(ge=0, description="Men within +/- 0.2 in log E2.")
    supported: Series[bool]
    model_id: Series[str]


class CurveSummary(Table):
    """What the curve says. Grain: site, outcome."""

    site: Series[str] = pa.Field(isin=CURVES_OF)
    outcome: Series[str] = pa.Field(isin=OUTCOMES)
    verdict: Series[str] = pa.Field(isin=VERDICTS, nullable=True, description="Null: not fitted.")
    explanation: Series[str] = pa.Field(description="The verdict in words.")
    nadir_e2_pg_ml: Series[float] = pa.Field(nullable=True, description="Best bone, least risk.")
    nadir_ci_low: Series[float] = pa.Field(nullable=True)
    nadir_ci_high: Series[float] = pa.Field(nullable=True)
    lower_limit_pg_ml: Series[float] = pa.Field(nullable=True)
    lower_limit_ci_low: Series[float] = pa.Field(nullable=True)
    lower_limit_ci_high: Series[float] = pa.Field(nullable=True)
    lower_limit_share: Series[float] = pa.Field(
        nullable=True, description="Share of bootstrap replicates with a lower limit."
    )
    upper_limit_pg_ml: Series[float] = pa.Field(nullable=True)
    upper_limit_ci_low: Series[float] = pa.Field(nullable=True)
    upper_limit_ci_high: Series[float] = pa.Field(nullable=True)
    upper_limit_share: Series[float] = pa.Field(nullable=True)
    delta: Series[float] = pa.Field(description="Difference that matters, in the outcome's unit.")
    edf: Series[float] = pa.Field(nullable=True, description="Effective degrees of freedom.")
    smoothing: Series[float] = pa.Field(nullable=True)
    covariates: Series[str] = pa.Field(description="Adjusted for, and left out with the reason.")
    n_patients: Series[pl.Int64] = pa.Field(ge=0)
    n_intervals: Series[pl.Int64] = pa.Field(ge=0)
    supported: Series[bool] = pa.Field(description="The lower limit is supported.")
    why_not: Series[str] = pa.Field(nullable=True, description="Why there is no (supported) limit.")
    model_id: Series[str]


class CurveSensitivity(Table):
    """The primary curve with one choice made otherwise. Grain: site, outcome, variant."""

    site: Series[str] = pa.Field(isin=CURVES_OF)
    outcome: Series[str] = pa.Field(isin=OUTCOMES)
    variant: Series[str]
    varies: Series[str] = pa.Field(description="In words, what is varied.")
    n_men: Series[pl.Int64] = pa.Field(ge=0)
    n_intervals: Series[pl.Int64] = pa.Field(ge=0)
    verdict: Series[str] = pa.Field(
        isin=VERDICTS,
        nullable=True,
        description="Null: not fitted, or a textbook test without one.",
    )
    finding: Series[str] = pa.Field(nullable=True, description="In words, what it says.")
    nadir_e2_pg_ml: Series[float] = pa.Field(nullable=True)
    nadir_ci_low: Series[float] = pa.Field(nullable=True)
    nadir_ci_high: Series[float] = pa.Field(nullable=True)
    lower_limit_pg_ml: Series[float] = pa.Field(nullable=True)
    lower_limit_ci_low: Series[float] = pa.Field(nullable=True)
    lower_limit_ci_high: Series[float] = pa.Field(nullable=True)
    upper_limit_pg_ml: Series[float] = pa.Field(nullable=True)
    upper_limit_ci_low: Series[float] = pa.Field(nullable=True)
    upper_limit_ci_high: Series[float] = pa.Field(nullable=True)
    effect: Series[float] = pa.Field(
        nullable=True,
        description="Outcome at 12 pg/mL less that at 25 pg/mL, where both have support.",
    )
    effect_ci_low: Series[float] = pa.Field(nullable=True, description="95 %, clustered by man.")
    effect_ci_high: Series[float] = pa.Field(nullable=True)
    p_value: Series[float] = pa.Field(
        nullable=True,
        ge=0,
        le=1,
        description="Of a group: that its curve has the shape of the other group's. Of a textbook test: its own.",
    )
    prediction_error: Series[float] = pa.Field(
        nullable=True,
        description="Of a shape: root mean square error in men it was not fitted to, outcome's unit.",
    )
    why_not: Series[str] = pa.Field(nullable=True, description="Why there is no lower limit.")
    model_id: Series[str]

    class Config:
        """Grain."""

        unique = ["site", "outcome", "variant"]


class Prescribing(Table):
    """Men of the primary curve who were given the drug beside the others. Grain: characteristic."""

    characteristic: Series[str] = pa.Field(unique=True)
    unit: Series[str]
    n_given: Series[pl.Int64] = pa.Field(ge=1, description="Men on the drug in a usable interval.")
    mean_given: Series[float] = pa.Field(description="E2 and testosterone: geometric.")
    n_others: Series[pl.Int64] = pa.Field(ge=1)
    mean_others: Series[float]
    standardised_difference: Series[float] = pa.Field(
        nullable=True, description="Difference over the SD of men; of logarithms where geometric."
    )
    model_id: Series[str]


class Cohort(Table):
    """Every man on an aromatase inhibitor on the as-of date. Grain: patient_id, as_of."""

    patient_id: Series[str] = pa.Field(unique=True)
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
    lower_limit_pg_ml: Series[float] = pa.Field(description="The limit in use.")
    limit_source: Series[str] = pa.Field(isin=["fitted", "literature"])
    status: Series[str] = pa.Field(isin=STATUSES)
    tier: Series[str] = pa.Field(isin=TIERS)
    reasons: Series[str] = pa.Field(description="Rule names, separated by '; '.")
    grounds: Series[str] = pa.Field(description="In words, with file and line of what it rests on.")
    t_score_min: Series[float] = pa.Field(nullable=True)
    z_score_min: Series[float] = pa.Field(nullable=True)
    bmd_change_pct_per_year: Series[float] = pa.Field(nullable=True)
    bone_class: Series[str] = pa.Field(
        isin=BONE_CLASSES, nullable=True, description="Worst of the last scans; see densitometry."
    )
    loss_exceeds_lsc: Series[bool] = pa.Field(nullable=True)
    below_since: Series[pl.Date] = pa.Field(
        nullable=True, description="Since when all results on the drug lie below the limit."
    )
    model_id: Series[str]
    rules_id: Series[str] = pa.Field(description="Version and digest of rules and thresholds.")
    results_digest: Series[str] = pa.Field(
        description="Changes when a result, his height or weight does."
    )
    dose_digest: Series[str] = pa.Field(description="Changes when an order of his does.")
    scans_digest: Series[str] = pa.Field(description="Changes when a scan of his does.")


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
        """Grain."""

        unique = ["run_id", "patient_id", "event"]


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
        """Grain."""

        unique = ["patient_id", "position"]


class Gaps(Table):
    """What is missing in a man's care, beside his flag. Grain: patient_id, gap."""

    patient_id: Series[str]
    clinic_id: Series[str]
    as_of: Series[pl.Date]
    gap: Series[str] = pa.Field(description="Name in schemas/reference/flag_rules.yaml.")
    since_on: Series[pl.Date] = pa.Field(
        nullable=True, description="Day of the start, change, scan or result that it follows."
    )
    due_on: Series[pl.Date] = pa.Field(nullable=True, description="Last day to be in time.")

    class Config:
        """Grain."""

        unique = ["patient_id", "gap"]


class Context(Table):
    """What stands beside a man's E2: descriptive, without cut-offs. Grain: patient_id."""

    patient_id: Series[str] = pa.Field(unique=True)
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
    lsc_verdict: Series[str] = pa.Field(
        isin=["loss", "gain", "no_measurable_change"], nullable=True
    )
    bone_drugs: Series[str] = pa.Field(nullable=True, description="Since when, until when.")
    glucocorticoids: Series[str] = pa.Field(nullable=True, description="Since when, until when.")


class Limits(Table):
    """Limits taken into use, oldest first; the last one counts. Grain: adopted_on, model_id."""

    adopted_on: Series[pl.Date]
    site: Series[str] = pa.Field(isin=FITTED_SITES, description="Whose curve it is of.")
    lower_limit_pg_ml: Series[float]
    limit_ci_low: Series[float] = pa.Field(nullable=True)
    limit_ci_high: Series[float] = pa.Field(nullable=True)
    source: Series[str] = pa.Field(isin=["fitted", "literature"])
    model_id: Series[str]
    reason: Series[str]


class Models(Table):
    """Frozen fits that nights between score new data with. Grain: model_id."""

    model_id: Series[str] = pa.Field(unique=True)
    fitted_as_of: Series[pl.Date]
    run_id: Series[str]
    parameters: Series[str] = pa.Field(description="JSON: dose response, limit replicates, inputs.")


class Measures(Table):
    """Quality measures by month, 24 recounted, older ones as last counted. Grain: month, clinic_id, measure."""

    month: Series[str] = pa.Field(str_matches=r"^\d{4}-\d{2}$", description="YYYY-MM, ended.")
    clinic_id: Series[str] = pa.Field(nullable=True, description="Null: all clinics together.")
    measure: Series[str] = pa.Field(description="Name in schemas/reference/measures.yaml.")
    numerator: Series[pl.Int64] = pa.Field(nullable=True, ge=0)
    denominator: Series[pl.Int64] = pa.Field(
        nullable=True, ge=0, description="Units after exclusions and exceptions."
    )
    n_excepted: Series[pl.Int64] = pa.Field(
        nullable=True, ge=0, description="Not met and spared, for example because he refused."
    )
    n_apart: Series[pl.Int64] = pa.Field(
        nullable=True, ge=0, description="Told beside the measure, for example undecidable."
    )
    value: Series[float] = pa.Field(
        nullable=True, ge=0, le=1, description="Null where nobody counts: never 0 of 0."
    )
    ci_low: Series[float] = pa.Field(nullable=True, ge=0, le=1, description="Wilson, 95 %.")
    ci_high: Series[float] = pa.Field(nullable=True, ge=0, le=1)
    suppressed: Series[bool] = pa.Field(description="Counts were hidden to protect patients.")
    not_measured: Series[str] = pa.Field(
        nullable=True, description="What no feed has supplied; then there are no numbers."
    )
    counted_as_of: Series[pl.Date] = pa.Field(
        description="With what was known then; after the month's last day it is a recount."
    )

    class Config:
        """Grain."""

        unique = ["month", "clinic_id", "measure"]


class Runs(Table):
    """The manifest of a published run. Grain: run_id."""

    run_id: Series[str] = pa.Field(unique=True)
    as_of: Series[pl.Date]
    started_at: Series[Utc]
    finished_at: Series[Utc]
    simulated: Series[bool] = pa.Field(description="Written under the key of simulated patients.")
    part: Series[str] = pa.Field(isin=PARTS, description="All of it, or one stage.")
    outcome: Series[str] = pa.Field(isin=["complete", "incomplete"])
    package_version: Series[str]
    model_id: Series[str]
    inputs: Series[str] = pa.Field(description="JSON: file and hash of what this run read.")
    settings: Series[str] = pa.Field(description="JSON, without the key.")
    counts: Series[str] = pa.Field(description="JSON: rows by fate, men, flags.")
    timings: Series[str] = pa.Field(description="JSON: seconds by stage.")
    table_versions: Series[str] = pa.Field(description="JSON: Delta version of every table.")


TABLES: Final[dict[str, type[Table]]] = {
    "patients": Patients,
    "labs": Labs,
    "dxa": Dxa,
    "medications": Medications,
    "events": Events,
    "precision": Precision,
    "files": Files,
    "quarantine": Quarantine,
    "attrition": Attrition,
    "unit_slips": UnitSlips,
    "quality": Quality,
    "densitometry": Densitometry,
    "exposures": Exposures,
    "exposure_episodes": ExposureEpisodes,
    "own_levels": OwnLevels,
    "dose_effects": DoseEffects,
    "e2_checks": E2Checks,
    "projections": Projections,
    "levels": Levels,
    "curve": Curve,
    "curve_summary": CurveSummary,
    "curve_sensitivity": CurveSensitivity,
    "prescribing": Prescribing,
    "cohort": Cohort,
    "flags": Flags,
    "flag_events": FlagEvents,
    "flag_evidence": FlagEvidence,
    "gaps": Gaps,
    "context": Context,
    "limits": Limits,
    "models": Models,
    "measures": Measures,
    "runs": Runs,
}


def schema_of(table: str) -> dict[str, pl.DataType]:
    """Return the columns of a table with their types, in order."""
    columns = TABLES[table].to_schema().columns
    return {name: column.dtype.type for name, column in columns.items()}


def columns_of(table: str) -> list[str]:
    """Return the names of a table's columns, in order."""
    return list(TABLES[table].to_schema().columns)
