"""The monthly flow: writes the reports of the last complete month, after its last nightly run.

It leaves in Prefect only what may leave the clinic: counts of the outside version, and where the files are.
"""

from __future__ import annotations

from datetime import date
from inspect import isawaitable
from pathlib import Path

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.utilities.asyncutils import run_coro_as_sync

from e2analytics.errors import ConfigurationError
from e2analytics.run.job import without_values
from e2analytics.run.monthly import WrittenReports, write_reports
from e2analytics.settings import read_settings
from e2analytics.tables.months import last_complete_month
from flows.nightly import as_task


@flow(name="e2-monthly", persist_result=False, validate_parameters=True)
def monthly(
    store: str = "store", out: str = "reports", month: str | None = None, config: str | None = None
) -> str:
    """Write the reports of a month and return the path of the report of all clinics.

    Parameters
    ----------
    store
        Address of the store.
    out
        Folder to write to.
    month
        ``YYYY-MM``; by default the month before today's.
    config
        A TOML file; by default ``e2analytics.toml`` of the working directory.
    """
    wanted = month or last_complete_month(date.today())
    block = read_settings(Path(config) if config else None).report.notify_block
    # An unknown name stops the flow before anything is written.
    notifier = _notifier(block) if block else None
    written = as_task(without_values(write_reports))(store, wanted, Path(out))
    summary = markdown_summary(written)
    create_markdown_artifact(summary, key=f"e2-report-{wanted}", description=f"Report of {wanted}")
    if notifier:
        pending = notifier.notify(body=summary, subject=f"Estradiol and bone: report of {wanted}")
        # Some blocks of Prefect send the message at once, others return a coroutine to await.
        if isawaitable(pending):
            run_coro_as_sync(pending)
    get_run_logger().info("Reports of %s written", wanted)
    return str(written.network[0])


def markdown_summary(written: WrittenReports) -> str:
    """Sum up a month by its outside version."""
    report = written.external
    header = report.header
    rows = "\n".join(f"| {line.name} | {line.men} | {line.share} |" for line in report.men.lines())
    links = "\n".join(f"- [{file.name}]({file.absolute().as_uri()})" for file in written.network)
    return (
        f"# Estradiol and bone, {header.month_name}\n\n{header.completeness} {header.run_id}, "
        f"e2analytics {header.package_version}, {header.inputs}.\n\n"
        f"Counts of 1 to 10 are hidden; others are rounded to {report.base}.\n\n"
        f"| All clinics | Men | Share |\n| --- | ---: | ---: |\n{rows}\n\n{links}\n"
    )


def _notifier(name: str) -> NotificationBlock:
    try:
        block = Block.load(name)
    except ValueError:
        raise ConfigurationError(
            f"report.notify_block: Prefect has no block {name!r}. Create it, or remove the setting."
        ) from None
    if not isinstance(block, NotificationBlock):
        raise ConfigurationError(f"report.notify_block: {name!r} is not a notification block.")
    return block
