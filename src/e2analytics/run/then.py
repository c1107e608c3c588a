"""Some men as the run before left them: what they counted for then is taken off the sums of all men."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from e2analytics.ingest.intake import ReadRows
from e2analytics.run.frames import ExposureTables
from e2analytics.tables.clinics import n_makers
from e2analytics.tables.patient_data import AsOfRows, PatientData
from e2analytics.tables.registry import CANONICAL, columns_of
from e2analytics.tables.snapshot import Snapshot
from e2analytics.tables.state import State


@dataclass(frozen=True, kw_only=True)
class Then:
    """What the run before knew and found of some men.

    Attributes
    ----------
    as_of
        Its day.
    intake
        Their rows, with the fates that they had.
    rows
        The same, as of that day.
    makers
        Of scanners, as ``Clinics`` had them.
    scanner_shifts, exposure, cohort, flags
        As the run published them.
    """

    as_of: date
    intake: ReadRows
    rows: AsOfRows
    makers: pl.DataFrame
    scanner_shifts: pl.DataFrame
    exposure: ExposureTables
    cohort: pl.DataFrame
    flags: pl.DataFrame

    def of_unchanged(self, now: PatientData) -> pl.Series:
        """Return the men whose rows are what they were, of all tables that E2 between scans follows from.

        None where scanners are judged otherwise now.
        """
        men = _digests(self.rows).join(_digests(now), on=["patient_id", "digest"], how="semi")
        same_scanners = self.scanner_shifts.equals(now.scanner_shifts) and self.makers.equals(
            now.clinics.makers
        )
        return men["patient_id"] if same_scanners else men["patient_id"].clear()


def read_rows(part: Snapshot) -> ReadRows:
    """Return the rows of some men, with the fates that they had."""
    return ReadRows(rows={table: part.rows(table) for table in CANONICAL})


def then(part: Snapshot, read: ReadRows, rows: AsOfRows, state: State) -> Then:
    """Return what the run before found of some men.

    Parameters
    ----------
    part
        What is known of these men.
    read, rows
        Their rows with their fates, and the same as of its day.
    state
        What it left.
    """
    return Then(
        as_of=state.as_of,
        makers=n_makers(state.sums["scanner_makers"]),
        intake=read,
        rows=rows,
        scanner_shifts=part.table("scanner_shifts"),
        exposure=ExposureTables(
            exposures=part.table("exposures"),
            exposure_episodes=part.table("exposure_episodes"),
            levels=part.table("levels"),
        ),
        cohort=part.table("cohort"),
        flags=part.table("flags"),
    )


_OF_EXPOSURE: Final = ("patients", "labs", "dxa", "medications")
"""Tables that the E2 between a man's scans follows from."""


def _digests(rows: AsOfRows) -> pl.DataFrame:
    each = [
        frame.select("patient_id", digest=frame.hash_rows(seed=seed))
        for seed, table in enumerate(_OF_EXPOSURE)
        for frame in [getattr(rows, table).select(columns_of(table))]
    ]
    # Rows differ, so that none cancels another.
    digests: pl.DataFrame = (
        pl.concat(each).group_by("patient_id").agg(pl.col("digest").bitwise_xor())
    )
    return digests
