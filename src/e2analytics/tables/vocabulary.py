"""Controlled vocabularies: the values that a column may hold."""

from __future__ import annotations

from typing import Final, Literal, get_args

from e2analytics.reference import symptoms
from e2analytics.reference.row_rules import Severity
from e2analytics.settings import FittedSite, Site, SourceKind

FITTED_SITES: Final[tuple[str, ...]] = get_args(FittedSite)
SITES: Final[tuple[str, ...]] = tuple(name for each in get_args(Site) for name in get_args(each))
POOLED: Final = "pooled"
"""All fitted sites in one curve, with a term for each site."""
CURVES_OF: Final = (*FITTED_SITES, POOLED)
WHOLE_MAN: Final = "whole_man"
"""Stands for the site of a curve of an outcome beyond bone."""
ASSAYS: Final = ("ms", "ia", "unknown")
STATUSES: Final = ("below_range", "low_not_attributable", "in_range", "not_assessable")
GRADES: Final = ("A", "B", "C", "D")
BONE_CLASSES: Final = (
    "normal",
    "low_bone_mass",
    "osteoporosis",
    "within_expected",
    "below_expected_for_age",
)
CAUSES: Final = ("anastrozole", "testosterone", "weight", "own_level", "movement")
"""What makes a man's E2 differ from that of his own best year, or of men like him."""
REFERENCES: Final = ("own_best_year", "men_like_him")
OPEN_TIERS: Final = ("critical", "high", "watch")
"""Tiers of an open flag, the most urgent first."""
TIERS: Final = (*OPEN_TIERS, "none")
VERDICTS: Final = (
    "u_shaped",
    "low_side_threshold",
    "rising",
    "high_side_threshold",
    "falling",
    "flat",
    "inconclusive",
)
Scope = Literal["all", "ingest", "fit", "flag"]
"""How much of the order a command does; recorded as ``runs.part``."""
PARTS: Final[tuple[str, ...]] = get_args(Scope)
FATES: Final = ("accepted", "duplicate", "superseded", "withdrawn", "set_apart", "quarantined")
"""Of rows that were read, each a count of the table ``files``."""
NO_RENEWALS: Final = "none"
"""Of ``medications.renewals``: the order stands in a list of what men take, which shows no refills."""
RESULT_STATUSES: Final = ("F", "C", "P")
"""HL7: final, corrected, preliminary."""
SEVERITIES: Final[tuple[str, ...]] = get_args(Severity)
SOURCE_KINDS: Final[tuple[str, ...]] = get_args(SourceKind)
LSC_VERDICTS: Final = ("loss", "gain", "no_measurable_change", "not_compared")
"""Of the change between two scans; ``not_compared`` where they may be of two devices or two pieces of bone."""
FOLLOWED: Final = ("yes", "no", "cannot_tell", "not_yet", "not_supplied")
"""What followed a change: ``not_yet`` while it may still come, ``not_supplied`` where nothing came in time."""
TREATMENT_CHANGES: Final = ("stopped", "cut", "raised", "begun", "switched", "dose_unknown", "gone")
"""What ends the follow-up of a de-escalation: the next change of an inhibitor, or that the man died or left."""
CTX_CHANGES: Final = ("rose", "fell", "unchanged", "not_compared", "not_yet", "not_supplied")
SCAN_VERDICTS: Final = (*LSC_VERDICTS, "not_yet", "not_supplied")
OF_TWO_KINDS: Final = (
    "scanner_unknown",
    "scanner_changed",
    "maker_unsure",
    "side_changed",
    "vertebrae_changed",
    "side_unreadable",
    "vertebrae_unreadable",
)
"""Reasons why two scans are never compared."""
SYMPTOMS: Final = symptoms.kinds()
"""What the column ``detail`` says of a symptom."""
BREAST_SYMPTOMS: Final = ("breast_tenderness", "gynaecomastia")
LIMIT_SOURCES: Final = ("fitted", "literature")
BONE_OUTCOMES: Final = ("annual_change_pct", "risk_loss_lsc_2y", "bmd_level_g_cm2")


def hazard_of(event: str) -> str:
    """Return the outcome of a first event within a year.

    >>> hazard_of("fracture")
    'hazard_fracture_1y'
    """
    return f"hazard_{event}_1y"


HAEMATOCRIT_HAZARD: Final = hazard_of("haematocrit_above_54")
HAZARDS: Final = (*map(hazard_of, SYMPTOMS), HAEMATOCRIT_HAZARD, hazard_of("fracture"))
"""Outcomes beyond bone: the probability of a first event within a year."""
INTERVAL_AT_RISK: Final = ["patient_id", "started_on", "ended_on"]
"""What identifies an interval at risk of a first event, whatever the event."""
CURVE_COVARIATES: Final = ("age_years", "bmi_kg_m2", "log_testosterone", "years_on_trt")
"""What curves are adjusted for: chosen beforehand."""
OUTCOMES: Final = (*BONE_OUTCOMES, *HAZARDS)
