"""The reasons that tables give by name, in a clinician's words.

A name without words is shown as it is, without its underscores.
"""

from __future__ import annotations

from typing import Final

from e2analytics.flags import rules as flag_rules
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

PAIRS: Final = {
    "scanner_unknown": "scanner unknown",
    "scanner_changed": "on two scanners without an entered equation",
    "side_changed": "on two sides of the body",
    "vertebrae_changed": "of other vertebrae",
    "side_unreadable": "of a side that cannot be read",
    "vertebrae_unreadable": "of vertebrae that cannot be read",
    "interval_too_short": "too soon after each other",
    "interval_too_long": "too long after each other",
    "too_few_draws": "too few E2 results between the scans",
    "draws_cover_too_little": "E2 results cover too little of the time between",
    "no_e2_level": "no E2 level could be estimated",
}
"""Why two scans could not be used."""

SCANS: Final = {
    "site_has_no_class": "of a site that is not classed",
    "no_t_score": "without a T-score",
    "no_z_score": "without a Z-score",
}
"""Why a scan has no class."""

ROWS: Final = {
    "duplicate": "says the same again",
    "same_result": "the same result again, under another number or in another unit",
    "superseded": "gave way to a newer version",
    "mended": "came again, mended",
    "withdrawn": "withdrawn by its supplier",
    "woman": "of a woman",
    "other_analyte": "another test than ours",
    "other_drug": "another drug than ours",
    "other_region": "another region than ours",
    "not_measured": "nothing was measured",
    "invalid_scan": "marked as invalid by the scanner",
    "phantom": "of a phantom",
    "joined_to_scan": "part of a scan's row",
    "panel_of_results": "heading of several results",
    "report_of_results": "report whose results stand in rows of their own",
    "result_pending": "result still pending",
    "cancelled_order": "order cancelled without a result",
    "other_message": "message of another kind",
    "other_resource": "resource of another kind",
    "not_an_order": "proposed, or not to be done",
}
"""Why a row is not used, where nothing has to be corrected."""

RULES: Final = {
    "short_line": "line or record cut off",
    "unreadable_segment": "message or segment cannot be read",
    "unreadable_entry": "line or entry cannot be read",
    "formula": "begins like a formula of a spreadsheet",
    "code_contradicts_name": "code and name of different tests",
    "below_reportable": "lower than its assay can tell",
    "impossible_precision": "impossible precision error",
    "too_few_vertebrae": "fewer than two vertebrae",
    "ambiguous_drug": "several drugs in one order",
    "stopped_before_started": "stopped before it started",
    "dose_contradicts_sig": "dose and sig say different things",
    "dose_varies": "dose left open by the sig",
    "unknown_patient": "patient not known (yet)",
    "conflicting_identity": "two birth dates or sexes under one number",
    "number_of_several_tests": "one number for results of different tests",
    "suspected_unit_slip": "suspected to be in another unit than declared",
    "empty_file": "empty file",
    "truncated_file": "file cut off",
    "not_text": "not text",
    "wrong_encoding": "wrong encoding",
    "not_rectangular": "lines of different lengths, or an open quote",
    "line_too_long": "a line too long to be one",
    "too_large_inside": "too large once unpacked",
    "not_sas_transport": "no SAS transport file",
    "not_excel": "no Excel workbook",
    "not_hl7": "no HL7 messages",
    "not_json": "no JSON",
    "not_fhir": "no FHIR resources",
    "not_parquet": "no Parquet file, or damaged",
    "changed_while_read": "written to while it was read",
    "outside_drop": "link to a place outside the drop",
    "not_a_file": "no plain file",
    "missing_companion": "without the file that its columns are looked up in",
    "unreadable_file": "could not be opened",
}
"""Rules whose names do not say it in words; the others are ``<what is wrong>_<column>``."""

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
    "cv_pct": "precision error",
}
"""Columns whose names are no words."""

WORDS: Final = {**NOTES, **CAUSES, **PAIRS, **SCANS, **ROWS, **RULES}


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
