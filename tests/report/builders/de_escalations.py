"""The ledger of de-escalations of the run: one man stopped, one was cut and raised again, one long ago."""

from __future__ import annotations

from datetime import date
from typing import Any

from tests.report.builders.common import AS_OF


def de_escalation_rows(cohort: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Changes of three men without a flag."""
    unflagged = [man for man in cohort if man["tier"] == "none"]
    stopped, cut, old = (
        {name: man[name] for name in ("patient_id", "clinic_id", "as_of")} for man in unflagged[:3]
    )
    common = {
        "drug": "anastrozole",
        "lower_limit_pg_ml": 16.0,
        "held_since_on": date(2024, 1, 1),
        "from_mg_per_week": 1.0,
        "to_mg_per_week": 0.0,
        "change": "stopped",
        "followed_until_on": AS_OF,
        "e2_was_low": "not_supplied",
        "e2_recovered": "not_supplied",
        "e2_above_high": "not_supplied",
        "breast_symptoms": "not_supplied",
        "ctx_change": "not_supplied",
        "next_scan_verdict": "not_supplied",
    }
    return [
        common
        | stopped
        | {
            "changed_on": date(2026, 1, 1),
            "testosterone_changed_on": date(2026, 5, 1),
            "e2_before_low_pg_ml": 11.0,
            "e2_before_high_pg_ml": 11.0,
            "e2_before_on": date(2025, 12, 1),
            "e2_before_assay": "ms",
            "e2_was_low": "yes",
            "e2_after_low_pg_ml": 24.0,
            "e2_after_high_pg_ml": 24.0,
            "e2_after_on": date(2026, 2, 1),
            "e2_after_assay": "ms",
            "e2_after_days": 31,
            "e2_recovered": "yes",
            "e2_above_high": "no",
            "breast_symptoms": "no",
            "ctx_before_pg_ml": 600.0,
            "ctx_before_on": date(2025, 12, 1),
            "ctx_after_pg_ml": 350.0,
            "ctx_after_on": date(2026, 4, 1),
            "ctx_change": "fell",
            "next_scan_on": date(2026, 8, 1),
            "next_scan_site": "total_hip",
            "next_scan_first_on": date(2024, 8, 1),
            "next_scan_change_pct": -6.2,
            "next_scan_lsc_pct": 5.0,
            "next_scan_verdict": "loss",
        },
        common
        | cut
        | {
            "changed_on": date(2026, 7, 1),
            "change": "cut",
            "to_mg_per_week": 0.5,
            "followed_until_on": date(2026, 9, 1),
            "ended_by": "raised",
            "e2_was_low": "cannot_tell",
            "e2_before_low_pg_ml": 0.0,
            "e2_before_high_pg_ml": 24.0,
            "e2_before_on": date(2026, 6, 1),
            "e2_before_assay": "ia",
            "breast_symptoms": "yes",
            "symptoms_after": "breast tenderness on 2026-08-01",
        },
        common | old | {"changed_on": date(2023, 1, 1)},
    ]
