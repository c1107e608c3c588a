"""One part of the nightly flow, without Prefect: what ``ingest``, ``fit``, ``flag`` and ``limits adopt`` share."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from e2analytics.errors import EXIT_INCOMPLETE

if TYPE_CHECKING:
    from e2analytics.run.job import Job, JobResult
    from e2analytics.tables.vocabulary import Scope


def run_part(
    scope: Scope,
    store: str,
    as_of: date | None,
    config: Path | None,
    *,
    drop: Path | None = None,
    adopt: str | None = None,
) -> JobResult:
    """Run one part, print its summary, and exit with 11 if a file was refused.

    Parameters
    ----------
    scope
        How much of the pipeline runs.
    store
        Address of the store. Without a ``drop`` it must exist.
    as_of
        The day on which everything is judged; by default today.
    config
        TOML file.
    drop
        Folder of suppliers' files.
    adopt
        Reason for which the fitted limit is taken into use.
    """
    from e2analytics.cli.progress import progress_bar
    from e2analytics.cli.run_view import print_done
    from e2analytics.run.job import Job, run_job
    from e2analytics.settings import read_settings
    from e2analytics.store.store import open_published

    if drop is None:
        open_published(store)
    job = Job(
        store=store,
        as_of=as_of or date.today(),
        settings=read_settings(config),
        drop=drop,
        scope=scope,
        adopt=adopt,
    )
    with progress_bar() as report_progress:
        done = run_job(job, report_progress=report_progress)
    print_done(done, store, job.settings.feeds_folder if drop else None)
    exit_if_incomplete(done)
    return done


def preview_flags(
    store: str,
    as_of: date | None,
    config: Path | None,
    *,
    adopt: str | None = None,
    limit_pg_ml: float | None = None,
) -> None:
    """Print whose status or tier would change; publish nothing.

    Parameters
    ----------
    store
        Address of the store.
    as_of
        The day on which everything is judged; by default that of the newest run.
    config
        TOML file.
    adopt
        Any text: judge by the fitted limit instead of the one in use.
    limit_pg_ml
        Judge by this limit instead.
    """
    from e2analytics.cli.preview_view import print_preview
    from e2analytics.run import job

    asked = job_on_published(store, as_of, config, adopt=adopt)
    print_preview(job.preview(asked, limit_pg_ml))


def job_on_published(
    store: str, as_of: date | None, config: Path | None, *, adopt: str | None = None
) -> Job:
    """Return a job on what a store holds; by default on the day of its newest run, so that only what is asked differs."""
    from e2analytics.run.job import Job
    from e2analytics.settings import read_settings
    from e2analytics.store.store import open_published

    _, published = open_published(store, as_of)
    return Job(
        store=store,
        as_of=as_of or published["as_of"],
        settings=read_settings(config),
        scope="flag",
        adopt=adopt,
    )


def exit_if_incomplete(done: JobResult) -> None:
    """Exit with 11 if the run was published without a refused file."""
    if done.outputs.outcome == "incomplete":
        raise typer.Exit(EXIT_INCOMPLETE)
