"""Exposure of scan intervals: the E2 between two scans, with its uncertainty.

In    pairs, E2 draws, episodes, E2 over the pairs (``dose_response.predict``), patients, laboratory results
Out   exposures   grain patient_id, site, first scan (``tables.exposure.Exposures``)
      levels      grain patient_id, site: one scan with the nearest E2, where no scans can be paired

A man's E2 between two scans is the posterior of the dose response along the doses that he held, not the
mean of a few noisy draws: noise would flatten the curve.
"""

from __future__ import annotations

import polars as pl

from e2analytics.exposure import body_mass_index
from e2analytics.models.normal import Z95
from e2analytics.reference import constants
from e2analytics.reference.drugs import acts_on, treats_cancer
from e2analytics.reference.names import ANASTROZOLE, BODY_MASS_INDEX, ESTRADIOL, TESTOSTERONE
from e2analytics.settings import LinkSettings
from e2analytics.tables.censoring import point_value
from e2analytics.tables.patient_data import adult_on
from e2analytics.tables.vocabulary import OF_TWO_KINDS


def exposures(
    pairs: pl.DataFrame,
    draws: pl.DataFrame,
    episodes: pl.DataFrame,
    pair_e2: pl.DataFrame,
    patients: pl.DataFrame,
    labs: pl.DataFrame,
    settings: LinkSettings,
) -> pl.DataFrame:
    """Return the pairs with their exposure, their covariates, and why one cannot be used.

    ``pair_e2`` has mean and SD of the time-weighted log E2 by ``pair``, the row of ``pairs``.
    """
    indexed = pairs.with_row_index("pair")
    together = (
        indexed.join(_covered(indexed, draws, settings), on="pair", how="left")
        .join(_treated(indexed, episodes), on="pair", how="left")
        .join(pair_e2.select("pair", "log_e2", "log_e2_sd"), on="pair", how="left")
        .join(_background(indexed, patients, labs), on="pair", how="left")
        .with_columns(
            pl.col("n_draws_between", "days_other").fill_null(0),
            pl.col("coverage", "share_on_drug", "weekly_anastrozole_mg").fill_null(0.0),
        )
        # What the join's default filled must not hide a dose that is unknown.
        .with_columns(
            weekly_anastrozole_mg=pl.when(~pl.col("dose_unknown").fill_null(False)).then(
                "weekly_anastrozole_mg"
            )
        )
    )
    return _as_exposures(together, settings)


def _as_exposures(together: pl.DataFrame, settings: LinkSettings) -> pl.DataFrame:
    """Return the columns of ``exposures``, with change, LSC verdict and usability."""
    change = 100 * (pl.col("bmd_g_cm2_2") / pl.col("bmd_g_cm2")).log()
    return (
        together.with_columns(change_pct=change)
        .with_columns(why_not=_not_usable(settings))
        .sort("patient_id", "site", "scanned_on")
        .select(
            "patient_id",
            "clinic_id",
            "site",
            pl.col("scanner_id").fill_null("unknown"),
            first_scan_id="scan_id",
            second_scan_id="scan_id_2",
            first_on="scanned_on",
            second_on="scanned_on_2",
            years="years",
            first_bmd_g_cm2="bmd_g_cm2",
            second_bmd_g_cm2="bmd_g_cm2_2",
            annual_change_pct=pl.col("change_pct") / pl.col("years"),
            change_pct="change_pct",
            cross_calibrated="cross_calibrated",
            precision_cv_pct="precision_cv_pct",
            lsc_pct="lsc_pct",
            lsc_verdict=pl.when(pl.col("why_not").is_in(OF_TWO_KINDS))
            .then(pl.lit("not_compared"))
            .when(pl.col("change_pct") <= -pl.col("lsc_pct"))
            .then(pl.lit("loss"))
            .when(pl.col("change_pct") >= pl.col("lsc_pct"))
            .then(pl.lit("gain"))
            .otherwise(pl.lit("no_measurable_change")),
            n_draws=pl.col("n_draws_between").cast(pl.Int64),
            coverage="coverage",
            share_on_drug="share_on_drug",
            weekly_anastrozole_mg="weekly_anastrozole_mg",
            e2_pg_ml=pl.col("log_e2").exp(),
            e2_ci_low_pg_ml=(pl.col("log_e2") - Z95 * pl.col("log_e2_sd")).exp(),
            e2_ci_high_pg_ml=(pl.col("log_e2") + Z95 * pl.col("log_e2_sd")).exp(),
            age_years="age_years",
            bmi_kg_m2="bmi_kg_m2",
            log_testosterone="log_testosterone",
            years_on_trt="years_on_trt",
            usable=pl.col("why_not").is_null(),
            why_not="why_not",
        )
    )


def _covered(pairs: pl.DataFrame, draws: pl.DataFrame, settings: LinkSettings) -> pl.DataFrame:
    """Count the draws of each pair's interval, and the share of its days that they cover."""
    inside = (
        pairs.select("pair", "patient_id", "scanned_on", "scanned_on_2")
        .join(draws.select("patient_id", "collected_on"), on="patient_id")
        .filter(pl.col("collected_on").is_between("scanned_on", "scanned_on_2"))
        .unique()
        .sort("pair", "collected_on")
    )
    until = pl.col("collected_on").shift(-1).over("pair").fill_null(pl.col("scanned_on_2"))
    carried = (until - pl.col("collected_on")).dt.total_days().clip(0, settings.carry_days)
    length = (pl.col("scanned_on_2") - pl.col("scanned_on")).dt.total_days()
    return (
        inside.with_columns(carried=carried, length=length)
        .group_by("pair")
        .agg(
            n_draws_between=pl.len(),
            coverage=pl.col("carried").sum() / pl.col("length").first(),
        )
    )


def _treated(pairs: pl.DataFrame, episodes: pl.DataFrame) -> pl.DataFrame:
    """Sum up the treatment within each pair's interval: share of days, mean dose, other drugs."""
    start = pl.max_horizontal("scanned_on", "started_on")
    end = pl.min_horizontal("scanned_on_2", "ended_on")
    anastrozole = pl.col("drug") == ANASTROZOLE
    days = pl.col("days")
    return (
        pairs.select("pair", "patient_id", "scanned_on", "scanned_on_2")
        .join(episodes, on="patient_id")
        .with_columns(
            days=(end - start).dt.total_days(),
            length=(pl.col("scanned_on_2") - pl.col("scanned_on")).dt.total_days(),
        )
        .filter(days > 0)
        .group_by("pair")
        .agg(
            share_on_drug=days.filter(anastrozole).sum() / pl.col("length").first(),
            weekly_anastrozole_mg=(days * pl.col("weekly_dose_mg")).filter(anastrozole).sum()
            / pl.col("length").first(),
            dose_unknown=(anastrozole & pl.col("weekly_dose_mg").is_null()).any(),
            days_other=days.filter(~anastrozole).sum(),
        )
    )


def _background(pairs: pl.DataFrame, patients: pl.DataFrame, labs: pl.DataFrame) -> pl.DataFrame:
    """Return the covariates of each pair, chosen beforehand.

    Age and time on TRT are those of its first scan, BMI is the one measured nearest to it, and
    testosterone the mean of its interval.
    """
    about = pairs.select("pair", "patient_id", "scanned_on", "scanned_on_2").join(
        patients, on="patient_id", how="left"
    )
    since = pl.col("scanned_on")
    years = {
        "age_years": (since - pl.col("birth_date")).dt.total_days() / constants.DAYS_PER_YEAR,
        "years_on_trt": (since - pl.col("trt_started_on")).dt.total_days()
        / constants.DAYS_PER_YEAR,
    }
    results = about.select("pair", "patient_id", "scanned_on", "scanned_on_2").join(
        labs.filter(
            pl.col("analyte").is_in([TESTOSTERONE, BODY_MASS_INDEX])
            & (pl.col("value_low") == pl.col("value_high"))
        ).select("patient_id", "collected_on", "analyte", "value_low"),
        on="patient_id",
    )
    testosterone = (
        results.filter(
            (pl.col("analyte") == TESTOSTERONE)
            & pl.col("collected_on").is_between("scanned_on", "scanned_on_2")
            & (pl.col("value_low") > 0)
        )
        .sort("pair", "collected_on", "value_low")
        .group_by("pair", maintain_order=True)
        .agg(log_testosterone=pl.col("value_low").log().mean())
    )
    return (
        about.with_columns(**years)
        .join(testosterone, on="pair", how="left")
        .join(body_mass_index.nearest_measured(results), on="pair", how="left")
        .select(
            "pair",
            "clinic_id",
            "age_years",
            "log_testosterone",
            adult_on=adult_on(),
            bmi_kg_m2=pl.coalesce("measured_bmi", body_mass_index.from_height_and_weight()),
            # Before TRT there is no time on it.
            years_on_trt=pl.col("years_on_trt").clip(0),
        )
    )


def _not_usable(settings: LinkSettings) -> pl.Expr:
    reasons = {
        "under_18": pl.col("adult_on") > pl.col("scanned_on"),
        "other_aromatase_inhibitor": pl.col("days_other") > 0,
        "too_few_draws": pl.col("n_draws_between") < settings.min_draws,
        "draws_cover_too_little": pl.col("coverage") < settings.min_coverage,
        "no_e2_level": pl.col("log_e2").is_null(),
    }
    return pl.coalesce(
        "why_not", *(pl.when(is_so).then(pl.lit(name)) for name, is_so in reasons.items())
    )


def levels(
    dxa: pl.DataFrame,
    labs: pl.DataFrame,
    patients: pl.DataFrame,
    medications: pl.DataFrame,
    settings: LinkSettings,
) -> pl.DataFrame:
    """Return every man's last scan of a site with his nearest E2: cross-sectional.

    Scans of boys, and of men under treatment for cancer as far as orders tell, are left out.

    An E2 below detection stands at ``limit / sqrt(2)``, as NHANES itself fills it.
    """
    last = dxa.sort("scanned_on", "scan_id").unique(
        ["patient_id", "site"], keep="last", maintain_order=True
    )
    treated = (
        last.join(
            medications.filter(treats_cancer()).select(
                "patient_id", "started_on", "stopped_on", "drug_class"
            ),
            on="patient_id",
        )
        .filter(acts_on(pl.col("scanned_on")))
        .select("patient_id", "site")
    )
    counted = (
        last.join(treated, on=["patient_id", "site"], how="anti")
        .join(patients, on="patient_id")
        .filter((adult_on() <= pl.col("scanned_on")).fill_null(True))
    )
    e2 = labs.filter((pl.col("analyte") == ESTRADIOL) & pl.col("value_high").is_not_null()).select(
        "patient_id",
        "collected_on",
        e2_pg_ml=point_value(),
    )
    away = (pl.col("collected_on") - pl.col("scanned_on")).dt.total_days().abs()
    return (
        counted.join(e2, on="patient_id")
        .filter(away <= settings.carry_days)
        .sort(away, "collected_on")
        .unique(["patient_id", "site"], keep="first", maintain_order=True)
        .join(body_mass_index.last_measured(labs), on="patient_id", how="left")
        .sort("patient_id", "site")
        .select(
            "patient_id",
            "site",
            "bmd_g_cm2",
            "e2_pg_ml",
            age_years=(pl.col("scanned_on") - pl.col("birth_date")).dt.total_days()
            / constants.DAYS_PER_YEAR,
            bmi_kg_m2=pl.coalesce("measured_bmi", body_mass_index.from_height_and_weight()),
        )
    )
