"""Drugs: which drug an order's text and code name.

In    rows of medications with ``raw_drug`` and ``rxnorm``
Out   grain wording: ``drugs_named``, and of exactly one its name, class, most a week and how long an implant lasts

A text names a drug by its whole words (``drugs.yaml``). Several in one text are one product only where the table
knows it, as pellets of testosterone and anastrozole. What is said not to be there ("without anastrozole") is not
named. A text with testosterone or anastrozole in it that is not understood is ``drug_not_understood``: it waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import polars as pl

from e2analytics import reference

WORDING: Final = ("raw_drug", "rxnorm")
"""What is read of an order."""


def named(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the drug of each wording; null unless it means exactly one."""
    table = reference.load("drugs")
    drugs: dict[str, dict[str, Any]] = table["drugs"]
    products = {name: facts["together"] for name, facts in drugs.items() if "together" in facts}
    singles = {name: facts for name, facts in drugs.items() if name not in products}
    lower = pl.col("raw_drug").str.to_lowercase()
    marked = (
        rows.select(WORDING)
        .unique(maintain_order=True)
        .with_columns(written=lower.str.replace_all(_denied(singles.values()), " "))
        .with_columns(_is_named(facts).alias(f"is_{name}") for name, facts in singles.items())
    )
    product = pl.coalesce(
        *(pl.when(_is_product(parts)).then(pl.lit(name)) for name, parts in products.items()),
        pl.lit(None, dtype=pl.String),
    )
    found = marked.with_columns(product=product)
    # The parts of a product are no drugs beside it.
    alone = {name: pl.col(f"is_{name}") & ~_is_part(name, products) for name in singles}
    single = pl.coalesce(pl.when(is_it).then(pl.lit(name)) for name, is_it in alone.items())
    found = found.with_columns(
        drugs_named=pl.sum_horizontal(alone.values())
        + pl.col("product").is_not_null().cast(pl.UInt32),
        drug=pl.coalesce("product", single),
    )
    facts_of_one = {
        "drug": pl.col("drug"),
        "drug_class": _fact(drugs, "class", pl.String),
        "most_weekly_mg": _fact(drugs, "most_weekly_mg", pl.Float64),
        "implant_days": _fact(drugs, "implant_days", pl.Int64),
    }
    is_over = lower.str.contains(_any_word(table["no_order_where"])).fill_null(False)
    is_ours = lower.str.contains("|".join(table["wait_for"]))
    none_named = pl.col("drugs_named") == 0
    not_understood = (none_named & is_ours) | (~none_named & is_over)
    return found.with_columns(
        pl.when(pl.col("drugs_named") == 1).then(each).alias(name)
        for name, each in facts_of_one.items()
    ).select(
        *WORDING,
        "drugs_named",
        *facts_of_one,
        drug_not_understood=(not_understood | _with_unknown_partner(table)).fill_null(False),
    )


def _fact(drugs: Mapping[str, Mapping[str, Any]], name: str, dtype: type[pl.DataType]) -> pl.Expr:
    values = {
        drug: float(facts["possible_weekly_mg"][1]) if name == "most_weekly_mg" else facts.get(name)
        for drug, facts in drugs.items()
    }
    known = {drug: value for drug, value in values.items() if value is not None}
    return pl.col("drug").replace_strict(known, default=None, return_dtype=dtype)


def _is_named(facts: Mapping[str, Any]) -> pl.Expr:
    is_named = pl.col("written").str.contains(_any_word(facts["names"]))
    if "unless" in facts:
        is_named &= ~pl.col("written").str.contains(_any_word(facts["unless"]))
    by_code = pl.col("rxnorm").str.to_uppercase().is_in(facts.get("codes", []))
    return is_named.fill_null(False) | by_code.fill_null(False)


def _is_product(parts: Mapping[str, Any]) -> pl.Expr:
    of_drugs = [pl.col(f"is_{name}") for name in parts["drugs"]]
    in_form = pl.col("written").str.contains(_any_word(parts["forms"])).fill_null(False)
    return pl.all_horizontal(*of_drugs, in_form)


def _is_part(name: str, products: Mapping[str, Mapping[str, Any]]) -> pl.Expr:
    with_it = [product for product, parts in products.items() if name in parts["drugs"]]
    return pl.col("product").is_in(with_it).fill_null(False)


def _denied(drugs: Iterable[Mapping[str, Any]]) -> str:
    names = [name for facts in drugs for name in facts["names"]]
    return rf"(?:\b(?:without|no|not)|\bw/o)\s+{_any_word(names)}"


def _with_unknown_partner(table: Mapping[str, Any]) -> pl.Expr:
    """Return whether testosterone or anastrozole is joined to a word that nobody knows: ``anastrozole/xyz``."""
    known = table["beside_a_joint"]
    name = rf"(?:{'|'.join(table['wait_for'])})[a-z]*(?: (?:{'|'.join(table['esters'])}))?"
    strength = r"(?:\s*[\d.,]+\s*(?:mg|mcg|g|%)(?:/ml)?)?"
    after = rf"{name}{strength}\s*[/+&]\s*([a-z]{{3,}})"
    before = rf"([a-z]{{3,}}){strength}\s*[/+&]\s*{name}"
    words = [pl.col("written").str.extract(pattern, 1) for pattern in (after, before)]
    drug_words = {
        word
        for facts in table["drugs"].values()
        for each in facts["names"]
        for word in each.split()
    }
    return pl.any_horizontal(
        (word.is_not_null() & ~word.is_in([*known, *drug_words])).fill_null(False) for word in words
    )


def _any_word(words: Iterable[str]) -> str:
    return rf"\b(?:{'|'.join(words)})\b"
