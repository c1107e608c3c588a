"""The five things to know, each a sentence with its numbers and denominators.

In    the sections of a report
Out   five facts, whatever the data: where there is nothing, the sentence says so
"""

from __future__ import annotations

from dataclasses import dataclass

from e2analytics.report.curves import Curves
from e2analytics.report.intake import Intake
from e2analytics.report.men import Counts, Flagged
from e2analytics.report.words import count, level, listing, share


@dataclass(frozen=True, slots=True)
class Fact:
    """A headline of a few words and what stands behind it."""

    headline: str
    sentence: str


def five(
    counts: Counts, flagged: Flagged, curves: Curves, intake: Intake, *, month_name: str
) -> tuple[Fact, ...]:
    """Say what the reader must not miss, the men first."""
    return (
        _who_was_assessed(counts),
        _who_is_low(counts, curves),
        _who_is_flagged(flagged, curves, month_name),
        _what_the_curve_says(curves),
        Fact(_data_headline(intake), " ".join([intake.left_out, *_refused(intake)])),
    )


def _who_was_assessed(counts: Counts) -> Fact:
    if not counts.n_anastrozole:
        known = count(counts.n_known, "man", "men")
        return Fact(
            "No man on anastrozole", f"Of {known} known, none is on anastrozole.{_other(counts)}"
        )
    on_drug = share(counts.n_anastrozole, counts.n_known)
    return Fact(
        f"{counts.n_assessed:,} of {count(counts.n_anastrozole, 'man', 'men')} on anastrozole assessed",
        f"{on_drug} men known are on anastrozole. {share(counts.n_assessed, counts.n_anastrozole)} "
        f"of them could be assessed; the last E2 of {share(counts.n_mass_spectrometry, counts.n_assessed)} "
        f"was by mass spectrometry.{_other(counts)}",
    )


def _other(counts: Counts) -> str:
    said = ""
    if counts.n_other_inhibitor:
        men = count(counts.n_other_inhibitor, "man is", "men are")
        said += f" {men} on letrozole or exemestane, which the model does not cover."
    if counts.n_died_or_left:
        men = count(counts.n_died_or_left, "man", "men")
        said += f" {men} on such a drug died or left, and are not in these figures."
    return said


def _who_is_low(counts: Counts, curves: Curves) -> Fact:
    limit = level(curves.limit.lower_limit_pg_ml)
    if not counts.n_assessed:
        return Fact(
            "Nobody to judge", "No man on anastrozole could be assessed, so none is called low."
        )
    return Fact(
        f"{counts.n_below_range:,} probably low because of the drug",
        f"In {share(counts.n_below_range, counts.n_assessed)} assessed men, E2 is probably below "
        f"{limit} pg/mL and would not be without the drug. {counts.n_low_not_attributable:,} more are "
        f"probably low, but not because of the drug; {counts.n_in_range:,} are in range.",
    )


def _who_is_flagged(flagged: Flagged, curves: Curves, month_name: str) -> Fact:
    n_critical, n_high, n_watch = flagged.total.by_tier
    closed = f" {count(flagged.n_resolved, 'flag')} resolved." if flagged.n_resolved else ""
    if not flagged.total.total:
        return Fact("No man is flagged", f"No flag is open.{closed}")
    return Fact(
        f"{count(flagged.total.total, 'man', 'men')} to review, {n_critical:,} critical",
        f"Open flags: {n_critical:,} critical (E2 probably, or a mass-spectrometry result, below {level(curves.limit.red_line_pg_ml)} pg/mL), "
        f"{n_high:,} high, {n_watch:,} watch. {flagged.n_first_flagged:,} were first flagged in "
        f"{month_name}; {flagged.n_not_reviewed:,} are not reviewed yet.{closed}",
    )


def _what_the_curve_says(curves: Curves) -> Fact:
    curve = curves.primary
    if curve is None:
        return Fact("No curve yet", f"{curves.why_none} {curves.limit.sentence}")
    said = (f"{curve.title}.", curve.data_sentence, curve.limit_sentence, curves.limit.sentence)
    headline = f"Cross-sectional only: {curve.verdict}" if curves.cross_sectional else curve.verdict
    return Fact(headline, " ".join(part for part in said if part))


def _data_headline(intake: Intake) -> str:
    if intake.n_refused_now:
        return f"Incomplete: {count(intake.n_refused_now, 'file')} refused"
    return "What was left out"


def _refused(intake: Intake) -> list[str]:
    if not intake.refusals:
        return []
    named = listing(f"{refusal.source_file} ({refusal.rule})" for refusal in intake.refusals)
    return [f"Refused as a whole: {named}."]
