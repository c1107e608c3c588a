"""Validate: which named rules each row breaks. Judges, and drops nothing.

In    normalised rows of one table
Out   the same rows, same grain: the columns of the table; ``broken``, the names of the rules that the
      row breaks; ``reject``, the first of them that keeps it out, or null; and ``apart``
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Final

import polars as pl
from pandera.errors import SchemaErrors
from pandera.polars import DataFrameSchema

from e2analytics import reference
from e2analytics.errors import ContractError
from e2analytics.ingest.rules.row_rules import ROW_RULES, TOMORROW, VALUE_RULES, Rule
from e2analytics.tables.categoricals import TEXT, keys, repeated
from e2analytics.tables.contracts import Table, columns_of

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
_COMPARISONS: Final[Mapping[str, Callable[..., pl.Expr]]] = {
    "greater_than": pl.Expr.gt,
    "greater_than_or_equal_to": pl.Expr.ge,
    "less_than_or_equal_to": pl.Expr.le,
    "isin": pl.Expr.is_in,
    "str_matches": lambda text, pattern: text.cast(pl.String).str.contains(pattern),
}
"""What pandera's checks ask of a column."""


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
        Rows that were judged; their ``broken`` and ``reject`` are made again.
    """
    rules = ROW_RULES["labs"]
    said = labs["broken"].cast(pl.String).str.split(" ")
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
            "broken": _scattered("", names["broken"], where, len(broken)),
            "reject": _scattered(None, names["reject"], where, len(broken)),
        }
    )


def _scattered(usual: str | None, texts: pl.Series, where: pl.Series, n_rows: int) -> pl.Series:
    # Categories from the start: to find that of each of many rows that say the same takes longer.
    return pl.repeat(usual, n_rows, dtype=TEXT, eager=True).scatter(where, texts.cast(TEXT))


def check(frame: pl.DataFrame, contract: type[Table], *, table: str, stage: str) -> pl.DataFrame:
    """Return ``frame`` in the contract's column order, or raise counting broken checks.

    A text may be a category (``compact``).

    Raises
    ------
    ContractError
        With check names and counts only: pandera's own message quotes the failing values.
    """
    names = [name for name in contract.to_schema().columns if name in frame.columns]
    ordered = frame.select(*names, *(name for name in frame.columns if name not in names))
    if _is_kept(contract.to_schema(), ordered):
        return ordered
    try:
        # Collected: a LazyFrame would be checked by dtype only.
        _schema(contract, ordered).validate(ordered, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases.select(
            pl.concat_str(pl.col("column").fill_null(""), pl.lit(" "), "check")
        ).to_series()
        raise ContractError(stage, table, Counter(cases)) from None
    return ordered


def _is_kept(schema: DataFrameSchema, frame: pl.DataFrame) -> bool:
    """Tell in one query that a contract is kept; False also where only pandera can tell.

    Pandera asks three queries of each column: of a run with little that is new, half its time.
    """
    if not _has_columns(schema, frame) or schema.checks:
        return False
    promises: list[pl.Expr] = []
    grains = [schema.unique] if schema.unique else []
    for name, column in schema.columns.items():
        if any(check.name not in _COMPARISONS for check in column.checks):
            return False
        promises += [
            _COMPARISONS[check.name](pl.col(name), *check.statistics.values()).fill_null(True)
            for check in column.checks
        ]
        if not column.nullable:
            promises.append(pl.col(name).is_not_null())
            promises += [pl.col(name).is_not_nan()] if frame.schema[name].is_float() else []
        if column.unique:
            grains.append([name])
    kept = frame.select(promise.all().alias(str(n)) for n, promise in enumerate(promises))
    return all(kept.row(0)) and all(_are_unique(frame, grain) for grain in grains)


def _has_columns(schema: DataFrameSchema, frame: pl.DataFrame) -> bool:
    wanted = {name: column.dtype.type for name, column in schema.columns.items()}
    return frame.columns == list(wanted) and all(
        dtype == wanted[name] or (dtype == TEXT and wanted[name] == pl.String)
        for name, dtype in frame.schema.items()
    )


def _schema(contract: type[Table], frame: pl.DataFrame) -> DataFrameSchema:
    categories = {name: {"dtype": TEXT} for name, dtype in frame.schema.items() if dtype == TEXT}
    schema = contract.to_schema().update_columns(categories)
    if schema.unique and _are_unique(frame, schema.unique):
        # Of ten million rows pandera's own way to see it takes 3 s.
        schema.unique = None
    return schema


def _are_unique(frame: pl.DataFrame, names: Sequence[str]) -> bool:
    """Tell by their hashes that no two rows agree in these columns; pandera looks at what is left."""
    there = set(names) <= set(frame.columns)
    return there and repeated(keys(frame, names)).is_empty()
