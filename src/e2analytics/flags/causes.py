"""Causes: how the E2 of each man of the cohort comes about against a reference.

In    the cohort, the parts of the men's log E2 of ``exposure.dose_response.causes``
Out   causes   grain patient_id, cause: every man of the cohort whose E2 can be estimated; and a sentence

Men in range are among them: a man who has fallen from 60 to 25 pg/mL is of interest, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import polars as pl

from e2analytics.reference import constants
from e2analytics.tables.registry import columns_of
from e2analytics.tables.vocabulary import CAUSES

_FALL: Final = math.log1p(-constants.CHANGE_OF_E2.value)
_FRACTIONS: Final = {
    1 / 4: "a quarter",
    1 / 3: "a third",
    1 / 2: "half",
    2 / 3: "two thirds",
    3 / 4: "three quarters",
    0.95: "nearly all",
}
_LEAST_SHARE: Final = 0.2
_MORE_THAN_ALL: Final = 1.1
_LOWERS: Final = {
    "anastrozole": "the drug",
    "testosterone": "lower testosterone",
    "weight": "lower weight",
    "own_level": "a level of his own below that of such men",
    "movement": "a slow fall that the records do not explain",
}
_RAISES: Final = {
    "anastrozole": "a lower dose of the drug",
    "testosterone": "higher testosterone",
    "weight": "higher weight",
    "own_level": "a level of his own above that of such men",
    "movement": "a slow rise that the records do not explain",
}


def causes(cohort: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Return what each cause adds to the E2 of each man.

    Parameters
    ----------
    cohort
        The men.
    parts
        Grain patient_id: ``reference``, ``reference_from``, ``reference_until``, ``reference_log_e2``,
        ``log_e2``, and a column for each of ``CAUSES``.
    """
    estimated = cohort.filter(pl.col("e2_expected_pg_ml").is_not_null())
    men = estimated.select("patient_id", "clinic_id", "as_of").join(parts, on="patient_id")
    fall = pl.col("log_e2") - pl.col("reference_log_e2")
    each = men.unpivot(
        CAUSES,
        index=[name for name in men.columns if name not in CAUSES],
        variable_name="cause",
        value_name="log_ratio",
    )
    order = pl.col("cause").replace_strict(
        {cause: place for place, cause in enumerate(CAUSES)}, return_dtype=pl.Int64
    )
    return (
        each.with_columns(
            share=pl.when(fall <= _FALL).then(pl.col("log_ratio") / fall),
            reference_e2_pg_ml=pl.col("reference_log_e2").exp(),
            e2_pg_ml=pl.col("log_e2").exp(),
        )
        # What is 0 but for rounding keeps the order of the causes.
        .sort("patient_id", pl.col("log_ratio").round(9), order)
        .with_columns(position=pl.int_range(pl.len()).over("patient_id").cast(pl.Int64))
        .select(columns_of("causes"))
    )


def in_words(causes_of_man: Sequence[dict[str, Any]]) -> str:
    """Say what a man's E2 has fallen by, against what, and why; nothing where it has not fallen by a quarter.

    Parameters
    ----------
    causes_of_man
        His rows of ``causes``, in their order.
    """
    if not causes_of_man or causes_of_man[0]["share"] is None:
        return ""
    first = causes_of_man[0]
    fall = 1 - first["e2_pg_ml"] / first["reference_e2_pg_ml"]
    e2 = f"{first['reference_e2_pg_ml']:.0f} pg/mL"
    if first["reference"] == "own_best_year":
        months = f"{first['reference_from']:%Y-%m} to {first['reference_until']:%Y-%m}"
        against = f"his best year, {months}, {e2}"
    else:
        against = f"men like him off the drug, {e2}"
    shares = [(row["cause"], row["share"]) for row in causes_of_man]
    parts = [
        f"{_fraction(share)} of it is {_LOWERS[name]}"
        for name, share in shares
        if share >= _LEAST_SHARE
    ]
    parts += [
        f"{_RAISES[name]} works against it" for name, share in shares if share <= -_LEAST_SHARE
    ]
    return f"Against {against}, his E2 is {fall:.0%} lower: {', '.join(parts)}."


def _fraction(share: float) -> str:
    """Name the nearest of common fractions.

    >>> _fraction(0.47), _fraction(0.31), _fraction(1.3)
    ('half', 'a third', 'more than all')
    """
    if share > _MORE_THAN_ALL:
        return "more than all"
    return _FRACTIONS[min(_FRACTIONS, key=lambda fraction: abs(fraction - share))]
