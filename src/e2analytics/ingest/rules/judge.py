"""Judges rows: which named rules each row breaks. Drops nothing.

In    normalised rows of one table
Out   the same rows, same grain: the columns of the table; ``failed_rules``, the names of the rules that the
      row breaks; ``reject``, the first rejecting rule that it breaks, or null; and ``excluded``
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final

import polars as pl

from e2analytics import reference
from e2analytics.ingest.rules.row_rules import CONDITIONS, TOMORROW, VALUE_RULES
from e2analytics.reference.row_rules import TableRule, of_table
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
"""Warnings whose number is left out; the row stays."""


def judge(table: str, rows: pl.DataFrame, *, today: date) -> pl.DataFrame:
    """Judge the normalised rows of ``table`` by its rules.

    Rows with a reason in ``excluded`` are not judged: they need no correction.
    """
    rules = of_table(table)
    ours = rows.with_columns(pl.lit(today + timedelta(days=1)).alias(TOMORROW))
    broken = ours.select(_broken(rule, CONDITIONS[table]) for rule in rules)
    named = _names_of(broken, rules)
    return (
        ours.with_columns(named)
        .with_columns(
            pl.when(~pl.lit(broken[rule.name])).then(rule.column).alias(rule.column)
            for rule in rules
            if rule.name in BLANKED and broken[rule.name].any()
        )
        .select([*columns_of(table), "excluded", "reject"])
    )


def judge_values(labs: pl.DataFrame) -> pl.DataFrame:
    """Judge results again whose value a conversion has changed, by the rules of values alone.

    Parameters
    ----------
    labs
        Rows that were judged; their ``failed_rules`` and ``reject`` are made again.
    """
    rules = of_table("labs")
    names = labs["failed_rules"].cast(pl.String).str.split(" ")
    limits = labs.join(reference.analytes(), on="analyte", how="left", maintain_order="left")
    limits = limits.with_columns(least_reportable=reference.least_reportable())
    broken = limits.select(
        _broken(rule, CONDITIONS["labs"])
        if rule.name in VALUE_RULES
        else pl.lit(names.list.contains(rule.name)).alias(rule.name)
        for rule in rules
    )
    return labs.with_columns(_names_of(broken, rules))


def _broken(rule: TableRule, conditions: Mapping[str, pl.Expr]) -> pl.Expr:
    return (pl.col("excluded").is_null() & ~conditions[rule.name]).fill_null(False).alias(rule.name)


def _names_of(broken: pl.DataFrame, rules: Sequence[TableRule]) -> pl.DataFrame:
    """Return ``failed_rules``, the rules that each row breaks, and ``reject``, the first rejecting one."""
    # Most rows break no rule: only the others are worth the work of joining names.
    any_broken = broken.select(pl.any_horizontal(pl.all()))
    where = any_broken.with_row_index("row").filter(pl.nth(1)).get_column("row")
    rejecting = [rule.name for rule in rules if rule.severity == "reject"]
    name_if_broken = {rule.name: pl.when(rule.name).then(pl.lit(rule.name)) for rule in rules}
    names = broken[where].select(
        failed_rules=pl.concat_str(list(name_if_broken.values()), separator=" ", ignore_nulls=True),
        reject=pl.coalesce(name_if_broken[name] for name in rejecting),
    )
    return pl.DataFrame(
        {
            "failed_rules": _scattered("", names["failed_rules"], where, len(broken)),
            "reject": _scattered(None, names["reject"], where, len(broken)),
        }
    )


def _scattered(default: str | None, texts: pl.Series, where: pl.Series, n_rows: int) -> pl.Series:
    # Categories from the start: looking up the category of each of many equal texts takes longer.
    return pl.repeat(default, n_rows, dtype=TEXT, eager=True).scatter(where, texts.cast(TEXT))
