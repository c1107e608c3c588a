"""Doses per week of a FHIR Timing, or none where it leaves them open.

A repeat counts as ``frequency`` times in every ``period``. Days of the week and times of the day count
as often as they are listed. Single events and single doses, a frequency or period with a maximum
(``is_open``), a repeat that its code contradicts, and a rule that can be read in two ways (once a day, in the
morning and in the evening), give nothing: such a dose is not assessable, never guessed.
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
    if is_open(timing) or texts(timing, "event") or is_single(timing):
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


def is_single(timing: Node) -> bool:
    """Return whether a Timing is of one dose only.

    >>> is_single({"repeat": {"count": "1", "frequency": "1", "period": "1", "periodUnit": "d"}})
    True
    """
    repeat = child(timing, "repeat")
    most = text(repeat, "countMax")
    return number(text(repeat, "count")) == 1 and (most is None or number(most) == 1)


WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_RULES: Final = frozenset({"frequency", "period", "periodUnit", "dayOfWeek", "timeOfDay", "when"})


def _repeated(repeat: Node) -> float | None:
    days = len(set(texts(repeat, "dayOfWeek")))
    times = _times_a_day(repeat)
    if times is None or not set(texts(repeat, "dayOfWeek")) <= set(WEEKDAYS):
        return None
    frequency = number(text(repeat, "frequency") or str(times or 1))
    period, unit = text(repeat, "period"), text(repeat, "periodUnit")
    is_daily = period is None and unit is None and bool(days or times)
    length = _WEEKS_IN["d"] if is_daily else weeks(period, unit)
    if frequency is None or length is None:
        return None
    # "Once a day, in the morning and in the evening": once or twice?
    if times and frequency != times and not (times == 1 and frequency / length <= 7):
        return None
    if times > 1 and length != _WEEKS_IN["d"]:
        return None
    if not days:
        return _finite(frequency / length)
    if length == _WEEKS_IN["d"]:
        return _on_days(frequency, days)
    if unit == "wk" and frequency % days == 0:
        return _finite(frequency / length)
    return None  # "once a week, on Monday and Thursday": once or twice?


def _times_a_day(repeat: Node) -> int | None:
    """Return how many times of the day are listed; None where they can be one or several."""
    clock, events = texts(repeat, "timeOfDay"), texts(repeat, "when")
    parts = {each.split(".")[0] for each in events}  # MORN.early is a morning, too
    if len(parts) < len(events) or parts & _MEALS:
        return None
    if clock and events and len(set(clock)) != len(parts):
        return None
    return len(set(clock)) or len(parts)


_MEALS: Final = frozenset({"C", "AC", "PC"})
"""With, before, after meals: nobody says how many a day."""


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
