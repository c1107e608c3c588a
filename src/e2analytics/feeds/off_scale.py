"""Marks of a result that is off the scale of its instrument, written beside its number.

HL7 table 0078 (``<``: below absolute low, off instrument scale; ``>``: above absolute high) and FHIR's
codes of the same meaning. ``L`` and ``LL`` are about the reference range: the number stays exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

WORDS: Final = {
    "off scale low": "<",
    "below absolute low-off instrument scale": "<",
    "off scale high": ">",
    "above absolute high-off instrument scale": ">",
}
"""The same marks in words, as these tables display them."""

_AGREE: Final = {"<": ("<", "≤"), ">": (">", "≥")}


def with_marks(value: str | None, flags: Iterable[str]) -> str | None:
    """Return a value with the marks that its flags hold.

    >>> with_marks("5.0", ["L", "<"]), with_marks("<5.0", ["<"]), with_marks("5.0", ["LL"])
    ('<5.0', '<5.0', '5.0')

    Flags that contradict the value or each other, or are not understood, make a text that is no result,
    so that it waits.

    >>> with_marks(">1500", ["<"]), with_marks("5.0", ["L<8"])
    ('<>1500', 'L<8 5.0')
    """
    marks = sorted({flag for flag in flags if "<" in flag or ">" in flag})
    if value is None or not marks:
        return value
    if len(marks) == 1 and marks[0] in _AGREE:
        return value if value.startswith(_AGREE[marks[0]]) else marks[0] + value
    return " ".join([*marks, value])
