"""The contracts of tables: a promise that is broken in one row is told, whatever the promise."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import polars as pl
import pytest
from pandera.polars import Check, Column, DataFrameSchema
from polars.testing import assert_frame_equal

from e2analytics.errors import ContractError
from e2analytics.tables.categoricals import TEXT
from e2analytics.tables.check import check
from e2analytics.tables.registry import TABLES, schema_of
from e2analytics.tables.source import Precision


def good_value(column: Column) -> object:
    """A value that keeps what a column promises."""
    asked = {each.name: each.statistics for each in column.checks}
    if "isin" in asked:
        return next(iter(asked["isin"]["allowed_values"]))
    if "str_matches" in asked:
        return "2026-09"
    dtype = column.dtype.type
    if dtype.is_numeric():
        least = asked.get("greater_than_or_equal_to", {"min_value": 0})["min_value"]
        return max(least, asked.get("greater_than", {"min_value": -1})["min_value"] + 1)
    values = {pl.Date: date(2024, 3, 1), pl.Boolean: True, pl.String: "text"}
    return values.get(dtype, datetime(2024, 3, 1, tzinfo=UTC))


def good(name: str) -> pl.DataFrame:
    row = {column.name: good_value(column) for column in TABLES[name].to_schema().columns.values()}
    return pl.DataFrame([row], schema=schema_of(name))


def worse_value(check: Check) -> object:
    """A value that a check does not let pass."""
    bound = next(iter(check.statistics.values()))
    if not isinstance(bound, int | float):
        return -1 if isinstance(next(iter(bound)), int | float) else "SECRET"
    return bound + (1 if check.name == "less_than_or_equal_to" else -1)


def broken_rows(name: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """Every promise of a table about values, as an error names it, and a row that breaks it."""
    row = good(name)

    def with_value(column: str, value: object) -> pl.DataFrame:
        return row.with_columns(pl.lit(value, row[column].dtype).alias(column))

    for column in TABLES[name].to_schema().columns.values():
        for each in column.checks:
            yield f"{column.name} {each.name}", with_value(column.name, worse_value(each))
        if not column.nullable:
            yield f"{column.name} not_nullable", with_value(column.name, None)
        if not column.nullable and row[column.name].dtype.is_float():
            yield f"{column.name} not_nullable", with_value(column.name, float("nan"))


def broken_tables(name: str) -> Iterator[pl.DataFrame]:
    """Tables whose columns or grain are not as promised."""
    row, schema = good(name), TABLES[name].to_schema()
    yield row.with_columns(another=1)
    for column in schema.columns.values():
        yield row.drop(column.name)
        yield row.with_columns(pl.lit(b"SECRET").alias(column.name))
    grain = schema.unique or [c.name for c in schema.columns.values() if c.unique]
    if grain:
        yield pl.concat([row, row.with_columns(pl.col(pl.Float64) + 1)])


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_keeps_its_promises_comes_back_in_the_order_of_its_columns(name: str):
    reversed_columns = good(name).select(reversed(good(name).columns))

    assert_frame_equal(check(reversed_columns, TABLES[name], table=name, stage="run"), good(name))


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_keeps_its_promises_is_not_put_to_pandera(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(DataFrameSchema, "validate", None)

    check(good(name), TABLES[name], table=name, stage="run")


@pytest.mark.parametrize("name", TABLES)
def test_every_broken_promise_is_put_to_pandera(name: str, monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr(DataFrameSchema, "validate", lambda _, frame, **__: asked.append(frame))
    broken = [pl.concat([good(name), row]) for _, row in broken_rows(name)]
    broken += broken_tables(name)

    for rows in broken:
        check(rows, TABLES[name], table=name, stage="run")

    assert len(asked) == len(broken)


@pytest.mark.parametrize("name", TABLES)
def test_an_error_names_every_promise_and_no_value(name: str):
    names, rows = zip(*broken_rows(name), strict=True)

    with pytest.raises(ContractError) as wrong:
        check(pl.concat(rows), TABLES[name], table=name, stage="run")

    assert [promise for promise in names if f"\n  {promise}" not in str(wrong.value)] == []
    assert "SECRET" not in str(wrong.value)


@pytest.mark.parametrize("name", TABLES)
def test_a_text_may_be_a_category_and_nothing_else_may(name: str):
    texts = good(name).with_columns(pl.col(pl.String).cast(TEXT))
    bits = good(name).with_columns(pl.col(pl.Float64, pl.Int64).cast(pl.Int8))

    assert_frame_equal(check(texts, TABLES[name], table=name, stage="run"), texts)
    if bits.schema != good(name).schema:
        with pytest.raises(ContractError, match="dtype"):
            check(bits, TABLES[name], table=name, stage="run")


def test_a_broken_contract_is_told_by_counts_and_never_by_value():
    row = {
        "source_file": "f",
        "source_line": 2,
        "source_part": 0,
        "source_order": 0,
        "failed_rules": "",
        "namespace": "n",
        "clinic_id": "c",
        "scanner_id": "SECRET",
        "site": "SECRET-SITE",
        "cv_pct": -1.0,
    }

    with pytest.raises(ContractError) as wrong:
        check(pl.DataFrame([row, row]), Precision, table="precision", stage="run")

    assert "SECRET" not in str(wrong.value)
    assert "cv_pct greater_than(0): 2" in str(wrong.value)
    assert str(wrong.value).startswith("run does not satisfy precision; failing cases by check:")
    assert wrong.value.__cause__ is None
