"""What ``limits preview --what-if`` prints: men expected below a limit now and under a rule for the dose."""

from __future__ import annotations

from rich.table import Table

from e2analytics.cli.terminal import out
from e2analytics.run.what_if import Count, DoseRule, Estimate, WhatIf


def print_what_if(found: WhatIf, rule: DoseRule) -> None:
    """Print the counts, what the curve says, and what it all rests on."""
    left_out = (
        f" {found.n_not_estimated:,} more take it, and are in no count: their dose or E2 is not known."
        if found.n_not_estimated
        else ""
    )
    out.print(
        f"What if {in_words(rule)}? {found.n_men:,} men take anastrozole at a known dose, "
        f"{found.n_changed:,} of them would take another one.{left_out}"
    )
    table = Table("men expected (95 %)", "now", "then", "change", title="Information, no order")
    limit, red_line = f"{found.limit_pg_ml:g} pg/mL", f"{found.red_line_pg_ml:g} pg/mL"
    for name, count in (
        (f"below {limit}", found.below),
        (f"of these below the red line of {red_line}", found.below_red_line),
        (f"at {limit} or above", found.at_or_above),
    ):
        table.add_row(name, *_of_men(count))
    out.print(table)
    out.print(_bone(found))
    out.print(
        "Expected by this month's model from the men's own results, if nothing but the dose changed and they took it. "
        "For a committee that thinks about a rule; whether a man's dose should change is between him and his clinician."
    )


def in_words(rule: DoseRule) -> str:
    """Say what becomes of the doses.

    >>> in_words(DoseRule()), in_words(DoseRule(0.5)), in_words(DoseRule(0.0)), in_words(DoseRule(1.0, 0.5))
    ('no dose changed', 'every dose were 0.5 of what it is', 'all men stopped it', 'no man took more than 0.5 mg a week')
    >>> in_words(DoseRule(0.5, 1.0))
    'every dose were 0.5 of what it is, and no man took more than 1 mg a week'
    """
    parts = []
    if rule.times == 0.0:
        parts.append("all men stopped it")
    elif rule.times != 1.0:
        parts.append(f"every dose were {rule.times:g} of what it is")
    if rule.at_most_mg_per_week is not None:
        parts.append(f"no man took more than {rule.at_most_mg_per_week:g} mg a week")
    return ", and ".join(parts) or "no dose changed"


def _of_men(count: Count) -> tuple[str, str, str]:
    return (
        _with_interval(count.now, ".0f"),
        _with_interval(count.then, ".0f"),
        _with_interval(count.more, "+.0f"),
    )


def _with_interval(estimate: Estimate, form: str) -> str:
    return f"{estimate.value:{form}} ({estimate.low:{form}} to {estimate.high:{form}})"


def _bone(found: WhatIf) -> str:
    if found.bone_pct_per_year is None:
        return f"The curve says nothing of their bone: {found.no_curve}."
    now, then = found.beyond
    return (
        "By the curve the change of their bone would differ from that of now on average by "
        f"{_with_interval(found.bone_pct_per_year, '+.2f')} % a year; more is better. Of their E2, {now:.0%} now and "
        f"{then:.0%} then lies where the curve has too few men; there it is taken at the curve's end."
    )
