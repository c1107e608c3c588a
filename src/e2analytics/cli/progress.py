"""The bar that shows how far a run has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from e2analytics.cli.terminal import err
from e2analytics.run.job import STEPS

STEP_NAMES: Final = {
    "snapshot": "Opening the store",
    "read": "Reading the drop",
    "take_in": "Normalising and checking rows",
    "see": "Taking the as-of view",
    "join": "Linking doses, draws and scans",
    "respond_to_dose": "Estimating each man's estradiol",
    "measure_exposure": "Estimating estradiol between scans",
    "measure_for_curves": "Preparing rows for the curves",
    "fit": "Fitting the curves with their bootstrap",
    "vary": "Fitting the curve under other choices",
    "flag_men": "Flagging",
    "count_measures": "Counting the quality measures",
    "account_for": "Accounting for every row",
    "grade": "Grading each feed's data",
    "keep_crosswalk": "Sealing the crosswalk",
    "publish": "Publishing",
}


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
            message = STEP_NAMES.get(step, step)
            if not err.is_terminal:
                err.print(f"{message} ...")
            bars.update(bar, description=message, advance=1)

        yield report_progress
