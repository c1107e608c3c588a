"""Header: what the report is, of when, from which run, and whether anything is missing.

In    the run, its models and files, the intake in words
Out   Header
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Any

import polars as pl

from e2analytics.report.formatting import count, day, month_name
from e2analytics.report.sections import ingest


@dataclass(frozen=True, slots=True)
class Header:
    """What this page is, of when, from which run, and whether anything is missing."""

    month_name: str
    as_of: str
    as_of_day: date
    run_id: str
    inputs: str
    package_version: str
    model: str
    simulated: bool
    complete: bool
    completeness: str


def describe(
    run: dict[str, Any], tables: Mapping[str, pl.DataFrame], intake: ingest.Intake, month: str
) -> Header:
    """Say of which run the report is, made from which inputs by which model, and whether anything is missing."""
    fitted = (
        tables["models"].filter(pl.col("model_id") == run["model_id"])["fitted_as_of"].to_list()
    )
    model = f"{run['model_id']}, fitted as of {day(fitted[0])}" if fitted else run["model_id"]
    return Header(
        month_name=month_name(month),
        as_of=day(run["as_of"]),
        as_of_day=run["as_of"],
        run_id=run["run_id"],
        inputs=_inputs(tables["files"]),
        package_version=run["package_version"],
        model=model,
        simulated=run["simulated"],
        complete=run["outcome"] == "complete",
        completeness=_completeness(run["outcome"], intake),
    )


def _inputs(files: pl.DataFrame) -> str:
    """Name the inputs of the report, so that two reports of the same files show that they are."""
    # One file may fill several tables, and has a line for each.
    hashes = files["sha256"].unique().sort()
    digest = sha256("\n".join(hashes).encode()).hexdigest()
    return f"{count(len(hashes), 'file')}, digest {digest[:16]}"


def _completeness(outcome: str, intake: ingest.Intake) -> str:
    # The outside version names no file: there are none to count.
    earlier = len(intake.refusals) - intake.n_refused_now if intake.refusals else 0
    still = (
        f" Refused in earlier runs and not sent again: {count(earlier, 'file')}." if earlier else ""
    )
    if outcome == "complete":
        return f"Complete: every file of this run could be used.{still}"
    files = count(intake.n_refused_now, "file") if intake.n_refused_now else "some files"
    return (
        f"Incomplete: {files} of this run could not be used as a whole; figures may change.{still}"
    )
