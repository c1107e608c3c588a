"""Flag life: which flags are new, open, resolved or reopened.

In    the cohort of a day, the flags as of the last day before it
Out   flags   grain patient_id: the flagged men, and those whose flag is resolved
"""

from __future__ import annotations

from datetime import date

import polars as pl

from e2analytics.contracts import columns_of


def flags(cohort: pl.DataFrame, before: pl.DataFrame, *, as_of: date) -> pl.DataFrame:
    """Return the flagged men with the life of their flag, and those whose flag is resolved.

    Parameters
    ----------
    cohort
        The men on the as-of date.
    before
        The flags as of the last day before it.
    as_of
        The day.
    """
    life = ["first_flagged_on", "state", "review_state", "review_note"]
    earlier = before.filter(pl.col("first_flagged_on") <= as_of)
    here = (
        cohort.join(earlier.select("patient_id", *life), on="patient_id", how="left")
        .filter((pl.col("tier") != "none") | pl.col("first_flagged_on").is_not_null())
        .with_columns(
            pl.col("first_flagged_on").fill_null(as_of),
            pl.col("review_state").fill_null("not_reviewed"),
            state=_state(as_of),
        )
    )
    # Off the drug, or gone: the flag is resolved and its history stays.
    gone = earlier.join(cohort, on="patient_id", how="anti").with_columns(
        pl.lit(as_of).alias("as_of"),
        tier=pl.lit("none"),
        reasons=pl.lit("no_longer_in_cohort"),
        state=pl.lit("resolved"),
    )
    columns = columns_of("flags")
    return pl.concat([here.select(columns), gone.select(columns)]).sort("patient_id")


def _state(as_of: date) -> pl.Expr:
    came_back = pl.col("state").is_in(["resolved", "reopened"])
    return (
        pl.when(pl.col("tier") == "none")
        .then(pl.lit("resolved"))
        .when(pl.col("first_flagged_on").fill_null(as_of) == as_of)
        .then(pl.lit("new"))
        .when(came_back)
        .then(pl.lit("reopened"))
        .otherwise(pl.lit("open"))
    )
