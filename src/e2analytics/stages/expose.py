"""Expose: what E2 a man had between two scans, and how sure that is.

In    pairs, E2 draws, episodes (``link``), patients and laboratory results
Out   exposures   grain patient_id, site, first scan (``contracts.Exposures``)
      levels      grain patient_id, site: one scan beside one E2, where nothing can be paired
      men         grain patient_id: the man's own E2 off and on the drug

A man's level off and on the drug is the posterior of the provisional dose-response model
(``models.shrinkage``), not the mean of a few noisy draws: noise would flatten the curve.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl

from e2analytics import clinical
from e2analytics.models import shrinkage
from e2analytics.settings import LinkSettings

CARRY_BMI_DAYS = 730
"""House rule: how long a measured body mass index speaks for a man."""
_Z95 = 1.959963984540054


class Response(NamedTuple):
    """The fitted dose response, and the men's own levels under it."""

    shared: shrinkage.Shrinkage | None
    men: pl.DataFrame


def respond(draws: pl.DataFrame, shared: shrinkage.Shrinkage | None = None) -> Response:
    """Return every man's own level of E2, off and on the drug.

    Parameters
    ----------
    draws
        E2 draws with their drug state. Those in transition, under another aromatase inhibitor or of a
        day that the feed made up are left out.
    shared
        A model fitted before; None fits one, if 30 men have a draw.
    """
    used = (
        draws.filter(
            ~pl.col("in_transition")
            & ~pl.col("on_other")
            & ~pl.col("imputed").str.contains("collected_at", literal=True)
        )
        # One order, so that sums are the same to the last digit.
        .sort("patient_id", "collected_at", "result_id", "source_order", "source_line")
        .with_columns(man=pl.col("patient_id").rank("dense").cast(pl.Int64) - 1)
    )
    if shared is None:
        shared = _fit(used)
    if shared is None:
        return Response(None, _men(used, None))
    return Response(shared, _men(used, shrinkage.levels(shared, _arrays(used))))


def _fit(used: pl.DataFrame) -> shrinkage.Shrinkage | None:
    """Fit what the men have in common; None if too few of them have a draw.

    Draws of an unknown assay count as immunoassay, but where there are known ones they must not say
    how immunoassay differs: many of them are mass spectrometry.
    """
    known = used.filter(pl.col("assay") != "unknown")
    enough = (known["assay"] == "ia").sum() >= shrinkage.MIN_MEN
    taken = known if enough else used
    taken = taken.with_columns(man=pl.col("patient_id").rank("dense").cast(pl.Int64) - 1)
    arrays = _arrays(taken)
    return shrinkage.fit(arrays) if arrays.n_men >= shrinkage.MIN_MEN else None


def _arrays(used: pl.DataFrame) -> shrinkage.Draws:
    return shrinkage.Draws(
        man=used["man"].to_numpy(),
        low=used["value_low"].log().to_numpy(),
        high=used["value_high"].fill_null(np.inf).log().to_numpy(),
        on=used["on_drug"].cast(pl.Float64).to_numpy(),
        ms=(used["assay"] == "ms").to_numpy(),
        n_men=used["man"].n_unique(),
    )


def _men(used: pl.DataFrame, levels: shrinkage.Levels | None) -> pl.DataFrame:
    men = used.group_by("man").agg(
        pl.col("patient_id").first(),
        n_draws=pl.len().cast(pl.Int64),
        n_on=pl.col("on_drug").sum().cast(pl.Int64),
        n_ms=(pl.col("assay") == "ms").sum().cast(pl.Int64),
        n_ms_on=((pl.col("assay") == "ms") & pl.col("on_drug")).sum().cast(pl.Int64),
    )
    names = ["off_mean", "off_sd", "on_mean", "on_sd", "covariance"]
    if levels is None:
        empty = [pl.lit(None, dtype=pl.Float64).alias(name) for name in names]
        return men.sort("man").drop("man").with_columns(empty)
    columns = {name: getattr(levels, name) for name in names}
    return men.sort("man").drop("man").with_columns(pl.DataFrame(columns).get_columns())


def exposures(
    pairs: pl.DataFrame,
    draws: pl.DataFrame,
    episodes: pl.DataFrame,
    men: pl.DataFrame,
    patients: pl.DataFrame,
    labs: pl.DataFrame,
    settings: LinkSettings,
) -> pl.DataFrame:
    """Return the pairs with their exposure, their covariates, and why one cannot be used."""
    indexed = pairs.with_row_index("pair")
    together = (
        indexed.join(_covered(indexed, draws, settings), on="pair", how="left")
        .join(_treated(indexed, episodes), on="pair", how="left")
        .join(men, on="patient_id", how="left")
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
    change = 100 * (pl.col("bmd_g_cm2_2") / pl.col("bmd_g_cm2")).log()
    return (
        together.with_columns(change_pct=change)
        .with_columns(_mixture())
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
            lsc_verdict=pl.when(pl.col("change_pct") <= -pl.col("lsc_pct"))
            .then(pl.lit("loss"))
            .when(pl.col("change_pct") >= pl.col("lsc_pct"))
            .then(pl.lit("gain"))
            .otherwise(pl.lit("no_measurable_change")),
            n_draws=pl.col("n_draws_between").cast(pl.Int64),
            coverage="coverage",
            share_on_drug="share_on_drug",
            weekly_anastrozole_mg="weekly_anastrozole_mg",
            log_e2_off_mean="off_mean",
            log_e2_off_sd="off_sd",
            log_e2_on_mean="on_mean",
            log_e2_on_sd="on_sd",
            e2_pg_ml=pl.col("log_e2").exp(),
            e2_ci_low_pg_ml=(pl.col("log_e2") - _Z95 * pl.col("log_e2_sd")).exp(),
            e2_ci_high_pg_ml=(pl.col("log_e2") + _Z95 * pl.col("log_e2_sd")).exp(),
            age_years="age_years",
            bmi_kg_m2="bmi_kg_m2",
            log_testosterone="log_testosterone",
            years_on_trt="years_on_trt",
            usable=pl.col("why_not").is_null(),
            why_not="why_not",
        )
    )


def _covered(pairs: pl.DataFrame, draws: pl.DataFrame, settings: LinkSettings) -> pl.DataFrame:
    """Count the draws of each pair's interval and the share of it that they speak for."""
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
    anastrozole = pl.col("drug") == "anastrozole"
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
        "age_years": (since - pl.col("birth_date")).dt.total_days() / clinical.DAYS_PER_YEAR,
        "years_on_trt": (since - pl.col("trt_started_on")).dt.total_days() / clinical.DAYS_PER_YEAR,
    }
    results = about.select("pair", "patient_id", "scanned_on", "scanned_on_2").join(
        labs.filter(
            pl.col("analyte").is_in(["testosterone_total", "body_mass_index"])
            & (pl.col("value_low") == pl.col("value_high"))
        ).select("patient_id", "collected_on", "analyte", "value_low"),
        on="patient_id",
    )
    testosterone = (
        results.filter(
            (pl.col("analyte") == "testosterone_total")
            & pl.col("collected_on").is_between("scanned_on", "scanned_on_2")
            & (pl.col("value_low") > 0)
        )
        .sort("pair", "collected_on", "value_low")
        .group_by("pair", maintain_order=True)
        .agg(log_testosterone=pl.col("value_low").log().mean())
    )
    away = (pl.col("collected_on") - since).dt.total_days().abs()
    measured = (
        results.filter((pl.col("analyte") == "body_mass_index") & (away <= CARRY_BMI_DAYS))
        .sort(away, "collected_on")
        .unique("pair", keep="first", maintain_order=True)
        .select("pair", measured_bmi="value_low")
    )
    return (
        about.with_columns(**years)
        .join(testosterone, on="pair", how="left")
        .join(measured, on="pair", how="left")
        .select(
            "pair",
            "clinic_id",
            "age_years",
            "log_testosterone",
            bmi_kg_m2=pl.coalesce("measured_bmi", _bmi()),
            # Before TRT there is no time on it.
            years_on_trt=pl.col("years_on_trt").clip(0),
        )
    )


def _bmi() -> pl.Expr:
    return pl.col("weight_kg") / (pl.col("height_cm") / 100) ** 2


def _mixture() -> list[pl.Expr]:
    """Return mean and SD of the time-weighted log E2 of the interval."""
    on = pl.col("share_on_drug")
    variance = (
        (on * pl.col("on_sd")) ** 2
        + ((1 - on) * pl.col("off_sd")) ** 2
        + 2 * on * (1 - on) * pl.col("covariance")
    )
    return [
        (on * pl.col("on_mean") + (1 - on) * pl.col("off_mean")).alias("log_e2"),
        variance.sqrt().alias("log_e2_sd"),
    ]


def _not_usable(settings: LinkSettings) -> pl.Expr:
    reasons = {
        "other_aromatase_inhibitor": pl.col("days_other") > 0,
        "too_few_draws": pl.col("n_draws_between") < settings.min_draws,
        "draws_cover_too_little": pl.col("coverage") < settings.min_coverage,
        "no_e2_level": pl.col("log_e2").is_null(),
    }
    return pl.coalesce(
        "why_not", *(pl.when(is_so).then(pl.lit(name)) for name, is_so in reasons.items())
    )


def levels(
    dxa: pl.DataFrame, labs: pl.DataFrame, patients: pl.DataFrame, settings: LinkSettings
) -> pl.DataFrame:
    """Return every man's last scan of a site beside his nearest E2: cross-sectional.

    An E2 below detection stands at ``limit / sqrt(2)``, as NHANES itself fills it.
    """
    last = dxa.sort("scanned_on", "scan_id").unique(
        ["patient_id", "site"], keep="last", maintain_order=True
    )
    e2 = labs.filter(
        (pl.col("analyte") == "estradiol") & pl.col("value_high").is_not_null()
    ).select(
        "patient_id",
        "collected_on",
        e2_pg_ml=pl.when(pl.col("value_low") == 0)
        .then(pl.col("value_high") / 2**0.5)
        .otherwise((pl.col("value_low") * pl.col("value_high")).sqrt()),
    )
    bmi = (
        labs.filter(pl.col("analyte") == "body_mass_index")
        .sort("collected_on")
        .group_by("patient_id", maintain_order=True)
        .agg(measured_bmi=pl.col("value_low").last())
    )
    away = (pl.col("collected_on") - pl.col("scanned_on")).dt.total_days().abs()
    return (
        last.join(e2, on="patient_id")
        .filter(away <= settings.carry_days)
        .sort(away, "collected_on")
        .unique(["patient_id", "site"], keep="first", maintain_order=True)
        .join(patients, on="patient_id")
        .join(bmi, on="patient_id", how="left")
        .sort("patient_id", "site")
        .select(
            "patient_id",
            "site",
            "bmd_g_cm2",
            "e2_pg_ml",
            age_years=(pl.col("scanned_on") - pl.col("birth_date")).dt.total_days()
            / clinical.DAYS_PER_YEAR,
            bmi_kg_m2=pl.coalesce("measured_bmi", _bmi()),
        )
    )
