"""The list of all tables. What other modules need to know of a table, they ask here.

A fact about one table stands in its contract (``contract.Facts``); the lists below are derived from
these. The order of ``TABLES`` is the order of every output that lists tables.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

import polars as pl

from e2analytics.tables.contract import Facts, Kind, Table
from e2analytics.tables.curves import Curve, CurveSensitivity, CurveSummary, Limits, Prescribing
from e2analytics.tables.de_escalations import DeEscalations
from e2analytics.tables.exposure import (
    Densitometry,
    DoseEffects,
    E2Checks,
    ExposureEpisodes,
    Exposures,
    Levels,
    OwnLevels,
    Projections,
    ScannerShifts,
)
from e2analytics.tables.flags import Causes, Cohort, Context, FlagEvents, FlagEvidence, Flags, Gaps
from e2analytics.tables.ledger import Attrition, Files, Quality, Quarantine, UnitSlips
from e2analytics.tables.measures import Measures
from e2analytics.tables.runs import Models, Runs
from e2analytics.tables.source import (
    Dxa,
    Events,
    Labs,
    Lifestyle,
    Medications,
    Patients,
    Precision,
)

TABLES: Final[dict[str, type[Table]]] = {
    "patients": Patients,
    "labs": Labs,
    "dxa": Dxa,
    "medications": Medications,
    "events": Events,
    "lifestyle": Lifestyle,
    "precision": Precision,
    "files": Files,
    "quarantine": Quarantine,
    "attrition": Attrition,
    "unit_slips": UnitSlips,
    "quality": Quality,
    "densitometry": Densitometry,
    "scanner_shifts": ScannerShifts,
    "exposures": Exposures,
    "exposure_episodes": ExposureEpisodes,
    "own_levels": OwnLevels,
    "dose_effects": DoseEffects,
    "e2_checks": E2Checks,
    "projections": Projections,
    "levels": Levels,
    "curve": Curve,
    "curve_summary": CurveSummary,
    "curve_sensitivity": CurveSensitivity,
    "prescribing": Prescribing,
    "cohort": Cohort,
    "flags": Flags,
    "flag_events": FlagEvents,
    "flag_evidence": FlagEvidence,
    "causes": Causes,
    "gaps": Gaps,
    "context": Context,
    "de_escalations": DeEscalations,
    "limits": Limits,
    "models": Models,
    "measures": Measures,
    "runs": Runs,
}


def facts_of(table: str) -> Facts:
    """Return what a table's contract states beyond its columns."""
    return TABLES[table].facts()


def key_of(table: str) -> list[str]:
    """Return the columns that identify a row of a table."""
    return list(facts_of(table).key)


def order_of(table: str) -> list[str]:
    """Return the columns that put a table in one order, whatever order its files are read in."""
    return list(facts_of(table).order or facts_of(table).key)


def schema_of(table: str) -> dict[str, pl.DataType]:
    """Return the columns of a table with their types, in order."""
    columns = TABLES[table].to_schema().columns
    return {name: column.dtype.type for name, column in columns.items()}


def columns_of(table: str) -> list[str]:
    """Return the names of a table's columns, in order."""
    return list(TABLES[table].to_schema().columns)


def contracts_digest() -> str:
    """Return a digest of all that stored tables depend on.

    It changes with a table's name, kind, key or order, and with a column's name, type, place, or
    whether it may be null. The words that a column may hold are not in it: new ones need no migration, and a
    word that is renamed or goes needs a step all the same.
    A store written under another digest needs a migration.
    """
    stored = [
        (
            table,
            facts_of(table).kind,
            key_of(table),
            order_of(table),
            [
                (name, str(column.dtype), column.nullable)
                for name, column in TABLES[table].to_schema().columns.items()
            ],
        )
        for table in TABLES
    ]
    return sha256(repr(stored).encode()).hexdigest()


def _of_kind(kind: Kind) -> tuple[str, ...]:
    return tuple(table for table in TABLES if facts_of(table).kind == kind)


CANONICAL: Final = _of_kind("canonical")
"""Tables of source rows."""
DERIVED: Final = _of_kind("derived")
"""Tables that an analysis makes."""
CARRIED_OVER: Final = tuple(table for table in TABLES if facts_of(table).carried_over)
"""Tables that a run continues; all others belong to the day that a run is as of."""
EVENT_DATE: Final = {table: day for table in TABLES if (day := facts_of(table).event_date)}
"""By table: the column with the day on which a row happened."""
OF_MEN: Final = frozenset(
    table for table in TABLES if "patient_id" in TABLES[table].to_schema().columns
)
"""Tables whose rows are each of one man; all others are about many."""
OF_THE_DAY: Final = {table: days for table in TABLES if (days := facts_of(table).of_the_day)}
"""By table: the columns that hold the as-of day of the run, where no row gives another one."""
