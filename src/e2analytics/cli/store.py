"""``store``: looks after the store itself."""

from __future__ import annotations

import typer

from e2analytics.cli.options import DEFAULT_STORE, StoreOption

store = typer.Typer(no_args_is_help=True, help="Look after the store itself.")


# A callback makes it a group although it has one verb.
@store.callback()
def _group() -> None:
    pass


@store.command()
def migrate(store: StoreOption = DEFAULT_STORE) -> None:
    """Bring a store that an older e2analytics wrote to the schema version of this one."""
    from e2analytics.cli.store_view import migration_progress, print_migrated
    from e2analytics.store import migrate as migration
    from e2analytics.store.store import Store

    opened = Store(store)
    with migration_progress(opened) as progress:
        migrated = migration.migrate(
            opened, announce=progress.announce, report_progress=progress.report_progress
        )
    print_migrated(opened, migrated=migrated)
