"""The men: how many are on the drug, who is flagged, who could not be assessed.

In    cohort, flags, patients of one run
Out   Counts, Flagged, NotAssessable: sentences, strings and counts, ready to be set

A flag that is resolved is counted and not listed: there is nothing left to review.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from e2analytics.report.formatting import (
    ALL_CLINICS,
    ASSAY_SHORT,
    NOTHING,
    SITE_NAMES,
    STATUS_NAMES,
    TIER_NAMES,
    chance,
    interval,
    measured,
    number,
    signed,
)
from e2analytics.report.sections import reasons
from e2analytics.report.sections.flag_context import FlagContext
from e2analytics.tables.vocabulary import OPEN_TIERS, TIERS

REVIEW_NAMES: Final = {"not_reviewed": "not reviewed", "reviewed": "reviewed"}
OTHER_INHIBITOR: Final = "other_aromatase_inhibitor"
_CLASSES_THAT_PRESS: Final = {"osteoporosis": 0, "below_expected_for_age": 0, "low_bone_mass": 1}
"""By how much a class of bone presses; every other one, and none, comes after."""
ESTIMATES: Final = (
    *("e2_expected_pg_ml", "e2_ci_low", "e2_ci_high", "e2_off_drug_pg_ml"),
    *("p_below_range", "p_attributable", "p_below_red_line"),
)


@dataclass(frozen=True, slots=True)
class Counts:
    """Men by what could be said of them. All but the first two are men on anastrozole."""

    n_known: int
    n_other_inhibitor: int
    n_anastrozole: int
    n_assessed: int
    n_below_range: int
    n_low_not_attributable: int
    n_in_range: int
    n_mass_spectrometry: int
    n_died_or_left: int
    not_judged: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class FlaggedMan:
    """One man with an open flag, in words."""

    patient_id: str
    clinic_id: str
    tier: str
    tier_name: str
    status: str
    weekly_mg: str
    last_e2: str
    last_e2_about: str
    e2_expected: str
    e2_interval: str
    e2_off_drug: str
    chance_below_range: str
    chance_attributable: str
    chance_below_red_line: str
    bmd_trend: str
    bmd_verdict: str
    scores: str
    reasons: str
    rationale: str
    life: str
    review: str
    note: str
    context: FlagContext


@dataclass(frozen=True, slots=True)
class ClinicTiers:
    """Open flags of one clinic, or of all, by tier in the order of :data:`OPEN_TIERS`."""

    clinic_id: str
    by_tier: tuple[int, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Flagged:
    """All men with an open flag: critical and high in detail, watch in short."""

    pressing: tuple[FlaggedMan, ...]
    watch: tuple[FlaggedMan, ...]
    clinics: tuple[ClinicTiers, ...]
    total: ClinicTiers
    n_first_flagged: int
    n_not_reviewed: int
    n_resolved: int


@dataclass(frozen=True, slots=True)
class Group:
    """Men who have one thing in common: a reason, a clinic."""

    name: str
    n_men: int


@dataclass(frozen=True, slots=True)
class NotAssessable:
    """Men on an aromatase inhibitor of whom nothing can be said, by reason and by clinic."""

    n_men: int
    n_in_cohort: int
    reasons: tuple[Group, ...]
    clinics: tuple[Group, ...]


def tally(
    cohort: pl.DataFrame,
    patients: pl.DataFrame,
    *,
    n_died_or_left: int,
    not_judged: Mapping[str, int] | None = None,
) -> Counts:
    """Count men by status; only those on anastrozole are assessed."""
    other = pl.col("reasons").str.split("; ").list.contains(OTHER_INHIBITOR)
    anastrozole = cohort.filter(~other)
    by_status = dict(anastrozole["status"].value_counts().iter_rows())
    n_unassessed = by_status.get("not_assessable", 0)
    assessed = anastrozole.filter(pl.col("status") != "not_assessable")
    return Counts(
        n_known=patients.height,
        n_other_inhibitor=cohort.height - anastrozole.height,
        n_anastrozole=anastrozole.height,
        n_assessed=anastrozole.height - n_unassessed,
        n_below_range=by_status.get("below_range", 0),
        n_low_not_attributable=by_status.get("low_not_attributable", 0),
        n_in_range=by_status.get("in_range", 0),
        n_mass_spectrometry=int((assessed["assay"] == "ms").sum()),
        n_died_or_left=n_died_or_left,
        not_judged=tuple((why, n) for why, n in (not_judged or {}).items() if n),
    )


def still_open(flags: pl.DataFrame) -> pl.DataFrame:
    """Keep the flags that are not resolved."""
    return flags.filter(pl.col("state") != "resolved")


def most_pressing_first(flags: pl.DataFrame) -> pl.DataFrame:
    """Order flags by tier, and within it by risk: bone that has shown it before a laboratory result.

    First come fractures, then the class of bone, then the rate of a loss that chance does not explain (in whole
    percent a year), then the chance of being below the red line or low by the drug (in tenths), then what adds to
    it: a glucocorticoid, denosumab that nothing has followed. What is left is ordered by the chances themselves,
    men without an estimate last.
    """
    rules = pl.col("reasons").str.split("; ").list
    lost = (rules.contains("bone_loss_repeated") | pl.col("loss_exceeds_lsc")).fill_null(False)
    class_of_bone = pl.col("bone_class").replace_strict(
        _CLASSES_THAT_PRESS, default=len(_CLASSES_THAT_PRESS), return_dtype=pl.Int64
    )
    chances = ("p_below_red_line", "p_attributable")
    keys: list[tuple[pl.Expr, bool]] = [
        (pl.col("tier").cast(pl.Enum(TIERS)), False),
        (rules.contains("fracture_on_the_drug"), True),
        (class_of_bone, False),
        (pl.when(lost).then(pl.col("bmd_change_pct_per_year").round(0)), False),
        *((pl.col(name).round(1), True) for name in chances),
        (rules.contains("on_glucocorticoid_now"), True),
        (rules.contains("denosumab_not_followed"), True),
        *((pl.col(name), True) for name in chances),
        (pl.col("patient_id"), False),
    ]
    return flags.sort(
        [key for key, _ in keys],
        descending=[largest_first for _, largest_first in keys],
        nulls_last=True,
    )


def flagged(
    flags: pl.DataFrame, *, month: str, context: Mapping[str, FlagContext] | None = None
) -> Flagged:
    """List the men with an open flag, the most pressing first, each with its context."""
    listed = most_pressing_first(still_open(flags))
    around = context or {}
    men = tuple(
        _man(row, around.get(row["patient_id"], FlagContext()))
        for row in listed.iter_rows(named=True)
    )
    first_flagged = listed["first_flagged_on"].dt.strftime("%Y-%m") == month
    return Flagged(
        pressing=tuple(man for man in men if man.tier in ("critical", "high")),
        watch=tuple(man for man in men if man.tier == "watch"),
        clinics=tuple(
            _clinic_tiers(part, str(clinic[0]))
            for clinic, part in listed.sort("clinic_id").group_by("clinic_id", maintain_order=True)
        ),
        total=_clinic_tiers(listed, ALL_CLINICS),
        n_first_flagged=int(first_flagged.sum()),
        n_not_reviewed=int((listed["review_state"] == "not_reviewed").sum()),
        n_resolved=flags.height - listed.height,
    )


def not_assessable(cohort: pl.DataFrame) -> NotAssessable:
    """Count the men of whom nothing can be said, by reason and by clinic."""
    unassessed = cohort.filter(pl.col("status") == "not_assessable")
    named = unassessed.select("patient_id", pl.col("reasons").str.split("; ")).explode("reasons")
    causes = named.filter(~pl.col("reasons").is_in(list(reasons.NOTES)))
    return NotAssessable(
        n_men=unassessed.height,
        n_in_cohort=cohort.height,
        reasons=_men_by(causes, "reasons", reasons.in_words),
        clinics=_men_by(unassessed, "clinic_id", str),
    )


def _men_by(men: pl.DataFrame, column: str, say: Callable[[str], str]) -> tuple[Group, ...]:
    counted = men.group_by(column).agg(n=pl.col("patient_id").n_unique())
    ordered = counted.sort("n", column, descending=[True, False])
    return tuple(Group(say(name) or "no reason given", n) for name, n in ordered.iter_rows())


def _clinic_tiers(flags: pl.DataFrame, clinic_id: str) -> ClinicTiers:
    by_tier = tuple(int((flags["tier"] == tier).sum()) for tier in OPEN_TIERS)
    return ClinicTiers(clinic_id, by_tier, sum(by_tier))


def _man(row: dict[str, Any], context: FlagContext) -> FlaggedMan:
    if OTHER_INHIBITOR in reasons.split(row["reasons"]):
        # The model knows anastrozole alone: its level would reassure where a result does not, and 0 mg of
        # it are not no drug.
        dose = row["weekly_anastrozole_mg"] or None
        row = row | dict.fromkeys(ESTIMATES) | {"weekly_anastrozole_mg": dose}
    return FlaggedMan(
        patient_id=row["patient_id"],
        clinic_id=row["clinic_id"],
        tier=row["tier"],
        tier_name=TIER_NAMES[row["tier"]],
        status=STATUS_NAMES[row["status"]],
        weekly_mg=number(row["weekly_anastrozole_mg"], 2),
        last_e2=measured(row["last_e2_low_pg_ml"], row["last_e2_high_pg_ml"]),
        last_e2_about=_about_draw(row),
        e2_expected=number(row["e2_expected_pg_ml"]),
        e2_interval=interval(row["e2_ci_low"], row["e2_ci_high"]),
        e2_off_drug=number(row["e2_off_drug_pg_ml"]),
        chance_below_range=chance(row["p_below_range"]),
        chance_attributable=chance(row["p_attributable"]),
        chance_below_red_line=chance(row["p_below_red_line"]),
        bmd_trend=signed(row["bmd_change_pct_per_year"]),
        bmd_verdict=_bmd_verdict(row),
        scores=_scores(row),
        reasons=reasons.in_words(row["reasons"]),
        rationale=row["rationale"],
        life=_life(row),
        review=REVIEW_NAMES[row["review_state"]],
        note=row["review_note"] or "",
        context=context,
    )


def _about_draw(row: dict[str, Any]) -> str:
    if row["last_e2_on"] is None:
        return "no draw"
    return f"{ASSAY_SHORT.get(row['assay'], NOTHING)}, {row['last_e2_on'].isoformat()}"


def _bmd_verdict(row: dict[str, Any]) -> str:
    if row["loss_exceeds_lsc"] is None:
        return "no scan pair"
    verdict = "loss > LSC" if row["loss_exceeds_lsc"] else "no loss > LSC"
    site = row["bmd_change_site"]
    return f"{SITE_NAMES[site].lower()}: {verdict}" if site else verdict


def _scores(row: dict[str, Any]) -> str:
    named = (("T", row["t_score_min"]), ("Z", row["z_score_min"]))
    return ", ".join(f"{name} {signed(value)}" for name, value in named if value is not None)


def _life(row: dict[str, Any]) -> str:
    return f"{row['state']}, {row['first_flagged_on'].isoformat()}"
