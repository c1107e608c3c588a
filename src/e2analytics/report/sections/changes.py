"""What changed since the last month: flags opened and closed, and measures that are restated.

In    flags, flag_events of one run; the month before, restated, and the men whose rows of it were corrected
      (``e2analytics.measures.restatement``)
Out   Changes, ready to be set

A flag's change is counted under what differs in the man's inputs; one with several causes stands under
"several". Data are corrected where a row that had come by the end of the month before says otherwise now;
new ones may have come as well.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import polars as pl

from e2analytics.reference import measures as definitions
from e2analytics.report.formatting import ALL_CLINICS, share, signed
from e2analytics.report.sections.men import still_open
from e2analytics.tables.vocabulary import OPEN_TIERS

OPENED: Final = ("new", "reopened")
DATA: Final = "New, corrected or withdrawn data"
NEW: Final = "New data: results, doses or scans, or the man came or left"
CORRECTED: Final = "Corrected data: a row of last month or earlier was changed or withdrawn"
CAUSES: Final[Mapping[str, tuple[str, ...]]] = {
    DATA: ("joined", "left", "new_result", "dose_changed", "new_scan"),
    "Changed rule: a threshold or the limit in use": ("limit_changed", "rule_changed"),
    "Changed model: a new fit of the month": ("new_model",),
    "Days passed": ("time_passed",),
}
SEVERAL: Final = "Several of these"
UNEXPLAINED: Final = "None of these: a defect of e2analytics, please report it"


@dataclass(frozen=True, slots=True)
class Flags:
    """The flags of a clinic, or of all: each by tier in the order of ``vocabulary.OPEN_TIERS``."""

    clinic_id: str
    opened: tuple[int, ...]
    resolved: tuple[int, ...]
    still_open: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cause:
    """How many flags opened, were resolved and changed their tier for one kind of reason."""

    name: str
    opened: int
    resolved: int
    tier_changed: int


@dataclass(frozen=True, slots=True)
class Restated:
    """A measure of the month before that is restated, with the change by reason."""

    name: str
    published: str
    now: str
    by_rule: str
    by_corrected: str
    by_new: str


@dataclass(frozen=True, slots=True)
class Changes:
    """All that changed.

    Attributes
    ----------
    why_none_restated
        Set where no measure of the month before changed, or where there is none to compare with.
    """

    clinics: tuple[Flags, ...]
    total: Flags
    causes: tuple[Cause, ...]
    restated: tuple[Restated, ...]
    why_none_restated: str


def describe(
    flags: pl.DataFrame,
    events: pl.DataFrame,
    restatement: pl.DataFrame | None,
    *,
    as_of: date,
    clinic: str | None,
    corrected: Collection[str] | None = None,
) -> Changes:
    """Describe what changed in the month that ends on ``as_of``.

    Parameters
    ----------
    flags, events
        As in ``contracts``; of one clinic if it is its report.
    restatement
        As :func:`e2analytics.measures.restatement.between` returns it; None if the month before has no run.
    corrected
        The men that :func:`e2analytics.measures.restatement.corrected_men` returns; None if the month before has no run.
    """
    first = as_of.replace(day=1)
    happened = events.filter(pl.col("as_of").is_between(first, as_of))
    fates = _fates(flags, happened)
    names = sorted({*fates["clinic_id"]})
    restated = () if restatement is None else _restated(restatement, clinic)
    return Changes(
        clinics=tuple(_flags(name, fates.filter(pl.col("clinic_id") == name)) for name in names),
        total=_flags(ALL_CLINICS, fates),
        causes=_causes(happened, corrected),
        restated=restated,
        why_none_restated=_why_none(restatement, restated),
    )


def _fates(flags: pl.DataFrame, happened: pl.DataFrame) -> pl.DataFrame:
    """Return each flag that opened, closed or stays open, with its tier then."""
    opened = happened.filter(pl.col("event").is_in(OPENED))
    resolved = happened.filter(pl.col("event") == "resolved")
    stays = still_open(flags).join(opened, on="patient_id", how="anti")
    parts = (
        ("opened", opened, "now"),
        ("resolved", resolved, "was"),
        ("still_open", stays, "tier"),
    )
    return pl.concat(
        rows.select("clinic_id", pl.col(tier).alias("tier"), fate=pl.lit(fate))
        for fate, rows, tier in parts
    )


def _flags(clinic_id: str, fates: pl.DataFrame) -> Flags:
    counts = {(fate, tier): n for fate, tier, n in fates.group_by("fate", "tier").len().iter_rows()}
    opened, resolved, stays = (
        tuple(counts.get((fate, tier), 0) for tier in OPEN_TIERS)
        for fate in ("opened", "resolved", "still_open")
    )
    return Flags(clinic_id, opened, resolved, stays)


def _causes(happened: pl.DataFrame, corrected: Collection[str] | None) -> tuple[Cause, ...]:
    counts: dict[tuple[str, str], int] = {}
    for man, event, why in happened.select("patient_id", "event", "why").iter_rows():
        if event == "status_changed":
            continue
        kind = "opened" if event in OPENED else event
        cause = _cause(why.split("; "))
        if cause == DATA and corrected is not None:
            cause = CORRECTED if man in corrected else NEW
        key = (cause, kind)
        counts[key] = counts.get(key, 0) + 1
    rows = (
        Cause(
            name, *(counts.get((name, kind), 0) for kind in ("opened", "resolved", "tier_changed"))
        )
        for name in (NEW, CORRECTED, *CAUSES, SEVERAL, UNEXPLAINED)
    )
    return tuple(row for row in rows if row.opened or row.resolved or row.tier_changed)


def _cause(names: Iterable[str]) -> str:
    kinds = {kind for kind, members in CAUSES.items() for name in names if name in members}
    if not kinds:
        return UNEXPLAINED
    return kinds.pop() if len(kinds) == 1 else SEVERAL


def _restated(restatement: pl.DataFrame, clinic: str | None) -> tuple[Restated, ...]:
    own = restatement.filter(pl.col("clinic_id").eq_missing(pl.lit(clinic, dtype=pl.String)))
    rows = {row["measure"]: row for row in own.to_dicts()}
    found = []
    for key, definition in definitions.load().measures.items():
        row = rows.get(key)
        if row is None or _counts(row, "published") == _counts(row, "now"):
            continue
        found.append(
            Restated(
                name=f"{definition.id} {definition.name}",
                published=_said(row, "published"),
                now=_said(row, "now"),
                by_rule=_difference(row, "published", "ruled"),
                by_corrected=_difference(row, "ruled", "corrected"),
                by_new=_difference(row, "corrected", "now"),
            )
        )
    return tuple(found)


def _counts(row: Mapping[str, Any], step: str) -> tuple[int | None, int | None]:
    return row[f"{step}_numerator"], row[f"{step}_denominator"]


def _said(row: Mapping[str, Any], step: str) -> str:
    met, of = _counts(row, step)
    return "not measured" if met is None or of is None else share(met, of)


def _difference(row: Mapping[str, Any], earlier: str, later: str) -> str:
    """Say by how many met and counted two steps differ."""
    if _counts(row, earlier) == _counts(row, later):
        return "–"
    (met, of), (met_then, of_then) = (
        [n or 0 for n in _counts(row, step)] for step in (later, earlier)
    )
    return f"{signed(met - met_then, 0)} of {signed(of - of_then, 0)}"


def _why_none(restatement: pl.DataFrame | None, restated: tuple[Restated, ...]) -> str:
    if restatement is None:
        return "No run was published for the last day of the month before: there is nothing to compare with."
    if not restated:
        return "Every measure of the month before is what it was when it was published."
    return ""
