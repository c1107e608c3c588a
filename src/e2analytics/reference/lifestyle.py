"""What men eat and how they train: the entries of ``lifestyle.yaml``, and what men of an age need."""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics import reference

CALCIUM: Final = "calcium_mg_per_day"
PROTEIN: Final = "protein_g_per_kg"
LOADING: Final = (
    "impact_sessions_per_week",
    "resistance_sessions_per_week",
    "balance_sessions_per_week",
)
"""Columns of training that loads bone, by kind."""
ENTRIES: Final = (CALCIUM, PROTEIN, *LOADING)
"""Columns of the table ``lifestyle`` that hold an answer."""


def plausible(entry: str) -> tuple[float, float]:
    """Return the least and the greatest value of an entry that is believed.

    >>> plausible("calcium_mg_per_day")
    (50, 5000)
    """
    least, most = reference.load("lifestyle")["entries"][entry]["plausible"]
    return least, most


def label(entry: str) -> str:
    """Return what an entry is called."""
    return str(reference.load("lifestyle")["entries"][entry]["label"])


def calcium_needs() -> pl.DataFrame:
    """Return what men need of calcium, and the most, mg/day: ``from_years, need_mg, most_mg``, by age."""
    return pl.DataFrame(reference.load("lifestyle")["calcium_needs"]["ages"]).sort("from_years")
