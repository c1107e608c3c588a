"""Curves, limits and tiers in the words that several verbs print."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import polars as pl

from e2analytics.tables.vocabulary import FITTED_SITES, OPEN_TIERS, POOLED

_PLACES: Final = {site: place for place, site in enumerate((*FITTED_SITES, POOLED))}


def unsettled_in_words(file: Path, lines: list[int]) -> str:
    """Say that a description still has TODOs: a run uses it all the same.

    >>> unsettled_in_words(Path("feeds/acme.yaml"), [5, 12])
    'feeds/acme.yaml still asks something in line 5, 12: answer each TODO and delete it. Until then a run uses the file as it is.'
    """
    where = ", ".join(map(str, lines))
    return (
        f"{file} still asks something in line {where}: answer each TODO and delete it. Until then a run uses "
        "the file as it is."
    )


def by_site(summary: pl.DataFrame) -> pl.DataFrame:
    """Put curves in the order in which they are fitted, as they come from the store by name."""
    place = pl.col("site").cast(pl.String).replace_strict(_PLACES, default=len(_PLACES))
    return summary.sort(place, "outcome")


def tiers(flags: pl.DataFrame) -> str:
    """Say how many men are flagged, tier by tier."""
    counts = dict(flags.group_by("tier").len().rows())
    tiers = [f"{counts[tier]} {tier}" for tier in OPEN_TIERS if tier in counts]
    return ", ".join(tiers) or "none"


def news(events: pl.DataFrame, run_id: str) -> str:
    """Say what a run changed of flags: how many were opened and resolved, and how many tiers moved.

    >>> events = pl.DataFrame({"run_id": ["run-2"] * 4, "event": ["new", "new", "reopened", "resolved"]})
    >>> news(events, "run-2"), news(events, "run-3")
    ('3 flags opened (1 of them again), 1 resolved', 'no flag opened or resolved')
    """
    of_run = events.filter(pl.col("run_id") == run_id)
    counts = dict(of_run.group_by(pl.col("event").cast(pl.String)).len().rows())
    again = counts.get("reopened", 0)
    opened = counts.get("new", 0) + again
    resolved = counts.get("resolved", 0)
    moved = counts.get("tier_changed", 0)
    if not opened and not resolved:
        words = ["no flag opened or resolved"]
    else:
        opening = (
            f"{opened:,} flag{'s' * (opened != 1)} opened"
            + f" ({again:,} of them again)" * bool(again)
        )
        words = [opening, f"{resolved:,} resolved"]
    return ", ".join([*words, *[f"{moved:,} of another tier than before"] * bool(moved)])


def with_interval(row: dict[str, Any], side: str) -> str:
    """Say where a fitted limit lies, pg/mL, and its 95 % interval."""
    value, low, high = (
        row[name]
        for name in (f"{side}_limit_pg_ml", f"{side}_limit_ci_low", f"{side}_limit_ci_high")
    )
    return f"{value:.1f} ({low:.1f} to {high:.1f})"
