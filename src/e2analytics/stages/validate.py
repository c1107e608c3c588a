"""Validate: which named rules each row breaks. Judges, and drops nothing.

In    normalised rows of one table
Out   the same rows, same grain: the columns of the table; ``broken``, the names of the rules that the
      row breaks; ``reject``, the first of them that keeps it out, or null; and ``apart``
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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
    broken = ours.select(_broken(rule) for rule in rules)
    named = _names_of(broken, rules)
    return (
        ours.with_columns(named)
        .with_columns(
            pl.when(~pl.lit(broken[rule.name])).then(rule.column).alias(rule.column)
            for rule in rules
            if rule.name in BLANKED and broken[rule.name].any()
        )
        .select([*columns_of(target), "apart", "reject"])
    )


def _broken(rule: Rule) -> pl.Expr:
    return (pl.col("apart").is_null() & ~rule.keeps).fill_null(False).alias(rule.name)


def _names_of(broken: pl.DataFrame, rules: Sequence[Rule]) -> pl.DataFrame:
    """Return ``broken``, the names of the rules that each row breaks, and ``reject``, the first grave one."""
    # Most rows break no rule: only the others are worth the work of joining names.
    any_broken = broken.select(pl.any_horizontal(pl.all()))
    where = any_broken.with_row_index("row").filter(pl.nth(1)).get_column("row")
    rejecting = [rule.name for rule in rules if rule.severity == "reject"]
    words = {rule.name: pl.when(rule.name).then(pl.lit(rule.name)) for rule in rules}
    names = broken[where].select(
        broken=pl.concat_str(list(words.values()), separator=" ", ignore_nulls=True),
        reject=pl.coalesce(words[name] for name in rejecting),
    )
    return pl.DataFrame(
        {
            "broken": pl.repeat("", len(broken), eager=True).scatter(where, names["broken"]),
            "reject": pl.repeat(None, len(broken), dtype=pl.String, eager=True).scatter(
                where, names["reject"]
            ),
        }
    )


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
