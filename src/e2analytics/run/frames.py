"""What steps take and return: the run that is asked for, and frames under their names."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date

import polars as pl

from e2analytics.settings import Settings
from e2analytics.tables.registry import order_of
from e2analytics.tables.snapshot import Snapshot
from e2analytics.tables.vocabulary import Scope


@dataclass(frozen=True, kw_only=True)
class Run:
    """What one run is asked to do.

    Attributes
    ----------
    as_of
        The day that the run describes: it keeps later events and does not use them.
    settings
        All that a clinic may choose.
    run_id
        Name of the run.
    scope
        ``ingest`` stops after the rows are taken in; the others differ by what they are given.
    refit
        Fit anew, though a model of this month exists.
    adopt
        Reason for which the fitted limit is adopted.
    """

    as_of: date
    settings: Settings
    run_id: str = "run-000001"
    scope: Scope = "all"
    refit: bool = False
    adopt: str | None = None

    def days_of_runs(self, before: Snapshot) -> dict[str, date]:
        """Return the as-of day of every run up to this one."""
        days = dict(before.table("runs").select("run_id", "as_of").iter_rows())
        return days | {self.run_id: self.as_of}


@dataclass(frozen=True, kw_only=True)
class ExposureTables:
    """E2 between scans, for each dose held between them, and next to single scans."""

    exposures: pl.DataFrame
    exposure_episodes: pl.DataFrame
    levels: pl.DataFrame

    def of(self, men: pl.Series) -> ExposureTables:
        """Return the rows of some men."""
        is_theirs = pl.col("patient_id").is_in(men.implode())
        return ExposureTables(
            **{name: rows.filter(is_theirs) for name, rows in frames_of(self).items()}
        )

    def plus(self, others: ExposureTables) -> ExposureTables:
        """Return the rows of these men and others."""
        return ExposureTables(
            **{
                name: pl.concat([rows, getattr(others, name).select(rows.columns)]).sort(
                    order_of(name)
                )
                for name, rows in frames_of(self).items()
            }
        )


@dataclass(frozen=True, kw_only=True)
class CurveTables:
    """The curves of a model."""

    curve: pl.DataFrame
    curve_summary: pl.DataFrame
    curve_sensitivity: pl.DataFrame
    prescribing: pl.DataFrame


@dataclass(frozen=True, kw_only=True)
class FlagTables:
    """Of men on an inhibitor: assessment, flag, evidence, causes, gaps, context, projections; de-escalations."""

    cohort: pl.DataFrame
    flags: pl.DataFrame
    flag_events: pl.DataFrame
    flag_evidence: pl.DataFrame
    causes: pl.DataFrame
    gaps: pl.DataFrame
    context: pl.DataFrame
    de_escalations: pl.DataFrame
    projections: pl.DataFrame


def frames_of(tables: ExposureTables | CurveTables | FlagTables) -> dict[str, pl.DataFrame]:
    """Return frames by name."""
    return {field.name: getattr(tables, field.name) for field in fields(tables)}
