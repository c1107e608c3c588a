"""Contracts of run manifests and of fitted models."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl
from pandera.typing.polars import Series

from e2analytics.tables.contract import Table, Utc
from e2analytics.tables.vocabulary import PARTS


class Models(Table):
    """Frozen fits that nights between score new data with. Grain: model_id."""

    model_id: Series[str]
    fitted_as_of: Series[pl.Date]
    run_id: Series[str]
    parameters: Series[str] = pa.Field(description="JSON: dose response, limit replicates, inputs.")

    class Config:
        """Facts of the table."""

        key = ("model_id",)
        order = ("fitted_as_of", "model_id")
        carried_over = True


class Runs(Table):
    """The manifest of a published run. Grain: run_id."""

    run_id: Series[str]
    as_of: Series[pl.Date]
    started_at: Series[Utc]
    finished_at: Series[Utc]
    simulated: Series[bool] = pa.Field(description="Written under the key of simulated patients.")
    part: Series[str] = pa.Field(isin=PARTS, description="All of it, or one stage.")
    outcome: Series[str] = pa.Field(isin=["complete", "incomplete"])
    package_version: Series[str]
    model_id: Series[str]
    inputs: Series[str] = pa.Field(description="JSON: file and hash of what this run read.")
    settings: Series[str] = pa.Field(description="JSON, without the key.")
    counts: Series[str] = pa.Field(description="JSON: rows by fate, men, flags.")
    timings: Series[str] = pa.Field(description="JSON: seconds by stage.")
    table_versions: Series[str] = pa.Field(description="JSON: Delta version of every table.")

    class Config:
        """Facts of the table."""

        kind = "run"
        key = ("run_id",)
