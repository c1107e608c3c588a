"""The monthly flow: the report of the month that is complete, after its last nightly run."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from prefect import flow, get_run_logger

from e2analytics.job import without_values
from e2analytics.monthly import month_before, write_reports
from flows.nightly import as_task


@flow(name="e2-monthly", persist_result=False, validate_parameters=True)
def monthly(store: str = "store", out: str = "reports", month: str | None = None) -> str:
    """Write the report of a month and return its path.

    Parameters
    ----------
    store
        Address of the store.
    out
        Folder to write to.
    month
        ``YYYY-MM``; by default the month before today's.
    """
    wanted = month or month_before(date.today())
    written = as_task(without_values(write_reports))(store, wanted, Path(out))
    get_run_logger().info(
        "Reports of %s written: %d files", wanted, len(written.network) + len(written.clinics)
    )
    return str(written.network[0])
