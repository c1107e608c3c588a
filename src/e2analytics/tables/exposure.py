"""Contracts of classed scans, E2 between scans, and the dose response."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl
from pandera.typing.polars import Series

from e2analytics.tables.contract import Table
from e2analytics.tables.vocabulary import BONE_CLASSES, LSC_VERDICTS, SITES


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
        """Facts of the table."""

        key = ("namespace", "scan_id", "site")


class ScannerShifts(Table):
    """Abrupt steps in the BMD of a scanner's own men. Grain: clinic_id, scanner_id, maker, first_on."""

    clinic_id: Series[str]
    scanner_id: Series[str]
    maker: Series[str] = pa.Field(nullable=True, description="Null: no scan names it.")
    first_on: Series[pl.Date] = pa.Field(
        description="First day on which the new readings may have begun."
    )
    last_on: Series[pl.Date] = pa.Field(description="Last such day.")
    sites: Series[str] = pa.Field(description="Sites that show it, separated by blanks.")
    step_pct: Series[float] = pa.Field(description="By which readings are higher since, log scale.")
    step_ci_low_pct: Series[float]
    step_ci_high_pct: Series[float]
    p_value: Series[float] = pa.Field(ge=0, le=1, description="Times the dates that were tried.")
    n_across: Series[pl.Int64] = pa.Field(ge=1, description="Changes of men across the day.")
    n_compared: Series[pl.Int64] = pa.Field(ge=0, description="Other changes on the scanner.")
    action: Series[str] = pa.Field(isin=["not_paired", "released"])
    release_line: Series[str] = pa.Field(description="Configuration that would release it.")

    class Config:
        """Facts of the table."""

        key = ("clinic_id", "scanner_id", "maker", "first_on")


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
    lsc_pct: Series[float] = pa.Field(
        description="Least significant change: precision x the factor of ISCD."
    )
    lsc_verdict: Series[str] = pa.Field(isin=LSC_VERDICTS)
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
    bone_drugs: Series[str] = pa.Field(
        nullable=True, description="Other drugs that moved bone between the scans, in words."
    )

    class Config:
        """Facts of the table."""

        key = ("patient_id", "site", "first_scan_id")
        key_checked = False
        order = ("patient_id", "site", "first_on", "first_scan_id")


class ExposureEpisodes(Table):
    """What a man held between two scans, and his E2 under it. Grain: patient_id, site, first scan, dose."""

    patient_id: Series[str]
    site: Series[str] = pa.Field(isin=SITES)
    first_scan_id: Series[str]
    weekly_anastrozole_mg: Series[float] = pa.Field(nullable=True, description="0: off the drug.")
    share: Series[float] = pa.Field(gt=0, le=1, description="Of the days between the scans.")
    log_e2_mean: Series[float] = pa.Field(description="Posterior, log pg/mL.")
    log_e2_sd: Series[float] = pa.Field(ge=0)

    class Config:
        """Facts of the table."""

        key = ("patient_id", "site", "first_scan_id", "weekly_anastrozole_mg")
        key_checked = False


class OwnLevels(Table):
    """A man's own E2 under the dose response of the month. Grain: patient_id.

    His log E2 at a dose is what his covariates and the dose say of all men, plus his own level, plus on
    the drug his own response, plus his movement on that day: all of it as on the day of his last draw.
    """

    patient_id: Series[str]
    n_draws: Series[pl.Int64] = pa.Field(ge=1, description="E2 draws that it rests on.")
    n_on: Series[pl.Int64] = pa.Field(ge=0, description="Of them on the drug.")
    n_ms: Series[pl.Int64] = pa.Field(ge=0, description="Of them by mass spectrometry.")
    n_ms_on: Series[pl.Int64] = pa.Field(ge=0, description="Of those on the drug.")
    n_outliers: Series[pl.Int64] = pa.Field(ge=0, description="Draws that fit nothing else of his.")
    draws_digest: Series[str] = pa.Field(
        description="Changes when a draw or one of its covariates does."
    )
    last_drawn_on: Series[pl.Date] = pa.Field(
        nullable=True, description="As of when the estimates stand."
    )
    testosterone_changes: Series[pl.Int64] = pa.Field(
        ge=0, nullable=True, description="Changes of his testosterone order until then."
    )
    log_testosterone: Series[float] = pa.Field(
        description="His usual one under the order of his last draw, log ng/dL."
    )
    log_testosterone_variance: Series[float] = pa.Field(ge=0, description="How sure that is.")
    bmi_kg_m2: Series[float] = pa.Field(
        description="His own, nearest to his last draw; else the mean of all men."
    )
    age_years: Series[float] = pa.Field(description="On the day of the fit.")
    ever_on_drug: Series[float] = pa.Field(isin=[0.0, 1.0])
    level_mean: Series[float] = pa.Field(description="Own level, beyond his covariates; log ratio.")
    response_mean: Series[float] = pa.Field(description="Own response, beyond the dose; log ratio.")
    movement_mean: Series[float] = pa.Field(
        nullable=True, description="Slow movement on that day; log ratio."
    )
    level_variance: Series[float] = pa.Field(ge=0)
    level_response_covariance: Series[float]
    level_movement_covariance: Series[float] = pa.Field(nullable=True)
    response_variance: Series[float] = pa.Field(ge=0)
    response_movement_covariance: Series[float] = pa.Field(nullable=True)
    movement_variance: Series[float] = pa.Field(ge=0, nullable=True)
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
    movement_by_constant: Series[float] = pa.Field(nullable=True)
    movement_by_log_testosterone: Series[float] = pa.Field(nullable=True)
    movement_by_bmi_kg_m2: Series[float] = pa.Field(nullable=True)
    movement_by_age_years: Series[float] = pa.Field(nullable=True)
    movement_by_ever_on_drug: Series[float] = pa.Field(nullable=True)
    movement_by_logit_emax: Series[float] = pa.Field(nullable=True)
    movement_by_log_ed50: Series[float] = pa.Field(nullable=True)
    movement_by_log_ia_slope: Series[float] = pa.Field(nullable=True)
    movement_by_ia_constant_pg_ml: Series[float] = pa.Field(nullable=True)
    model_id: Series[str]

    class Config:
        """Facts of the table."""

        key = ("patient_id",)


class DoseEffects(Table):
    """How far a weekly dose lowers the average man's E2, at steady state. Grain: dose."""

    weekly_anastrozole_mg: Series[float] = pa.Field(gt=0)
    suppression_pct: Series[float] = pa.Field(ge=0, le=100, description="Of E2 off the drug.")
    ci_low_pct: Series[float] = pa.Field(
        description="95 % interval of the average, not of one man."
    )
    ci_high_pct: Series[float]
    n_men: Series[pl.Int64] = pa.Field(ge=0, description="With a draw at this dose.")
    prior_share: Series[float] = pa.Field(
        ge=0,
        description="Greatest share of what is known of Emax or ED50 that came from the prior.",
    )
    model_id: Series[str]

    class Config:
        """Facts of the table."""

        key = ("weekly_anastrozole_mg",)
        key_checked = False


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

    class Config:
        """Facts of the table."""

        key = ("by", "name")
        key_checked = False


class Projections(Table):
    """What E2 would be at common doses: information, never an order. Grain: patient_id, dose."""

    patient_id: Series[str]
    weekly_anastrozole_mg: Series[float] = pa.Field(ge=0)
    e2_pg_ml: Series[float] = pa.Field(gt=0)
    e2_ci_low_pg_ml: Series[float] = pa.Field(gt=0)
    e2_ci_high_pg_ml: Series[float] = pa.Field(gt=0)

    class Config:
        """Facts of the table."""

        key = ("patient_id", "weekly_anastrozole_mg")
        key_checked = False


class Levels(Table):
    """One scan with one E2: cross-sectional, never gives limits. Grain: patient_id, site."""

    patient_id: Series[str]
    site: Series[str] = pa.Field(isin=SITES)
    bmd_g_cm2: Series[float]
    e2_pg_ml: Series[float]
    age_years: Series[float]
    bmi_kg_m2: Series[float] = pa.Field(nullable=True)

    class Config:
        """Facts of the table."""

        key = ("patient_id", "site")
        key_checked = False
