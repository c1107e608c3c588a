"""Results: what a man's E2 results say by themselves, whatever a model makes of them.

In    the draws, the men of the cohort with their present treatment, the criteria
Out   draws of these men, each with what it counts for
      grain patient_id: the last result, the recent ones, those below the limit and below the red line

The present treatment is a drug at a dose. A result of before it never counts against it.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics.flags.criteria import Criteria
from e2analytics.tables.censoring import wholly_below

IS_SO: Final = (
    "ms_below_red_line",
    "ms_was_below_red_line",
    "ms_below_limit",
    "ms_last_below_limit",
    "ms_only_last_below_limit",
    "ms_off_drug_below_limit",
    "last_below_limit",
    "any_recent_ms",
)
"""Columns of :func:`of_men` that are true or false; false for a man without results."""
_BY_TIME: Final = ("collected_on", pl.col("assay") == "ms", "collected_at", "result_id")
"""Order of a man's draws; same-day ties: mass spectrometry last."""
_RESULT_COLUMNS: Final = ("value_low", "value_high", "collected_on", "source_file", "source_line")
CONSECUTIVE: Final = 2
"""Results by mass spectrometry on end that count without a model."""


def of_men(draws: pl.DataFrame, present: pl.DataFrame, criteria: Criteria) -> pl.DataFrame:
    """Return what the results of each man say.

    Parameters
    ----------
    draws
        E2 results with the drug of their day, of ``exposure.draws``.
    present
        The men of the cohort with their present treatment, of ``cohort.present_men``, and
        ``testosterone_since``, the day on which their testosterone last changed, null if that is not known.
    criteria
        The limit in use, the settings, the day.
    """
    weighed = weigh(draws, present, criteria)
    tables = (
        _recent(weighed, criteria),
        _below_red_line(weighed),
        _last_of_treatment(weighed, criteria),
        _below_since(weighed, criteria),
        _off_drug(weighed, present, criteria),
    )
    men = _last(weighed)
    for table in tables:
        men = men.join(table, on="patient_id", how="left")
    return men


def weigh(draws: pl.DataFrame, present: pl.DataFrame, criteria: Criteria) -> pl.DataFrame:
    """Return the draws of the men of the cohort, each with what it counts for.

    Adds ``is_recent``; ``of_treatment``, drawn under the present drug and dose; ``steady``, of the present
    treatment at steady state; ``makes_critical``, below the red line under the present treatment and not
    overruled; ``was_below_red_line``, below it on an inhibitor, under another treatment or overruled since.
    Only mass spectrometry lies below the red line, and only a later result by mass spectrometry at steady state
    overrules it.
    """
    settings = criteria.settings
    age = (pl.lit(criteria.as_of) - pl.col("collected_on")).dt.total_days()
    ms = pl.col("assay") == "ms"
    # A draw on the day of the first dose was taken before it.
    since_start = pl.col("collected_on") > pl.col("treated_since")
    of_treatment = since_start & (~pl.col("on_other") | pl.col("other_drug"))
    on_inhibitor = pl.col("on_drug") | pl.col("on_other") | pl.col("in_transition")
    not_baseline = pl.col("collected_on") != pl.col("treated_since")
    at_or_above = pl.when("steady", ms, pl.col("value_low") >= settings.red_line_pg_ml).then(
        "collected_at"
    )
    below = ms & wholly_below(settings.red_line_pg_ml) & pl.col("is_recent")
    return (
        draws.join(
            present.select("patient_id", "treated_since", "spell_started_on", "other_drug"),
            on="patient_id",
        )
        .with_columns(is_recent=age <= settings.informative_days, of_treatment=of_treatment)
        .with_columns(steady=pl.col("of_treatment") & on_inhibitor & ~pl.col("in_transition"))
        .with_columns(cleared_at=at_or_above.max().over("patient_id"))
        .with_columns(
            makes_critical=below
            & pl.col("of_treatment")
            & (pl.col("collected_at") >= pl.col("cleared_at")).fill_null(True)
        )
        .with_columns(
            was_below_red_line=below & on_inhibitor & not_baseline & ~pl.col("makes_critical")
        )
        .sort(_BY_TIME)
    )


def _last(weighed: pl.DataFrame) -> pl.DataFrame:
    return weighed.group_by("patient_id", maintain_order=True).agg(
        pl.col("assay").last(),
        last_e2_low_pg_ml=pl.col("value_low").last(),
        last_e2_high_pg_ml=pl.col("value_high").last(),
        last_e2_on=pl.col("collected_on").last(),
        draw_file=pl.col("source_file").last(),
        draw_line=pl.col("source_line").last(),
    )


def _recent(weighed: pl.DataFrame, criteria: Criteria) -> pl.DataFrame:
    """Sum up the recent draws: how many, how many at this dose, how many are informative."""
    limit = criteria.limit.lower_limit_pg_ml
    censored = pl.col("value_high").is_null() | (pl.col("value_low") < pl.col("value_high"))
    # "<24" does not separate a man at 12 from one at 20; "<10" and ">30" do.
    is_informative = ~censored | (pl.col("value_high") <= limit) | (pl.col("value_low") >= limit)
    at_this_dose = (
        ~pl.col("in_transition")
        & ~pl.col("on_other")
        & (pl.col("collected_on") >= pl.col("spell_started_on"))
    )
    return (
        weighed.filter("is_recent")
        .group_by("patient_id", maintain_order=True)
        .agg(
            n_recent=pl.len().cast(pl.Int64),
            n_at_this_dose=at_this_dose.sum().cast(pl.Int64),
            n_informative=(at_this_dose & is_informative).sum().cast(pl.Int64),
            last_below_limit=wholly_below(limit).last(),
            any_recent_ms=(pl.col("assay") == "ms").any(),
        )
    )


def _below_red_line(weighed: pl.DataFrame) -> pl.DataFrame:
    """Return whether a result lies, or lay, below the red line, and the last one that does, else did."""
    critical = pl.col("makes_critical")
    shown = critical | (pl.col("was_below_red_line") & ~critical.any())
    return weighed.group_by("patient_id", maintain_order=True).agg(
        ms_below_red_line=critical.any(),
        ms_was_below_red_line=~critical.any() & pl.col("was_below_red_line").any(),
        **{f"red_{name}": pl.col(name).filter(shown).last() for name in _RESULT_COLUMNS},
    )


def _last_of_treatment(weighed: pl.DataFrame, criteria: Criteria) -> pl.DataFrame:
    """Return the last two results by mass spectrometry at steady state, and whether they lie below the limit.

    ``last_ms_log_low`` and ``last_ms_log_high`` are the ends of their mean (log pg/mL).
    """
    low, high = pl.col("value_low"), pl.col("value_high").fill_null(float("inf"))
    below = wholly_below(criteria.limit.lower_limit_pg_ml)
    both = pl.len() == CONSECUTIVE
    return (
        _last_days(weighed.filter("steady"))
        .group_by("patient_id", maintain_order=True)
        .agg(
            ms_below_limit=both & below.all(),
            ms_last_below_limit=below.last(),
            ms_only_last_below_limit=both & below.last() & ~below.first(),
            last_ms_log_low=pl.when(both).then(low.log().mean()),
            last_ms_log_high=pl.when(both).then(high.log().mean()),
            **{
                f"{which}_ms_{name}": getattr(pl.col(name), at)()
                for which, at in (("earlier", "first"), ("later", "last"))
                for name in _RESULT_COLUMNS
            },
        )
    )


def _off_drug(weighed: pl.DataFrame, men: pl.DataFrame, criteria: Criteria) -> pl.DataFrame:
    """Return whether the last two results off the drug, under today's testosterone, lie below the limit."""
    on_inhibitor = pl.col("on_drug") | pl.col("on_other") | pl.col("in_transition")
    off = (
        weighed.filter(~on_inhibitor)
        .join(men.select("patient_id", "testosterone_since"), on="patient_id")
        .filter(pl.col("collected_on") > pl.col("testosterone_since"))
    )
    below = wholly_below(criteria.limit.lower_limit_pg_ml)
    return (
        _last_days(off)
        .group_by("patient_id", maintain_order=True)
        .agg(ms_off_drug_below_limit=(pl.len() == CONSECUTIVE) & below.all())
    )


def _last_days(draws: pl.DataFrame) -> pl.DataFrame:
    """Return each man's results by mass spectrometry of the last two days that have one.

    Of one day the highest counts: two results of one sample are no second opinion.
    """
    high = pl.col("value_high").fill_null(float("inf"))
    return (
        draws.filter(pl.col("assay") == "ms")
        .sort("collected_on", high, "value_low")
        .unique(["patient_id", "collected_on"], keep="last", maintain_order=True)
        .group_by("patient_id", maintain_order=True)
        .tail(CONSECUTIVE)
    )


def _below_since(weighed: pl.DataFrame, criteria: Criteria) -> pl.DataFrame:
    """Return the day since which all results on the drug lie below the limit, and their number."""
    on_the_drug = pl.col("on_drug") & ~pl.col("in_transition") & ~pl.col("on_other")
    steady = weighed.filter(on_the_drug).sort("patient_id", "collected_at", "result_id")
    not_below = ~wholly_below(criteria.limit.lower_limit_pg_ml)
    return (
        steady.with_columns(later=not_below.cum_sum(reverse=True).over("patient_id"))
        .filter(pl.col("later") == 0)
        .group_by("patient_id")
        .agg(below_since=pl.col("collected_on").min(), n_below=pl.len().cast(pl.Int64))
    )
