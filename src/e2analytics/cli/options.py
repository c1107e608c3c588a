"""The options that several verbs share, and how their text is read."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Final

import typer


def as_date(text: str) -> date:
    """Read ``YYYY-MM-DD``."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date; write YYYY-MM-DD") from None


def as_month(text: str) -> str:
    """Check that ``text`` is ``YYYY-MM``."""
    try:
        return f"{date.fromisoformat(f'{text}-01'):%Y-%m}"
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a month; write YYYY-MM") from None


def not_empty(text: str) -> str:
    """Refuse an empty address, which a shell makes of an unset variable."""
    if not text.strip():
        raise typer.BadParameter("give a folder or an address; it is empty")
    return text


DEFAULT_STORE: Final = "store"

StoreOption = Annotated[
    str, typer.Option("--store", callback=not_empty, help="Folder or address of the store.")
]
AsOfOption = Annotated[
    date | None,
    typer.Option(
        "--as-of", parser=as_date, metavar="DATE", help="Judge as of this day; by default today."
    ),
]
PublishedOption = Annotated[
    date | None,
    typer.Option(
        "--as-of",
        parser=as_date,
        metavar="DATE",
        help="As published for this day or the last one before it; by default the newest run.",
    ),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="TOML file; by default e2analytics.toml, if there.")
]
PreviewOption = Annotated[
    bool,
    typer.Option(
        "--preview",
        help="Show whose status or tier would change, by default as of the newest run's day; publish nothing.",
    ),
]
DropArgument = Annotated[Path, typer.Argument(help="Folder of suppliers' files.")]
DropOption = Annotated[Path, typer.Option("--drop", help="Folder of suppliers' files.")]
