"""The five things to know, each a sentence with its numbers and denominators.

In    the sections of a report
Out   five headlines, whatever the data: where there is nothing, the sentence says so
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from e2analytics.flags import rules as flag_rules
from e2analytics.ingest.source_file import NO_FEED
from e2analytics.report.formatting import count, level, listing, share
from e2analytics.report.sections.curves import Curves
from e2analytics.report.sections.ingest import Intake
from e2analytics.report.sections.measures import Measures
from e2analytics.report.sections.men import Counts, Flagged

_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Headline:
    """A title of a few words and what stands behind it."""

    title: str
    sentence: str


def five(
    counts: Counts,
    flagged: Flagged,
    measures: Measures,
    curves: Curves,
    data: Headline,
    *,
    month_name: str,
) -> tuple[Headline, ...]:
    """Say what the reader must not miss, the men first."""
    return (
        _who_is_flagged(flagged, curves, month_name),
        _who_is_low(counts, curves),
        what_signals(measures),
        what_the_curve_says(curves),
        data,
    )


def data_of_all(intake: Intake) -> Headline:
    """Say what of the data was left out."""
    return Headline(_data_headline(intake), " ".join([intake.left_out, *_refused(intake)]))


def data_of_clinic(measures: Measures) -> Headline:
    """Say which measures a clinic's data could not feed; files and rows are reported for all clinics together."""
    if measures.why_none:
        return Headline("Nothing was measured", measures.why_none)
    if not measures.unmeasured:
        return Headline(
            "Every measure could be counted", "Nothing that a measure needs is missing."
        )
    missing = "; ".join(f"{each.name}: {each.why}" for each in measures.unmeasured)
    return Headline(f"{count(len(measures.unmeasured), 'measure')} not measured", f"{missing}.")


def what_signals(measures: Measures) -> Headline:
    """Say how many charts signal, those for the worse first."""
    if measures.why_none:
        return Headline("No measure of quality", measures.why_none)
    n_measured = count(len(measures.measured), "measure")
    worse = [signal for signal in measures.signals if signal.worse]
    better = len(measures.signals) - len(worse)
    also = f" {count(better, 'signal is', 'signals are')} for the better." if better else ""
    unmeasured = len(measures.unmeasured)
    missing = f" Not measured: {unmeasured}." if unmeasured else ""
    if not worse:
        return Headline(
            "No measure signals for the worse",
            f"{n_measured} counted, by month and by clinic.{also}{missing}",
        )
    named = "; ".join(f"{each.measure}, {each.where}: {each.words}" for each in worse[:_NAMED])
    more = f"; and {len(worse) - _NAMED} more, below" if len(worse) > _NAMED else ""
    return Headline(
        f"{count(len(worse), 'signal')} for the worse in {n_measured}",
        f"{named}{more}.{also}{missing}",
    )


def _other(counts: Counts) -> str:
    said = ""
    if counts.n_other_inhibitor:
        men = count(counts.n_other_inhibitor, "man is", "men are")
        said += f" {men} on letrozole or exemestane, which the model does not cover."
    if counts.n_died_or_left:
        men = count(counts.n_died_or_left, "man", "men")
        said += f" {men} on such a drug died or left, and are not in these figures."
    if counts.not_judged:
        rules = flag_rules.load().not_judged
        why = ", ".join(f"{rules[why].words}: {n}" for why, n in counts.not_judged)
        said += f" Others on such a drug are not judged ({why})."
    return said


def _who_is_low(counts: Counts, curves: Curves) -> Headline:
    limit = level(curves.limit.lower_limit_pg_ml)
    if not counts.n_anastrozole:
        known = count(counts.n_known, "man", "men")
        return Headline(
            "No man on anastrozole", f"Of {known} known, none is on anastrozole.{_other(counts)}"
        )
    on_drug = f"On anastrozole: {share(counts.n_anastrozole, counts.n_known)} men known."
    if not counts.n_assessed:
        return Headline(
            "No man could be assessed",
            f"{on_drug} None of them could be assessed, so none is called low or in range: that is no "
            f"all-clear, and flags are listed all the same.{_other(counts)}",
        )
    return Headline(
        f"{counts.n_below_range:,} probably low because of the drug",
        f"{on_drug} {share(counts.n_assessed, counts.n_anastrozole)} of them could be assessed, the last "
        f"E2 of {share(counts.n_mass_spectrometry, counts.n_assessed)} by mass spectrometry. In {share(counts.n_below_range, counts.n_assessed)} assessed men, E2 is probably below "
        f"{limit} pg/mL and would not be without the drug. Probably low, but not because of the drug: "
        f"{counts.n_low_not_attributable:,}; in range: {counts.n_in_range:,}.{_other(counts)}",
    )


def _who_is_flagged(flagged: Flagged, curves: Curves, month_name: str) -> Headline:
    n_critical, n_high, n_watch = flagged.total.by_tier
    closed = f" {count(flagged.n_resolved, 'flag')} resolved." if flagged.n_resolved else ""
    if not flagged.total.total:
        return Headline("No man is flagged", f"No flag is open.{closed}")
    return Headline(
        f"{count(flagged.total.total, 'man', 'men')} to review, {n_critical:,} critical",
        f"Open flags: {n_critical:,} critical (E2 probably, or a mass-spectrometry result, below {level(curves.limit.red_line_pg_ml)} pg/mL), "
        f"{n_high:,} high, {n_watch:,} watch. First flagged in {month_name}: "
        f"{flagged.n_first_flagged:,}; not reviewed yet: {flagged.n_not_reviewed:,}.{closed}",
    )


def what_the_curve_says(curves: Curves) -> Headline:
    """Say the shape, what it rests on and the limit in use."""
    curve = curves.primary
    if curve is None:
        return Headline("No curve yet", f"{curves.why_none} {curves.limit.sentence}")
    said = (f"{curve.title}.", curve.data_sentence, curve.limit_sentence, curves.limit.sentence)
    headline = f"Cross-sectional only: {curve.verdict}" if curves.cross_sectional else curve.verdict
    return Headline(headline, " ".join(part for part in said if part))


def _data_headline(intake: Intake) -> str:
    if not intake.n_refused_now:
        return "What was left out"
    n_refused = intake.n_refused_now - intake.n_of_no_feed_now
    said = [
        *([f"{count(n_refused, 'file')} refused"] if n_refused else []),
        *(
            [f"{count(intake.n_of_no_feed_now, 'file')} of no feed"]
            if intake.n_of_no_feed_now
            else []
        ),
    ]
    return f"Incomplete: {listing(said)}"


def _refused(intake: Intake) -> list[str]:
    of_no_feed = [refusal for refusal in intake.refusals if refusal.feed == NO_FEED]
    refused = [refusal for refusal in intake.refusals if refusal.feed != NO_FEED]
    named = listing(f"{refusal.source_file} ({refusal.rule})" for refusal in refused)
    return [
        *([f"Refused as a whole: {named}."] if refused else []),
        *(f"{refusal.source_file}: {refusal.advice}" for refusal in of_no_feed),
    ]
