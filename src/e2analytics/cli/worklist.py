"""``worklist``: the men with an open flag, as a file for their clinic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e2analytics.cli.options import DEFAULT_STORE, PublishedOption, StoreOption


def worklist(
    file: Annotated[
        Path, typer.Option("-o", "--output", help="CSV file to write; Excel if it ends in .xlsx.")
    ],
    store: StoreOption = DEFAULT_STORE,
    as_of: PublishedOption = None,
) -> None:
    """Write the men with an open flag, what each rests on and what is missing; for the clinic alone."""
    from e2analytics.cli.terminal import err
    from e2analytics.report import worklist as lists
    from e2analytics.store.store import open_published

    if file.suffix.lower() not in (".csv", ".xlsx"):
        raise typer.BadParameter("give a file that ends in .csv or .xlsx")
    opened, published = open_published(store, as_of)
    rows = lists.worklist({name: opened.table(name, published) for name in lists.TABLES})
    lists.write(rows, file, published["as_of"])
    err.print(
        f"{len(rows):,} men with an open flag, {published['run_id']} as of {published['as_of']}; values of "
        f"patients, for the clinic alone: {file}"
    )
