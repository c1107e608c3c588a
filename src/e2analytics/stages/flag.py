"""Flag: who is being pushed too low, by the drug, and how sure are we.

In    episodes, E2 draws, the men's own levels, exposures, scans, events, the limit in use
Out   cohort   grain patient_id: every man on an aromatase inhibitor on the as-of date

Every man of the cohort has one status and one tier. The tier is never hidden by the status: a man
whose E2 cannot be assessed today may still be in danger.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from e2analytics.contracts import FITTED_SITES, columns_of
from e2analytics.models.below import Levels, probabilities
from e2analytics.settings import FlagSettings
from e2analytics.stages import grounds
from e2analytics.stages.limit import LimitInUse
from e2analytics.stages.link import ANASTROZOLE

_Z95: Final = 1.959963984540054
_SEPARATOR: Final = "; "
_NOT_ASSESSABLE: Final = (
    "other_aromatase_inhibitor",
    "dose_unknown",
    "dose_changed_recently",
    "no_recent_e2",
    "no_e2_at_this_dose",
    "only_uninformative_e2",
    "no_dose_response",
)
_COUNTS: Final = ("n_draws", "n_on", "n_ms", "n_ms_on", "recent", "at_this_dose", "informative")
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


class Known(NamedTuple):
    """What is known of the men on the as-of date."""

    patients: pl.DataFrame
    episodes: pl.DataFrame
    draws: pl.DataFrame
    men: pl.DataFrame
    exposures: pl.DataFrame
    dxa: pl.DataFrame
    events: pl.DataFrame


def cohort(
    known: Known,
    limit: LimitInUse,
    limit_quantiles_pg_ml: Sequence[float],
    settings: FlagSettings,
    *,
    primary_site: str,
    as_of: date,
    model_id: str,
) -> pl.DataFrame:
    """Return every man on an aromatase inhibitor with his status, his tier and their grounds."""
    on_drug = _on_drug(known.episodes, settings, as_of)
    present = on_drug.join(_gone(on_drug, known.events), on="patient_id", how="anti")
    men = (
        present.join(known.patients.select("patient_id", "clinic_id"), on="patient_id")
        .join(known.men, on="patient_id", how="left")
        .with_columns(_unless_other_drug())
        .join(_last_draw(known.draws), on="patient_id", how="left")
        .join(_recent(known.draws, present, limit, settings, as_of), on="patient_id", how="left")
        .join(_bone(known.exposures, primary_site), on="patient_id", how="left")
        .join(_scores(known.dxa), on="patient_id", how="left")
        .sort("patient_id")
        .with_columns(
            pl.col(_COUNTS).fill_null(0),
            pl.col("ms_below_red_line").fill_null(False),
            lower_limit_pg_ml=pl.lit(limit.lower_limit_pg_ml),
            limit_source=pl.lit(limit.source),
            as_of=pl.lit(as_of),
            model_id=pl.lit(model_id),
        )
    )
    quantiles = np.asarray(limit_quantiles_pg_ml or [limit.lower_limit_pg_ml])
    judged = (
        men.with_columns(_probabilities(men, quantiles, settings))
        .with_columns(_obstacles(settings))
        .with_columns(status=_status(settings))
        .with_columns(_findings(settings, as_of))
        .with_columns(tier=_tier(settings))
    )
    return judged.with_columns(
        reasons=pl.concat_list(_NOT_ASSESSABLE + _FINDINGS).list.drop_nulls().list.join(_SEPARATOR),
        grounds=grounds.in_words(),
        e2_expected_pg_ml=pl.col("on_mean").exp(),
        e2_ci_low=(pl.col("on_mean") - _Z95 * pl.col("on_sd")).exp(),
        e2_ci_high=(pl.col("on_mean") + _Z95 * pl.col("on_sd")).exp(),
        e2_off_drug_pg_ml=pl.col("off_mean").exp(),
    ).select(columns_of("cohort"))


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
        draws.sort("collected_at", "result_id")
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
    red = settings.red_line_pg_ml
    wholly_below = (pl.col("value_high") < red) | ((pl.col("value_high") == red) & censored)
    at_this_dose = (
        ~pl.col("in_transition")
        & ~pl.col("on_other")
        & (pl.col("collected_on") >= pl.col("spell_started_on"))
    )
    return (
        draws.join(present.select("patient_id", "spell_started_on"), on="patient_id")
        .filter(age <= settings.informative_days)
        .group_by("patient_id")
        .agg(
            recent=pl.len().cast(pl.Int64),
            at_this_dose=at_this_dose.sum().cast(pl.Int64),
            informative=(at_this_dose & says_something).sum().cast(pl.Int64),
            ms_below_red_line=(wholly_below & (pl.col("assay") == "ms")).any(),
        )
    )


def _bone(exposures: pl.DataFrame, primary_site: str) -> pl.DataFrame:
    """Return the change of the last comparable pair, and whether any site lost more than its LSC."""
    comparable = exposures.filter(~pl.col("why_not").fill_null("").is_in(_NOT_COMPARABLE))
    last = (
        comparable.filter(pl.col("site").is_in(FITTED_SITES))
        .sort("second_on", "first_on")
        .unique(["patient_id", "site"], keep="last", maintain_order=True)
    )
    primary = pl.col("site") == primary_site
    return last.group_by("patient_id").agg(
        bmd_change_pct_per_year=pl.col("annual_change_pct").filter(primary).first(),
        loss_exceeds_lsc=(pl.col("lsc_verdict") == "loss").any(),
    )


def _scores(dxa: pl.DataFrame) -> pl.DataFrame:
    last = (
        dxa.filter(pl.col("site").is_in(FITTED_SITES))
        .sort("scanned_on", "scan_id")
        .unique(["patient_id", "site"], keep="last", maintain_order=True)
    )
    return last.group_by("patient_id").agg(
        t_score_min=pl.col("t_score").min(), z_score_min=pl.col("z_score").min()
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
        "no_e2_at_this_dose": (pl.col("recent") > 0) & (pl.col("at_this_dose") == 0),
        "only_uninformative_e2": (pl.col("at_this_dose") > 0) & (pl.col("informative") == 0),
        "no_dose_response": ~pl.col("other_drug")
        & pl.col("on_mean").is_null()
        & (pl.col("n_draws") > 0),
    }
    return _named(obstacles)


def _findings(settings: FlagSettings, as_of: date) -> list[pl.Expr]:
    """Name what was found of a man, assessed or not, a column each."""
    order_age = (pl.lit(as_of) - pl.col("ordered_on")).dt.total_days()
    unassessed = pl.col("status") == "not_assessable"
    findings = {
        "below_range_by_the_drug": pl.col("status") == "below_range",
        "low_without_the_drug": pl.col("status") == "low_not_attributable",
        "perhaps_below_range": unassessed & (pl.col("p_below_range") >= settings.probability),
        "probably_below_red_line": pl.col("p_below_red_line") >= settings.probability,
        "result_below_red_line": pl.col("ms_below_red_line"),
        "repeat_by_mass_spectrometry": _by_immunoassay_alone(),
        "bone_loss_exceeds_lsc": pl.col("loss_exceeds_lsc"),
        "two_aromatase_inhibitors": pl.col("takes_anastrozole") & pl.col("takes_other"),
        "old_order": order_age > settings.old_order_days,
        "overlapping_orders": pl.col("overlap"),
    }
    return _named(findings)


def _named(conditions: dict[str, pl.Expr]) -> list[pl.Expr]:
    return [pl.when(is_so).then(pl.lit(name)).alias(name) for name, is_so in conditions.items()]


_FINDINGS: Final = (
    "below_range_by_the_drug",
    "low_without_the_drug",
    "perhaps_below_range",
    "probably_below_red_line",
    "result_below_red_line",
    "repeat_by_mass_spectrometry",
    "bone_loss_exceeds_lsc",
    "two_aromatase_inhibitors",
    "old_order",
    "overlapping_orders",
)


def _by_immunoassay_alone() -> pl.Expr:
    """Tell whether mass spectrometry says nothing of his E2 on the drug."""
    none_on_drug = (pl.col("n_on") > 0) & (pl.col("n_ms_on") == 0)
    return (pl.col("n_draws") > 0) & ((pl.col("n_ms") == 0) | none_on_drug)


def _status(settings: FlagSettings) -> pl.Expr:
    return (
        pl.when(pl.any_horizontal(pl.col(name).is_not_null() for name in _NOT_ASSESSABLE))
        .then(pl.lit("not_assessable"))
        .when(pl.col("p_attributable") >= settings.probability)
        .then(pl.lit("below_range"))
        .when(pl.col("p_below_range") >= settings.probability)
        .then(pl.lit("low_not_attributable"))
        .otherwise(pl.lit("in_range"))
    )


def _tier(settings: FlagSettings) -> pl.Expr:
    danger = (pl.col("p_below_red_line") >= settings.probability).fill_null(False)
    low = (pl.col("p_below_range") >= settings.probability).fill_null(False)
    watched = (
        low
        | (pl.col("status") == "low_not_attributable")
        | pl.col("two_aromatase_inhibitors").is_not_null()
    )
    return (
        # Evidence by immunoassay alone never exceeds high.
        pl.when(pl.col("ms_below_red_line") | (danger & ~_by_immunoassay_alone()))
        .then(pl.lit("critical"))
        .when(danger | (pl.col("status") == "below_range"))
        .then(pl.lit("high"))
        .when(watched)
        .then(pl.lit("watch"))
        .otherwise(pl.lit("none"))
    )
