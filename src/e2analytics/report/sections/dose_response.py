"""What the dose response says: how far doses lower E2, and whose results do not fit.

In    dose_effects, e2_checks of one run
Out   DoseResponse; sentences where there is nothing to show
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from e2analytics.report.formatting import ASSAY_SHORT, count, listing

BY_PRIOR: Final = 0.5
"""Our own rule: from this share on, an average says more of the literature than of these men."""
_KINDS: Final = {"clinic": "clinic", "laboratory": "laboratory", "assay": "assay", "dose": "dose"}


@dataclass(frozen=True, slots=True)
class Effect:
    """One dose and what it does on average."""

    dose: str
    suppression: str
    n_men: int


@dataclass(frozen=True, slots=True)
class Misfit:
    """Draws that do not lie where the model expects them."""

    who: str
    n_draws: int
    outside: str
    shift: str


@dataclass(frozen=True, slots=True)
class DoseResponse:
    """The effects of doses, who does not fit, and both in a sentence."""

    effects: tuple[Effect, ...]
    misfits: tuple[Misfit, ...]
    sentence: str
    fit_sentence: str


def describe(effects: pl.DataFrame, checks: pl.DataFrame) -> DoseResponse:
    """Put the dose response of a run in words."""
    if effects.is_empty():
        return DoseResponse(
            (), (), "Too few men have an E2 result: no dose response could be estimated.", ""
        )
    rows = effects.sort("weekly_anastrozole_mg").rows(named=True)
    misfits = tuple(
        _misfit(row) for row in checks.filter(~pl.col("fits")).sort("by", "name").rows(named=True)
    )
    return DoseResponse(
        tuple(_effect(row) for row in rows),
        misfits,
        _sentence(rows),
        _fit_sentence(checks, misfits),
    )


def _effect(row: dict[str, float]) -> Effect:
    return Effect(
        f"{row['weekly_anastrozole_mg']:g} mg a week",
        f"{row['suppression_pct']:.0f} % ({row['ci_low_pct']:.0f} to {row['ci_high_pct']:.0f})",
        int(row["n_men"]),
    )


def _sentence(rows: list[dict[str, float]]) -> str:
    one = next(row for row in rows if row["weekly_anastrozole_mg"] == 1.0)
    said = (
        f"On average 1 mg of anastrozole a week takes away {one['suppression_pct']:.0f} % "
        f"(95 % {one['ci_low_pct']:.0f} to {one['ci_high_pct']:.0f}) of a man's E2. Individual men respond "
        "more or less than that: each man's own response is estimated from his own results."
    )
    if one["prior_share"] >= BY_PRIOR:
        said += " These data alone cannot carry the dose curve: its shape comes mostly from the literature."
    return said


def _misfit(row: dict[str, object]) -> Misfit:
    name = str(row["name"])
    shift = float(str(row["mean_z"]))
    return Misfit(
        f"{_KINDS[str(row['by'])]} {ASSAY_SHORT.get(name, name)}",
        int(str(row["n_draws"])),
        f"{100 * float(str(row['share_outside'])):.0f} %",
        f"{abs(shift):.1f} SD {'above' if shift > 0 else 'below'}",
    )


def _fit_sentence(checks: pl.DataFrame, misfits: tuple[Misfit, ...]) -> str:
    n_judged = int(checks["fits"].is_not_null().sum())
    n_draws = int(checks.filter(pl.col("by") == "dose")["n_draws"].sum())
    if not misfits:
        return (
            f"Of {count(n_draws, 'exact E2 result')}, those of every clinic, laboratory, assay and dose "
            f"({n_judged} groups judged) lie where the model expects them."
        )
    return (
        "The model does not fit the results of "
        f"{listing(misfit.who for misfit in misfits)}: read estimates that rest on them with care, and ask "
        "the laboratory about its method and units."
    )
