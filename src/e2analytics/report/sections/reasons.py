"""The reasons that tables give by name, in a clinician's words.

The words are those of ``schemas/reference/flag_rules.yaml`` and ``row_rules.yaml``. A rule without words is
called by what is wrong and the column, any other name is shown as it is, without its underscores.
"""

from __future__ import annotations

from typing import Final

from e2analytics.flags import rules as flag_rules
from e2analytics.reference import row_rules
from e2analytics.report.formatting import plain

_BY_ROLE: Final = {
    role: {
        name: reason.words
        for name, reason in flag_rules.load().reasons.items()
        if reason.role == role
    }
    for role in ("finding", "obstacle")
}
NOTES: Final = _BY_ROLE["finding"]
"""What is worth knowing of a man, assessed or not."""

CAUSES: Final = _BY_ROLE["obstacle"]
"""Why a man could not be assessed."""

COLUMNS: Final = {
    "patient_id": "patient number",
    "clinic_id": "clinic",
    "birth_date": "date of birth",
    "height_cm": "height",
    "weight_kg": "weight",
    "trt_started_on": "start of testosterone",
    "result_id": "number of the result",
    "test_name": "name of the test",
    "collected_at": "time of the draw",
    "reported_at": "time of the report",
    "scan_id": "number of the scan",
    "scanned_on": "day of the scan",
    "scanner_id": "scanner",
    "bmd_g_cm2": "BMD",
    "t_score": "T-score",
    "z_score": "Z-score",
    "body_fat_pct": "body fat",
    "order_id": "number of the order",
    "started_on": "first day of the order",
    "stopped_on": "last day of the order",
    "days_supply": "days' supply",
    "event_id": "number of the event",
    "kind": "kind of event",
    "occurred_on": "day of the event",
    "recorded_on": "day of the answers",
    "calcium_mg_per_day": "calcium intake",
    "protein_g_per_kg": "protein intake",
    "impact_sessions_per_week": "impact sessions a week",
    "resistance_sessions_per_week": "resistance sessions a week",
    "balance_sessions_per_week": "balance sessions a week",
    "cv_pct": "precision error",
}
"""Columns whose names are no words."""

_RULES: Final = row_rules.load()
WORDS: Final = {
    **NOTES,
    **CAUSES,
    **_RULES.not_used.scan_pairs,
    **_RULES.not_used.scans,
    **_RULES.not_used.draws,
    **_RULES.not_used.rows,
    **_RULES.words,
}


def split(reasons: str) -> tuple[str, ...]:
    """Separate the rule names that ``cohort.reasons`` joins by ``'; '``."""
    return tuple(name for name in (part.strip() for part in reasons.split(";")) if name)


def in_words(reasons: str) -> str:
    """Put all reasons of a man, or of a step, into words."""
    return "; ".join(map(_in_words, split(reasons)))


def _in_words(name: str) -> str:
    """Put one name into words; of a rule about a column, what is wrong and the column.

    >>> _in_words("missing_birth_date"), _in_words("unknown_unit"), _in_words("mended")
    ('missing date of birth', 'unknown unit', 'came again, mended')
    """
    what, _, column = name.partition("_")
    named = f"{what} {COLUMNS[column]}" if column in COLUMNS else plain(name)
    return WORDS.get(name, named)
