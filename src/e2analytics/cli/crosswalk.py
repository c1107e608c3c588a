"""``crosswalk``: the list of pseudonyms and patient numbers, as a file for the clinic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e2analytics.cli.options import DEFAULT_STORE, StoreOption


def crosswalk(
    file: Annotated[
        Path, typer.Option("-o", "--output", help="New CSV file, for its owner alone.")
    ],
    store: StoreOption = DEFAULT_STORE,
) -> None:
    """Write whose pseudonym is whose, for the clinic's own use; needs the key, leaves an audit line."""
    from e2analytics.cli.terminal import err
    from e2analytics.key import read_key
    from e2analytics.store.crosswalk import export as export_crosswalk
    from e2analytics.store.store import open_published

    opened, published = open_published(store)
    key = read_key(simulated=published["simulated"])
    rows = export_crosswalk(opened, key, file)
    err.print(
        f"{rows:,} patients, readable by you alone; delete it when it is no longer needed: {file}"
    )
