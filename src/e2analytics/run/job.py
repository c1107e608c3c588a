"""One run over a store: read what is new, run the stages, publish. What flows and commands call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import wraps
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, ParamSpec, TypeVar

import polars as pl

from e2analytics import key
from e2analytics.errors import E2AnalyticsError, UnforeseenError, UnreadableError, is_stop
from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.read_drop import Sources
from e2analytics.reference.simulation_marker import is_simulated
from e2analytics.run import pipeline
from e2analytics.run.timing import Step, as_is
from e2analytics.settings import Settings
from e2analytics.store import crosswalk
from e2analytics.store.lock import writing
from e2analytics.store.publish import publish
from e2analytics.store.store import Store
from e2analytics.tables.snapshot import Outputs, Snapshot

Part = Literal["all", "ingest", "fit", "flag"]

STEPS: Final = (
    "snapshot",
    "read",
    "take_in",
    "see",
    "join",
    "respond_to_dose",
    "measure_exposure",
    "measure_for_curves",
    "fit",
    "vary",
    "flag_men",
    "count_measures",
    "account_for",
    "grade",
    "keep_crosswalk",
    "publish",
)
"""The steps of a whole run, in order, for a progress bar."""

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Job:
    """What one run is asked to do.

    Attributes
    ----------
    store
        Address of the store.
    as_of
        The day on which everything is judged.
    settings
        All that a clinic may choose.
    drop
        The folder to read; None reads nothing new.
    part
        All of it, or one stage.
    refit
        Fit anew, though a model of this month is there.
    adopt
        Reason for which the fitted limit is taken into use.
    """

    store: str
    as_of: date
    settings: Settings
    drop: Path | None = None
    part: Part = "all"
    refit: bool = False
    adopt: str | None = None


@dataclass(frozen=True)
class Done:
    """What a run did: its manifest, what it read, and the tables that it published."""

    manifest: dict[str, Any]
    sources: Sources
    outputs: Outputs


class Preview(NamedTuple):
    """The cohort as it was published, and as it would be."""

    was: pl.DataFrame
    would_be: pl.DataFrame


def without_values(stage: Callable[P, R], /) -> Callable[P, R]:
    """Wrap a stage so that an unforeseen error does not carry a patient's value to a log."""

    @wraps(stage)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return stage(*args, **kwargs)
        except E2AnalyticsError:
            raise
        except BaseException as error:  # a panic of polars or Delta Lake is no Exception
            if is_stop(error):
                raise
            raise UnforeseenError.at(stage.__name__, error) from None

    return guarded


@without_values
def perform(job: Job, *, step: Step = as_is, tell: Callable[[str], None] = lambda _: None) -> Done:
    """Do a job, from the drop to the published run.

    Parameters
    ----------
    job
        What to do.
    step
        Wraps every step, for example as a Prefect task.
    tell
        Called with the name of every step before it begins.

    Raises
    ------
    E2AnalyticsError
        One of the tree of :mod:`e2analytics.errors`; nothing of the run is then visible.
    """

    def careful(stage: Callable[P, R], /) -> Callable[P, R]:
        wrapped = step(without_values(stage))

        @wraps(stage)
        def told(*args: P.args, **kwargs: P.kwargs) -> R:
            tell(stage.__name__)
            return wrapped(*args, **kwargs)

        return told

    started_at = datetime.now(UTC)
    key_check = check(job)
    store = Store(job.store)
    with writing(store.uri):
        before = careful(store.snapshot)(job.as_of)
        sources = careful(read)(job, before)
        run_id = store.next_run_id()
        outputs = pipeline.run(
            sources,
            job.settings,
            as_of=job.as_of,
            before=before,
            run_id=run_id,
            part=job.part,
            refit=job.refit or job.part == "fit",
            adopt=job.adopt,
            step=careful,
        )
        if job.drop is not None:
            # Before the rows that need it: known files are not read again.
            careful(keep_crosswalk)(job.drop, store, sources)
        manifest = careful(publish)(
            store,
            outputs,
            run_id=run_id,
            as_of=job.as_of,
            part=job.part,
            key_check=key_check,
            started_at=started_at,
            settings=job.settings.model_dump(mode="json"),
            inputs={file.source_file: file.sha256 for file in sources.files},
        )
    return Done(manifest, sources, outputs)


@without_values
def preview(job: Job) -> Preview:
    """Judge the men that the store holds under other settings, or another limit; publish nothing.

    The day is that of the job; without rows that are new, what differs is what was changed.

    Raises
    ------
    E2AnalyticsError
        One of the tree of :mod:`e2analytics.errors`.
    """
    check(job)
    store = Store(job.store)
    before = store.snapshot(job.as_of)
    outputs = pipeline.run(
        Sources(),
        job.settings,
        as_of=job.as_of,
        before=before,
        run_id=store.next_run_id(),
        part="flag",
        adopt=job.adopt,
    )
    return Preview(before.table("cohort"), outputs.tables["cohort"])


def read(job: Job, before: Snapshot) -> Sources:
    """Read the new and the changed files of the job's drop."""
    if job.drop is None:
        return Sources()
    return Sources.from_drop(
        job.drop,
        load_feeds(job.settings.feeds_folder),
        _key_for(job.drop),
        ledger=before.table("files"),
        settings=job.settings,
        today=max(job.as_of, date.today()),
    )


def _key_for(drop: Path) -> bytes:
    return key.read_key(simulated=is_simulated(drop))


def keep_crosswalk(drop: Path, store: Store, sources: Sources) -> None:
    """Add the patients of a drop to the encrypted crosswalk."""
    crosswalk.add(store, sources.crosswalk, _key_for(drop))


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
    key_check = key.key_check(_key_for(job.drop)) if job.drop else None
    Store(job.store).check(key_check)
    return key_check
