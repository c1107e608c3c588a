"""What ``report`` prints: progress, the headlines, where the files are, and what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from e2analytics.cli.terminal import err, out
from e2analytics.report.compare import Comparison
from e2analytics.run.monthly import WrittenReports


@contextmanager
def report_bar() -> Iterator[Callable[[int, int], None]]:
    """Show on standard error how many versions of a report are written; yields the function to call after each."""
    columns = (BarColumn(bar_width=24), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bars:
        bar = bars.add_task("Reading the store", total=None)

        def report_progress(done: int, of: int) -> None:
            message = f"Version {done} of {of} written"
            bars.update(bar, description=message, completed=done, total=of)

        yield report_progress


def print_reports(written: WrittenReports) -> None:
    """Say what the month's reports say in their headlines, and where they are."""
    header = written.report.header
    out.print(f"Report of {header.month_name}, {header.run_id}. {header.completeness}")
    for number, headline in enumerate(written.report.headlines, start=1):
        out.print(f"  {number}. {headline.title}")
    for file in written.network:
        out.print(f"Open: {file}")
    if written.clinics:
        out.print(
            f"And {len(written.clinics):,} files of single clinics in {written.clinics[0].parent}"
        )


def print_comparison(found: Comparison) -> None:
    """Say what differs between two reports, and why."""
    out.print(f"This report: {found.here}. Compared with: {found.there}.")
    if found.same:
        out.print("Nothing differs.")
        return
    for title, differences in (("How it was made", found.making), ("Numbers", found.numbers)):
        table = Table(title=title, title_justify="left", box=None, pad_edge=False)
        for name in ("", "there", "here"):
            table.add_column(name, overflow="fold")
        for each in differences:
            table.add_row(each.name, each.there, each.here)
        if differences:
            out.print(table)
    for sentence in found.data:
        out.print(sentence)
    if found.reasons:
        out.print("Men whose flag or status differs (a man may have several reasons):")
    for reason in found.reasons:
        out.print(f"  {reason.n_men:,}: {reason.words}")
