"""Lifestyle: what a man eats and how he loads his bones, beside what men of his age need.

In    rows of lifestyle, the men with their dates of birth
Out   grain patient_id: ``lifestyle``, the last answer to each question with its day, in words

Information: no status and no tier rests on it. What is not supplied is not said. Needs: ``lifestyle.yaml``.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics.reference import lifestyle as entries
from e2analytics.tables.ages import completed_years

_SEPARATOR: Final = "; "


def lifestyle(recorded: pl.DataFrame, men: pl.DataFrame) -> pl.DataFrame:
    """Return the last answers of each man in words; men who gave none are not there.

    Parameters
    ----------
    recorded
        Rows of ``lifestyle``.
    men
        ``patient_id, birth_date, as_of``; his age on the as-of date counts.
    """
    last = (
        recorded.unpivot(
            entries.ENTRIES, index=["patient_id", "recorded_on"], variable_name="entry"
        )
        .drop_nulls("value")
        .sort("patient_id", "entry", "recorded_on")
        .unique(["patient_id", "entry"], keep="last", maintain_order=True)
    )
    said = [_calcium(last, men), _protein(last), _loading(last)]
    return (
        pl.concat(said)
        .group_by("patient_id", maintain_order=True)
        .agg(lifestyle=pl.col("words").str.join(_SEPARATOR))
    )


def _calcium(last: pl.DataFrame, men: pl.DataFrame) -> pl.DataFrame:
    ages = men.select("patient_id", age=completed_years(pl.col("as_of")))
    need, most, value = pl.col("need_mg"), pl.col("most_mg"), pl.col("value")
    beside = (
        pl.when(value < need)
        .then(pl.format(", below the {} mg recommended for men of his age", need))
        .when(value > most)
        .then(pl.format(", above the {} mg that are the upper limit for men of his age", most))
        .when(value >= need)
        .then(pl.format(", at least the {} mg recommended for men of his age", need))
        .otherwise(pl.lit(""))
    )
    return (
        last.filter(pl.col("entry") == entries.CALCIUM)
        .join(ages, on="patient_id", how="left", maintain_order="left")
        .sort("age")
        .join_asof(entries.calcium_needs(), left_on="age", right_on="from_years")
        .sort("patient_id")
        .select(
            "patient_id",
            words=pl.format("calcium intake {} mg/day on {}{}", _number(), "recorded_on", beside),
        )
    )


def _protein(last: pl.DataFrame) -> pl.DataFrame:
    return last.filter(pl.col("entry") == entries.PROTEIN).select(
        "patient_id",
        words=pl.format("protein {} g/kg a day on {}", _number(), "recorded_on"),
    )


def _loading(last: pl.DataFrame) -> pl.DataFrame:
    """Say the kinds of training that were recorded on one day together."""
    kinds = {name: entries.label(name) for name in entries.LOADING}
    kind = pl.col("entry").replace_strict(kinds, default=None, return_dtype=pl.String)
    place = pl.col("entry").replace_strict(
        {name: at for at, name in enumerate(kinds)}, default=None, return_dtype=pl.Int64
    )
    return (
        last.filter(pl.col("entry").is_in(list(kinds)))
        .sort("patient_id", pl.col("recorded_on"), place, descending=[False, True, False])
        .group_by("patient_id", "recorded_on", maintain_order=True)
        .agg(kinds=pl.format("{} {}", kind, _number()).str.join(", "))
        .select(
            "patient_id",
            words=pl.format("loading sessions a week on {}: {}", "recorded_on", "kinds"),
        )
    )


def _number() -> pl.Expr:
    """Write a number without a needless fraction."""
    return pl.col("value").round(2).cast(pl.String).str.strip_suffix(".0")
