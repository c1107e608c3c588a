"""``inspect``: which feed a file is, how it is mapped and what would become of its rows."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from e2analytics.cli.options import ConfigOption


def inspect(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Files, looked at together as one drop."),
    ],
    show_values: Annotated[
        bool, typer.Option("--show-values", help="Show the first rows: values of patients.")
    ] = False,
    rows: Annotated[
        int, typer.Option("--rows", min=1, max=100, help="Rows that --show-values shows.")
    ] = 5,
    draft: Annotated[
        Path | None,
        typer.Option(
            "--draft",
            help="New file for the draft of a layout, such as feeds/NAME.yaml for feed NAME.",
        ),
    ] = None,
    feeds: Annotated[
        Path | None,
        typer.Option("--feeds", help="Folder of more descriptions; by default feeds_folder."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Say which feed a file is, how it is mapped and what would become of its rows; loads nothing."""
    from e2analytics.cli.inspect_view import exit_code, reading_bar, show
    from e2analytics.cli.terminal import out
    from e2analytics.feeds.drafting import feed_name
    from e2analytics.run import inspect as inspection
    from e2analytics.settings import read_settings

    # A draft that is not finished is no reason to change the configuration.
    settings = read_settings(config, **({"feeds_folder": feeds} if feeds else {}))
    with reading_bar() as report_progress:
        found = inspection.inspect(
            files,
            settings,
            today=date.today(),
            rows_shown=rows if show_values else 0,
            new_feed=feed_name(draft) if draft else None,
            report_progress=report_progress,
        )
    show(found, out, draft)
    raise typer.Exit(exit_code(found))
