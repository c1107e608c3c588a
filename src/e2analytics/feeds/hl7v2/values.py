"""Values and times of HL7 version 2, as one text each.

Fields are those of HL7 v2.5.1, chapters 2A (data types) and 7.4.2 (OBX).
"""

from __future__ import annotations

import re
from typing import Final

from e2analytics.feeds.hl7v2.segments import LONGEST_TEXT, Parsed
from e2analytics.feeds.off_scale import with_marks

_COMPARATORS: Final = frozenset({"<", ">", "<=", ">=", "="})
_BETWEEN: Final = frozenset({"-", "+", "/", ".", ":"})
_CODED: Final = frozenset({"CE", "CWE", "CNE", "CF", "IS"})
_DOCUMENTS: Final = frozenset({"ED", "RP"})
_DTM: Final = re.compile(
    r"(?P<year>[0-9]{4})(?P<month>[0-9]{2})(?P<day>[0-9]{2})"
    r"(?:(?P<hour>[0-9]{2})(?:(?P<minute>[0-9]{2})(?P<second>[0-9]{2}(?:\.[0-9]+)?)?)?)?"
    r"(?P<offset>[+-][0-9]{4}|Z)?"
)


def value(obx: Parsed) -> str | None:
    """Return the value of an OBX in our writing: 23.4, <5, >=32; none of a document.

    A flag of OBX-8 that says "off the scale" is part of the value.
    """
    kind = obx.text(2)
    if kind in _DOCUMENTS:
        return None
    values = (_one_value(obx, kind, number) for number in obx.repetitions(5))
    written = "; ".join(value for value in values if value)[:LONGEST_TEXT] or None
    flags = (obx.text(8, 1, repetition=number) for number in obx.repetitions(8))
    return with_marks(written, filter(None, flags))


def _one_value(obx: Parsed, kind: str | None, repetition: int) -> str | None:
    components = obx.components(5, repetition=repetition)
    if kind in _CODED or not any(components):
        return next((each for each in (*components[1:2], *components) if each), None)
    if (kind == "SN" or components[0] in _COMPARATORS) and (number := _structured(components)):
        return number
    return obx.text(5, repetition=repetition)


def _structured(components: list[str]) -> str | None:
    """Write a structured numeric (comparator, number, separator, number) as one text.

    >>> _structured(["<", "5"]), _structured(["=", "0.5"]), _structured(["", "1", ":", "128"])
    ('<5', '0.5', '1:128')

    Nothing if it is no such thing: joined, its parts could look like another number.

    >>> _structured(["5", "10"])
    """
    shifted = ["", *components] if components[0] not in (_COMPARATORS | {""}) else components
    comparator, first, between, second, *more = [*shifted, "", "", ""]
    if any(more) or between not in (_BETWEEN | {""}) or (second and not between):
        return None
    return "".join(("" if comparator == "=" else comparator, first, between, second))


def iso(written: str | None, zone: str | None = None) -> str | None:
    """Write a time of HL7 as ISO 8601, as exact as it is; a text that is not a day or time stays.

    A time without an offset of its own is of ``zone``, that of its message; a day is of none.

    >>> iso("20240305", "-0500"), iso("202403051407-0500"), iso("202403")
    ('2024-03-05', '2024-03-05T14:07-0500', '202403')
    >>> iso("202403051407", "+0100")
    '2024-03-05T14:07+0100'
    """
    time = _DTM.fullmatch(written or "")
    if time is None:
        return written
    day = f"{time['year']}-{time['month']}-{time['day']}"
    if time["hour"] is None:
        return day
    clock = f"{time['hour']}:{time['minute'] or '00'}"
    second = f":{time['second']}" if time["second"] else ""
    return f"{day}T{clock}{second}{time['offset'] or zone or ''}"


def zone_of(written: str | None) -> str | None:
    """Return the offset that a time is written with.

    >>> zone_of("20240305140733-0500"), zone_of("20240305")
    ('-0500', None)
    """
    time = _DTM.fullmatch(written or "")
    return time["offset"] if time else None


def says_the_same_time(one: str | None, other: str | None) -> bool:
    """Return whether two times are the same as far as the less exact one goes.

    >>> says_the_same_time("20240305", "202403051407-0500"), says_the_same_time("20240305", None)
    (True, False)
    """
    times = [_DTM.fullmatch(written or "") for written in (one, other)]
    if not all(times):
        return one is not None and one == other
    shorter, longer = sorted((_digits(time) for time in times if time), key=len)
    return longer.startswith(shorter)


def _digits(time: re.Match[str]) -> str:
    return re.sub(r"\.[0-9]+$", "", time[0].removesuffix(time["offset"] or ""))
