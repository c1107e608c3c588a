"""Jobs: one run over a store, from the drop to the published tables. What flows and commands call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import polars as pl

from e2analytics import key
from e2analytics.errors import E2AnalyticsError, UnforeseenError, UnreadableError, is_stop
from e2analytics.ingest.read_drop import Sources
from e2analytics.run import pipeline
from e2analytics.run.frames import Run
from e2analytics.run.steps import key_of
from e2analytics.run.timing import StepWrapper, unwrapped
from e2analytics.run.what_if import DoseRule, WhatIf, what_if
from e2analytics.settings import Settings
from e2analytics.store.lock import writing
from e2analytics.store.store import Store
from e2analytics.tables.snapshot import Outputs, empty_table
from e2analytics.tables.vocabulary import Scope

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Job:
    """What one run over a store is asked to do.

    Attributes
    ----------
    store
        Address of the store.
    as_of
        The day that the run describes.
    settings
        All that a clinic may choose.
    drop
        The folder to read; None reads nothing new.
    scope
        How much of the pipeline runs.
    refit
        Fit anew, though a model of this month exists.
    adopt
        Reason for which the fitted limit is adopted.
    """

    store: str
    as_of: date
    settings: Settings
    drop: Path | None = None
    scope: Scope = "all"
    refit: bool = False
    adopt: str | None = None

    def as_run(self, run_id: str) -> Run:
        """Return the run that does this job."""
        return Run(
            as_of=self.as_of,
            settings=self.settings,
            run_id=run_id,
            scope=self.scope,
            refit=self.refit or self.scope == "fit",
            adopt=self.adopt,
        )


@dataclass(frozen=True)
class JobResult:
    """What a run did: its manifest, what it read, and what it computed; the store it was published in."""

    manifest: dict[str, Any]
    sources: Sources
    outputs: Outputs
    store: Store

    def table(self, name: str) -> pl.DataFrame:
        """Return a table as the run published it: of all men, where it computed some."""
        return self.store.table(name, self.manifest)


@dataclass(frozen=True)
class Preview:
    """The cohort as published, and as it would be."""

    was: pl.DataFrame
    would_be: pl.DataFrame


def without_values(step: Callable[P, R], /) -> Callable[P, R]:
    """Wrap a step so that an unforeseen error carries no value of a patient to a log."""

    @wraps(step)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return step(*args, **kwargs)
        except E2AnalyticsError:
            raise
        except BaseException as error:  # a panic of polars or Delta Lake is no Exception
            if is_stop(error):
                raise
            raise UnforeseenError.at(step.__name__, error) from None

    return guarded


@without_values
def run_job(
    job: Job,
    *,
    wrap: StepWrapper = unwrapped,
    report_progress: Callable[[str], None] = lambda _: None,
) -> JobResult:
    """Do a job, from the drop to the published run.

    Parameters
    ----------
    job
        What to do.
    wrap
        Wraps every step, for example as a Prefect task.
    report_progress
        Called with the name of every step before it begins.

    Raises
    ------
    E2AnalyticsError
        One of the tree of :mod:`e2analytics.errors`; the store then shows nothing of the run.
    """

    def guarded_and_reported(step: Callable[P, R], /) -> Callable[P, R]:
        wrapped: Callable[P, R] = wrap(without_values(step))

        @wraps(step)
        def reported(*args: P.args, **kwargs: P.kwargs) -> R:
            report_progress(step.__name__)
            return wrapped(*args, **kwargs)

        return reported

    started_at = datetime.now(UTC)
    key_check = check(job)
    store = Store(job.store)
    with writing(store.delta):
        manifest, sources, outputs = pipeline.publish_run(
            store,
            job.drop,
            job.as_run(store.next_run_id()),
            key_check=key_check,
            started_at=started_at,
            wrap=guarded_and_reported,
        )
    return JobResult(manifest, sources, outputs, store)


@without_values
def preview(job: Job, limit_pg_ml: float | None = None) -> Preview:
    """Flag the men that the store holds under other settings, or another limit; publish nothing.

    The day is that of the job; without new rows, only what was changed makes a difference. With a limit, that
    one is used instead of the one in use.

    Raises
    ------
    E2AnalyticsError
        One of the tree of :mod:`e2analytics.errors`.
    """
    check(job)
    store = Store(job.store)
    was = store.snapshot(job.as_of)
    before, run = was, job.as_run(store.next_run_id())
    if limit_pg_ml is not None:
        before = replace(was, tables={**was.tables, "limits": empty_table("limits")})
        flag = job.settings.flag.model_copy(update={"literature_limit_pg_ml": limit_pg_ml})
        run = replace(run, settings=job.settings.model_copy(update={"flag": flag}))
    outputs = pipeline.run_steps(Sources(), before, run).after(before)
    return Preview(was.table("cohort"), outputs.tables["cohort"])


@without_values
def expect_under(job: Job, rule: DoseRule, limit_pg_ml: float | None = None) -> WhatIf:
    """Say what would be expected of the men of a store under a rule for the dose; publish nothing.

    Raises
    ------
    E2AnalyticsError
        One of the tree of :mod:`e2analytics.errors`.
    """
    check(job)
    store = Store(job.store)
    return what_if(store.snapshot(job.as_of), job.as_run(store.next_run_id()), rule, limit_pg_ml)


def check(job: Job) -> str | None:
    """Refuse a job that cannot succeed, before anything is read; return the check of its key.

    Raises
    ------
    E2AnalyticsError
        If the drop is no folder, the key is missing or another one, the store of another version.
    """
    if job.drop is not None and not job.drop.is_dir():
        raise UnreadableError(
            f"There is no folder {job.drop}. Give the folder of suppliers' files."
        )
    # Without a drop nothing is read, and no key is needed.
    key_check = key.key_check(key_of(job.drop)) if job.drop else None
    Store(job.store).check(key_check)
    return key_check
