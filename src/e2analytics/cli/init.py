"""``init``: key, configuration and folders for a new clinic."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(help="Where to make them.")] = Path(),
) -> None:
    """Make key, configuration and folders for a new clinic; overwrite nothing; say the next step."""
    from e2analytics.cli.init_view import print_made
    from e2analytics.run.new_clinic import make

    print_made(make(folder))
