"""Source and month of a laboratory result, as the evidence counts and a decision names them."""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics.settings import SlipDecision, SlipSettings
from e2analytics.tables.categoricals import to_categories
from e2analytics.tables.months import month_of
from e2analytics.tables.vocabulary import SOURCE_KINDS

KINDS: Final = SOURCE_KINDS
CONVERTED: Final = "unit_converted"
"""With the unit declared and the real one, in ``imputed`` of every row that a decision has converted."""
MONTH: Final = "month_"
"""Name of a column of months, counted from year 0."""


def with_sources(labs: pl.LazyFrame, feeds: pl.DataFrame, clinics: pl.DataFrame) -> pl.LazyFrame:
    """Add ``clinic``, ``feed`` and the month to rows with categories; the laboratory is in them.

    Parameters
    ----------
    labs
        Rows with ``source_file``, ``patient_id`` and ``collected_on``.
    feeds
        ``source_file -> feed``.
    clinics
        ``patient_id -> clinic_id``.
    """
    feed = to_categories(feeds.lazy().select("source_file", "feed")).unique(
        "source_file", keep="first"
    )
    clinic = to_categories(clinics.lazy().select("patient_id", clinic="clinic_id")).unique(
        "patient_id", keep="first"
    )
    return (
        labs.with_columns(month_of(pl.col("collected_on")).alias(MONTH))
        .join(feed, on="source_file", how="left", maintain_order="left")
        .join(clinic, on="patient_id", how="left", maintain_order="left")
    )


def named_by(decision: SlipDecision) -> pl.Expr:
    """Return which rows, with their sources, a decision names."""
    named = (pl.col(decision.source_kind) == decision.source) & (
        pl.col("analyte") == decision.analyte
    )
    if decision.months != "all":
        named &= pl.col(MONTH).is_in(months_of(decision))
    return named.fill_null(False)


def months_of(decision: SlipDecision) -> list[int]:
    """Return the months that a decision names one by one, counted from year 0."""
    if decision.months == "all":
        return []
    return [int(month[:4]) * 12 + int(month[5:]) - 1 for month in decision.months]


def conversions(settings: SlipSettings) -> list[SlipDecision]:
    """Return the decisions that convert."""
    return [each for each in settings.decisions if each.action == "convert"]


def mark(decision: SlipDecision) -> str:
    """Return the mark in ``imputed`` of a row that a decision has converted."""
    return f"{CONVERTED}:{decision.declared}:{decision.really}"


def texts_with(word: str, column: pl.Series) -> list[str]:
    """Return the texts of a column of categories that hold a word: few, where rows are many."""
    texts = column.unique().drop_nulls().cast(pl.String)
    return [text for text in texts if word in text]
