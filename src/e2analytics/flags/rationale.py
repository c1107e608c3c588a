"""Rationale: what a flag is based on, in words, with the file and line of each piece."""

from __future__ import annotations

import polars as pl

from e2analytics.models.normal import Z95


def in_words() -> pl.Expr:
    """Return in words what a flag is based on, with the file and line of each piece."""
    return pl.concat_str(
        _expected().fill_null("No E2 level can be estimated."),
        _changed("e2_fell", "fell", "p_fell_12m"),
        _changed("e2_rose", "rose", "p_rose_12m"),
        _last_result().fill_null("No E2 on record."),
        _below_red_line(),
        _last_two(),
        _bone_lost(),
        _dose(),
        separator=" ",
        ignore_nulls=True,
    )


def _expected() -> pl.Expr:
    return pl.format(
        "Expected E2 at {} {} pg/mL (95 % {} to {}), off the drug {}, from {} draws.",
        pl.when("stopped").then(pl.lit("his last dose")).otherwise(pl.lit("the present dose")),
        pl.col("on_mean").exp().round(1),
        (pl.col("on_mean") - Z95 * pl.col("on_sd")).exp().round(1),
        (pl.col("on_mean") + Z95 * pl.col("on_sd")).exp().round(1),
        pl.col("off_mean").exp().round(1),
        "n_draws",
    )


def _changed(reason: str, way: str, probability: str) -> pl.Expr:
    return pl.when(pl.col(reason).is_not_null()).then(
        pl.format(
            f"E2 {way} about {{}} (probability {{}}).",
            pl.col("changed_on").dt.strftime("%B %Y"),
            pl.col(probability).round(2),
        )
    )


def _last_result() -> pl.Expr:
    return pl.format(
        "Last E2 {} pg/mL ({}) on {} [{} line {}].",
        _value("last_e2_low_pg_ml", "last_e2_high_pg_ml"),
        "assay",
        "last_e2_on",
        "draw_file",
        "draw_line",
    )


def _below_red_line() -> pl.Expr:
    """Say the result below the red line where it is not the last one."""
    earlier = (pl.col("red_source_file") != pl.col("draw_file")) | (
        pl.col("red_source_line") != pl.col("draw_line")
    )
    return pl.when(earlier).then(
        pl.format(
            "{} the red line {} pg/mL (ms) on {} [{} line {}].",
            pl.when("ms_below_red_line").then(pl.lit("Below")).otherwise(pl.lit("Was below")),
            _value("red_value_low", "red_value_high"),
            "red_collected_on",
            "red_source_file",
            "red_source_line",
        )
    )


def _last_two() -> pl.Expr:
    compared = pl.col("ms_results_below_limit", "results_and_estimate_disagree").is_not_null()
    return pl.when(pl.any_horizontal(compared)).then(
        pl.format(
            "Last two by mass spectrometry at this dose: {} and {} pg/mL on {} and {} [{} line {}; {} line {}].",
            _value("earlier_ms_value_low", "earlier_ms_value_high"),
            _value("later_ms_value_low", "later_ms_value_high"),
            "earlier_ms_collected_on",
            "later_ms_collected_on",
            "earlier_ms_source_file",
            "earlier_ms_source_line",
            "later_ms_source_file",
            "later_ms_source_line",
        )
    )


def _bone_lost() -> pl.Expr:
    return pl.when(pl.col("bone_loss_exceeds_lsc").is_not_null()).then(
        pl.format(
            "Bone lost beyond LSC at {}: {} % a year.",
            pl.col("bmd_change_site").str.replace_all("_", " "),
            pl.col("bmd_change_pct_per_year").round(1),
        )
    )


def _dose() -> pl.Expr:
    weekly_dose = pl.format(" {} mg a week", pl.col("weekly_anastrozole_mg").round(2)).fill_null(
        pl.lit(", dose unknown,")
    )
    return pl.format(
        "{}{} since {}{}, last ordered on {} [{} line {}].",
        pl.col("drug").str.to_titlecase(),
        pl.when("takes_anastrozole").then(weekly_dose).otherwise(pl.lit("")),
        "spell_started_on",
        pl.when("stopped")
        .then(pl.format(", stopped on {}", "spell_ended_on"))
        .otherwise(pl.lit("")),
        "ordered_on",
        "spell_file",
        "spell_line",
    )


def _value(low: str, high: str) -> pl.Expr:
    return (
        pl.when(pl.col(high).is_null())
        .then(pl.format(">{}", pl.col(low).round(1)))
        .when(pl.col(low) == 0)
        .then(pl.format("<{}", pl.col(high).round(1)))
        .otherwise(pl.col(high).round(1).cast(pl.String))
    )
