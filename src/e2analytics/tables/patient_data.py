"""The men's rows as of a day: what fits, flags and measures are made from.

Frames travel together under their names, so that no two of them can be exchanged by mistake.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from e2analytics import reference
from e2analytics.reference import constants
from e2analytics.tables.clinics import Clinics

NEVER: Final = date(9999, 12, 31)
"""Stands for an end that is not known to come."""
BONE_SITES: Final = reference.sites_with("class_by_score")
"""Sites whose scans show bone; a scan of the whole body shows fat."""
BONE_SCAN: Final = "bone_scan"
"""Value of ``what`` in ``AsOfRows.pending`` for a scan of ``BONE_SITES``, or of an unreadable site."""
CHANGE_PROBABILITIES: Final = ("p_fell_6m", "p_fell_12m", "p_rose_6m", "p_rose_12m")
CHANGE_COLUMNS: Final = (*CHANGE_PROBABILITIES, "changed_on")
"""Whether a man's E2 has changed, and when: columns of ``cohort``."""
MS_EQUIVALENT: Final = ("ms_low_pg_ml", "ms_high_pg_ml")
"""Columns of draws: between what mass spectrometry would read; null where no relation of the assays is known."""


@dataclass(frozen=True, kw_only=True)
class AsOfRows:
    """Rows of the canonical tables that happened on the as-of date or before.

    Attributes
    ----------
    patients, medications, labs, dxa, events, lifestyle, precision
        Accepted rows, as their contracts say; patients are men.
    pending
        ``patient_id, what, happened_on`` of rows in quarantine.
    pending_e2
        E2 results in quarantine, as rows of ``labs``.
    """

    patients: pl.DataFrame
    medications: pl.DataFrame
    labs: pl.DataFrame
    dxa: pl.DataFrame
    events: pl.DataFrame
    lifestyle: pl.DataFrame
    precision: pl.DataFrame
    pending: pl.DataFrame
    pending_e2: pl.DataFrame


@dataclass(frozen=True, kw_only=True)
class PatientData(AsOfRows):
    """The rows of a day, with what was linked to them.

    Attributes
    ----------
    clinics
        What follows from the rows of all men of a clinic.
    episodes
        Aromatase inhibitors: one dose from a day until another.
    draws, pending_draws
        E2 results with the drug of their day: accepted ones, and those in quarantine.
    pairs
        Each scan with the next one that it can be compared with.
    densitometry
        Scans with T-score, Z-score and class.
    scanner_shifts
        Abrupt steps in a scanner's readings.
    """

    clinics: Clinics
    episodes: pl.DataFrame
    draws: pl.DataFrame
    pending_draws: pl.DataFrame
    pairs: pl.DataFrame
    densitometry: pl.DataFrame
    scanner_shifts: pl.DataFrame


@dataclass(frozen=True, kw_only=True)
class Estimates:
    """Estimates of the men's E2 by the dose response.

    Attributes
    ----------
    e2
        Log E2 at the present dose and off the drug, with their uncertainty. Grain: patient_id.
    changes
        How probable it is that E2 fell or rose, ``CHANGE_COLUMNS``; ``testosterone_since``, when
        his testosterone last changed. Grain: patient_id.
    exposures
        E2 between two scans. Grain: patient_id, site, first scan.
    """

    e2: pl.DataFrame
    changes: pl.DataFrame
    exposures: pl.DataFrame


@dataclass(frozen=True, kw_only=True)
class CareUnits:
    """What the quality measures count, for the measures themselves and for the gaps in care.

    Attributes
    ----------
    units
        Grain: one unit of one measure.
    doses
        Episodes, each marked as a start, a change, or neither.
    courses
        Courses of treatment, from a start to the end of the last episode.
    lowerings
        Days, ``lowered_on``, on which an inhibitor was cut or stopped.
    """

    units: pl.DataFrame
    doses: pl.DataFrame
    courses: pl.DataFrame
    lowerings: pl.DataFrame


def adult_on() -> pl.Expr:
    """Return the day on which a man, by his ``birth_date``, becomes an adult; null where that is not known."""
    return _birthday(constants.ADULT_FROM_YEARS.value)


def is_aged(from_years: float, below_years: float, day: pl.Expr) -> pl.Expr:
    """Tell whether a man has an age on a day, in whole years; false where his ``birth_date`` is not known."""
    of_age = (_birthday(from_years) <= day) & (_birthday(below_years) > day)
    return of_age.fill_null(False)


def _birthday(years: float) -> pl.Expr:
    return pl.col("birth_date").dt.offset_by(f"{years:.0f}y")
