"""Validate: which named rules each row breaks. Judges, and drops nothing.

In    normalised rows of one table
Out   the same rows, same grain: the columns of the table; ``failed_rules``, the names of the rules that the
      row breaks; ``reject``, the first of them that keeps it out, or null; and ``apart``
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final

import polars as pl

from e2analytics import reference
from e2analytics.ingest.rules.row_rules import ROW_RULES, TOMORROW, VALUE_RULES, Rule
from e2analytics.tables.categoricals import TEXT
from e2analytics.tables.registry import columns_of

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


def judge_values(labs: pl.DataFrame) -> pl.DataFrame:
    """Judge results again whose value is another than when they came in, by the rules of values alone.

    Parameters
    ----------
    labs
        Rows that were judged; their ``failed_rules`` and ``reject`` are made again.
    """
    rules = ROW_RULES["labs"]
    said = labs["failed_rules"].cast(pl.String).str.split(" ")
    limits = labs.join(reference.analytes(), on="analyte", how="left", maintain_order="left")
    limits = limits.with_columns(least_reportable=reference.least_reportable())
    broken = limits.select(
        _broken(rule)
        if rule.name in VALUE_RULES
        else pl.lit(said.list.contains(rule.name)).alias(rule.name)
        for rule in rules
    )
    return labs.with_columns(_names_of(broken, rules))


def _broken(rule: Rule) -> pl.Expr:
    return (pl.col("apart").is_null() & ~rule.keeps).fill_null(False).alias(rule.name)


def _names_of(broken: pl.DataFrame, rules: Sequence[Rule]) -> pl.DataFrame:
    """Return ``failed_rules``, the names of the rules that each row breaks, and ``reject``, the first grave one."""
    # Most rows break no rule: only the others are worth the work of joining names.
    any_broken = broken.select(pl.any_horizontal(pl.all()))
    where = any_broken.with_row_index("row").filter(pl.nth(1)).get_column("row")
    rejecting = [rule.name for rule in rules if rule.severity == "reject"]
    words = {rule.name: pl.when(rule.name).then(pl.lit(rule.name)) for rule in rules}
    names = broken[where].select(
        failed_rules=pl.concat_str(list(words.values()), separator=" ", ignore_nulls=True),
        reject=pl.coalesce(words[name] for name in rejecting),
    )
    return pl.DataFrame(
        {
            "failed_rules": _scattered("", names["failed_rules"], where, len(broken)),
            "reject": _scattered(None, names["reject"], where, len(broken)),
        }
    )


def _scattered(usual: str | None, texts: pl.Series, where: pl.Series, n_rows: int) -> pl.Series:
    # Categories from the start: to find that of each of many rows that say the same takes longer.
    return pl.repeat(usual, n_rows, dtype=TEXT, eager=True).scatter(where, texts.cast(TEXT))
