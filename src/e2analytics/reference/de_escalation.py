"""How long what follows a de-escalation is waited for, and its lines: ``de_escalation.yaml``."""

from __future__ import annotations

from e2analytics import reference


def days(outcome: str) -> int:
    """Return the days after the change in which an outcome counts.

    >>> days("e2")
    180
    """
    return int(reference.load("de_escalation")["days"][outcome]["value"])


def line(name: str) -> float:
    """Return a line of E2, pg/mL.

    >>> line("high_e2_pg_ml")
    60.0
    """
    return float(reference.load("de_escalation")["lines"][name]["value"])
