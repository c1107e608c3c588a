"""The text columns that a supplier can fill, by table, and which of them are dates or numbers."""

from __future__ import annotations

from typing import Final, Literal

Target = Literal["patients", "labs", "dxa", "medications", "events", "lifestyle", "precision"]

TEXT_COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "patients": (
        "patient_id",
        "clinic_id",
        "sex",
        "birth_date",
        "height_cm",
        "weight_kg",
        "trt_started_on",
        "assigning_authority",
    ),
    "labs": (
        "result_id",
        "patient_id",
        "collected_at",
        "loinc",
        "test_name",
        "value",
        "unit",
        "method",
        "performing_lab",
        "status",
        "reported_at",
        "comment",
    ),
    "dxa": (
        "scan_id",
        "patient_id",
        "scanned_on",
        "site",
        "bmd_g_cm2",
        "t_score",
        "z_score",
        "scanner_id",
        "manufacturer",
        "body_fat_pct",
        "vertebrae",
        "side",
        "reference_db",
        "validity",
        "status",
    ),
    "medications": (
        "order_id",
        "patient_id",
        "drug",
        "rxnorm",
        "dose_mg",
        "doses_per_week",
        "weekdays",
        "sig",
        "strength",
        "started_on",
        "stopped_on",
        "days_supply",
        "renewals",
        "status",
    ),
    "events": ("event_id", "patient_id", "kind", "occurred_on", "detail"),
    "lifestyle": (
        "patient_id",
        "recorded_on",
        "calcium_mg_per_day",
        "protein_g_per_kg",
        "impact_sessions_per_week",
        "resistance_sessions_per_week",
        "balance_sessions_per_week",
    ),
    "precision": ("clinic_id", "scanner_id", "site", "cv_pct"),
}
"""Columns of each table as a supplier may fill them, all of them text."""

DATES: Final = frozenset(
    {
        "birth_date",
        "trt_started_on",
        "collected_at",
        "reported_at",
        "scanned_on",
        "started_on",
        "stopped_on",
        "occurred_on",
        "recorded_on",
    }
)
"""Columns that a feed may write in its own date formats."""

NUMBERS: Final = frozenset(
    {
        "height_cm",
        "weight_kg",
        "value",
        "bmd_g_cm2",
        "t_score",
        "z_score",
        "body_fat_pct",
        "dose_mg",
        "doses_per_week",
        "days_supply",
        "calcium_mg_per_day",
        "protein_g_per_kg",
        "impact_sessions_per_week",
        "resistance_sessions_per_week",
        "balance_sessions_per_week",
        "cv_pct",
    }
)
"""Columns that a feed may write with a decimal comma."""
