"""Segments of HL7 version 2: decoded, parsed, and read field by field.

In    :class:`~e2analytics.feeds.hl7v2.messages.Message`: segments as bytes
Out   :class:`Parsed` segments; none of a message that cannot be parsed
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any, Final

import hl7  # type: ignore[import-untyped]

from e2analytics.feeds.hl7v2.messages import LAST_FIELD, Message, Segment

# The delimiters end at the first separator: after an empty MSH-3 another one follows.
HEAD: Final = re.compile(rb"MSH([^A-Za-z0-9\s])((?:(?!\1)[^A-Za-z0-9\s]){1,5})\1")
"""How a message begins: its own delimiters."""
LONGEST_TEXT: Final = 4_000
"""No text of a result is longer; the texts of an order are repeated in each of its results."""

# Each becomes an object in memory. A message of a thousand results has some thirty thousand.
_MOST_DELIMITERS: Final = 500_000
_SHORTEST: Final = {b"PID": 8, b"OBX": 11, b"RXE": 5, b"RXD": 4, b"RXA": 7}
"""Fields up to the last one that is needed, of a segment that the end of the file may have cut."""
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_LAYOUT: Final = re.compile(r"[\x00-\x1f\x7f\x85]+")
# What the library can undo; of anything else it would log the text, which may be a patient's.
_ESCAPED: Final = re.compile(
    r"[FSTREHN]|X(?:[0-9A-Fa-f]{2})+|\.(?:br|sp|fi|nf|in|ti|sk|ce)(?:\+?[0-9]{1,2})?"
)
_HIGHLIGHT: Final = {"H": "", "N": ""}


class Parsed:
    """One parsed segment, its fields by the numbers that HL7 gives them."""

    def __init__(self, number: int, message: Any, fields: Any, *, short: bool) -> None:
        self.number = number
        self.short = short
        self.name = str(fields[0])
        self._message = message
        self._fields = fields
        self._texts: dict[tuple[int, int, int, int], str | None] = {}

    def text(
        self, number: int, component: int = 0, sub: int = 0, *, repetition: int = 1
    ) -> str | None:
        """Return a field, component or subcomponent as text; none if it is empty or deleted."""
        place = (number, component, sub, repetition)
        if place not in self._texts:
            part = _child(self._field(number), repetition)
            for child in filter(None, (component, sub)):
                part = _child(part, child)
            self._texts[place] = _plain(self._message, str(part))
        return self._texts[place]

    def repetitions(self, number: int) -> range:
        """Return the numbers of the repetitions of a field."""
        return range(1, len(self._field(number)) + 1)

    def components(self, number: int, *, repetition: int) -> list[str]:
        """Return all components of a field as text."""
        part = _child(self._field(number), repetition)
        count = 1 if isinstance(part, str) else len(part)
        return [
            self.text(number, component, repetition=repetition) or ""
            for component in range(1, count + 1)
        ]

    def _field(self, number: int) -> Any:
        return self._fields[number] if number < len(self._fields) else ("",)


def _child(part: Any, number: int) -> Any:
    # A part that holds no delimiter is a text: its own first and only child.
    if isinstance(part, str):
        return part if number == 1 else ""
    return part[number - 1] if number <= len(part) else ""


def _plain(message: Any, text: str) -> str | None:
    text = text[:LONGEST_TEXT]
    sequences = text.split(message.esc)
    # Escapes that are broken or unknown stay as written: their meaning is unknown.
    if len(sequences) % 2 and all(_ESCAPED.fullmatch(each) for each in sequences[1::2]):
        text = message.unescape(text, _HIGHLIGHT)
    text = _LAYOUT.sub(" ", text).strip()
    return None if text in ("", hl7.NULL) else text


def parse(message: Message) -> list[Parsed]:
    """Return the segments of a message, none if it cannot be parsed."""
    text = _decoded(message.segments)
    if text is None:
        return []
    try:
        parsed = hl7.parse(text)
    except Exception:  # the library's message may quote a value: it is not passed on
        return []
    last = message.segments[-1]
    n_fields = last.content.count(message.segments[0].content[3:4])
    cut = not last.ended and n_fields < _SHORTEST.get(last.content[:3], 0)
    return [
        Parsed(segment.number, parsed, fields, short=cut and segment is last)
        for segment, fields in zip(message.segments, parsed, strict=True)
    ]


def _decoded(segments: list[Segment]) -> str | None:
    head = HEAD.match(segments[0].content) if segments else None
    if head is None:
        return None
    content = b"\r".join(_needed(segment.content, head[1]) for segment in segments)
    delimiters = head[1] + head[2]
    n_delimiters = sum(content.count(delimiters[i : i + 1]) for i in range(len(delimiters)))
    if len(set(delimiters)) < len(delimiters) or n_delimiters > _MOST_DELIMITERS:
        return None
    if _CONTROL.search(content):
        return None
    declared = segments[0].content.split(head[1])[17:18]
    for encoding in (_encoding(declared), "utf-8", "cp1252"):
        with suppress(LookupError, UnicodeDecodeError):
            return content.decode(encoding)
    return None


def _needed(segment: bytes, separator: bytes) -> bytes:
    n_fields = LAST_FIELD[segment[:3]] + 1
    return separator.join(segment.split(separator, n_fields)[:n_fields])


def _encoding(declared: list[bytes]) -> str:
    """Return Python's name of a character set of HL7 table 0211."""
    part = re.match(rb"8859/([0-9]+)", declared[0]) if declared else None
    if part is None:
        return "utf-8"
    # Windows-1252 is 8859-1 with letters where that has none.
    return "cp1252" if part[1] == b"1" else f"iso8859-{part[1].decode()}"
