"""What the drugs of ``drugs.yaml`` mean for E2: their effect by class, and products of several drugs."""

from __future__ import annotations

from functools import cache
from typing import Final, Literal

import polars as pl
from pydantic import BaseModel

from e2analytics import reference
from e2analytics.reference.names import ANDROGEN, TESTOSTERONE_DRUG

Effect = Literal["raises_e2", "lowers_e2", "confounds", "ends_comparison"]
_NOT_THE_INHIBITORS: Final = ("lowers_e2", "ends_comparison")


class Meaning(BaseModel, frozen=True, extra="forbid"):
    """What a class of drugs does to E2, in words, with its source."""

    effect: Effect
    words: str
    source: str
    confidence: Literal["high", "medium", "low", "unconfirmed"]
    changed: str | None = None


@cache
def meanings() -> dict[str, Meaning]:
    """Return ``class -> Meaning``."""
    listed = reference.load("drugs")["meanings"]
    return {name: Meaning.model_validate(entry) for name, entry in listed.items()}


def explain_low_e2() -> tuple[str, ...]:
    """Return the classes beside inhibitors under which a low E2 is not called the inhibitor's.

    >>> explain_low_e2()
    ('other_androgen', 'gnrh')
    """
    return tuple(
        name
        for name, meaning in meanings().items()
        if meaning.effect in _NOT_THE_INHIBITORS and name != "aromatase_inhibitor"
    )


def confounders() -> tuple[str, ...]:
    """Return the classes under which results do not show what an inhibitor does to E2.

    >>> confounders()
    ('other_androgen', 'serm', 'gnrh', 'antiandrogen', 'glp1', 'biotin')
    """
    return tuple(
        name
        for name, meaning in meanings().items()
        if meaning.effect != "raises_e2" and name != "aromatase_inhibitor"
    )


def treats_cancer() -> pl.Expr:
    """Tell which orders are a sign of treatment for prostate or breast cancer."""
    return pl.col("drug_class").cast(pl.String).is_in(reference.load("drugs")["treats_cancer"])


def acts_until() -> pl.Expr:
    """Return the day until which the drug of an order acts on bone; null while the order goes on."""
    classes = reference.load("drugs")["moves_bone"]["classes"]
    months = {name: int(each["months_after"]) for name, each in classes.items()}
    after = (
        pl.col("drug_class")
        .cast(pl.String)
        .replace_strict(months, default=0, return_dtype=pl.Int64)
    )
    return pl.col("stopped_on").dt.offset_by(pl.format("{}mo", after))


def acts_on(day: pl.Expr) -> pl.Expr:
    """Tell whether the drug of an order acts on bone on a day: begun by then, and not yet over."""
    return (pl.col("started_on") <= day) & (acts_until() > day).fill_null(True)


def gives_testosterone() -> pl.Expr:
    """Tell which orders are of testosterone, alone or in a product with another drug."""
    of_class = pl.col("drug_class").cast(pl.String) == ANDROGEN
    return of_class | pl.col("drug").cast(pl.String).is_in(_products_with(TESTOSTERONE_DRUG))


def is_implant() -> pl.Expr:
    """Tell which orders are of an implant of an aromatase inhibitor."""
    drugs = reference.load("drugs")["drugs"]
    return pl.col("drug").is_in([name for name, facts in drugs.items() if "implant_days" in facts])


def _products_with(drug: str) -> list[str]:
    drugs = reference.load("drugs")["drugs"]
    return [
        name for name, facts in drugs.items() if drug in facts.get("together", {}).get("drugs", ())
    ]
