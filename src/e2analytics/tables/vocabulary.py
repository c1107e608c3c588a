"""Controlled vocabularies: the values that a column may hold."""

from __future__ import annotations

from typing import Final, get_args

from e2analytics.settings import FittedSite, Site

FITTED_SITES: Final[tuple[str, ...]] = get_args(FittedSite)
SITES: Final[tuple[str, ...]] = tuple(name for each in get_args(Site) for name in get_args(each))
POOLED: Final = "pooled"
"""All fitted sites in one curve, with a term for each site."""
CURVES_OF: Final = (*FITTED_SITES, POOLED)
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
TIERS: Final = ("critical", "high", "watch", "none")
VERDICTS: Final = (
    "u_shaped",
    "low_side_threshold",
    "rising",
    "high_side_threshold",
    "falling",
    "flat",
    "inconclusive",
)
PARTS: Final = ("all", "ingest", "fit", "flag")
OUTCOMES: Final = ("annual_change_pct", "risk_loss_lsc_2y", "bmd_level_g_cm2")
