"""The bar that shows how far a run has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from e2analytics.cli.terminal import err
from e2analytics.run.steps import STEPS


@contextmanager
def progress_bar() -> Iterator[Callable[[str], None]]:
    """Show on standard error how far a run has come; yields the function to call when a step begins."""
    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=24),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True) as bars:
        bar = bars.add_task("Starting", total=len(STEPS) + 1)

        def report_progress(step: str) -> None:
            message = STEPS.get(step, step)
            if not err.is_terminal:
                err.print(f"{message} ...")
            bars.update(bar, description=message, advance=1)

        yield report_progress
