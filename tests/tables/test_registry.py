"""The registry: every table is listed, and its facts name columns that it has."""

from dataclasses import replace

import pandera.polars as pa
import pytest
from pandera.typing.polars import Series

from e2analytics.tables.contract import Table
from e2analytics.tables.registry import (
    CANONICAL,
    DERIVED,
    TABLES,
    columns_of,
    contracts_digest,
    facts_of,
    order_of,
)
from e2analytics.tables.runs import Runs
from e2analytics.tables.snapshot import Outputs


def test_every_table_of_a_run_has_a_contract(outputs: Outputs):
    assert set(outputs.tables) | {"runs"} == set(TABLES)
    assert {*CANONICAL, *DERIVED} <= set(outputs.tables)


@pytest.mark.parametrize("table", TABLES)
def test_the_facts_of_a_table_name_columns_that_it_has(table: str):
    facts = facts_of(table)
    dates = [day for day in (facts.event_date, *facts.of_the_day) if day]

    assert facts.key
    assert {*facts.key, *order_of(table), *dates} <= set(columns_of(table))


def test_a_table_without_facts_of_its_own_has_those_of_its_base():
    assert facts_of("flags") == facts_of("cohort")


@pytest.mark.parametrize(
    "change",
    [{"kind": "derived"}, {"key": ("as_of",)}, {"order": ("as_of",)}],
)
def test_the_digest_of_the_contracts_changes_with_a_fact(
    change: dict[str, object], monkeypatch: pytest.MonkeyPatch
):
    before = contracts_digest()

    monkeypatch.setattr(Runs, "_facts", replace(Runs.facts(), **change))

    assert contracts_digest() != before


class WithAnother(Runs):
    another: Series[str]


class WithAnotherOrNull(Runs):
    another: Series[str] = pa.Field(nullable=True)


@pytest.mark.parametrize(
    ("contract", "changed"), [(Runs, WithAnother), (WithAnother, WithAnotherOrNull)]
)
def test_the_digest_of_the_contracts_changes_with_the_columns(
    contract: type[Table], changed: type[Table], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(TABLES, "runs", contract)
    before = contracts_digest()

    monkeypatch.setitem(TABLES, "runs", changed)

    assert contracts_digest() != before
