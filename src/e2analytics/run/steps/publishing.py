"""Grades the data, seals the crosswalk and publishes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from e2analytics.ingest import quality
from e2analytics.ingest.read_drop import Sources
from e2analytics.run.frames import Run
from e2analytics.run.steps.intake import key_of
from e2analytics.run.steps.registry import step
from e2analytics.store import crosswalk
from e2analytics.store import publish as publishing
from e2analytics.store.store import Store
from e2analytics.tables.snapshot import Outputs, Snapshot
from e2analytics.tables.sums import Sums


@step("Grading each feed's data")
def grade(sums: Sums, files: pl.DataFrame, before: Snapshot, run: Run) -> pl.DataFrame:
    """Grade the data of every feed, table and month."""
    read_on = run.days_of_runs(before)
    return quality.grade(sums["row_quality"], sums["report_delays"], files, read_on=read_on)


@step("Sealing the crosswalk")
def keep_crosswalk(drop: Path, store: Store, sources: Sources) -> None:
    """Add the patients of a drop to the encrypted crosswalk."""
    crosswalk.add(store, sources.crosswalk, key_of(drop))


@step("Publishing")
def publish(
    store: Store,
    outputs: Outputs,
    sources: Sources,
    run: Run,
    key_check: str | None,
    started_at: datetime,
) -> dict[str, Any]:
    """Publish all tables at once; return the manifest."""
    return publishing.publish(
        store,
        outputs,
        run_id=run.run_id,
        as_of=run.as_of,
        part=run.scope,
        key_check=key_check,
        started_at=started_at,
        settings=run.settings.model_dump(mode="json"),
        inputs={file.source_file: file.sha256 for file in sources.files},
    )
