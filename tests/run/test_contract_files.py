"""Contracts: the files that suppliers read say what the code does."""

import pytest

from e2analytics.reference import schemas_folder
from e2analytics.run.contract_files import as_yaml
from e2analytics.tables.registry import TABLES


@pytest.mark.parametrize("table", TABLES)
def test_the_exported_contract_is_the_one_in_force(table: str):
    file = schemas_folder() / "contracts" / f"{table}.yaml"

    assert file.read_text(encoding="utf-8") == as_yaml(table), "run: e2analytics schemas"


def test_no_contract_is_left_over():
    files = {file.stem for file in (schemas_folder() / "contracts").glob("*.yaml")}

    assert files == set(TABLES)
