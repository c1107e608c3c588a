"""Doses per week of a FHIR Timing, or none where it leaves them open.

A repeat counts as ``frequency`` times in every ``period``. Days of the week and times of the day count
as often as they are listed. Single events, a frequency or period with a maximum (``is_open``), a repeat
that its code contradicts, and a rule that can be read in two ways, give nothing: such a dose is not
assessable, never guessed.
"""

from __future__ import annotations

import math
from typing import Final

from e2analytics.feeds.fhir.nodes import Node, child, children, text, texts

# UCUM: a year is 365.25 days and a month a twelfth of it.
_WEEKS_IN: Final = {
    "s": 1 / 604_800,
    "min": 1 / 10_080,
    "h": 1 / 168,
    "d": 1 / 7,
    "wk": 1.0,
    "mo": 365.25 / 12 / 7,
    "a": 365.25 / 7,
}

_SAME_RATIO: Final = 0.1
"""Relative difference within which a code agrees with its repeat: a month is written as 4 weeks or 30 days. Our own rule."""

# http://hl7.org/fhir/R4/valueset-timing-abbreviation.html
_TIMES_A_WEEK: Final = {
    "BID": 14.0,
    "TID": 21.0,
    "QID": 28.0,
    "AM": 7.0,
    "PM": 7.0,
    "BED": 7.0,
    "QD": 7.0,
    "QOD": 3.5,
    "Q1H": 168.0,
    "Q2H": 84.0,
    "Q3H": 56.0,
    "Q4H": 42.0,
    "Q6H": 28.0,
    "Q8H": 21.0,
    "WK": 1.0,
    "MO": 12 * 7 / 365.25,
}


def doses_per_week(timing: Node) -> float | None:
    """Return the doses per week of a Timing; None if it leaves them open.

    >>> doses_per_week({"repeat": {"frequency": "1", "period": "3", "periodUnit": "d"}})
    2.3333333333333335
    >>> doses_per_week({"code": {"coding": [{"code": "QOD"}]}})
    3.5
    >>> doses_per_week({"repeat": {"dayOfWeek": ["mon", "thu"]}})
    2.0
    """
    codes = (text(each, "code") for each in children(child(timing, "code"), "coding"))
    coded = next((_TIMES_A_WEEK[each] for each in codes if each in _TIMES_A_WEEK), None)
    repeat = {key: value for key, value in child(timing, "repeat").items() if key in _RULES}
    if is_open(timing):
        return None
    if not repeat:
        return coded
    repeated = _repeated(repeat)
    if coded is None or repeated is None:
        return repeated
    return repeated if math.isclose(coded, repeated, rel_tol=_SAME_RATIO) else None


def is_open(timing: Node) -> bool:
    """Return whether a Timing leaves open how often: it names a maximum that is another number.

    >>> is_open({"repeat": {"frequency": "1", "frequencyMax": "2", "period": "1", "periodUnit": "d"}})
    True
    """
    repeat = child(timing, "repeat")
    return any(
        text(repeat, most) is not None
        and number(text(repeat, most)) != number(text(repeat, least) or "1")
        for least, most in (("frequency", "frequencyMax"), ("period", "periodMax"))
    )


_RULES: Final = frozenset({"frequency", "period", "periodUnit", "dayOfWeek", "timeOfDay", "when"})


def _repeated(repeat: Node) -> float | None:
    days = len(set(texts(repeat, "dayOfWeek")))
    times = len(set(texts(repeat, "timeOfDay"))) or len(set(texts(repeat, "when")))
    frequency = number(text(repeat, "frequency") or str(times or 1))
    period, unit = text(repeat, "period"), text(repeat, "periodUnit")
    if period is None and unit is None and (days or times):
        return _on_days(frequency, days or 7)
    length = weeks(period, unit)
    if frequency is None or length is None:
        return None
    if not days:
        return _finite(frequency / length)
    if length == _WEEKS_IN["d"]:
        return _on_days(frequency, days)
    if unit == "wk" and frequency % days == 0:
        return _finite(frequency / length)
    return None  # "once a week, on Monday and Thursday": once or twice?


def weeks(period: str | None, unit: str | None) -> float | None:
    """Return a duration in weeks; None where it is none, or its unit is none of FHIR's.

    >>> weeks("14", "d")
    2.0
    """
    length = number(period)
    return length * _WEEKS_IN[unit] if length is not None and unit in _WEEKS_IN else None


def _on_days(frequency: float | None, days: int) -> float | None:
    return _finite(frequency * days) if frequency is not None else None


def number(written: str | None) -> float | None:
    """Return a number above zero; None for all else."""
    try:
        value = float(written or "")
    except ValueError:
        return None
    return _finite(value)


def _finite(value: float) -> float | None:
    return value if 0 < value < math.inf else None
