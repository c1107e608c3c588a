"""Flag: who is being pushed too low, by the drug, and how sure are we.

In    episodes, E2 draws, the men's own levels, exposures, scans, events, the limit in use, the flags before
Out   cohort   grain patient_id: every man on an aromatase inhibitor on the as-of date

Every man of the cohort has one status and one tier. The tier is never hidden by the status: a man
whose E2 cannot be assessed today may still be in danger. Which reasons hold is found out here; what
follows from them stands in ``schemas/reference/flag_rules.yaml``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import numpy as np
import polars as pl

from e2analytics.flags import input_digests, rationale
from e2analytics.flags import rules as flag_rules
from e2analytics.flags.criteria import Criteria
from e2analytics.models.dose_response.exceedance import Levels, probabilities
from e2analytics.models.normal import Z95
from e2analytics.reference.names import ANASTROZOLE
from e2analytics.settings import FlagSettings
from e2analytics.tables.censoring import wholly_below
from e2analytics.tables.limit_in_use import LimitInUse
from e2analytics.tables.patient_data import Estimates, PatientData
from e2analytics.tables.registry import columns_of
from e2analytics.tables.vocabulary import FITTED_SITES, TIERS

_SEPARATOR: Final = "; "
_OBSTACLES: Final = flag_rules.load().reasons_of_role("obstacle")
_FINDINGS: Final = tuple(
    name
    for name in flag_rules.load().reasons_of_role("finding")
    # Said of men who are no longer in the cohort.
    if name != "no_longer_in_cohort"
)
_LEAST_TO_BE_LONG_BELOW: Final = 2
_COUNTS: Final = ("n_draws", "n_on", "n_ms", "n_ms_on", "recent", "at_this_dose", "informative")
_LAST_LAST: Final = ("collected_on", pl.col("assay") == "ms", "collected_at", "result_id")
"""Order of a man's draws: of one day that by mass spectrometry is the last."""
_OF_A_RESULT: Final = ("value_low", "value_high", "collected_on", "source_file", "source_line")
_TOLD_BY_RECENT: Final = ("ms_below_red_line", "last_below_limit", "recent_ms")
WORST_FIRST: Final = (
    "osteoporosis",
    "below_expected_for_age",
    "low_bone_mass",
    "within_expected",
    "normal",
)
"""Classes of bone as a man's worst site is chosen."""
_NOT_COMPARABLE: Final = (
    "scanner_unknown",
    "scanner_changed",
    "side_changed",
    "vertebrae_changed",
    "side_unreadable",
    "vertebrae_unreadable",
    "interval_too_short",
    "interval_too_long",
)


def cohort(
    data: PatientData, estimates: Estimates, criteria: Criteria, *, before: pl.DataFrame
) -> pl.DataFrame:
    """Return every man on an aromatase inhibitor with his status, his tier and their rationale.

    ``before`` are the flags of the run before: an open flag closes later than it would open.
    """
    limit, settings, as_of = criteria.limit, criteria.settings, criteria.as_of
    present = present_men(data.episodes, data.events, settings, as_of)
    men = (
        present.join(data.patients.select("patient_id", "clinic_id"), on="patient_id")
        .join(estimates.e2, on="patient_id", how="left")
        .with_columns(_unless_other_drug())
        .join(_last_draw(data.draws), on="patient_id", how="left")
        .join(_recent(data.draws, present, limit, settings, as_of), on="patient_id", how="left")
        .join(_below_since(data.draws, limit), on="patient_id", how="left")
        .join(_bone(estimates.exposures, criteria.primary_site), on="patient_id", how="left")
        .join(_scores(data.densitometry), on="patient_id", how="left")
        .join(_sig_not_parsed(data.medications), on=["spell_file", "spell_line"], how="left")
        .join(_newest_result(data.labs, data.patients), on="clinic_id", how="left")
        .join(
            input_digests.digests(data, estimates.exposures, present), on="patient_id", how="left"
        )
        .join(before.select("patient_id", tier_before="tier"), on="patient_id", how="left")
        .sort("patient_id")
        .with_columns(
            pl.col(_COUNTS).fill_null(0),
            pl.col(_TOLD_BY_RECENT).fill_null(False),
            pl.col("tier_before").fill_null("none"),
            lower_limit_pg_ml=pl.lit(limit.lower_limit_pg_ml),
            limit_source=pl.lit(limit.source),
            as_of=pl.lit(as_of),
            model_id=pl.lit(criteria.model_id),
            rules_id=pl.lit(flag_rules.rules_id(settings)),
            e2_expected_pg_ml=pl.col("on_mean").exp(),
        )
    )
    quantiles = np.asarray(criteria.limit_quantiles_pg_ml or [limit.lower_limit_pg_ml])
    judged = _judge(men.with_columns(_probabilities(men, quantiles, settings)), settings, as_of)
    return judged.with_columns(
        reasons=pl.concat_list(_OBSTACLES + _FINDINGS).list.drop_nulls().list.join(_SEPARATOR),
        rationale=rationale.in_words(),
        e2_ci_low=(pl.col("on_mean") - Z95 * pl.col("on_sd")).exp(),
        e2_ci_high=(pl.col("on_mean") + Z95 * pl.col("on_sd")).exp(),
        e2_off_drug_pg_ml=pl.col("off_mean").exp(),
    ).select(columns_of("cohort"))


def _judge(men: pl.DataFrame, settings: FlagSettings, as_of: date) -> pl.DataFrame:
    """Add the status, the reasons and the tier.

    A tier that was given before is held until the rules, at the probability that closes a flag, give
    it no more.
    """
    judged = _by_rules(men, settings, settings.probability, as_of)
    at_closing = _by_rules(men, settings, settings.closing_probability, as_of)["tier"]
    judged = judged.with_columns(at_closing=at_closing)
    kept = (
        pl.when(_urgency("tier_before") < _urgency("at_closing"))
        .then("tier_before")
        .otherwise("at_closing")
    )
    held = (_urgency("tier_before") > _urgency("tier")) & (
        _urgency("at_closing") > _urgency("tier")
    )
    return judged.with_columns(
        tier=pl.when(held).then(kept).otherwise("tier"),
        held_open=pl.when(held).then(pl.lit("held_open")),
    )


def _urgency(tier: str) -> pl.Expr:
    return pl.col(tier).cast(pl.Enum(TIERS[::-1])).to_physical()


def _by_rules(
    men: pl.DataFrame, settings: FlagSettings, probability: float, as_of: date
) -> pl.DataFrame:
    return (
        men.with_columns(_obstacles(settings))
        .with_columns(status=_status(probability))
        .with_columns(_findings(settings, probability, as_of))
        .with_columns(tier=_tier())
    )


def _unless_other_drug() -> list[pl.Expr]:
    """Leave out what the model says of men on another aromatase inhibitor: it knows anastrozole.

    A man who takes both keeps his estimate: a forgotten order must not silence it.
    """
    names = ("off_mean", "off_sd", "on_mean", "on_sd", "covariance")
    known = pl.col("takes_anastrozole") | ~pl.col("other_drug")
    return [pl.when(known).then(name).alias(name) for name in names]


def men_gone(
    episodes: pl.DataFrame, events: pl.DataFrame, settings: FlagSettings, as_of: date
) -> int:
    """Count the men on the drug who died or left, and so are not in the cohort."""
    on_drug = _on_drug(episodes, settings, as_of)
    return len(_gone(on_drug, events))


def present_men(
    episodes: pl.DataFrame, events: pl.DataFrame, settings: FlagSettings, as_of: date
) -> pl.DataFrame:
    """Return the men of the cohort with what they hold."""
    on_drug = _on_drug(episodes, settings, as_of)
    return on_drug.join(_gone(on_drug, events), on="patient_id", how="anti")


def _on_drug(episodes: pl.DataFrame, settings: FlagSettings, as_of: date) -> pl.DataFrame:
    """Return the men with a spell in force, or ended within the washout, and their present dose."""
    day = pl.lit(as_of)
    since_end = (day - pl.col("ended_on")).dt.total_days()
    in_force = pl.col("ended_on").is_null() | (pl.col("ended_on") > day)
    since_change = pl.when(in_force).then((day - pl.col("started_on")).dt.total_days())
    anastrozole = (pl.col("drug") == ANASTROZOLE) & pl.col("in_force")
    return (
        episodes.filter(pl.col("started_on") <= day)
        .filter(in_force | (since_end <= settings.washout_days))
        .with_columns(in_force=in_force, since_change=since_change.fill_null(since_end))
        # Last the spell that counts: anastrozole before other inhibitors, in force before ended.
        .sort("patient_id", "in_force", pl.col("drug") == ANASTROZOLE, "started_on")
        .group_by("patient_id", maintain_order=True)
        .agg(
            weekly_anastrozole_mg=pl.col("weekly_dose_mg").filter(anastrozole).sum(),
            unknown_dose=(anastrozole & pl.col("weekly_dose_mg").is_null()).any(),
            takes_anastrozole=anastrozole.any(),
            other_drug=(pl.col("drug") != ANASTROZOLE).any(),
            takes_other=((pl.col("drug") != ANASTROZOLE) & pl.col("in_force")).any(),
            stopped=~pl.col("in_force").any(),
            days_since_change=pl.col("since_change").min(),
            overlap=pl.col("overlap").any(),
            drug=pl.col("drug").last(),
            ordered_on=pl.col("ordered_on").last(),
            spell_started_on=pl.col("started_on").last(),
            spell_ended_on=pl.col("ended_on").last(),
            spell_file=pl.col("source_file").last(),
            spell_line=pl.col("source_line").last(),
        )
        .with_columns(
            weekly_anastrozole_mg=pl.when(~pl.col("unknown_dose")).then("weekly_anastrozole_mg")
        )
    )


def _gone(on_drug: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    ended = events.filter(pl.col("kind").is_in(["died", "left_clinic"]))
    # A man with a new order after he left has come back.
    return (
        on_drug.join(ended.select("patient_id", "kind", "occurred_on"), on="patient_id")
        .filter((pl.col("kind") == "died") | (pl.col("occurred_on") >= pl.col("ordered_on")))
        .select("patient_id")
        .unique()
    )


def _last_draw(draws: pl.DataFrame) -> pl.DataFrame:
    return (
        draws.sort(_LAST_LAST)
        .group_by("patient_id", maintain_order=True)
        .agg(
            pl.col(
                "value_low", "value_high", "collected_on", "assay", "source_file", "source_line"
            ).last()
        )
        .select(
            "patient_id",
            "assay",
            last_e2_low_pg_ml="value_low",
            last_e2_high_pg_ml="value_high",
            last_e2_on="collected_on",
            draw_file="source_file",
            draw_line="source_line",
        )
    )


def _recent(
    draws: pl.DataFrame,
    present: pl.DataFrame,
    limit: LimitInUse,
    settings: FlagSettings,
    as_of: date,
) -> pl.DataFrame:
    """Sum up the draws that still speak for a man: how many, how many say something, any danger."""
    age = (pl.lit(as_of) - pl.col("collected_on")).dt.total_days()
    censored = pl.col("value_high").is_null() | (pl.col("value_low") < pl.col("value_high"))
    # "<24" does not tell a man at 12 from one at 20; "<10" does, and so does ">30".
    says_something = (
        ~censored
        | (pl.col("value_high") <= limit.lower_limit_pg_ml)
        | (pl.col("value_low") >= limit.lower_limit_pg_ml)
    )
    below_red_line = wholly_below(settings.red_line_pg_ml) & (pl.col("assay") == "ms")
    at_this_dose = (
        ~pl.col("in_transition")
        & ~pl.col("on_other")
        & (pl.col("collected_on") >= pl.col("spell_started_on"))
    )
    return (
        draws.join(present.select("patient_id", "spell_started_on"), on="patient_id")
        .filter(age <= settings.informative_days)
        .sort(_LAST_LAST)
        .group_by("patient_id")
        .agg(
            recent=pl.len().cast(pl.Int64),
            at_this_dose=at_this_dose.sum().cast(pl.Int64),
            informative=(at_this_dose & says_something).sum().cast(pl.Int64),
            ms_below_red_line=below_red_line.any(),
            **{f"red_{name}": pl.col(name).filter(below_red_line).last() for name in _OF_A_RESULT},
            last_below_limit=wholly_below(limit.lower_limit_pg_ml).last(),
            recent_ms=(pl.col("assay") == "ms").any(),
        )
    )


def _bone(exposures: pl.DataFrame, primary_site: str) -> pl.DataFrame:
    """Return the change of the last comparable pair, and whether any site lost more than its LSC."""
    primary = pl.col("site") == primary_site
    return (
        last_pairs(exposures)
        .group_by("patient_id")
        .agg(
            bmd_change_pct_per_year=pl.col("annual_change_pct").filter(primary).first(),
            loss_exceeds_lsc=(pl.col("lsc_verdict") == "loss").any(),
        )
    )


def last_pairs(exposures: pl.DataFrame) -> pl.DataFrame:
    """Return every man's last comparable scan pair of spine, hip and femoral neck."""
    comparable = exposures.filter(~pl.col("why_not").fill_null("").is_in(_NOT_COMPARABLE))
    return (
        comparable.filter(pl.col("site").is_in(FITTED_SITES))
        .sort("second_on", "first_on")
        .unique(["patient_id", "site"], keep="last", maintain_order=True)
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


def last_scans(densitometry: pl.DataFrame) -> pl.DataFrame:
    """Return every man's last scan of spine, hip and femoral neck."""
    return (
        densitometry.filter(pl.col("site").is_in(FITTED_SITES))
        .sort("scanned_on", "namespace", "scan_id")
        .unique(["patient_id", "site"], keep="last", maintain_order=True)
    )


def _below_since(draws: pl.DataFrame, limit: LimitInUse) -> pl.DataFrame:
    """Return since when all results on the drug lie below the limit, and how many they are."""
    steady = draws.filter(pl.col("on_drug") & ~pl.col("in_transition") & ~pl.col("on_other")).sort(
        "patient_id", "collected_at", "result_id"
    )
    not_below = ~wholly_below(limit.lower_limit_pg_ml)
    return (
        steady.with_columns(later=not_below.cum_sum(reverse=True).over("patient_id"))
        .filter(pl.col("later") == 0)
        .group_by("patient_id")
        .agg(below_since=pl.col("collected_on").min(), n_below=pl.len().cast(pl.Int64))
    )


def _sig_not_parsed(medications: pl.DataFrame) -> pl.DataFrame:
    """Return the orders that say what a dose is and not, so that it is understood, how often."""
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


def _newest_result(labs: pl.DataFrame, patients: pl.DataFrame) -> pl.DataFrame:
    of_man = labs.group_by("patient_id").agg(newest=pl.col("collected_on").max())
    return (
        of_man.with_columns(pl.col("patient_id").cast(pl.String))
        .join(patients.select("patient_id", "clinic_id"), on="patient_id")
        .group_by("clinic_id")
        .agg(newest_result_on=pl.col("newest").max())
    )


def _probabilities(
    men: pl.DataFrame,
    limits_pg_ml: np.ndarray[tuple[int], np.dtype[np.float64]],
    settings: FlagSettings,
) -> list[pl.Series]:
    # polars' nulls become NaN here and come back as nulls.
    names = ["off_mean", "off_sd", "on_mean", "on_sd", "covariance"]
    own = Levels(*(men[name].cast(pl.Float64).fill_null(np.nan).to_numpy() for name in names))
    range_ = probabilities(own, limits_pg_ml)
    red = probabilities(own, np.array([settings.red_line_pg_ml]))
    columns = {
        "p_below_range": range_.below,
        "p_attributable": range_.attributable,
        "p_below_red_line": red.below,
    }
    return [pl.Series(name, values).fill_nan(None) for name, values in columns.items()]


def _obstacles(settings: FlagSettings) -> list[pl.Expr]:
    """Name what keeps a man from being assessed, a column each."""
    obstacles = {
        "other_aromatase_inhibitor": pl.col("other_drug"),
        "dose_unknown": pl.col("unknown_dose"),
        "dose_changed_recently": pl.col("stopped")
        | (pl.col("days_since_change") < settings.steady_state_days),
        "no_recent_e2": pl.col("recent") == 0,
        # Draws on another inhibitor are at no dose of anastrozole, and another draw would not change that.
        "no_e2_at_this_dose": ~pl.col("other_drug")
        & (pl.col("recent") > 0)
        & (pl.col("at_this_dose") == 0),
        "only_uninformative_e2": (pl.col("at_this_dose") > 0) & (pl.col("informative") == 0),
        # Without an estimate nothing is in range.
        "no_dose_response": ~pl.col("other_drug")
        & pl.col("on_mean").is_null()
        & (pl.col("informative") > 0),
    }
    return _named(obstacles)


def _findings(settings: FlagSettings, probability: float, as_of: date) -> list[pl.Expr]:
    """Name what was found of a man, assessed or not, a column each."""

    def days_since(column: str) -> pl.Expr:
        return (pl.lit(as_of) - pl.col(column)).dt.total_days()

    unassessed = pl.col("status") == "not_assessable"
    # Where nothing can be estimated, his last result has to speak.
    perhaps = (pl.col("p_below_range") >= probability).fill_null(pl.col("last_below_limit"))
    deep_pg_ml = settings.deep_below_share * pl.col("lower_limit_pg_ml")
    findings = {
        "below_range_by_the_drug": pl.col("status") == "below_range",
        "low_without_the_drug": pl.col("status") == "low_not_attributable",
        "perhaps_below_range": unassessed & perhaps,
        "probably_below_red_line": pl.col("p_below_red_line") >= probability,
        "result_below_red_line": pl.col("ms_below_red_line"),
        "repeat_by_mass_spectrometry": _by_immunoassay_alone(),
        "deep_below_range": pl.col("e2_expected_pg_ml") < deep_pg_ml,
        "long_below_range": (days_since("below_since") >= settings.long_below_days)
        & (pl.col("n_below") >= _LEAST_TO_BE_LONG_BELOW),
        "bone_loss_exceeds_lsc": pl.col("loss_exceeds_lsc"),
        "osteoporosis": pl.col("bone_class") == "osteoporosis",
        "bone_below_expected_for_age": pl.col("bone_class") == "below_expected_for_age",
        "two_aromatase_inhibitors": pl.col("takes_anastrozole") & pl.col("takes_other"),
        "sig_not_parsed": pl.col("unknown_dose") & pl.col("unparsed"),
        "old_order": days_since("ordered_on") > settings.old_order_days,
        "overlapping_orders": pl.col("overlap"),
        "stale_feed": (days_since("newest_result_on") > settings.stale_feed_days).fill_null(True),
        "held_open": pl.lit(False),
    }
    return _named(findings)


def _named(conditions: dict[str, pl.Expr]) -> list[pl.Expr]:
    return [pl.when(is_so).then(pl.lit(name)).alias(name) for name, is_so in conditions.items()]


def _by_immunoassay_alone() -> pl.Expr:
    """Tell whether mass spectrometry says nothing of his E2 on the drug."""
    none_on_drug = (pl.col("n_on") > 0) & (pl.col("n_ms_on") == 0)
    of_estimate = (pl.col("n_draws") > 0) & ((pl.col("n_ms") == 0) | none_on_drug)
    # Where nothing is estimated, the results that still speak for him are all there is.
    of_results = pl.col("on_mean").is_null() & (pl.col("recent") > 0) & ~pl.col("recent_ms")
    return of_estimate | of_results


def _status(probability: float) -> pl.Expr:
    return (
        pl.when(_any_of(_OBSTACLES))
        .then(pl.lit("not_assessable"))
        .when(pl.col("p_attributable") >= probability)
        .then(pl.lit("below_range"))
        .when(pl.col("p_below_range") >= probability)
        .then(pl.lit("low_not_attributable"))
        .otherwise(pl.lit("in_range"))
    )


def _tier() -> pl.Expr:
    """Return the tier of the first rule that holds."""
    return pl.coalesce(
        *(
            pl.when(
                _any_of(rule.any) & _any_of(rule.also or rule.any) & ~_any_of(rule.unless)
            ).then(pl.lit(rule.tier))
            for rule in flag_rules.load().tiers.values()
        ),
        pl.lit("none"),
    )


def _any_of(names: Sequence[str]) -> pl.Expr:
    return pl.any_horizontal(pl.lit(False), *(pl.col(name).is_not_null() for name in names))
