"""Context of the flags: open gaps, other findings, E2 at other doses, the evidence behind them.

In    gaps, context, projections, flag_evidence of one run
Out   FlagContext of a man; gaps and grounds of all, ready to be set

E2 at another dose is information for a clinician, never an order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import polars as pl

from e2analytics.flags import rules as flag_rules
from e2analytics.reference import constants
from e2analytics.report.formatting import (
    ASSAY_SHORT,
    NOTHING,
    count,
    interval,
    measured,
    number,
    plain,
    signed,
)

_PIECES: Final = {
    "e2_result": "E2",
    "dose": "dose",
    "scan_pair": "two scans",
    "scan": "scan",
    "event": "event",
    "tier": "rule of the tier",
    "would_change": "What would clear this flag",
}
_LAST_RESULTS: Final = 3
_LSC: Final = {
    "loss": "a loss beyond it",
    "gain": "a gain beyond it",
    "no_measurable_change": "no measurable change",
}


@dataclass(frozen=True, slots=True)
class FlagContext:
    """The context of one man's flag, in words; empty where there is none."""

    missing: str = ""
    findings: str = ""
    other_doses: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """One gap in care, and how many men have it."""

    words: str
    n_men: int
    n_flagged: int


@dataclass(frozen=True, slots=True)
class Ground:
    """One piece that a flag rests on."""

    piece: str
    name: str
    on: str
    value: str
    words: str
    row: str


@dataclass(frozen=True, slots=True)
class GroundsOfMan:
    """The pieces that one man's flag rests on."""

    patient_id: str
    pieces: tuple[Ground, ...]


def of_men(
    gaps: pl.DataFrame, context: pl.DataFrame, projections: pl.DataFrame
) -> Mapping[str, FlagContext]:
    """Return the context of every man of the cohort."""
    absent = _by_man(gaps.sort("patient_id", "gap"), _missing)
    around = _by_man(context, _context)
    doses = _by_man(projections.sort("patient_id", "weekly_anastrozole_mg"), _at_dose)
    return {
        patient_id: FlagContext(
            "; ".join(absent.get(patient_id, [])),
            "; ".join(around.get(patient_id, [])),
            "; ".join(doses.get(patient_id, [])),
        )
        for patient_id in {*absent, *around, *doses}
    }


def missing(gaps: pl.DataFrame, flagged: Collection[str]) -> tuple[Gap, ...]:
    """Count what is missing in the care of men on the drug."""
    with_flag = pl.col("patient_id").is_in(list(flagged))
    counted = {
        name: (n_men, n_flagged)
        for name, n_men, n_flagged in gaps.group_by("gap")
        .agg(n_men=pl.len(), n_flagged=with_flag.sum())
        .rows()
    }
    return tuple(
        Gap(gap.words, *counted[name])
        for name, gap in flag_rules.load().gaps.items()
        if name in counted
    )


def grounds(evidence: pl.DataFrame, of: Collection[str]) -> tuple[GroundsOfMan, ...]:
    """Return the pieces that the flags of some men rest on, in the order in which they are named."""
    shown = evidence.filter(
        pl.col("patient_id").is_in(list(of)), pl.col("piece").is_in(list(_PIECES))
    )
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in shown.sort("patient_id", "position").iter_rows(named=True):
        rows.setdefault(row["patient_id"], []).append(row)
    return tuple(
        GroundsOfMan(patient_id, tuple(map(_ground, _most_telling(rows[patient_id]))))
        for patient_id in of
        if patient_id in rows
    )


def _most_telling(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Leave out older results and doses: they stand in ``flag_evidence``."""
    latest = {"e2_result": _LAST_RESULTS, "dose": 1}
    for place, row in enumerate(rows):
        later = sum(other["piece"] == row["piece"] for other in rows[place + 1 :])
        if later < latest.get(row["piece"], len(rows)):
            yield row


def _ground(row: dict[str, Any]) -> Ground:
    value = measured(row["value_low"], row["value_high"])
    if row["piece"] in ("scan", "scan_pair"):
        value = signed(row["value_low"])
    elif row["piece"] == "would_change":
        value = number(row["value_low"])
    elif row["piece"] == "dose":
        value = number(row["value_low"], 2)
    unit = f" {row['unit']}" if row["unit"] and value != NOTHING else ""
    place = f"{row['source_file']} line {row['source_line']}" if row["source_file"] else row["id"]
    return Ground(
        piece=_PIECES[row["piece"]],
        name=plain(row["name"] or ""),
        on=row["on"].isoformat() if row["on"] else "",
        value="" if value == NOTHING else f"{value}{unit}",
        words=row["words"] or row["source"] or "",
        row=place or "",
    )


def _by_man(rows: pl.DataFrame, say: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows.iter_rows(named=True):
        found.setdefault(row["patient_id"], []).extend(say(row))
    return found


def _missing(gap: dict[str, Any]) -> Iterator[str]:
    words = flag_rules.load().gaps[gap["gap"]].words
    note = f" ({gap['note']})" if gap["note"] else ""
    due = f" (due {gap['due_on'].isoformat()})" if gap["due_on"] else ""
    yield words + note + due


def _at_dose(row: dict[str, Any]) -> Iterator[str]:
    dose = f"{row['weekly_anastrozole_mg']:g} mg"
    if row["weekly_anastrozole_mg"] == 0:
        dose = "none"
    spread = interval(row["e2_ci_low_pg_ml"], row["e2_ci_high_pg_ml"], 0)
    yield f"{dose} {number(row['e2_pg_ml'], 0)} ({spread})"


def _free_e2(row: dict[str, Any]) -> str:
    """Say free E2 by Södergård's constants, and by those of the line whether it lies below that."""
    line = constants.FREE_E2_LINE.value
    own = interval(row["free_e2_ci_low"], row["free_e2_ci_high"], 2)
    low, high = row["free_e2_as_line_ci_low"], row["free_e2_as_line_ci_high"]
    where = "below it" if high < line else "not below it" if low >= line else "perhaps below it"
    return (
        f"free E2 {number(row['free_e2_pg_ml'], 2)} pg/mL ({own}) on {row['free_e2_on']}; as the line of "
        f"{line} is calculated {number(row['free_e2_as_line_pg_ml'], 2)} ({interval(low, high, 2)}): {where}"
    )


def _ratio(row: dict[str, Any]) -> str:
    """Say T/E2 with its day and assay, and what it was on his earlier days by that assay."""
    assay = ASSAY_SHORT[row["t_e2_assay"]]
    said = f"T/E2 {number(row['t_e2_ratio'])} (ng/dL)/(pg/mL) on {row['t_e2_on']} ({assay})"
    if not row["t_e2_earlier_days"]:
        return said
    days = count(row["t_e2_earlier_days"], "earlier day")
    return (
        f"{said}, {number(row['t_e2_earlier_ratio'])} on average of {days} since "
        f"{row['t_e2_earlier_from_on']}"
    )


def _context(row: dict[str, Any]) -> Iterator[str]:
    def dated(said: str, on: date | None) -> str:
        return f"{said} on {on.isoformat()}" if on else said

    if row["testosterone_ng_dl"] is not None:
        usual = number(row["testosterone_usual_ng_dl"], 0)
        value = f"testosterone {number(row['testosterone_ng_dl'], 0)} ng/dL"
        yield f"{dated(value, row['testosterone_on'])}, usually {usual}"
    if row["t_e2_ratio"] is not None:
        yield _ratio(row)
    if row["free_e2_pg_ml"] is not None:
        yield _free_e2(row)
    if row["body_fat_pct"] is not None:
        fat = dated(f"body fat {number(row['body_fat_pct'])} %", row["body_fat_on"])
        change = row["body_fat_change_points"]
        trend = (
            f", {signed(change)} points since {row['body_fat_since_on']}"
            if change is not None
            else ""
        )
        yield fat + trend
    if row["vitamin_d_ng_ml"] is not None:
        yield dated(
            f"25-OH vitamin D {number(row['vitamin_d_ng_ml'], 0)} ng/mL", row["vitamin_d_on"]
        )
    if row["calcium_mg_dl"] is not None:
        yield dated(f"serum calcium {number(row['calcium_mg_dl'])} mg/dL", row["calcium_on"])
    if row["bone_class"] is not None:
        site = plain(row["bone_class_site"])
        yield dated(f"{plain(row['bone_class'])} ({site})", row["bone_class_on"])
    if row["bmd_site"] is not None:
        drugs = row["bmd_bone_drugs"]
        beside = f", beside other drugs that move bone ({drugs})" if drugs else ""
        yield (
            f"BMD {plain(row['bmd_site'])} {signed(row['bmd_change_pct'])} % from {row['bmd_first_on']} to "
            f"{row['bmd_second_on']}, LSC {number(row['lsc_pct'])} %: {_LSC[row['lsc_verdict']]}{beside}"
        )
    for name in ("lifestyle", "bone_drugs", "glucocorticoids", "e2_drugs", "early_signals"):
        if row[name] is not None:
            yield row[name]
