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
    """Show the fitted limits, the one in use and the upper end of the sweet spot."""
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


@limits.command()
def preview(
    limit: Annotated[
        float | None,
        typer.Option(
            "--limit", min=1.0, max=100.0, metavar="PG_ML", help="By default the limit in use."
        ),
    ] = None,
    what_if: Annotated[
        bool,
        typer.Option(
            "--what-if", help="Say what would be expected of all men under a rule for the dose."
        ),
    ] = False,
    times: Annotated[
        float,
        typer.Option(
            "--times",
            min=0.0,
            max=10.0,
            metavar="SHARE",
            help="Rule: every dose times this, as 0.5.",
        ),
    ] = 1.0,
    at_most: Annotated[
        float | None,
        typer.Option(
            "--at-most", min=0.0, metavar="MG", help="Rule: no dose above this, mg a week."
        ),
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    as_of: AsOfOption = None,
    config: ConfigOption = None,
) -> None:
    """Show whose status another limit would change; with --what-if, what other doses would be expected to do."""
    if what_if:
        from e2analytics.cli.parts import job_on_published
        from e2analytics.cli.what_if_view import print_what_if
        from e2analytics.run.job import expect_under
        from e2analytics.run.what_if import DoseRule

        rule = DoseRule(times, at_most)
        print_what_if(expect_under(job_on_published(store, as_of, config), rule, limit), rule)
        return
    if times != 1.0 or at_most is not None:
        raise typer.BadParameter("a rule for the dose needs --what-if")
    preview_flags(store, as_of, config, limit_pg_ml=limit)
