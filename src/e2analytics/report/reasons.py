"""The reasons that tables give by name, in a clinician's words.

A name that nobody has put into words yet is shown as it is, without its underscores.
"""

from __future__ import annotations

from typing import Final

from e2analytics.report.words import plain

NOTES: Final = {
    "below_range_by_the_drug": "below range by the drug",
    "low_without_the_drug": "low without the drug",
    "perhaps_below_range": "perhaps below range",
    "probably_below_red_line": "probably below red line",
    "result_below_red_line": "MS result below red line",
    "repeat_by_mass_spectrometry": "immunoassay alone: repeat by MS",
    "bone_loss_exceeds_lsc": "bone loss beyond LSC",
    "two_aromatase_inhibitors": "two aromatase inhibitors on file",
    "no_longer_in_cohort": "off the drug, or left",
    "old_order": "order not renewed for long",
    "overlapping_orders": "overlapping orders",
}
"""What is worth knowing of a man, assessed or not."""

CAUSES: Final = {
    "other_aromatase_inhibitor": "on letrozole or exemestane, which the model does not cover",
    "dose_unknown": "dose unknown",
    "dose_changed_recently": "dose changed too recently for a steady state",
    "no_recent_e2": "no recent E2",
    "no_e2_at_this_dose": "no E2 at the present dose yet",
    "only_uninformative_e2": "recent E2 only as “<” or “>” a level that does not tell",
    "no_dose_response": "too few men to estimate a level from his results",
}
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

WORDS: Final = {**NOTES, **CAUSES, **PAIRS}


def split(reasons: str) -> tuple[str, ...]:
    """Separate the rule names that ``cohort.reasons`` joins by ``'; '``."""
    return tuple(name for name in (part.strip() for part in reasons.split(";")) if name)


def in_words(reasons: str) -> str:
    """Put all reasons of a man, or of a step, into words."""
    return "; ".join(WORDS.get(name, plain(name)) for name in split(reasons))
