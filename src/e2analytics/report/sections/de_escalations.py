"""After stopping or cutting: what was done in the last two years, what followed, and the newest changes man by man.

In    de_escalations of one run
Out   DeEscalations; sentences and rows, ready to be set
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

import polars as pl

from e2analytics.reference.de_escalation import days, high_e2_pg_ml
from e2analytics.report.formatting import ASSAY_SHORT, count, listing, measured, plain, signed
from e2analytics.tables.vocabulary import CTX_CHANGES, FOLLOWED, SCAN_VERDICTS

ANSWERS: Final = {
    "yes": "Yes",
    "no": "No",
    "cannot_tell": "Cannot tell",
    "not_yet": "Not yet",
    "not_supplied": "Not supplied",
}
"""What each of ``FOLLOWED`` is called."""
_CTX: Final = {
    "rose": "measurable rise",
    "fell": "measurable fall",
    "unchanged": "no measurable change",
}
_SCAN: Final = {
    "loss": "loss beyond LSC",
    "gain": "gain beyond LSC",
    "no_measurable_change": "no measurable change",
}
_ENDED: Final = {
    "stopped": "an inhibitor was stopped",
    "cut": "a dose was cut",
    "raised": "a dose was raised",
    "begun": "an inhibitor was begun",
    "switched": "an inhibitor was replaced by another",
    "dose_unknown": "a dose became unknown",
    "gone": "he left or died",
}
"""Of any inhibitor: the next change need not be of the one that was stopped or cut."""
MOST_MEN: Final = 30
"""Our own rule: the newest changes that the report lists; the table ``de_escalations`` holds all."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One outcome, and of how many changes it is each of the answers."""

    words: str
    n: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One change of one man, in words."""

    patient_id: str
    done: str
    before: str
    after: str
    recovered: str
    high_side: str
    bone: str


@dataclass(frozen=True, slots=True)
class DeEscalations:
    """What was done, what followed, and the newest changes."""

    sentence: str
    answers: tuple[str, ...]
    outcomes: tuple[Outcome, ...]
    notes: tuple[str, ...]
    newest: tuple[Change, ...]


def describe(ledger: pl.DataFrame, *, as_of: date, in_full: bool) -> DeEscalations:
    """Put the de-escalations of the time in which a scan may follow in words."""
    since = as_of - timedelta(days=days("scan"))
    recent = ledger.filter(pl.col("changed_on") > since)
    if recent.is_empty():
        said = f"No inhibitor was stopped and no dose cut since {since}, as far as orders tell."
        return DeEscalations(said, (), (), (), ())
    newest = recent.sort("changed_on", "patient_id", "drug", descending=[True, False, False])
    shown = newest.head(MOST_MEN) if in_full else newest.clear()
    return DeEscalations(
        _sentence(recent, since),
        tuple(ANSWERS[answer] for answer in FOLLOWED),
        _outcomes(recent),
        (
            "CTX against its reference change value: "
            + _counted(recent, "ctx_change", CTX_CHANGES, _CTX),
            "Next scan of bone against the one before it: "
            + _counted(recent, "next_scan_verdict", SCAN_VERDICTS, _SCAN),
        ),
        tuple(_change(row) for row in shown.iter_rows(named=True)),
    )


def _sentence(recent: pl.DataFrame, since: date) -> str:
    n_men = recent["patient_id"].n_unique()
    kinds = {"stopped": ("stop", "stops"), "cut": ("cut of the dose", "cuts of the dose")}
    done = [
        count(n, *words)
        for change, words in kinds.items()
        if (n := int((recent["change"] == change).sum()))
    ]
    return (
        f"Since {since} orders of an inhibitor show {listing(done)}, in {count(n_men, 'man', 'men')}; a supply that "
        "ran out is a stop, too. What followed counts until the next change of an inhibitor. It describes and proves "
        "nothing: who is de-escalated is chosen, and a low result tends to be followed by a higher one."
    )


def _outcomes(recent: pl.DataFrame) -> tuple[Outcome, ...]:
    was_low = recent.filter(pl.col("e2_was_low") == "yes")
    limit = recent["lower_limit_pg_ml"][0]
    high = high_e2_pg_ml()
    asked = (
        (f"E2 at {limit:g} pg/mL or above again, where it was below", was_low, "e2_recovered"),
        (f"E2 above {high:g} pg/mL, as mass spectrometry reads", recent, "e2_above_high"),
        ("Breast tenderness or gynaecomastia", recent, "breast_symptoms"),
    )
    return tuple(
        Outcome(words, tuple(int((rows[column] == answer).sum()) for answer in FOLLOWED))
        for words, rows, column in asked
    )


def _counted(
    recent: pl.DataFrame, column: str, values: tuple[str, ...], words: dict[str, str]
) -> str:
    n = {value: int((recent[column] == value).sum()) for value in values}
    return (
        listing(f"{words.get(value, plain(value))} {n[value]:,}" for value in values if n[value])
        + "."
    )


def _change(row: dict[str, Any]) -> Change:
    done = "stopped"
    if row["change"] == "cut":
        done = f"cut to {row['to_mg_per_week']:g} mg a week"
    dose = (
        "unknown dose"
        if row["from_mg_per_week"] is None
        else f"{row['from_mg_per_week']:g} mg a week"
    )
    unknown = row["dose_unknown_since_on"]
    between = f", from {unknown} a dose that is unknown" if unknown else ""
    ended = (
        f"; followed until {row['followed_until_on']}, when {_ENDED[row['ended_by']]}"
        if row["ended_by"]
        else ""
    )
    testosterone = row["testosterone_changed_on"]
    beside = f"; testosterone changed {testosterone}" if testosterone else ""
    return Change(
        patient_id=row["patient_id"],
        done=f"{row['changed_on']}: {row['drug']} {dose}{between}, {done}{ended}{beside}",
        before=_e2(row, "before"),
        after=_e2(row, "after"),
        recovered=ANSWERS[row["e2_recovered"]].lower(),
        high_side=_high_side(row),
        bone=_bone(row),
    )


def _e2(row: dict[str, Any], when: str) -> str:
    on = row[f"e2_{when}_on"]
    if on is None:
        return ANSWERS[row["e2_was_low" if when == "before" else "e2_recovered"]].lower()
    value = measured(row[f"e2_{when}_low_pg_ml"], row[f"e2_{when}_high_pg_ml"])
    later = f", day {row['e2_after_days']}" if when == "after" else ""
    return f"{value} ({ASSAY_SHORT[row[f'e2_{when}_assay']]}, {on}{later})"


def _high_side(row: dict[str, Any]) -> str:
    high = high_e2_pg_ml()
    said = (
        f"E2 above {high:g}: {ANSWERS[row['e2_above_high']].lower()}; "
        f"breast symptoms: {ANSWERS[row['breast_symptoms']].lower()}"
    )
    return f"{said} (all symptoms: {row['symptoms_after']})" if row["symptoms_after"] else said


def _bone(row: dict[str, Any]) -> str:
    ctx = _CTX.get(row["ctx_change"], plain(row["ctx_change"]))
    if row["ctx_before_on"] and row["ctx_after_on"]:
        ctx = f"{row['ctx_before_pg_ml']:g} to {row['ctx_after_pg_ml']:g} pg/mL, {ctx}"
    scan = _SCAN.get(row["next_scan_verdict"], plain(row["next_scan_verdict"]))
    if row["next_scan_site"]:
        change = signed(row["next_scan_change_pct"])
        scan = f"{plain(row['next_scan_site'])} {change} % from {row['next_scan_first_on']}, {scan}"
    on = f" {row['next_scan_on']}" if row["next_scan_on"] else ""
    return f"CTX {ctx}; scan{on}: {scan}"
