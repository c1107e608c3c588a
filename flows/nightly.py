"""The nightly flow: one run over a drop, every stage a Prefect task.

Prefect keeps parameters, logs and states in its own database. Therefore parameters are addresses and
dates, logs are counts, results are not persisted, and an error carries no value of a patient.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import ParamSpec, TypeVar

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE

from e2analytics.run import progress
from e2analytics.run.job import Job, JobResult, run_job
from e2analytics.settings import read_settings

P = ParamSpec("P")
R = TypeVar("R")


def as_task(stage: Callable[P, R], /) -> Callable[P, R]:
    """Run a stage as a Prefect task."""
    # With Prefect's default cache policy every frame passed to a stage would be hashed.
    return task(name=stage.__name__, persist_result=False, cache_policy=NO_CACHE)(stage)


@flow(name="e2-nightly", persist_result=False, validate_parameters=True)
def nightly(
    drop: str,
    store: str = "store",
    as_of: date | None = None,
    config: str | None = None,
    refit: bool = False,
) -> JobResult:
    """Read a drop, run every stage, publish.

    Parameters
    ----------
    drop
        Folder of suppliers' files.
    store
        Address of the store.
    as_of
        The day as of which everything is judged; by default today.
    config
        A TOML file; by default ``e2analytics.toml`` of the working directory.
    refit
        Fit anew, even if this month has a model.
    """
    job = Job(
        store=store,
        as_of=as_of or date.today(),
        settings=read_settings(Path(config) if config else None),
        drop=Path(drop),
        refit=refit,
    )
    done = run_job(job, wrap=as_task, report_progress=progress.report_progress)
    logger = get_run_logger()
    for name, count in done.outputs.counts.items():
        logger.info("%s: %d", name.replace("_", " "), count)
    for file in done.sources.files:
        if file.refused:
            logger.warning("%s was refused: %s", file.source_file, file.refused.rule)
    return done
