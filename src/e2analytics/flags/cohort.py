"""Cohort: every man on an aromatase inhibitor who is judged, with his E2, dose and bone, and his assessment.

In    the men's rows as of a day, the estimates of their E2, the criteria, the flags of the run before
Out   cohort   grain patient_id: every man on an aromatase inhibitor on the as-of date

Collects what is known of each man; :mod:`e2analytics.flags.assess` gives status and tier.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import polars as pl

from e2analytics.flags import bone, input_digests, judged, rationale, results
from e2analytics.flags import rules as flag_rules
from e2analytics.flags.assess import assess
from e2analytics.flags.criteria import Criteria
from e2analytics.flags.free_estradiol import free_estradiol
from e2analytics.models.normal import Z95
from e2analytics.reference import constants
from e2analytics.reference.drugs import explain_low_e2, is_implant
from e2analytics.reference.names import ANASTROZOLE
from e2analytics.settings import FlagSettings
from e2analytics.tables.patient_data import CHANGE_COLUMNS, Estimates, PatientData
from e2analytics.tables.registry import columns_of

_COUNTS: Final = (
    "n_draws",
    "n_on",
    "n_ms",
    "n_ms_on",
    "n_recent",
    "n_at_this_dose",
    "n_informative",
)


def cohort(
    data: PatientData, estimates: Estimates, criteria: Criteria, *, before: pl.DataFrame
) -> pl.DataFrame:
    """Return every man on an aromatase inhibitor with his status, his tier and their rationale.

    Parameters
    ----------
    data
        The men's rows.
    estimates
        Their E2 by the dose response.
    criteria
        What they are assessed by.
    before
        The flags of the run before: an open flag closes later than it would open.
    """
    men = _men(data, estimates, criteria).join(
        before.select("patient_id", tier_before="tier"), on="patient_id", how="left"
    )
    known = men.sort("patient_id").with_columns(
        pl.col(_COUNTS).fill_null(0),
        pl.col(*results.IS_SO, *bone.IS_SO, "other_e2_drug", "free_e2_low").fill_null(False),
        pl.col("tier_before").fill_null("none"),
        lower_limit_pg_ml=pl.lit(criteria.limit.lower_limit_pg_ml),
        limit_source=pl.lit(criteria.limit.source),
        as_of=pl.lit(criteria.as_of),
        model_id=pl.lit(criteria.model_id),
        rules_id=pl.lit(flag_rules.load().id_with(criteria.settings)),
        e2_expected_pg_ml=pl.col("on_mean").exp(),
        e2_ci_low=(pl.col("on_mean") - Z95 * pl.col("on_sd")).exp(),
        e2_ci_high=(pl.col("on_mean") + Z95 * pl.col("on_sd")).exp(),
        e2_off_drug_pg_ml=pl.col("off_mean").exp(),
    )
    assessed = assess(known, criteria)
    return assessed.with_columns(rationale=rationale.in_words()).select(columns_of("cohort"))


def _men(data: PatientData, estimates: Estimates, criteria: Criteria) -> pl.DataFrame:
    """Return the men of the cohort with what is known of each."""
    present = present_men(data, criteria.settings, criteria.as_of)
    digests = input_digests.digests(data, estimates.exposures, present)
    men = (
        present.join(
            data.patients.select("patient_id", "clinic_id", "trt_started_on"), on="patient_id"
        )
        .join(estimates.e2, on="patient_id", how="left")
        .join(estimates.changes, on="patient_id", how="left")
        .join(_other_e2_drugs(data.medications, criteria), on="patient_id", how="left")
        .join(_free_e2(data, criteria), on="patient_id", how="left")
        .with_columns(_unless_other_drug())
        .with_columns(testosterone_since=pl.max_horizontal("testosterone_since", "trt_started_on"))
    )
    return (
        men.join(results.of_men(data.draws, men, criteria), on="patient_id", how="left")
        .join(bone.of_men(data, estimates.exposures, criteria), on="patient_id", how="left")
        .join(_sig_not_parsed(data.medications), on=["spell_file", "spell_line"], how="left")
        .join(
            data.clinics.facts.select("clinic_id", "newest_result_on"), on="clinic_id", how="left"
        )
        .join(digests, on="patient_id", how="left")
    )


def _other_e2_drugs(medications: pl.DataFrame, criteria: Criteria) -> pl.DataFrame:
    """Return the men on a drug beside the inhibitor, or within the washout of one, that may explain a low E2."""
    since_end = (pl.lit(criteria.as_of) - pl.col("stopped_on")).dt.total_days()
    return (
        medications.filter(
            pl.col("drug_class").is_in(explain_low_e2()),
            pl.col("started_on") <= criteria.as_of,
            (since_end <= criteria.settings.washout_days).fill_null(True),
        )
        .select(pl.col("patient_id").cast(pl.String))
        .unique()
        .with_columns(other_e2_drug=pl.lit(True))
    )


def _free_e2(data: PatientData, criteria: Criteria) -> pl.DataFrame:
    """Return the men whose free E2 lies wholly below its line while their total E2 of that day does not."""
    age = (pl.lit(criteria.as_of) - pl.col("free_e2_on")).dt.total_days()
    return free_estradiol(data.draws, data.labs).select(
        "patient_id",
        free_e2_low=(age <= criteria.settings.informative_days)
        & (pl.col("free_e2_as_line_ci_high") < constants.FREE_E2_LINE.value)
        & (pl.col("free_e2_total") >= criteria.limit.lower_limit_pg_ml),
    )


def _unless_other_drug() -> list[pl.Expr]:
    """Leave out the estimates of men on another aromatase inhibitor: the model is of anastrozole.

    A man who takes both keeps his estimate: a forgotten order must not hide it.
    """
    names = ("off_mean", "off_sd", "on_mean", "on_sd", "covariance", *CHANGE_COLUMNS)
    known = pl.col("takes_anastrozole") | ~pl.col("other_drug")
    return [pl.when(known).then(name).alias(name) for name in names]


def present_men(data: PatientData, settings: FlagSettings, as_of: date) -> pl.DataFrame:
    """Return the men of the cohort with their present dose."""
    on_drug = men_on_drug(data.episodes, settings, as_of)
    return on_drug.join(judged.set_apart(on_drug, data, as_of), on="patient_id", how="anti")


def men_on_drug(episodes: pl.DataFrame, settings: FlagSettings, as_of: date) -> pl.DataFrame:
    """Return the men with a spell in force, or ended within the washout, and their present dose."""
    day = pl.lit(as_of)
    since_end = (day - pl.col("ended_on")).dt.total_days()
    in_force = pl.col("ended_on").is_null() | (pl.col("ended_on") > day)
    since_change = pl.when(in_force).then((day - pl.col("started_on")).dt.total_days())
    anastrozole = (pl.col("drug") == ANASTROZOLE) & pl.col("in_force")
    implant = is_implant() & pl.col("in_force")
    return (
        _with_treatment(episodes.filter(pl.col("started_on") <= day))
        .filter(in_force | (since_end <= settings.washout_days))
        .with_columns(in_force=in_force, since_change=since_change.fill_null(since_end))
        # The spell that counts comes last: in force after ended, anastrozole after other inhibitors.
        .sort("patient_id", "in_force", pl.col("drug") == ANASTROZOLE, "started_on")
        .group_by("patient_id", maintain_order=True)
        .agg(
            weekly_anastrozole_mg=pl.col("weekly_dose_mg").filter(anastrozole).sum(),
            unknown_dose=((anastrozole | implant) & pl.col("weekly_dose_mg").is_null()).any(),
            implant=implant.any(),
            takes_anastrozole=anastrozole.any(),
            other_drug=(pl.col("drug") != ANASTROZOLE).any(),
            takes_other=((pl.col("drug") != ANASTROZOLE) & pl.col("in_force")).any(),
            stopped=~pl.col("in_force").any(),
            days_since_change=pl.col("since_change").min(),
            treated_since=pl.coalesce(
                pl.col("treatment_on").filter("in_force").max(), pl.col("treatment_on").max()
            ),
            overlap=pl.col("overlap").any(),
            drug=pl.col("drug").last(),
            ordered_on=pl.col("ordered_on").last(),
            listed_on=pl.col("listed_on").last(),
            spell_started_on=pl.col("started_on").last(),
            spell_ended_on=pl.col("ended_on").last(),
            spell_file=pl.col("source_file").last(),
            spell_line=pl.col("source_line").last(),
        )
        .with_columns(
            weekly_anastrozole_mg=pl.when(~pl.col("unknown_dose")).then("weekly_anastrozole_mg")
        )
    )


def _with_treatment(episodes: pl.DataFrame) -> pl.DataFrame:
    """Add ``treatment_on``, the day on which the drug began to be given at the dose of a spell.

    Renewals at an unknown dose are spells of their own and the same treatment: nothing says that it changed.
    """
    drug = ["patient_id", "drug"]
    gap = (pl.col("started_on") - pl.col("ended_on").shift(1).over(drug)).dt.total_days()
    other_dose = pl.col("weekly_dose_mg").ne_missing(pl.col("weekly_dose_mg").shift(1).over(drug))
    is_new = other_dose | (gap > constants.RENEWAL_GAP_DAYS.value).fill_null(True)
    return episodes.sort(*drug, "started_on").with_columns(
        treatment_on=pl.when(is_new).then("started_on").forward_fill().over(drug)
    )


def _sig_not_parsed(medications: pl.DataFrame) -> pl.DataFrame:
    """Return the orders with a dose whose frequency could not be parsed."""
    return (
        medications.filter(
            pl.col("dose_mg").is_not_null()
            & pl.col("doses_per_week").is_null()
            & pl.col("weekly_dose_mg").is_null()
        )
        .select(
            spell_file=pl.col("source_file").cast(pl.String),
            spell_line="source_line",
            unparsed=pl.lit(True),
        )
        .unique()
    )
