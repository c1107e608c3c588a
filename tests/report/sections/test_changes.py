"""What changed: flags that opened and closed with their cause, measures that are restated."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl

from e2analytics.report.sections.changes import CORRECTED, NEW, SEVERAL, Cause, Changes, describe
from e2analytics.tables import registry

AS_OF = date(2026, 9, 30)


def flag(patient_id: str, tier: str, state: str = "open", clinic_id: str = "c1") -> dict[str, Any]:
    return {"patient_id": patient_id, "clinic_id": clinic_id, "tier": tier, "state": state}


def event(patient_id: str, name: str, was: str, now: str, **changes: Any) -> dict[str, Any]:
    row = {
        "run_id": "run-000002",
        "as_of": AS_OF,
        "patient_id": patient_id,
        "clinic_id": "c1",
        "event": name,
        "was": was,
        "now": now,
        "why": "new_result",
    }
    return row | changes


def changes(
    flags: list[dict[str, Any]],
    events: list[dict[str, Any]],
    restated: pl.DataFrame | None = None,
    clinic: str | None = None,
    corrected: set[str] | None = None,
) -> Changes:
    of_events = pl.DataFrame(events, schema=registry.schema_of("flag_events"), orient="row")
    schema = dict.fromkeys(("patient_id", "clinic_id", "tier", "state"), pl.String)
    return describe(
        pl.DataFrame(flags, schema=schema),
        of_events,
        restated,
        as_of=AS_OF,
        clinic=clinic,
        corrected=corrected,
    )


def test_a_flag_opened_is_resolved_or_is_still_open_by_tier() -> None:
    found = changes(
        [
            flag("p1", "critical", "new"),
            flag("p2", "high"),
            flag("p3", "none", "resolved"),
            flag("p4", "watch", "reopened", "c2"),
        ],
        [
            event("p1", "new", "none", "critical"),
            event("p3", "resolved", "watch", "none"),
            event("p4", "reopened", "none", "watch", clinic_id="c2"),
        ],
    )

    assert [(row.clinic_id, row.opened, row.resolved, row.still_open) for row in found.clinics] == [
        ("c1", (1, 0, 0), (0, 0, 1), (0, 1, 0)),
        ("c2", (0, 0, 1), (0, 0, 0), (0, 0, 0)),
    ]
    assert found.total.opened == (1, 0, 1)


def test_what_happened_in_another_month_is_not_this_months() -> None:
    found = changes(
        [flag("p1", "high")],
        [event("p1", "new", "none", "high", as_of=date(2026, 8, 31))],
    )

    assert found.total.opened == (0, 0, 0)
    assert found.total.still_open == (0, 1, 0)
    assert found.causes == ()


def test_changes_are_told_by_data_rule_model_and_time() -> None:
    found = changes(
        [],
        [
            event("p1", "new", "none", "high", why="new_result"),
            event("p2", "new", "none", "high", why="new_result; dose_changed"),
            event("p3", "new", "none", "high", why="new_model"),
            event("p4", "resolved", "high", "none", why="limit_changed"),
            event("p5", "resolved", "high", "none", why="time_passed"),
            event("p6", "tier_changed", "high", "watch", why="new_result; new_model"),
            event("p6", "status_changed", "a", "b", why="new_result; new_model"),
        ],
    )

    data, rule, model, days, several = found.causes
    assert (data.opened, data.resolved, data.tier_changed) == (2, 0, 0)
    assert (rule.resolved, model.opened, days.resolved) == (1, 1, 1)
    assert several == Cause(SEVERAL, 0, 0, 1)


def test_a_change_that_nothing_explains_is_said_to_be_a_defect() -> None:
    found = changes([], [event("p1", "new", "none", "high", why="unexplained")])

    assert found.causes[0].name.startswith("None of these: a defect")


def test_a_measure_counted_otherwise_is_told_step_by_step() -> None:
    counts = {"published": (3, 10), "ruled": (3, 10), "corrected": (4, 10), "now": (5, 13)}
    row: dict[str, Any] = {"clinic_id": None, "measure": "ms_share"}
    for step, (met, of) in counts.items():
        row |= {f"{step}_numerator": met, f"{step}_denominator": of}
    frame = pl.DataFrame([row], schema_overrides={"clinic_id": pl.String})

    (found,) = changes([], [], frame).restated

    assert (found.published, found.now) == ("3 of 10 (30 %)", "5 of 13 (38 %)")
    assert (found.by_rule, found.by_corrected, found.by_new) == ("–", "+1 of 0", "+1 of +3")


def test_a_month_without_a_run_before_it_says_so() -> None:
    assert changes([], []).why_none_restated.startswith("No run was published for the last day of")


def test_new_data_are_told_apart_from_corrected_ones() -> None:
    events = [
        event("p1", "new", "none", "high"),
        event("p2", "new", "none", "high"),
        event("p3", "resolved", "high", "none"),
        # A new model may be why as well: several, whatever became of his rows.
        event("p2", "tier_changed", "high", "watch", why="new_result; new_model"),
    ]

    found = changes([], events, corrected={"p2", "p3"})

    assert found.causes == (
        Cause(NEW, 1, 0, 0),
        Cause(CORRECTED, 1, 1, 0),
        Cause(SEVERAL, 0, 0, 1),
    )
