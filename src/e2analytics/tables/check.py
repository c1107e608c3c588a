"""Checks a collected frame against its contract; a broken contract stops the run.

In    a frame and the contract of its table
Out   the same rows in the contract's column order, or a ``ContractError`` that counts broken checks

A contract that is kept is seen in one query. Only a broken one is put to pandera, which names the checks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import polars as pl
from pandera.errors import SchemaErrors
from pandera.polars import DataFrameSchema

from e2analytics.errors import ContractError
from e2analytics.tables.categoricals import TEXT, keys, repeated
from e2analytics.tables.contract import Table

_COMPARISONS: Final[Mapping[str, Callable[..., pl.Expr]]] = {
    "greater_than": pl.Expr.gt,
    "greater_than_or_equal_to": pl.Expr.ge,
    "less_than_or_equal_to": pl.Expr.le,
    "isin": pl.Expr.is_in,
    "str_matches": lambda text, pattern: text.cast(pl.String).str.contains(pattern),
}
"""Pandera's checks as expressions."""


def check(frame: pl.DataFrame, contract: type[Table], *, table: str, stage: str) -> pl.DataFrame:
    """Return ``frame`` in the contract's column order, or raise counting broken checks.

    Texts may be categories (``to_categories``).

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
    """Tell in one query whether a contract is kept; False also where only pandera can tell.

    Pandera runs three queries on each column, half the time of a run with little new data.
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
        # Pandera's own check takes 3 s on ten million rows.
        schema.unique = None
    return schema


def _are_unique(frame: pl.DataFrame, names: Sequence[str]) -> bool:
    """Tell by hashes whether no two rows agree in these columns; pandera checks the rest."""
    there = set(names) <= set(frame.columns)
    return there and repeated(keys(frame, names)).is_empty()
