"""Contracts: the files that suppliers read say what the code does."""

import pytest

from e2analytics.reference import schemas_folder
from e2analytics.run.contract_files import as_yaml
from e2analytics.tables.contracts import TABLES
from e2analytics.tables.snapshot import CANONICAL, DERIVED, Outputs


@pytest.mark.parametrize("table", TABLES)
def test_the_exported_contract_is_the_one_in_force(table: str):
    file = schemas_folder() / "contracts" / f"{table}.yaml"

    assert file.read_text(encoding="utf-8") == as_yaml(table), "run: e2analytics schemas"


def test_no_contract_is_left_over():
    files = {file.stem for file in (schemas_folder() / "contracts").glob("*.yaml")}

    assert files == set(TABLES)


def test_every_table_of_a_run_has_a_contract(outputs: Outputs):
    assert set(outputs.tables) | {"runs"} == set(TABLES)
    assert {*CANONICAL, *DERIVED} <= set(outputs.tables)
