"""Bone drugs: which scan pairs a drug other than the aromatase inhibitor acted on, and so cannot show what E2 does.

In    exposures, the accepted rows of medications
Out   exposures   the same rows: a usable pair that such a drug acted on is not usable, and says why

Which classes count, how long after their end, and how much of a glucocorticoid: ``drugs.yaml``. A glucocorticoid
of unknown dose may have been enough: its pairs leave under a reason of their own. A pair that could not be used
anyway keeps its reason, and names the drugs too.
"""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from e2analytics import reference
from e2analytics.exposure.given_doses import without_covered
from e2analytics.reference import constants
from e2analytics.reference.drugs import acts_until
from e2analytics.reference.names import GLUCOCORTICOID, GLUCOCORTICOID_UNKNOWN
from e2analytics.tables.patient_data import NEVER

_PAIR: Final = ["pair", "patient_id", "first_on", "second_on"]
_DAYS_A_WEEK: Final = 7


def leave_out(exposures: pl.DataFrame, medications: pl.DataFrame) -> pl.DataFrame:
    """Take the pairs that a bone drug acted on out of the usable ones.

    Returns
    -------
    DataFrame
        ``exposures`` with ``bone_drugs``, the drugs in words, and ``why_not`` and ``usable`` by them.
    """
    indexed = exposures.with_row_index("pair")
    pairs = indexed.select(_PAIR)
    acting = pl.concat([_within_reach(pairs, medications), _glucocorticoids(pairs, medications)])
    of_pair = (
        acting.sort("pair", "position", "words")
        .group_by("pair", maintain_order=True)
        .agg(
            drug_why_not=pl.col("why_not").first(),
            bone_drugs=pl.col("words").unique(maintain_order=True).str.join("; "),
        )
    )
    return (
        indexed.join(of_pair, on="pair", how="left", maintain_order="left")
        .with_columns(why_not=pl.coalesce("why_not", "drug_why_not"))
        .with_columns(usable=pl.col("why_not").is_null())
        .drop("pair", "drug_why_not")
    )


def _within_reach(pairs: pl.DataFrame, medications: pl.DataFrame) -> pl.DataFrame:
    """Return the drugs for bone that acted between two scans: ordered before the second, not long over at the first."""
    classes: dict[str, dict[str, Any]] = reference.load("drugs")["moves_bone"]["classes"]
    position = {name: place for place, name in enumerate(classes)}
    of_class = pl.col("drug_class").cast(pl.String)
    return (
        medications.filter(of_class.is_in(list(classes)))
        .select(
            pl.col("patient_id").cast(pl.String),
            "started_on",
            acts_until=acts_until().fill_null(NEVER),
            position=of_class.replace_strict(position, default=0, return_dtype=pl.Int64),
            why_not=pl.format("on_{}", of_class),
            words=_in_words(pl.col("drug").cast(pl.String)),
        )
        .join(pairs, on="patient_id")
        .filter(
            (pl.col("started_on") < pl.col("second_on"))
            & (pl.col("acts_until") > pl.col("first_on"))
        )
        .select("pair", "position", "why_not", "words")
    )


def _in_words(what: pl.Expr) -> pl.Expr:
    ended = (
        pl.when(pl.col("stopped_on").is_null())
        .then(pl.lit(""))
        .otherwise(pl.format(" until {}", "stopped_on"))
    )
    return pl.format("{} since {}{}", what, "started_on", ended)


def _glucocorticoids(pairs: pl.DataFrame, medications: pl.DataFrame) -> pl.DataFrame:
    """Return the glucocorticoids of the pairs that had enough of them, or perhaps enough, for long enough."""
    orders = _in_turn(medications)
    days = _daily_sums(orders)
    enough = float(reference.load("drugs")["moves_bone"]["glucocorticoid"]["mg_per_day"])
    known = days.filter(pl.col("mg_per_day") >= enough)
    perhaps = days.filter((pl.col("mg_per_day") >= enough) | pl.col("unknown"))
    sure = _long_enough(pairs, known)
    unsure = _long_enough(pairs, perhaps).filter(~pl.col("pair").is_in(sure["pair"].implode()))
    found = [
        which.select("pair", position=pl.lit(99, dtype=pl.Int64), why_not=pl.lit(name))
        for which, name in ((sure, GLUCOCORTICOID), (unsure, GLUCOCORTICOID_UNKNOWN))
    ]
    dose = (
        pl.when(pl.col("drug_mg_per_day").is_null())
        .then(pl.format("{}, dose unknown,", "drug"))
        .otherwise(pl.format("{} {} mg a day", "drug", pl.col("drug_mg_per_day").round(2)))
    )
    named = (
        orders.with_columns(words=_in_words(dose))
        .join(pairs, on="patient_id")
        .filter(
            (pl.col("started_on") < pl.col("second_on"))
            & (pl.col("stopped_on").fill_null(NEVER) > pl.col("first_on"))
        )
        .select("pair", "words")
    )
    return pl.concat(found).join(named, on="pair").select("pair", "position", "why_not", "words")


def _in_turn(medications: pl.DataFrame) -> pl.DataFrame:
    """Return the orders of glucocorticoids, each until a later one of the same drug, in mg of prednisone a day.

    Orders of one drug and day add up, unless they are alike: two systems send one order twice.
    """
    equal = {
        drug: float(facts["equals_5_mg_prednisone"])
        for drug, facts in reference.load("drugs")["drugs"].items()
        if "equals_5_mg_prednisone" in facts
    }
    drug = pl.col("drug")
    order = ["patient_id", "drug", "started_on"]
    mg_per_day = pl.col("weekly_dose_mg") / _DAYS_A_WEEK
    next_start = pl.col("started_on").shift(-1).over("patient_id", "drug")
    return (
        without_covered(medications.with_columns(pl.col("patient_id", "drug").cast(pl.String)))
        .filter(
            drug.is_in(list(equal)),
            pl.col("stopped_on").is_null() | (pl.col("stopped_on") > pl.col("started_on")),
        )
        .select(*order, "stopped_on", drug_mg_per_day=mg_per_day)
        .unique([*order, "drug_mg_per_day", "stopped_on"])
        .group_by(order)
        .agg(
            stopped_on=pl.col("stopped_on").fill_null(NEVER).max(),
            drug_mg_per_day=pl.when(pl.col("drug_mg_per_day").is_not_null().all()).then(
                pl.col("drug_mg_per_day").sum()
            ),
        )
        .sort(order)
        .with_columns(stopped_on=pl.min_horizontal("stopped_on", next_start))
        .with_columns(
            stopped_on=pl.when(pl.col("stopped_on") != NEVER).then("stopped_on"),
            mg_per_day=pl.col("drug_mg_per_day")
            * 5
            / drug.replace_strict(equal, default=None, return_dtype=pl.Float64),
        )
        .filter(pl.col("drug_mg_per_day").ne_missing(pl.lit(0.0)))
    )


def _daily_sums(orders: pl.DataFrame) -> pl.DataFrame:
    """Return the spells between any two changes of a man's glucocorticoids, with all of them in force added up."""
    ends = pl.col("stopped_on").fill_null(NEVER)
    edges = pl.concat(
        [
            orders.select("patient_id", on="started_on"),
            orders.select("patient_id", on=ends),
        ]
    ).unique()
    spells = (
        edges.sort("patient_id", "on")
        .with_columns(until=pl.col("on").shift(-1).over("patient_id"))
        .drop_nulls("until")
    )
    return (
        spells.join(orders, on="patient_id")
        .filter((pl.col("started_on") <= pl.col("on")) & (ends > pl.col("on")))
        .group_by("patient_id", "on", "until")
        .agg(
            mg_per_day=pl.col("mg_per_day").sum(),
            unknown=pl.col("mg_per_day").is_null().any(),
        )
        .sort("patient_id", "on")
    )


def _long_enough(pairs: pl.DataFrame, spells: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs with a course that reaches into them and lasted, or with as many days in all.

    A course is spells with no more than a late renewal between them; it is counted up to the second scan.
    """
    least = int(reference.load("drugs")["moves_bone"]["glucocorticoid"]["days"])
    gap = (pl.col("on") - pl.col("until").shift(1).over("patient_id")).dt.total_days()
    is_new = (gap > constants.RENEWAL_GAP_DAYS.value).fill_null(True)
    courses = spells.with_columns(course=is_new.cum_sum().over("patient_id"))
    until = pl.min_horizontal("until", "second_on")
    inside = (until - pl.max_horizontal("on", "first_on")).dt.total_days().clip(0)
    return (
        courses.join(pairs, on="patient_id")
        .filter(pl.col("on") < pl.col("second_on"))
        .with_columns(days=(until - pl.col("on")).dt.total_days(), inside=inside)
        .group_by("pair", "course")
        .agg(pl.col("days").sum(), pl.col("inside").sum())
        .filter(pl.col("inside") > 0)
        .group_by("pair")
        .agg(longest=pl.col("days").max(), inside=pl.col("inside").sum())
        .filter((pl.col("longest") >= least) | (pl.col("inside") >= least))
        .select("pair")
    )
