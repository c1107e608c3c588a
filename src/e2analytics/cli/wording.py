"""Curves, limits and tiers in the words that several verbs print."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from e2analytics.tables.vocabulary import FITTED_SITES, OPEN_TIERS, POOLED

_PLACES: Final = {site: place for place, site in enumerate((*FITTED_SITES, POOLED))}


def by_site(summary: pl.DataFrame) -> pl.DataFrame:
    """Put curves in the order in which they are fitted, as they come from the store by name."""
    place = pl.col("site").cast(pl.String).replace_strict(_PLACES, default=len(_PLACES))
    return summary.sort(place, "outcome")


def tiers(flags: pl.DataFrame) -> str:
    """Say how many men are flagged, tier by tier."""
    counts = dict(flags.group_by("tier").len().rows())
    tiers = [f"{counts[tier]} {tier}" for tier in OPEN_TIERS if tier in counts]
    return ", ".join(tiers) or "none"


def with_interval(row: dict[str, Any], side: str) -> str:
    """Say where a fitted limit lies, pg/mL, and its 95 % interval."""
    value, low, high = (
        row[name]
        for name in (f"{side}_limit_pg_ml", f"{side}_limit_ci_low", f"{side}_limit_ci_high")
    )
    return f"{value:.1f} ({low:.1f} to {high:.1f})"
