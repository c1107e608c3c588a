"""Explanation: a flag in words, for a clinician.

In    a man's row of the cohort, his results, his E2 at other doses and its causes, the criteria
Out   a paragraph, and what would change the flag

Information, never an order: it says what is expected at other doses, not what to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from math import inf
from typing import Any, Final

from e2analytics.flags import rules as flag_rules
from e2analytics.flags.causes import in_words
from e2analytics.flags.criteria import Criteria
from e2analytics.flags.results import CONSECUTIVE
from e2analytics.reference import constants

_SEPARATOR: Final = "; "
ASSAYS: Final = {"ms": "mass spectrometry", "ia": "immunoassay", "unknown": "an unknown assay"}

Row = dict[str, Any]


def paragraph(
    man: Row,
    reasons: Sequence[str],
    changing: Sequence[tuple[str, float | None]],
    draws: Sequence[Row],
    projections: Sequence[Row],
    causes: Sequence[Row],
    criteria: Criteria,
) -> str:
    """Explain a man's flag in a paragraph.

    Parameters
    ----------
    man
        His row of the cohort.
    reasons
        Names of his reasons.
    changing
        What would change his flag, of :func:`changes`.
    draws, projections
        His E2 results, the last one last, and his E2 at other doses, by dose.
    causes
        His rows of ``causes``, in their order.
    criteria
        What he was assessed by.
    """
    rules = flag_rules.load()
    status = rules.statuses[man["status"]].words
    words = (rules.reasons[name].words for name in reasons)
    found = _SEPARATOR.join(each for each in words if each != status)
    sentences = [
        f"{_capital(status)}, tier {man['tier']}{': ' if found else ''}{found}.",
        _last_result(man),
        _result_below_red_line(man, reasons, draws),
        _last_two(reasons, draws),
        _expected(man),
        _changed(man, reasons),
        _bone_lost(man, reasons),
        _chances(man, criteria),
        in_words(causes),
        _lost_fat(man, causes),
        *(words for words, _ in changing),
        *_at_half_the_dose(man, projections),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def changes(
    man: Row, reasons: Sequence[str], draws: Sequence[Row], criteria: Criteria
) -> Iterator[tuple[str, float | None]]:
    """Yield what would change a man's flag, in words, with a result in pg/mL where one would."""
    rules = flag_rules.load()
    if _has_stopped(man):
        yield (
            "The flag closes by itself when the drug is washed out, more than "
            f"{criteria.settings.washout_days} days after he stopped.",
            None,
        )
    elif set(reasons) & set(rules.reasons_of_low_e2()) and man["e2_expected_pg_ml"] is not None:
        yield _result_that_clears(man, criteria), man["clears"]
    if "e2_too_uncertain" in reasons and man["interval_ratio_after"] is not None:
        yield _interval_after(man, criteria), None
    for name in reasons:
        if (by := rules.reasons[name].changes_with) is not None:
            by = by.format(until=_counts_until(draws, criteria))
            yield f"“{_capital(rules.reasons[name].words)}” changes with {by}.", None


def _result_that_clears(man: Row, criteria: Criteria) -> str:
    if man["clears"] is None:
        return "No single result would lift the suspicion of a low E2."
    closes = f"{criteria.settings.closing_probability:.0%}"
    return (
        "One more result by mass spectrometry at the present dose above about "
        f"{man['clears']:.0f} pg/mL (chance {_chance(man['clears_chance'])}) would bring the chance of being below the limit "
        f"under {closes}, where a flag of low E2 closes."
    )


def _interval_after(man: Row, criteria: Criteria) -> str:
    ratio = man["e2_ci_high"] / man["e2_ci_low"]
    most = criteria.settings.max_e2_interval_ratio
    return (
        "The ends of the 95 % interval of his E2 are a ratio of "
        f"{ratio:.1f} apart; one more result by mass spectrometry at the present dose would bring it to "
        f"{man['interval_ratio_after']:.1f}, and he can be assessed at {most:g} or less."
    )


def _last_where(draws: Sequence[Row], column: str) -> Row | None:
    """Return the last result that counts for something; None if none does."""
    counting = [draw for draw in draws if draw[column]]
    return counting[-1] if counting else None


def _counts_until(draws: Sequence[Row], criteria: Criteria) -> date | None:
    """Return the last day on which a result below the red line counts."""
    last = _last_where(draws, "makes_critical")
    days = timedelta(days=criteria.settings.informative_days)
    return None if last is None else last["collected_on"] + days


def _result_below_red_line(man: Row, reasons: Sequence[str], draws: Sequence[Row]) -> str:
    """Name the result that makes, or made, him critical, unless it is the last one."""
    was = "was_below_red_line" in reasons
    last = _last_where(draws, "was_below_red_line" if was else "makes_critical")
    if last is None or last["collected_on"] == man["last_e2_on"]:
        return ""
    return (
        f"{'Was below' if was else 'Below'} the red line: {_measured(last['value_low'], last['value_high'])} pg/mL by "
        f"mass spectrometry on {last['collected_on']}, {drug_state(last)}."
    )


def _lost_fat(man: Row, causes: Sequence[Row]) -> str:
    """Say that a man lost body fat since the reference: his own E2 may follow it more closely than other men's."""
    change = man["body_fat_change_points"]
    if not causes or causes[0]["share"] is None or change is None:
        return ""
    since_reference = (
        causes[0]["reference_until"] is None or man["body_fat_on"] > causes[0]["reference_until"]
    )
    if not since_reference or change > -constants.BODY_FAT_CHANGE.value:
        return ""
    return (
        f"His body fat fell by {-change:.0f} percentage points between the scans of {man['body_fat_since_on']} and "
        f"{man['body_fat_on']}: less fat makes less E2."
    )


def _last_two(reasons: Sequence[str], draws: Sequence[Row]) -> str:
    """Name the last two results, where they speak without the model or against it."""
    if not {"ms_results_below_limit", "results_and_estimate_disagree"} & set(reasons):
        return ""
    steady = [draw for draw in draws if draw["steady"] and draw["assay"] == "ms"]
    by_day = {draw["collected_on"]: draw for draw in sorted(steady, key=_by_day_highest_last)}
    said = [
        f"{_measured(draw['value_low'], draw['value_high'])} on {on}"
        for on, draw in list(by_day.items())[-CONSECUTIVE:]
    ]
    return f"Last results by mass spectrometry at this dose: {' and '.join(said)}."


def _by_day_highest_last(draw: Row) -> tuple[date, float, float]:
    high = draw["value_high"]
    return draw["collected_on"], inf if high is None else high, draw["value_low"]


def _changed(man: Row, reasons: Sequence[str]) -> str:
    """Say that E2 fell or rose, and about when."""
    for reason, way, share in (("e2_fell", "fell", "a quarter"), ("e2_rose", "rose", "a third")):
        if reason in reasons:
            return (
                f"E2 {way} in {man['changed_on']:%B %Y}, as estimated: by more than {share} within a year with a "
                f"chance of {_chance(man[f'p_{way}_12m'])}, at the same dose of anastrozole."
            )
    return ""


def _bone_lost(man: Row, reasons: Sequence[str]) -> str:
    """Name the site of a loss beyond LSC, and what three sites do to chance."""
    if "bone_loss_exceeds_lsc" not in reasons or man["bmd_change_site"] is None:
        return ""
    chance = (
        "a second site or a second time says more than chance"
        if "bone_loss_repeated" in reasons
        else "at one of three sites chance alone shows this more often than LSC says"
    )
    return (
        f"Bone lost beyond its least significant change at the {man['bmd_change_site'].replace('_', ' ')}, "
        f"{-man['bmd_change_pct_per_year']:.1f} % a year; {chance}."
    )


def _chances(man: Row, criteria: Criteria) -> str:
    if man["p_below_range"] is None:
        return ""
    limit = f"{man['lower_limit_pg_ml']:.1f} pg/mL ({man['limit_source']})"
    return (
        f"Chance of being below the limit in use, {limit}: {_chance(man['p_below_range'])}; below it "
        f"because of the drug: {_chance(man['p_attributable'])}; below the red line of "
        f"{criteria.settings.red_line_pg_ml:g} pg/mL: {_chance(man['p_below_red_line'])}."
    )


def _at_half_the_dose(man: Row, projections: Sequence[Row]) -> Iterator[str]:
    dose = man["weekly_anastrozole_mg"]
    lower = [
        row for row in projections if dose is not None and 0 < row["weekly_anastrozole_mg"] < dose
    ]
    if lower:
        next_lower = lower[-1]
        yield (
            f"At {next_lower['weekly_anastrozole_mg']:g} mg a week {next_lower['e2_pg_ml']:.0f} pg/mL "
            f"(95 % {next_lower['e2_ci_low_pg_ml']:.0f} to {next_lower['e2_ci_high_pg_ml']:.0f}) would "
            "be expected: information, no order."
        )


def _last_result(man: Row) -> str:
    if man["last_e2_on"] is None:
        return "No E2 on record."
    value = _measured(man["last_e2_low_pg_ml"], man["last_e2_high_pg_ml"])
    return f"Last E2 {value} pg/mL by {ASSAYS[man['assay']]} on {man['last_e2_on']}."


def _measured(low: float, high: float | None) -> str:
    if high is None:
        return f"above {low:.1f}"
    return f"below {high:.1f}" if low < high else f"{high:.1f}"


def _has_stopped(man: Row) -> bool:
    """Tell whether he has just stopped anastrozole: he has an estimate and no dose."""
    return man["weekly_anastrozole_mg"] == 0 and man["e2_expected_pg_ml"] is not None


def _expected(man: Row) -> str:
    if man["e2_expected_pg_ml"] is None:
        return "No E2 level can be estimated."
    dose = man["weekly_anastrozole_mg"]
    if _has_stopped(man):
        at = "the dose that he stopped"
    else:
        at = f"{dose:g} mg of anastrozole a week" if dose is not None else "his unknown dose"
    return (
        f"At {at} his E2 is expected at {man['e2_expected_pg_ml']:.1f} pg/mL (95 % "
        f"{man['e2_ci_low']:.1f} to {man['e2_ci_high']:.1f}), off the drug at "
        f"{man['e2_off_drug_pg_ml']:.0f}, from {man['n_draws']} results."
    )


def _chance(probability: float) -> str:
    """Write a probability; never a certainty that the model cannot give."""
    if probability < 0.01:
        return "below 1%"
    return "above 99%" if probability > 0.99 else f"{probability:.0%}"


def _capital(words: str) -> str:
    return words[:1].upper() + words[1:]


def drug_state(draw: Row) -> str:
    """Say what a man took on the day of a draw."""
    if draw["in_transition"] or draw["on_other"]:
        return "while the dose was changing, or on another inhibitor: not in the estimate"
    if not draw["on_drug"]:
        return "off the drug"
    dose = draw["weekly_anastrozole_mg"]
    return f"on {dose:g} mg a week" if dose is not None else "on the drug, dose unknown"
