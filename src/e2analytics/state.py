"""What is known between runs: the tables of a published run, and the rows that were not accepted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import polars as pl

from e2analytics.contracts import schema_of

CANONICAL: Final = ("patients", "labs", "dxa", "medications", "events", "precision")
DERIVED: Final = (
    "exposures",
    "levels",
    "curve",
    "curve_summary",
    "cohort",
    "flags",
    "limits",
    "models",
)
_ASIDE_COLUMNS: Final = {
    "apart": pl.String,
    "reject": pl.String,
    "fate": pl.String,
    "why": pl.String,
}


@dataclass(frozen=True)
class Snapshot:
    """The tables of a published run; empty before the first.

    ``aside`` holds the rows of the canonical tables that were not accepted: versions that gave way,
    rows that wait for their supplier or their patient, rows that are none of ours.
    """

    tables: Mapping[str, pl.DataFrame] = field(default_factory=dict)
    aside: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    def table(self, name: str) -> pl.DataFrame:
        """Return a table; an empty one with its columns if there is none yet."""
        return self.tables[name] if name in self.tables else empty_table(name)

    def rows(self, target: str) -> pl.DataFrame:
        """Return every row ever read of a canonical table, accepted or not, without its fate."""
        accepted = self.table(target).with_columns(
            pl.lit(None, dtype=pl.String).alias(name) for name in ("apart", "reject")
        )
        aside = self.aside[target] if target in self.aside else empty_aside(target)
        return pl.concat([accepted, aside.drop("fate", "why")], how="diagonal")


@dataclass(frozen=True)
class Outputs:
    """Everything that a run made.

    Attributes
    ----------
    tables
        By name, as in ``interfaces``: the full state after the run, not only what is new.
    aside
        By canonical table: its rows that were not accepted, with ``fate`` and ``why``.
    outcome
        ``complete``, or ``incomplete`` if a file was refused.
    counts, timings
        For the manifest: rows by fate, men, flags; seconds by stage.
    """

    tables: Mapping[str, pl.DataFrame]
    aside: Mapping[str, pl.DataFrame]
    outcome: str
    model_id: str
    counts: Mapping[str, int]
    timings: Mapping[str, float]


def empty_table(name: str) -> pl.DataFrame:
    """Return a table without rows."""
    return pl.DataFrame(schema=schema_of(name))


def empty_aside(target: str) -> pl.DataFrame:
    """Return no rows of a canonical table's other fates."""
    return pl.DataFrame(schema={**schema_of(target), **_ASIDE_COLUMNS})
