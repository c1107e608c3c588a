"""Contracts of the ledger, the quarantine, attrition, unit mix-ups and data quality."""

from __future__ import annotations

import pandera.polars as pa
import polars as pl
from pandera.typing.polars import Series

from e2analytics.tables.contract import Table
from e2analytics.tables.vocabulary import GRADES, SEVERITIES, SOURCE_KINDS


class Files(Table):
    """The ledger: every file ever read, and what became of its rows. Grain: source_file."""

    source_file: Series[str] = pa.Field(description="Feed file and hash prefix.")
    sha256: Series[str] = pa.Field(description="Hash of the whole file.")
    feed: Series[str]
    table: Series[str] = pa.Field(description="Table its rows go to.")
    source_order: Series[pl.Int64] = pa.Field(ge=0)
    run_id: Series[str] = pa.Field(description="Run that read it last.")
    described_by: Series[str] = pa.Field(
        description="Digest of the feed description and the reference tables it was read with."
    )
    named: Series[str] = pa.Field(
        description="Keyed hash of the file's name, by which a mended file is known again."
    )
    refused: Series[str] = pa.Field(nullable=True, description="Rule by which it was refused.")
    detail: Series[str] = pa.Field(
        nullable=True, description="What was found of a refused file; no value of a patient."
    )
    rows_read: Series[pl.Int64] = pa.Field(ge=0, description="Results, where a line holds several.")
    accepted: Series[pl.Int64] = pa.Field(ge=0)
    duplicate: Series[pl.Int64] = pa.Field(ge=0)
    superseded: Series[pl.Int64] = pa.Field(ge=0)
    withdrawn: Series[pl.Int64] = pa.Field(ge=0)
    set_apart: Series[pl.Int64] = pa.Field(ge=0)
    quarantined: Series[pl.Int64] = pa.Field(ge=0)

    class Config:
        """Facts of the table."""

        kind = "ledger"
        key = ("source_file",)
        order = ("source_order",)
        carried_over = True


class Quarantine(Table):
    """Why a row waits outside, or came in with a doubt. Grain: source_file, source_line, rule.

    A line whose cause is gone stays as ``resolved``.
    """

    feed: Series[str]
    table: Series[str] = pa.Field(description="Table that the row belongs to.")
    source_file: Series[str]
    source_line: Series[pl.Int64] = pa.Field(nullable=True, description="Null: the whole file.")
    rule: Series[str]
    n_rows: Series[pl.Int64] = pa.Field(
        nullable=True,
        ge=1,
        description="Results of the line that break the rule; null: the whole file.",
    )
    severity: Series[str] = pa.Field(isin=SEVERITIES)
    column: Series[str] = pa.Field(nullable=True)
    advice: Series[str] = pa.Field(description="What the supplier can do about it.")
    state: Series[str] = pa.Field(isin=["open", "resolved"])
    run_id: Series[str] = pa.Field(description="Run that listed it first.")
    resolved_run_id: Series[str] = pa.Field(nullable=True, description="Run that found it gone.")

    class Config:
        """Facts of the table."""

        kind = "ledger"
        key = ("source_file", "source_line", "rule")
        key_checked = False
        carried_over = True


class Attrition(Table):
    """From rows read to men analysed, step by step. Grain: run_id, unit, position."""

    run_id: Series[str]
    position: Series[pl.Int64] = pa.Field(ge=0, description="Order of the steps.")
    step: Series[str]
    unit: Series[str] = pa.Field(isin=["rows", "patients", "pairs", "draws"])
    n_in: Series[pl.Int64] = pa.Field(ge=0)
    n_out: Series[pl.Int64] = pa.Field(ge=0, description="Leaving at this step.")
    n_left: Series[pl.Int64] = pa.Field(ge=0, description="n_in - n_out.")
    reason: Series[str]

    class Config:
        """Facts of the table."""

        kind = "ledger"
        key = ("run_id", "unit", "position")
        key_checked = False
        order = ("run_id", "position")


class UnitSlips(Table):
    """Results that look as if they were in another unit than declared. Grain: slip_id."""

    slip_id: Series[str]
    source_kind: Series[str] = pa.Field(isin=SOURCE_KINDS)
    source: Series[str]
    analyte: Series[str]
    month: Series[str] = pa.Field(description="YYYY-MM of the draws, or all.")
    factor: Series[float] = pa.Field(nullable=True, description="By which results look too large.")
    direction: Series[str] = pa.Field(description="The suspicion in words.")
    n_results: Series[pl.Int64] = pa.Field(ge=0)
    n_suspects: Series[pl.Int64] = pa.Field(ge=0)
    n_with_history: Series[pl.Int64] = pa.Field(
        ge=0, description="Results of men who have others to compare with."
    )
    share: Series[float] = pa.Field(nullable=True, description="Of the month that is shifted.")
    log10_bayes_factor: Series[float] = pa.Field(nullable=True)
    compared_with: Series[str] = pa.Field(description="What the evidence rests on.")
    action: Series[str] = pa.Field(description="quarantined, released, converted ...")
    release_line: Series[str] = pa.Field(
        nullable=True, description="Configuration that would release them."
    )
    convert_line: Series[str] = pa.Field(
        nullable=True,
        description="Configuration that would convert them; null: a part of the month slipped.",
    )

    class Config:
        """Facts of the table."""

        kind = "ledger"
        key = ("slip_id",)
        key_checked = False
        order = ("analyte", "month", "source_kind", "source", "slip_id")


class Quality(Table):
    """How good a supplier's data are (Kahn et al. 2016). Grain: feed, table, month."""

    feed: Series[str]
    table: Series[str] = pa.Field(description="Table its rows go to.")
    month: Series[str] = pa.Field(
        nullable=True, description="YYYY-MM of the event; null: rows without a possible date."
    )
    n_rows: Series[pl.Int64] = pa.Field(
        ge=1, description="Rows that stand or wait: accepted and quarantined."
    )
    completeness_n: Series[pl.Int64] = pa.Field(ge=0)
    completeness_of: Series[pl.Int64] = pa.Field(ge=0)
    completeness: Series[float] = pa.Field(
        nullable=True, ge=0, le=1, description="Share with all that the analyses need."
    )
    completeness_grade: Series[str] = pa.Field(nullable=True, isin=GRADES)
    conformance_n: Series[pl.Int64] = pa.Field(ge=0)
    conformance_of: Series[pl.Int64] = pa.Field(ge=0)
    conformance: Series[float] = pa.Field(
        nullable=True,
        ge=0,
        le=1,
        description="Share that breaks no rejecting rule: not in quarantine.",
    )
    conformance_grade: Series[str] = pa.Field(nullable=True, isin=GRADES)
    plausibility_n: Series[pl.Int64] = pa.Field(ge=0)
    plausibility_of: Series[pl.Int64] = pa.Field(ge=0, description="Accepted rows.")
    plausibility: Series[float] = pa.Field(
        nullable=True, ge=0, le=1, description="Share of accepted rows without a warning."
    )
    plausibility_grade: Series[str] = pa.Field(nullable=True, isin=GRADES)
    days_to_report: Series[float] = pa.Field(
        nullable=True, ge=0, description="Median days from the draw to its report; accepted rows."
    )
    days_to_report_of: Series[pl.Int64] = pa.Field(ge=0, description="Rows that tell it.")
    timeliness_grade: Series[str] = pa.Field(nullable=True, isin=GRADES, description="Of reports.")
    days_to_read: Series[float] = pa.Field(
        nullable=True, ge=0, description="Median days from the event to the run; not graded."
    )
    days_to_read_of: Series[pl.Int64] = pa.Field(ge=0)
    grade: Series[str] = pa.Field(
        nullable=True, isin=GRADES, description="Our own rule: the worst grade that is known."
    )

    class Config:
        """Facts of the table."""

        kind = "ledger"
        key = ("feed", "table", "month")
