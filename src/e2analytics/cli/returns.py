"""``returns``: the list of corrections that each supplier is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e2analytics.cli.options import DEFAULT_STORE, StoreOption


def returns(
    out_folder: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
    store: StoreOption = DEFAULT_STORE,
    run_id: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="Of one run only, such as run-000001."),
    ] = None,
) -> None:
    """Write what each supplier is asked to correct: lines, rules and advice; no value and no name."""
    from e2analytics.cli.terminal import out
    from e2analytics.ingest.corrections import write
    from e2analytics.store.store import open_published

    opened, published = open_published(store)
    if run_id is not None and run_id not in opened.runs()["run_id"]:
        raise typer.BadParameter(f"there is no run {run_id}; see e2analytics status")
    quarantine, files = (opened.table(name, published) for name in ("quarantine", "files"))
    for file in write(quarantine, files, out_folder, run_id=run_id):
        out.print(f"{file}")
