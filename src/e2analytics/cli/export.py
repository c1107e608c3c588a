"""``export``: a table of the store as a file."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from e2analytics.cli.options import DEFAULT_STORE, PublishedOption, StoreOption


class Format(enum.StrEnum):
    """What ``export`` can write."""

    csv = "csv"
    parquet = "parquet"
    json = "json"


def export(
    table: Annotated[str, typer.Argument(help="Name of a table, as in schemas/contracts/.")],
    file: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    store: StoreOption = DEFAULT_STORE,
    format: Annotated[Format, typer.Option("--format", help="Of the file.")] = Format.csv,
    as_of: PublishedOption = None,
) -> None:
    """Write a table of the store to a file, as it is or as it was as of a day."""
    from e2analytics.cli.terminal import err
    from e2analytics.store.export import write_table
    from e2analytics.store.store import open_published
    from e2analytics.tables.registry import TABLES

    if table not in TABLES:
        raise typer.BadParameter(f"there is no table {table}; there are {', '.join(TABLES)}")
    opened, published = open_published(store, as_of)
    frame = opened.table(table, published)
    write_table(frame, file, format.value)
    err.print(
        f"{len(frame):,} rows of {table}, {published['run_id']} as of {published['as_of']}: {file}"
    )
