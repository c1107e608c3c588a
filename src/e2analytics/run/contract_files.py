"""Writes ``schemas/contracts/*.yaml``: what suppliers and analysts read, one file a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pandera.polars import Column

from e2analytics.reference import row_rules, schemas_folder
from e2analytics.tables.registry import TABLES


def write_contracts() -> list[Path]:
    """Write every table's contract and return the files."""
    folder = schemas_folder() / "contracts"
    folder.mkdir(exist_ok=True)
    files = []
    for table in TABLES:
        file = folder / f"{table}.yaml"
        file.write_text(as_yaml(table), encoding="utf-8")
        files.append(file)
    return files


def as_yaml(table: str) -> str:
    """Return the contract of ``table`` as YAML."""
    contract = TABLES[table]
    schema = contract.to_schema()
    content: dict[str, Any] = {
        "table": table,
        "description": " ".join((contract.__doc__ or "").split()),
        "columns": {name: _column(column) for name, column in schema.columns.items()},
    }
    if rules := row_rules.of_table(table):
        content["rules"] = [
            {
                "rule": rule.name,
                "column": rule.column,
                "severity": rule.severity,
                "advice": rule.advice,
            }
            for rule in rules
        ]
    head = "# Made by `e2analytics schemas` from src/e2analytics/tables/ and schemas/reference/row_rules.yaml.\n"
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)


def _column(column: Column) -> dict[str, Any]:
    facts: dict[str, Any] = {"type": str(column.dtype), "nullable": column.nullable}
    if column.unique:
        facts["unique"] = True
    for check in column.checks:
        facts[check.name] = _plain(check.statistics)
    if column.description:
        facts["description"] = column.description
    return facts


def _plain(statistics: dict[str, Any]) -> Any:
    values = [list(v) if isinstance(v, (tuple, frozenset, set)) else v for v in statistics.values()]
    return values[0] if len(values) == 1 else values
