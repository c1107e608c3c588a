"""What crosses men, where the rows of some are taken in: the facts of their clinics and the shifts of their scanners.

In    the rows of these men as they are and as they were; what is known of all
Out   clinics and shifts as of the day, the sums of what clinics sent, and the other men whose answers these change
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from e2analytics.exposure.scanner_shifts import find_shifts
from e2analytics.measures import clinic_rows
from e2analytics.run.frames import Run
from e2analytics.tables.clinics import Clinics
from e2analytics.tables.patient_data import AsOfRows
from e2analytics.tables.registry import columns_of
from e2analytics.tables.snapshot import Snapshot, is_of
from e2analytics.tables.sums import Sums

_NOBODY = pl.Series("patient_id", [], dtype=pl.String)


@dataclass(frozen=True, kw_only=True)
class Across:
    """What is known from the rows of all men.

    Attributes
    ----------
    clinics, clinics_then
        Facts as of the day, and as of that of the run before.
    scanner_shifts
        As the contract says.
    concerned
        Men whose rows are not taken in, and whose answers change with these.
    """

    clinics: Clinics
    clinics_then: Clinics
    scanner_shifts: pl.DataFrame
    concerned: pl.Series


def look_across(
    now: AsOfRows,
    then: AsOfRows | None,
    sums: Sums,
    before: Snapshot,
    men: pl.Series | None,
    run: Run,
) -> Across:
    """Return what is known from the rows of all men.

    Parameters
    ----------
    now, then
        Rows of the men who are taken in, as of this run's day, and as they were as of that of the run before; None
        where they are all men's.
    sums
        Of all men, ``clinic_rows`` among them.
    before
        What the run before left.
    men
        The men who are taken in; None: all.
    run
        This run.
    """
    clinics = clinic_rows.clinics(sums, run.as_of)
    if men is None or then is None or before.state is None:
        shifts = find_shifts(now.dxa, now.patients, run.settings.link)
        return Across(
            clinics=clinics, clinics_then=clinics, scanner_shifts=shifts, concerned=_NOBODY
        )
    then_known = clinic_rows.clinics(before.state.sums, before.state.as_of)
    others = _men_of_clinics(before).filter(~is_of(men))
    shifts, moved = _shifts(now, then, before, others, run)
    changed = _changed(clinics, then_known, run.settings.flag.stale_feed_days)
    of_clinics = others.filter(pl.col("clinic_id").is_in(changed.implode()))["patient_id"]
    return Across(
        clinics=clinics,
        clinics_then=then_known,
        scanner_shifts=shifts,
        concerned=pl.concat([of_clinics, moved]).unique(),
    )


def _men_of_clinics(before: Snapshot) -> pl.DataFrame:
    columns = ["patient_id", "clinic_id"]
    return before.rows_where("patients", columns, pl.col("fate") == "accepted").select(columns)


def _changed(now: Clinics, then: Clinics, stale_feed_days: int) -> pl.Series:
    """Return the clinics of which something that their men's answers depend on has changed."""
    answers = [each.answers(stale_feed_days) for each in (now, then)]
    both = answers[0].join(answers[1], on="clinic_id", how="full", coalesce=True, suffix="_then")
    names = [name for name in answers[0].columns if name != "clinic_id"]
    differs = pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}_then")) for name in names)
    return both.filter(differs)["clinic_id"]


def _shifts(
    now: AsOfRows, then: AsOfRows, before: Snapshot, others: pl.DataFrame, run: Run
) -> tuple[pl.DataFrame, pl.Series]:
    """Return the shifts of scanners, and the other men who were scanned by one whose shifts have changed."""
    known = before.table("scanner_shifts")
    if _scans(now).equals(_scans(then)):
        return known, _NOBODY
    columns = columns_of("dxa")
    visible = (pl.col("fate") == "accepted") & (pl.col("scanned_on") <= run.as_of)
    their_scans = (
        before.rows_where("dxa", columns, visible)
        .join(others, on="patient_id", how="semi")
        .select(columns)
    )
    of_men = now.patients.select("patient_id", "clinic_id")
    shifts = find_shifts(
        pl.concat([now.dxa.select(columns), their_scans]),
        pl.concat([of_men, others]),
        run.settings.link,
    )
    scanner = ["clinic_id", "scanner_id"]
    moved = pl.concat(
        [
            one.join(other, on=shifts.columns, how="anti", nulls_equal=True).select(scanner)
            for one, other in ((shifts, known), (known, shifts))
        ]
    )
    scanned = their_scans.join(others, on="patient_id").join(moved, on=scanner, how="semi")
    return shifts, scanned["patient_id"].unique()


def _scans(rows: AsOfRows) -> pl.DataFrame:
    """Return what shifts are found in: the scans with their man's clinic."""
    clinics = rows.patients.select("patient_id", "clinic_id")
    return rows.dxa.join(clinics, on="patient_id").sort(
        "source_order", "source_line", "source_part"
    )
