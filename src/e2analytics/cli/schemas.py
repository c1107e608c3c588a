"""``schemas``: the contracts of the tables, as files."""

from __future__ import annotations


def schemas() -> None:
    """Write schemas/contracts/ anew from the table contracts and the rules."""
    from e2analytics.cli.terminal import out
    from e2analytics.run.contract_files import write_contracts

    for file in write_contracts():
        out.print(f"{file}")
