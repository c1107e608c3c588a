"""What ``store`` prints: the plan of a migration, how far it has come, and what it did."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from e2analytics.cli.terminal import err, out
from e2analytics.store.migrate import Plan
from e2analytics.store.migrations import SCHEMA_VERSION
from e2analytics.store.store import Store


class MigrationProgress:
    """Shows the plan, then a bar that counts the tables.

    Parameters
    ----------
    store
        The store that is migrated.
    bars
        Where the bar is drawn.
    """

    def __init__(self, store: Store, bars: Progress) -> None:
        self._store, self._bars = store, bars
        self._bar = bars.add_task("Reading the store", total=None)

    def announce(self, plan: Plan) -> None:
        """Print what will be written."""
        tables = ", ".join(f"{name} {rows:,}" for name, rows in plan.rows.items())
        err.print(
            f"The store {self._store.uri} has schema version {plan.from_version}. Migrating it to version "
            f"{plan.to_version} writes {len(plan.rows)} tables anew, {sum(plan.rows.values()):,} rows: "
            f"{tables}. If it is interrupted, the store stays as it is; run the command again."
        )
        self._bars.update(self._bar, total=len(plan.rows) + 1)

    def report_progress(self, table: str) -> None:
        """Say which table is written now."""
        if not err.is_terminal:
            err.print(f"Writing {table} ...")
        self._bars.update(self._bar, description=f"Writing {table}", advance=1)


@contextmanager
def migration_progress(store: Store) -> Iterator[MigrationProgress]:
    """Show on standard error what a migration does."""
    columns = (
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bars:
        yield MigrationProgress(store, bars)


def print_migrated(store: Store, *, migrated: bool) -> None:
    """Say what was done."""
    if not migrated:
        out.print(
            f"The store {store.uri} is already of version {SCHEMA_VERSION}; nothing was written."
        )
        return
    out.print(
        f"The store {store.uri} now has schema version {SCHEMA_VERSION}. The older versions of its tables stay "
        "on disk, as earlier runs are read from them. A vacuum may remove them; those runs can then no "
        "longer be read."
    )
