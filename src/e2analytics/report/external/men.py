"""The men in the version that leaves the clinic: how many are shown, and how many are hidden.

In    cohort, flags and patients of one run; the base of rounding
Out   Men: what may be shown of every count, of each clinic and of all together
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from e2analytics.report.external.disclosure import Level, Shown, release
from e2analytics.report.formatting import ALL_CLINICS, HIDDEN, share_of
from e2analytics.report.sections.men import still_open
from e2analytics.tables.vocabulary import OPEN_TIERS, STATUSES

LEVELS: Final = (
    Level(("known",), {}),
    Level(("on_drug", "off_drug"), {}, whole="known", silent=("off_drug",)),
    Level(
        STATUSES,
        {"assessed": ("below_range", "low_not_attributable", "in_range")},
        whole="on_drug",
    ),
    Level(("ms", "other_assay"), {}, whole="assessed", silent=("other_assay",)),
    Level((*OPEN_TIERS, "no_flag"), {"flagged": OPEN_TIERS}, whole="on_drug", silent=("no_flag",)),
    Level(("first_flagged", "flagged_before"), {}, whole="flagged", silent=("flagged_before",)),
    Level(("not_reviewed", "reviewed"), {}, whole="flagged", silent=("reviewed",)),
    Level(("resolved",), {}),
)
LINES: Final = (
    ("known", "Men known", ""),
    ("on_drug", "On an aromatase inhibitor", "known"),
    ("assessed", "Assessed", "on_drug"),
    ("ms", "Last E2 by mass spectrometry", "assessed"),
    ("below_range", "Below range by the drug", "assessed"),
    ("low_not_attributable", "Low, not by the drug", "assessed"),
    ("in_range", "In range", "assessed"),
    ("not_assessable", "Could not be assessed", "on_drug"),
    ("flagged", "With an open flag", "on_drug"),
    ("critical", "■ Critical", "flagged"),
    ("high", "▲ High", "flagged"),
    ("watch", "● Watch", "flagged"),
    ("first_flagged", "First flagged in the month", "flagged"),
    ("not_reviewed", "Not reviewed yet", "flagged"),
    ("resolved", "Flags resolved", ""),
)
"""Name of a count, what it is called, and of what it is a part."""
_OF_CLINICS: Final = ("known", "on_drug", "assessed", "below_range", "flagged", *OPEN_TIERS)


@dataclass(frozen=True, slots=True)
class Line:
    """A count, and which part of what it is."""

    name: str
    men: str
    share: str


@dataclass(frozen=True, slots=True)
class ClinicLine:
    """The counts of one clinic, in the order of the table's columns."""

    clinic_id: str
    men: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Men:
    """What may be shown of the men; ``on_drug`` is the true count of each clinic, not to be shown."""

    clinics: tuple[str, ...]
    on_drug: list[int]
    shown: Shown

    def count(self, name: str, clinic: str | None = None) -> str:
        """Say a count of a clinic, or of all."""
        return shown_count(self._shown(name, clinic))

    def lines(self, clinic: str | None = None) -> tuple[Line, ...]:
        """Return every count with the part that it is of another."""
        return tuple(
            Line(
                words,
                self.count(name, clinic),
                share_of(self._shown(name, clinic), self._shown(whole, clinic)) if whole else "",
            )
            for name, words, whole in LINES
        )

    def by_clinic(self) -> tuple[ClinicLine, ...]:
        """Return the counts that are shown of every clinic, all together last."""
        return tuple(
            ClinicLine(
                clinic or ALL_CLINICS, tuple(self.count(name, clinic) for name in _OF_CLINICS)
            )
            for clinic in (*self.clinics, None)
        )

    def _shown(self, name: str, clinic: str | None) -> float:
        place = -1 if clinic is None else self.clinics.index(clinic)
        return float(self.shown[name][place])


def column_names() -> tuple[str, ...]:
    """Name the columns of the table by clinic."""
    named = {name: words for name, words, _ in LINES}
    return tuple(named[name] for name in _OF_CLINICS)


def shown_count(shown: float) -> str:
    """Say a count that may be hidden.

    >>> shown_count(1235.0), shown_count(float("nan"))
    ('1,235', 'hidden')
    """
    return HIDDEN if math.isnan(shown) else f"{shown:,.0f}"


def release_men(tables: Mapping[str, pl.DataFrame], month: str, base: int) -> Men:
    """Hide what must be hidden of the men of one run."""
    by_clinic = _counts(tables, month)
    clinics = tuple(by_clinic["clinic_id"])
    parts = {name for level in LEVELS for name in level.parts}
    counts = {name: by_clinic[name].to_list() for name in sorted(parts)}
    return Men(clinics, counts["on_drug"], release(LEVELS, counts, base))


def _counts(tables: Mapping[str, pl.DataFrame], month: str) -> pl.DataFrame:
    """Count the men of each clinic, once in every level."""
    cohort, flags, patients = (tables[name] for name in ("cohort", "flags", "patients"))
    now = still_open(flags)
    open_flags = now.select("patient_id", "first_flagged_on", "review_state", open_tier="tier")
    men = cohort.join(open_flags, on="patient_id", how="left")
    assessed = pl.col("status") != "not_assessable"
    flagged = pl.col("open_tier").is_not_null()
    first = pl.col("first_flagged_on").dt.strftime("%Y-%m") == month
    unread = pl.col("review_state") == "not_reviewed"
    of_cohort = {
        "on_drug": pl.lit(True),
        **{status: pl.col("status") == status for status in LEVELS[2].parts},
        "ms": assessed & (pl.col("assay") == "ms"),
        "other_assay": assessed & (pl.col("assay") != "ms").fill_null(True),
        **{tier: flagged & (pl.col("open_tier") == tier) for tier in OPEN_TIERS},
        "no_flag": ~flagged,
        "first_flagged": flagged & first,
        "flagged_before": flagged & ~first,
        "not_reviewed": flagged & unread,
        "reviewed": flagged & ~unread,
    }
    counted = men.group_by("clinic_id").agg(
        pl.col("patient_id").filter(condition).len().cast(pl.Int64).alias(name)
        for name, condition in of_cohort.items()
    )
    resolved = flags.join(now, on="patient_id", how="anti").group_by("clinic_id").len("resolved")
    known = patients.group_by("clinic_id").len("known")
    counts = known.join(counted, on="clinic_id", how="full", coalesce=True)
    counts = counts.join(resolved, on="clinic_id", how="full", coalesce=True).fill_null(0)
    return counts.with_columns(off_drug=pl.col("known").cast(pl.Int64) - pl.col("on_drug")).sort(
        "clinic_id"
    )
