"""The rules of ingest as ``schemas/reference/row_rules.yaml`` words them, checked when loaded.

Names, severities, columns, words and advice. The conditions are those of :mod:`e2analytics.ingest.rules`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, Field, model_validator

from e2analytics import reference

Severity = Literal["reject", "warn"]
Text = Annotated[str, Field(min_length=1)]
Advice = Annotated[str, Field(pattern=r"\.$")]

UNKNOWN_PATIENT: Final = "unknown_patient"
CONFLICTING_IDENTITY: Final = "conflicting_identity"
NUMBER_OF_SEVERAL_PATIENTS: Final = "number_of_several_patients"
NUMBER_OF_SEVERAL_TESTS: Final = "number_of_several_tests"
CONTRADICTING_ENTRIES: Final = "contradicting_entries"
SUSPECTED_UNIT_SLIP: Final = "suspected_unit_slip"


class Rule(BaseModel, frozen=True, extra="forbid"):
    """A rule of any kind; without ``words`` its name says it. ``changed``: on which day, and from what."""

    words: Text | None = None
    advice: Advice
    changed: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}: ")] | None = None


class RowRule(Rule, frozen=True):
    """What one row must satisfy, in words."""

    severity: Severity


class FileRule(Rule, frozen=True):
    """What a file must satisfy; a ``damaged`` one is not of its format, or not complete."""

    damaged: bool = False


class ReconcileRule(Rule, frozen=True):
    """What only all rows together can tell; each keeps a row out."""

    column: Text


class NotUsed(BaseModel, frozen=True, extra="forbid"):
    """Why something is not used where nothing has to be corrected, in words."""

    rows: Mapping[Text, Text]
    scan_pairs: Mapping[Text, Text]
    scans: Mapping[Text, Text]
    draws: Mapping[Text, Text]


class ClinicAdvice(BaseModel, frozen=True, extra="forbid"):
    """What the clinic's own analyst can do about some rules."""

    advice: Advice
    rules: Annotated[tuple[Text, ...], Field(min_length=1)]


class TableRule(NamedTuple):
    """A row rule as one table uses it; ``column`` is empty for the whole row."""

    name: str
    column: str
    severity: Severity
    advice: str


class RowRules(BaseModel, frozen=True, extra="forbid"):
    """All rules, those of a table in the order in which they are asked."""

    row_rules: Mapping[Text, RowRule]
    tables: Mapping[Text, Mapping[Text, str]]
    file_rules: Mapping[Text, FileRule]
    reconcile_rules: Mapping[
        Literal[
            "unknown_patient",
            "conflicting_identity",
            "number_of_several_patients",
            "number_of_several_tests",
            "contradicting_entries",
            "suspected_unit_slip",
        ],
        ReconcileRule,
    ]
    not_used: NotUsed
    for_the_clinic: tuple[ClinicAdvice, ...]

    @model_validator(mode="after")
    def _must_agree(self) -> RowRules:
        used = {name for columns in self.tables.values() for name in columns}
        if used != set(self.row_rules):
            names = ", ".join(sorted(used ^ set(self.row_rules)))
            raise ValueError(f"in only one of row_rules and tables: {names}")
        advised = [name for each in self.for_the_clinic for name in each.rules]
        every = {*self.row_rules, *self.file_rules, *self.reconcile_rules}
        if unknown := sorted(set(advised) - every):
            raise ValueError(f"for_the_clinic names no rule: {', '.join(unknown)}")
        if len(advised) > len(set(advised)):
            raise ValueError("for_the_clinic advises twice about one rule")
        return self

    @property
    def words(self) -> Mapping[str, str]:
        """What a report calls the rules whose names do not say it."""
        kinds: tuple[Mapping[Any, Rule], ...] = (
            self.row_rules,
            self.file_rules,
            self.reconcile_rules,
        )
        return {
            name: rule.words
            for rules in kinds
            for name, rule in rules.items()
            if rule.words is not None
        }


@cache
def load() -> RowRules:
    """Return the rules in force."""
    return RowRules.model_validate(reference.load("row_rules"))


@cache
def of_table(table: str) -> tuple[TableRule, ...]:
    """Return the row rules of a table in order; none of a table that suppliers do not send."""
    rules = load()
    return tuple(
        TableRule(name, column, rules.row_rules[name].severity, rules.row_rules[name].advice)
        for name, column in rules.tables.get(table, {}).items()
    )


@cache
def for_the_clinic() -> Mapping[str, str]:
    """Return what the clinic's analyst can do, by rule; of some rules nothing."""
    return {name: each.advice for each in load().for_the_clinic for name in each.rules}
