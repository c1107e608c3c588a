"""The schema versions of a store: what each one changed, and how an older table becomes one of today.

In    a table with the columns of an earlier schema version
Out   the same rows with the columns of :data:`SCHEMA_VERSION`

A contract that changes takes a new step at the end of :data:`STEPS`: one line for a renamed column or for a
new one, which must be nullable. A step adds and renames; it never drops a row and estimates nothing.
Applied to a table that has it already, it changes nothing. The table ``runs`` has no steps: it is the
history of the store, its columns are never renamed, and new ones are null in older rows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import polars as pl

from e2analytics.tables.registry import CANONICAL

NOT_ACCEPTED: Final = "not_accepted"
"""Folder of the tables of rows that were read and not accepted."""
Change: TypeAlias = Callable[[pl.LazyFrame], pl.LazyFrame]


@dataclass(frozen=True)
class Step:
    """What a schema version changed.

    Attributes
    ----------
    version
        The schema version.
    tables
        By table: the changes of its columns. Those of a canonical table also apply to its rows that were
        not accepted.
    not_accepted
        Further changes of all tables of rows that were not accepted.
    folders
        Old name of a folder of tables -> new name.
    """

    version: int
    tables: Mapping[str, tuple[Change, ...]] = field(default_factory=dict)
    not_accepted: tuple[Change, ...] = ()
    folders: Mapping[str, str] = field(default_factory=dict)

    def changes_of(self, name: str) -> tuple[Change, ...]:
        """Return the changes of a stored table, by its name in this version."""
        folder, _, table = name.rpartition("/")
        return (*self.tables.get(table, ()), *(self.not_accepted if folder == NOT_ACCEPTED else ()))

    def name_of(self, name: str) -> str:
        """Return the name that a stored table has from this version on."""
        folder, _, table = name.rpartition("/")
        return f"{self.folders[folder]}/{table}" if folder in self.folders else name


def renamed(old: str, new: str) -> Change:
    """Rename a column."""
    return lambda rows: rows.rename({old: new}, strict=False)


def with_null(column: str, dtype: pl.DataType) -> Change:
    """Add a column, which is null in the rows of older versions."""

    def add(rows: pl.LazyFrame) -> pl.LazyFrame:
        if column in rows.collect_schema():
            return rows
        return rows.with_columns(pl.lit(None, dtype=dtype).alias(column))

    return add


def renamed_in_json(column: str, section: str, old: str, new: str) -> Change:
    """Rename a field of a section of JSON text; a section may be missing or null."""

    def rename(text: str) -> str:
        content: dict[str, Any] = json.loads(text)
        fields = content.get(section)
        if not fields or old not in fields:
            return text
        names = {old: new}
        content[section] = {names.get(name, name): value for name, value in fields.items()}
        return json.dumps(content)

    return lambda rows: rows.with_columns(
        pl.col(column).map_elements(rename, return_dtype=pl.String)
    )


_OF_CHANGE: Final = (
    *(
        with_null(f"p_{way}_{span}", pl.Float64())
        for way in ("fell", "rose")
        for span in ("6m", "12m")
    ),
    with_null("changed_on", pl.Date()),
)
_OF_MOVEMENT: Final = (
    "movement_mean",
    "level_movement_covariance",
    "response_movement_covariance",
    "movement_variance",
    "movement_by_constant",
    "movement_by_log_testosterone",
    "movement_by_bmi_kg_m2",
    "movement_by_age_years",
    "movement_by_ever_on_drug",
    "movement_by_logit_emax",
    "movement_by_log_ed50",
    "movement_by_log_ia_slope",
    "movement_by_ia_constant_pg_ml",
)
_OF_CONTEXT: Final = ("bmd_bone_drugs", "e2_drugs", "early_signals", "lifestyle")
_OF_FREE_E2: Final = tuple(
    f"free_e2_{which}{what}"
    for which in ("", "as_line_")
    for what in ("pg_ml", "ci_low", "ci_high")
)
STEPS: Final = (
    Step(
        2,
        tables={
            **dict.fromkeys(CANONICAL, (renamed("broken", "failed_rules"),)),
            **dict.fromkeys(("files", "quarantine", "quality"), (renamed("target", "table"),)),
            **dict.fromkeys(("cohort", "flags"), (renamed("grounds", "rationale"),)),
            "own_levels": (renamed("n_set_aside", "n_outliers"),),
            "dose_effects": (renamed("known_before_the_data", "prior_share"),),
            "measures": (renamed("n_apart", "n_reported_separately"),),
            "models": (
                renamed_in_json(
                    "parameters", "dose_response", "known_before_the_data", "prior_share"
                ),
            ),
        },
        not_accepted=(renamed("apart", "excluded"),),
        folders={"aside": NOT_ACCEPTED},
    ),
    Step(
        3,
        tables={
            "own_levels": (
                with_null("last_drawn_on", pl.Date()),
                with_null("testosterone_changes", pl.Int64()),
                *(with_null(column, pl.Float64()) for column in _OF_MOVEMENT),
            ),
            **dict.fromkeys(
                ("cohort", "flags"),
                (
                    *_OF_CHANGE,
                    with_null("bmd_change_site", pl.String()),
                    with_null("bone_finding_on", pl.Date()),
                ),
            ),
            "exposures": (with_null("bone_drugs", pl.String()),),
            "context": (
                *(with_null(name, pl.String()) for name in _OF_CONTEXT),
                with_null("free_e2_on", pl.Date()),
                with_null("t_e2_earlier_ratio", pl.Float64()),
                with_null("t_e2_earlier_days", pl.Int64()),
                with_null("t_e2_earlier_from_on", pl.Date()),
                *(with_null(name, pl.Float64()) for name in _OF_FREE_E2),
            ),
            "curve_summary": (
                with_null("upper_limit_supported", pl.Boolean()),
                with_null("upper_limit_why_not", pl.String()),
                with_null("n_events", pl.Int64()),
            ),
            "files": (with_null("detail", pl.String()),),
            "gaps": (with_null("note", pl.String()),),
            "quarantine": (with_null("n_rows", pl.Int64()),),
            "medications": (
                with_null("weekdays", pl.String()),
                with_null("renewals", pl.String()),
                with_null("listed_on", pl.Date()),
            ),
            "events": (with_null("detail", pl.String()),),
            "patients": (with_null("assigning_authority", pl.String()),),
        },
    ),
)
SCHEMA_VERSION: Final = STEPS[-1].version
"""Of the stores that this e2analytics writes."""


def name_today(name: str, from_version: int, steps: tuple[Step, ...] = STEPS) -> str:
    """Return today's name of a table that was stored under a schema version.

    >>> name_today("aside/labs", 1), name_today("labs", 1)
    ('not_accepted/labs', 'labs')
    """
    for step in _after(from_version, steps):
        name = step.name_of(name)
    return name


def upgrade(
    name: str, rows: pl.LazyFrame, from_version: int, steps: tuple[Step, ...] = STEPS
) -> pl.LazyFrame:
    """Return a table with the columns of today.

    Parameters
    ----------
    name
        Today's name of the stored table.
    rows
        Its rows.
    from_version
        The schema version that they were written under.
    steps
        What each later version changed.
    """
    for step in _after(from_version, steps):
        for change in step.changes_of(name):
            rows = change(rows)
    return rows


def is_changed(name: str, from_version: int, steps: tuple[Step, ...] = STEPS) -> bool:
    """Return whether a table, by its name under a schema version, has another name or other columns today."""
    today = name_today(name, from_version, steps)
    return today != name or any(step.changes_of(today) for step in _after(from_version, steps))


def _after(version: int, steps: tuple[Step, ...]) -> tuple[Step, ...]:
    return tuple(step for step in steps if step.version > version)
