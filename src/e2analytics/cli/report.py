"""``report``: the monthly reports, and what differs between two of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from e2analytics.cli.options import DEFAULT_STORE, StoreOption, as_month


def report(
    month: Annotated[
        str, typer.Option("--month", parser=as_month, metavar="YYYY-MM", help="A complete month.")
    ],
    out_folder: Annotated[
        Path | None, typer.Option("--out", help="Folder to write to; needed without --compare.")
    ] = None,
    store: StoreOption = DEFAULT_STORE,
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare",
            metavar="RUN_OR_MONTH",
            help="Say which numbers differ from another month's or run's, and why.",
        ),
    ] = None,
) -> None:
    """Write the monthly reports as HTML, PDF and workbook, from the run as of the month's last day."""
    from e2analytics.cli.report_view import print_comparison, print_reports, report_bar
    from e2analytics.run.monthly import compare_reports, write_reports

    if out_folder is None and compare is None:
        raise typer.BadParameter("give a folder with --out, or what to --compare with")
    if out_folder is not None:
        with report_bar() as report_progress:
            written = write_reports(store, month, out_folder, report_progress)
        print_reports(written)
    if compare is not None:
        print_comparison(compare_reports(store, month, compare))
