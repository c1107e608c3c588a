"""Assessment: each man's status, tier and reasons, by the rules of ``schemas/reference/flag_rules.yaml``.

In    the men of the cohort with what is known of each, the criteria
Out   the same men: probabilities, a column for each reason, ``status``, ``tier``, ``reasons``, ``held_open``

Every man has one status and one tier. The status never hides the tier: a man whose E2 cannot be assessed
today may still be in danger. This module decides which reasons hold; the rules define what follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import polars as pl

from e2analytics.flags import results
from e2analytics.flags import rules as flag_rules
from e2analytics.flags.criteria import Criteria
from e2analytics.models.dose_response.exceedance import Levels, probabilities
from e2analytics.models.normal import Z99
from e2analytics.settings import FlagSettings
from e2analytics.tables.clinics import is_stale
from e2analytics.tables.vocabulary import TIERS

_SEPARATOR: Final = "; "
_OBSTACLES: Final = flag_rules.load().reasons_of_role("obstacle")
_FINDINGS: Final = tuple(
    name
    for name in flag_rules.load().reasons_of_role("finding")
    # A reason of men who are no longer in the cohort.
    if name != "no_longer_in_cohort"
)
_LEAST_TO_BE_LONG_BELOW: Final = 2


def assess(men: pl.DataFrame, criteria: Criteria) -> pl.DataFrame:
    """Add each man's probabilities, status, tier and reasons, and whether a flag was held open.

    A tier of the run before is held until the rules, at the probability that closes a flag, no longer
    give it.

    Parameters
    ----------
    men
        What is known of each man, of :mod:`e2analytics.flags.cohort`; ``tier_before`` is that of the run
        before.
    criteria
        What he is assessed by.
    """
    settings = criteria.settings
    limits = np.asarray(criteria.limit_quantiles_pg_ml or [criteria.limit.lower_limit_pg_ml])
    known = men.with_columns(_probabilities(men, limits, settings))
    assessed = _by_rules(known, criteria, settings.probability)
    at_closing = _by_rules(known, criteria, settings.closing_probability)["tier"]
    assessed = assessed.with_columns(at_closing=at_closing)
    kept = (
        pl.when(_urgency("tier_before") < _urgency("at_closing"))
        .then("tier_before")
        .otherwise("at_closing")
    )
    held = (_urgency("tier_before") > _urgency("tier")) & (
        _urgency("at_closing") > _urgency("tier")
    )
    return assessed.with_columns(
        tier=pl.when(held).then(kept).otherwise("tier"),
        held_open=pl.when(held).then(pl.lit("held_open")),
    ).with_columns(
        reasons=pl.concat_list(_OBSTACLES + _FINDINGS).list.drop_nulls().list.join(_SEPARATOR)
    )


def _probabilities(
    men: pl.DataFrame,
    limits_pg_ml: np.ndarray[tuple[int], np.dtype[np.float64]],
    settings: FlagSettings,
) -> list[pl.Series]:
    """Return the probabilities of being below the limit, because of the drug, and below the red line."""
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


def _by_rules(men: pl.DataFrame, criteria: Criteria, probability: float) -> pl.DataFrame:
    return (
        men.with_columns(_obstacles(criteria.settings))
        .with_columns(status=_status(probability))
        .with_columns(_findings(criteria, probability))
        .with_columns(tier=_tier())
    )


def _urgency(tier: str) -> pl.Expr:
    return pl.col(tier).cast(pl.Enum(TIERS[::-1])).to_physical()


def _obstacles(settings: FlagSettings) -> list[pl.Expr]:
    """Name what prevents an assessment, a column for each obstacle."""
    obstacles = {
        "other_aromatase_inhibitor": pl.col("other_drug"),
        "dose_unknown": pl.col("unknown_dose") & ~pl.col("implant"),
        "inhibitor_as_implant": pl.col("implant"),
        "dose_changed_recently": pl.col("stopped")
        | (pl.col("days_since_change") < settings.steady_state_days),
        "e2_too_uncertain": pl.col("e2_ci_high") / pl.col("e2_ci_low")
        > settings.max_e2_interval_ratio,
        # Without an estimate nothing is in range.
        "no_dose_response": ~pl.col("other_drug") & pl.col("on_mean").is_null(),
    }
    return _named(obstacles)


def _findings(criteria: Criteria, probability: float) -> list[pl.Expr]:
    """Name what was found, assessed or not, a column for each finding."""
    settings, as_of = criteria.settings, criteria.as_of

    def days_since(column: str) -> pl.Expr:
        return (pl.lit(as_of) - pl.col(column)).dt.total_days()

    unassessed = pl.col("status") == "not_assessable"
    # Without an estimate, the last result decides.
    perhaps = (pl.col("p_below_range") >= probability).fill_null(pl.col("last_below_limit"))
    deep_pg_ml = settings.deep_below_share * pl.col("lower_limit_pg_ml")
    findings = {
        "no_recent_e2": pl.col("n_recent") == 0,
        # Draws under another inhibitor are at no dose of anastrozole; another draw would not change that.
        "no_e2_at_this_dose": ~pl.col("other_drug")
        & (pl.col("n_recent") > 0)
        & (pl.col("n_at_this_dose") == 0),
        "only_uninformative_e2": (pl.col("n_at_this_dose") > 0) & (pl.col("n_informative") == 0),
        "below_range_by_the_drug": pl.col("status") == "below_range",
        "low_without_the_drug": pl.col("status") == "low_not_attributable",
        "perhaps_below_range": unassessed & perhaps,
        "probably_below_red_line": pl.col("p_below_red_line") >= probability,
        "result_below_red_line": pl.col("ms_below_red_line"),
        "was_below_red_line": pl.col("ms_was_below_red_line"),
        "ms_results_below_limit": pl.col("ms_below_limit"),
        "one_ms_result_below_limit": pl.col("ms_last_below_limit") & ~pl.col("ms_below_limit"),
        "ms_result_before_not_below": pl.col("ms_only_last_below_limit"),
        "low_off_the_drug_too": pl.col("ms_off_drug_below_limit"),
        "other_e2_drug": pl.col("other_e2_drug"),
        "free_e2_low": pl.col("free_e2_low"),
        "results_and_estimate_disagree": _disagree(criteria.sd_of_draw),
        "e2_fell": pl.col("p_fell_12m") >= settings.change_probability,
        "e2_rose": pl.col("p_rose_12m") >= settings.change_probability,
        "repeat_by_mass_spectrometry": _by_immunoassay_alone(),
        "deep_below_range": pl.col("e2_expected_pg_ml") < deep_pg_ml,
        "long_below_range": (days_since("below_since") >= settings.long_below_days)
        & (pl.col("n_below") >= _LEAST_TO_BE_LONG_BELOW),
        "bone_loss_exceeds_lsc": pl.col("loss_exceeds_lsc"),
        "osteoporosis": pl.col("bone_class") == "osteoporosis",
        "bone_below_expected_for_age": pl.col("bone_class") == "below_expected_for_age",
        "fracture_on_the_drug": pl.col("fractured_on").is_not_null(),
        "bone_loss_repeated": pl.col("loss_repeated"),
        "no_bone_plan_since": pl.col("bone_finding_on").is_not_null(),
        "on_glucocorticoid_now": pl.col("on_glucocorticoid"),
        "denosumab_not_followed": pl.col("denosumab_ended"),
        "two_aromatase_inhibitors": pl.col("takes_anastrozole") & pl.col("takes_other"),
        "sig_not_parsed": pl.col("unknown_dose") & pl.col("unparsed"),
        "old_order": pl.min_horizontal(days_since("ordered_on"), days_since("listed_on"))
        > settings.old_order_days,
        "overlapping_orders": pl.col("overlap"),
        "stale_feed": is_stale(criteria.as_of, settings.stale_feed_days),
        "held_open": pl.lit(False),
    }
    return _named(findings)


def _disagree(sd_of_draw: float | None) -> pl.Expr:
    """Tell whether the mean of the last two results lies beyond what 99 % of estimate and draws allow."""
    if sd_of_draw is None:
        return pl.lit(False)
    spread = (pl.col("on_sd").pow(2) + sd_of_draw**2 / results.CONSECUTIVE).sqrt()
    lower = pl.col("last_ms_log_high") < pl.col("on_mean") - Z99 * spread
    higher = pl.col("last_ms_log_low") > pl.col("on_mean") + Z99 * spread
    return ~pl.col("unknown_dose") & (lower | higher)


def _named(conditions: dict[str, pl.Expr]) -> list[pl.Expr]:
    return [pl.when(is_so).then(pl.lit(name)).alias(name) for name, is_so in conditions.items()]


def _by_immunoassay_alone() -> pl.Expr:
    """Tell whether no result by mass spectrometry informs his E2 on the drug."""
    none_on_drug = (pl.col("n_on") > 0) & (pl.col("n_ms_on") == 0)
    of_estimate = (pl.col("n_draws") > 0) & ((pl.col("n_ms") == 0) | none_on_drug)
    # Without an estimate, only his recent draws inform.
    of_results = pl.col("on_mean").is_null() & (pl.col("n_recent") > 0) & ~pl.col("any_recent_ms")
    return of_estimate | of_results


def _status(probability: float) -> pl.Expr:
    return (
        pl.when(_any_of(_OBSTACLES))
        .then(pl.lit("not_assessable"))
        .when(
            (pl.col("p_attributable") >= probability)
            & ~pl.col("ms_off_drug_below_limit")
            & ~pl.col("other_e2_drug")
        )
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
