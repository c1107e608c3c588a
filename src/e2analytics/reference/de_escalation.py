"""How long what follows a de-escalation is waited for, and lines of E2: ``de_escalation.yaml``, measure M8."""

from __future__ import annotations

from e2analytics import reference
from e2analytics.reference import measures


def days(outcome: str) -> int:
    """Return the days after the change in which an outcome counts.

    >>> days("e2")
    180
    """
    return int(reference.load("de_escalation")["days"][outcome]["value"])


def all_days() -> tuple[int, ...]:
    """Return the days after the change of all outcomes."""
    return tuple(int(each["value"]) for each in reference.load("de_escalation")["days"].values())


def immunoassay_tells_from_pg_ml() -> float:
    """Return from which E2 on an immunoassay tells that the limit in use is reached, pg/mL.

    >>> immunoassay_tells_from_pg_ml()
    30.0
    """
    return float(reference.load("de_escalation")["lines"]["immunoassay_tells_from_pg_ml"]["value"])


def high_e2_pg_ml() -> float:
    """Return above which E2 counts as high, pg/mL: that of measure M8.

    >>> high_e2_pg_ml()
    60.0
    """
    return measures.load().measures["indicated_start"].limits["high_e2_pg_ml"]
