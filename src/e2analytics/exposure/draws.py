"""Draws: each E2 result with the aromatase inhibitor in force on its day.

In    the accepted rows of labs, episodes (``episodes``)
Out   draws   grain as in ``labs``, E2 only: drug, dose and whether E2 was at steady state
"""

from __future__ import annotations

import polars as pl

from e2analytics.reference.names import ANASTROZOLE, ESTRADIOL
from e2analytics.settings import FlagSettings


def link_draws(labs: pl.DataFrame, episodes: pl.DataFrame, settings: FlagSettings) -> pl.DataFrame:
    """Return the E2 draws with the drug of their day.

    Adds ``on_drug``, ``weekly_anastrozole_mg`` (null off the drug, or unknown), ``in_transition`` and
    ``on_other``. A draw is in transition within the days to steady state after a start or a change, and
    within the days of washout after an end. A draw off the drug keeps its row.

    Parameters
    ----------
    labs
        Accepted results.
    episodes
        From ``episodes.find_episodes``.
    settings
        Days to steady state, and of washout.
    """
    e2 = labs.filter(pl.col("analyte") == ESTRADIOL).with_row_index("draw")
    held = (
        e2.select("draw", "patient_id", "collected_on")
        .join(
            episodes.select("patient_id", "drug", "started_on", "ended_on", "weekly_dose_mg"),
            on="patient_id",
        )
        .filter(pl.col("collected_on") >= pl.col("started_on"))
    )
    since_start = (pl.col("collected_on") - pl.col("started_on")).dt.total_days()
    since_end = (pl.col("collected_on") - pl.col("ended_on")).dt.total_days()
    in_force = pl.col("ended_on").is_null() | (pl.col("collected_on") < pl.col("ended_on"))
    anastrozole = pl.col("drug") == ANASTROZOLE
    state = held.group_by("draw").agg(
        on_drug=(in_force & anastrozole).any(),
        weekly_anastrozole_mg=pl.col("weekly_dose_mg").filter(in_force & anastrozole).first(),
        settling=(in_force & (since_start < settings.steady_state_days)).any(),
        washing_out=(~in_force & (since_end < settings.washout_days)).any(),
        on_other=(~anastrozole & (in_force | (since_end < settings.washout_days))).any(),
    )
    return (
        e2.join(state, on="draw", how="left", validate="1:1", maintain_order="left")
        .with_columns(pl.col("on_drug", "settling", "washing_out", "on_other").fill_null(False))
        .with_columns(in_transition=pl.col("settling") | pl.col("washing_out"))
        .drop("settling", "washing_out")
    )


def why_unusable() -> pl.Expr:
    """Return why no model describes a draw, the first reason that holds; null where it does."""
    reasons = {
        # An open interval from zero, or no value at all, carries no information.
        "result_without_bounds": ~(
            (pl.col("value_low") > 0) | (pl.col("value_high") > 0)
        ).fill_null(False),
        "draw_day_not_sent": pl.col("imputed").str.contains("collected_at", literal=True),
        "on_another_inhibitor": pl.col("on_other"),
        "dose_not_steady": pl.col("in_transition"),
    }
    return pl.coalesce(pl.when(is_so).then(pl.lit(name)) for name, is_so in reasons.items())
