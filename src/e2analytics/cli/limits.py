"""``limits``: the limit of E2 that flags are judged by."""

from __future__ import annotations

from typing import Annotated

import typer

from e2analytics.cli.options import (
    DEFAULT_STORE,
    AsOfOption,
    ConfigOption,
    PreviewOption,
    StoreOption,
)
from e2analytics.cli.parts import preview_flags, run_part

limits = typer.Typer(no_args_is_help=True, help="The limit of E2 that flags are judged by.")


@limits.command()
def show(store: StoreOption = DEFAULT_STORE, config: ConfigOption = None) -> None:
    """Show the fitted limits and the one in use."""
    from e2analytics.cli.limits_view import print_limits
    from e2analytics.settings import read_settings
    from e2analytics.store.store import open_published

    print_limits(*open_published(store), read_settings(config))


@limits.command()
def adopt(
    reason: Annotated[str, typer.Option("--reason", help="Why; kept with the limit.")] = "",
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    config: ConfigOption = None,
    preview: PreviewOption = False,
) -> None:
    """Take the fitted limit into use from this day on, and flag by it."""
    from e2analytics.cli.limits_view import print_limit_in_use
    from e2analytics.settings import read_settings
    from e2analytics.store.store import open_published

    if preview:
        preview_flags(store, as_of, config, adopt="preview")
        return
    if not reason.strip():
        raise typer.BadParameter("give a --reason; it is kept with the limit")
    run_part("flag", store, as_of, config, adopt=reason.strip())
    print_limit_in_use(*open_published(store), read_settings(config))
