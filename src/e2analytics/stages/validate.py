"""Validate: which named rules each row breaks. Judges, and drops nothing.

In    normalised rows of one table
Out   the same rows, same grain: the columns of the table; ``broken``, the names of the rules that the
      row breaks; ``reject``, the first of them that keeps it out, or null; and ``apart``
"""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import Final

import polars as pl
from pandera.errors import SchemaErrors

from e2analytics.contracts import Table, columns_of
from e2analytics.errors import ContractError
from e2analytics.rules import ROW_RULES, TOMORROW, Rule

BLANKED: Final = frozenset(
    {
        "implausible_height",
        "implausible_weight",
        "implausible_trt_started_on",
        "implausible_weekly_dose",
        "implausible_t_score",
        "implausible_z_score",
    }
)
"""Warnings about a number that the row can do without: it is left out."""


def judge(target: str, rows: pl.DataFrame, *, today: date) -> pl.DataFrame:
    """Judge the normalised rows of table ``target`` by its rules.

    Rows that are none of ours (``apart``) are not judged: nobody needs to mend them.
    """
    rules = ROW_RULES[target]
    ours = rows.with_columns(pl.lit(today + timedelta(days=1)).alias(TOMORROW))
    judged = ours.with_columns(_broken(rule).alias(f"broken_{rule.name}") for rule in rules)
    rejecting = [f"broken_{rule.name}" for rule in rules if rule.severity == "reject"]
    summed_up = judged.with_columns(
        broken=pl.concat_str([f"broken_{r.name}" for r in rules], separator=" ", ignore_nulls=True),
        reject=pl.coalesce(rejecting),
    )
    kept = [*columns_of(target), "apart", "reject"]
    return summed_up.with_columns(
        _unless_doubted(rule) for rule in rules if rule.name in BLANKED
    ).select(kept)


def _broken(rule: Rule) -> pl.Expr:
    return pl.when(pl.col("apart").is_null() & ~rule.keeps).then(pl.lit(rule.name))


def _unless_doubted(rule: Rule) -> pl.Expr:
    return pl.when(pl.col(f"broken_{rule.name}").is_null()).then(rule.column).alias(rule.column)


def check(frame: pl.DataFrame, contract: type[Table], *, table: str, stage: str) -> pl.DataFrame:
    """Return ``frame`` in the contract's column order, or raise counting broken checks.

    Raises
    ------
    ContractError
        With check names and counts only: pandera's own message quotes the failing values.
    """
    names = [name for name in contract.to_schema().columns if name in frame.columns]
    ordered = frame.select(*names, *(name for name in frame.columns if name not in names))
    try:
        # Collected: a LazyFrame would be checked by dtype only.
        contract.validate(ordered, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases.select(
            pl.concat_str(pl.col("column").fill_null(""), pl.lit(" "), "check")
        ).to_series()
        raise ContractError(stage, table, Counter(cases)) from None
    return ordered
