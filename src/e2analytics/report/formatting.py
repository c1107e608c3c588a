"""Numbers and names as a clinician reads them: one place, so that all sections say them alike.

Months are written out here and not by the locale, so that every machine makes the same bytes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final

from e2analytics.reference import load

NOTHING: Final = "–"
HIDDEN: Final = "hidden"
ALL_CLINICS: Final = "all clinics"
MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)
ABBREVIATIONS: Final = r"\b(e2|bmd|bmi|dxa|lsc|trt)\b"
SITE_NAMES: Final = {
    **{site: entry["label"] for site, entry in load("sites")["sites"].items()},
    "pooled": "All sites together",
}
ASSAY_SHORT: Final = {"ms": "MS", "ia": "IA", "unknown": "IA?"}
TIER_NAMES: Final = {"critical": "Critical", "high": "High", "watch": "Watch", "none": "None"}
STATUS_NAMES: Final = {
    "below_range": "below range by the drug",
    "low_not_attributable": "low, not by the drug",
    "in_range": "in range",
    "not_assessable": "not assessable",
}


def count(n: int, one: str, many: str | None = None) -> str:
    """Say how many of what.

    >>> count(1, "man", "men"), count(1200, "row")
    ('1 man', '1,200 rows')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def share(n: int, of: int) -> str:
    """Say a part with its denominator; no percentage of nothing.

    >>> share(35, 170), share(0, 0)
    ('35 of 170 (21 %)', '0 of 0')
    """
    percent = f" ({100 * n / of:.0f} %)" if of else ""
    return f"{n:,} of {of:,}{percent}"


def percent(n: int, of: int) -> str:
    """Say a share in per cent, with one decimal where it is small."""
    if not of:
        return NOTHING
    value = 100 * n / of
    return f"{value:.1f} %" if 0 < value < 10 else f"{value:.0f} %"


def percent_of(value: float) -> str:
    """Say a share that is in per cent already, with one decimal where it is small.

    >>> percent_of(3.456), percent_of(34.56), percent_of(0.0), percent_of(99.96)
    ('3.5', '35', '0', '100')
    """
    return f"{value:.1f}" if 0.05 <= value < 9.95 else f"{value:.0f}"


def number(value: float | None, decimals: int = 1) -> str:
    """Say a number; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return signed(value, decimals).removeprefix("+")


def level(e2_pg_ml: float) -> str:
    """Say an E2 that was chosen, as shortly as it was: ``16``, not ``16.0``."""
    return f"{e2_pg_ml:.1f}".removesuffix(".0")


def signed(value: float | None, decimals: int = 1) -> str:
    """Say a number with its sign, zero without.

    >>> signed(-1.44), signed(0.8), signed(-0.01)
    ('−1.4', '+0.8', '0.0')
    """
    if value is None or not math.isfinite(value):
        return NOTHING
    rounded = f"{abs(value):,.{decimals}f}"
    if float(rounded.replace(",", "")) == 0:
        return rounded
    return ("−" if value < 0 else "+") + rounded


def interval(low: float | None, high: float | None, decimals: int = 1) -> str:
    """Say an interval: ``9.1 to 14.2``; a dash where either end is missing."""
    ends = [number(end, decimals) for end in (low, high)]
    return NOTHING if NOTHING in ends else " to ".join(ends)


def measured(low: float | None, high: float | None) -> str:
    """Say a laboratory result as the laboratory did, from the least and greatest value it allows.

    >>> measured(12.3, 12.3), measured(0.0, 5.0), measured(1500.0, None), measured(None, None)
    ('12.3', '<5.0', '>1,500.0', '–')
    """
    if low is None and high is None:
        return NOTHING
    if high is None:
        return f">{number(low)}"
    if not low:
        return f"<{number(high)}"
    return number(high) if low == high else interval(low, high)


def chance(probability: float | None) -> str:
    """Say a probability in per cent; never a certainty that the model cannot give.

    >>> chance(0.876), chance(0.001), chance(0.9995), chance(None)
    ('88', '<1', '>99', '–')
    """
    if probability is None or math.isnan(probability):
        return NOTHING
    if probability < 0.01:
        return "<1"
    return ">99" if probability > 0.99 else f"{100 * probability:.0f}"


def day(when: date | None) -> str:
    """Say a date: ``30 September 2026``."""
    return NOTHING if when is None else f"{when.day} {MONTHS[when.month - 1]} {when.year}"


def month_name(month: str) -> str:
    """Write a month YYYY-MM as it is read.

    >>> month_name("2026-09"), short_month_name("2026-09")
    ('September 2026', 'Sep 2026')
    """
    return f"{MONTHS[int(month[5:]) - 1]} {month[:4]}"


def short_month_name(month: str) -> str:
    """Write a month YYYY-MM as it fits into a table."""
    return f"{MONTHS[int(month[5:]) - 1][:3]} {month[:4]}"


def plain(name: str) -> str:
    """Turn a rule's or a step's name into words.

    >>> plain("no_recent_e2"), plain("impossible_bmd")
    ('no recent E2', 'impossible BMD')
    """
    return re.sub(ABBREVIATIONS, lambda found: found[0].upper(), name.replace("_", " ")).strip()


def capitalised(words: str) -> str:
    """Begin words with a capital, and leave the rest: names of units and assays stay.

    >>> capitalised("lower E2, more often")
    'Lower E2, more often'
    """
    return words[:1].upper() + words[1:]


def listing(parts: Iterable[str]) -> str:
    """Join parts as prose: ``a, b and c``."""
    said: Sequence[str] = list(parts)
    return " and ".join([", ".join(said[:-1]), said[-1]]) if len(said) > 1 else "".join(said)


def share_of(n: float, of: float) -> str:
    """Say a part in per cent, of counts that may be hidden (NaN).

    >>> share_of(30.0, 120.0), share_of(float("nan"), 120.0), share_of(0.0, 0.0)
    ('25 %', 'hidden', '–')
    """
    if math.isnan(n) or math.isnan(of):
        return HIDDEN
    return f"{100 * n / of:.0f} %" if of else NOTHING
