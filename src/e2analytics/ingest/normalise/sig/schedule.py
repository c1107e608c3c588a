"""When a sig says that a dose is taken: doses per week, days of the week, for how long.

In    the clauses of a sig
Out   doses per week; None where what is said disagrees or can be read in two ways
"""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple

from e2analytics.ingest.normalise.sig.amount import AMOUNTS, SAME_DOSE_RATIO
from e2analytics.ingest.normalise.sig.clauses import Clause, value
from e2analytics.ingest.normalise.sig.words import DAY, WEEKDAYS

_DAYS_IN: Final = {
    "day": 1.0, "daily": 1.0, "d": 1.0, "hour": 1 / 24, "week": 7.0, "weekly": 7.0, "month": 30.4375,
    "monthly": 30.4375, "year": 365.25, "yearly": 365.25,
}  # fmt: skip
_MOST_DAYS: Final = 36_525
_SAY_WHEN: Final = frozenset(
    {"rate", "every", "weekly", "weekdays", "every_other_weekday", "alternate_weeks", "days_a_week",
     "days_numbered", "time_of_day", "open"}
)  # fmt: skip


def schedule(clauses: list[Clause]) -> tuple[float | None, str | None]:
    """Return the doses per week, and the days of the week if they are named."""
    kinds = [each.kind for each in clauses]
    if "open" in kinds or "single" in kinds:
        return None, None
    when = _when(clauses)
    per_week = _per_week(when, _is_repeated(clauses, when))
    if "alternate_weeks" in kinds:
        per_week = (
            0.5 if not (when.rates or when.days or when.times) else _on_alternate_weeks(per_week)
        )
    if "every_other_weekday" in kinds:
        per_week = 0.5 if len(when.days) == 1 and not when.rates and len(when.times) < 2 else None
    if "once" in kinds and not when.rates and len(when.days) < 2:
        return None, None  # "once at bedtime": one dose, or one every evening
    named = [day for day in WEEKDAYS if day in when.days]
    return per_week, " ".join(named) or None if per_week is not None else None


def lasts_days(clauses: list[Clause], per_week: float | None) -> int | None:
    """Return after how many days it ends; None where the sig does not say."""
    lengths: list[float] = []
    for each in clauses:
        number = value(each, "n") if "n" in each.values else 1.0
        if each.kind == "lasts" and number:
            lengths.append(number * _days_of(each))
        elif each.kind == "count" and number and per_week:
            lengths.append(7 * number / per_week)
        elif each.kind == "single":
            lengths.append(1)
    kinds = {each.kind for each in clauses}
    if "once" in kinds and not kinds & _SAY_WHEN:
        lengths.append(1)
    return math.ceil(min(lengths)) if lengths and min(lengths) < _MOST_DAYS else None


def rate(clause: Clause) -> float | None:
    """Return the doses per week of one clause that tells them alone."""
    number = 1.0 if "n" not in clause.values else value(clause, "n")
    if clause.kind == "weekly":
        return number or None
    if clause.kind == "rate":
        return number * 7 / _days_of(clause) if number else None
    if clause.kind == "every":
        every = value(clause, "m")
        return 7 / (every * _days_of(clause)) if every else None
    return None


def _days_of(clause: Clause) -> float:
    """Return the length of the period that a clause names, in days."""
    period = clause.values.get("p") or clause.values["q"]
    return _DAYS_IN[period] if period in _DAYS_IN else _DAYS_IN[period.removesuffix("s")]


class _When(NamedTuple):
    """All that the clauses of a sig tell of when."""

    rates: list[float | None]
    days: list[str]
    """Days of the week as they are named; ``?`` where it is not said which."""
    times: list[str]


def _on_alternate_weeks(per_week: float | None) -> float | None:
    if per_week is None or per_week == 0.5:
        return per_week
    return per_week / 2 if per_week >= 1 else None


def _when(clauses: list[Clause]) -> _When:
    rates: list[float | None] = []
    days: list[str] = []
    times: list[str] = []
    for each in clauses:
        if each.kind in ("rate", "every", "weekly"):
            rates.append(rate(each))
        elif each.kind in ("weekdays", "every_other_weekday"):
            days += re.findall(DAY, each.values["days"])
        elif each.kind == "days_numbered":
            days += sorted({f"?{number}" for number in re.findall("[1-7]", each.values["days"])})
        elif each.kind == "days_a_week":
            number = value(each, "n")
            whole = number is not None and number in range(1, 8)
            if whole and number is not None:
                days += [f"?{place}" for place in range(int(number))]
            else:
                rates.append(None)
        elif each.kind == "time_of_day":
            times.append(each.values["days"])
    return _When(rates, days, times)


def _per_week(when: _When, is_repeated: bool) -> float | None:
    """Return how often a week; None where what is said disagrees, or can be read in two ways."""
    if any(rate is None for rate in when.rates):
        return None
    rates = [rate for rate in when.rates if rate is not None]
    days, times = len(set(when.days)), len(set(when.times))
    named = {day[0] == "?" for day in when.days}
    if is_repeated or len(named) > 1 or {"evening", "night"} <= set(when.times):
        return None
    if rates and max(rates) > min(rates) * (1 + SAME_DOSE_RATIO):
        return None
    rate = rates[0] if rates else None
    if days:
        return _on_days(rate, days) if times < 2 or rate == 7 * times else None
    if rate is None:
        return 7.0 * times or None
    # "Twice weekly at bedtime" is twice weekly; "daily, morning and evening" may be one dose or two.
    return rate if times == 0 or (times == 1 and rate <= 7) or rate == 7 * times else None


def _on_days(rate: float | None, days: int) -> float | None:
    if rate is None or rate == days:
        return float(days)
    if rate >= 7 and rate % 7 == 0:
        return days * rate / 7  # "Once a day on Mon and Thu"
    return rate if days == 1 and rate < 1 else None


def _is_repeated(clauses: list[Clause], when: _When) -> bool:
    """Return whether amounts are listed that nobody can place: "1 tablet daily and 1 tablet on Monday".

    Several may stand for the days, or the times, that are listed with them.
    """
    amounts = [each.kind for each in clauses if each.kind in AMOUNTS and not each.in_brackets]
    most = max((amounts.count(kind) for kind in amounts), default=0)
    if most < 2:
        return False
    listed = when.days if when.days and not when.times else when.times if not when.days else []
    return bool(when.rates) or len(set(listed)) < len(listed) or len(listed) < most
