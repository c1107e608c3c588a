"""Cuts a file of HL7 version 2 into messages, one at a time.

In    the bytes of a file: messages, in batches or not, framed for MLLP or not, with segments ended by
      CR, LF or both
Out   :class:`Message`: its segments with their numbers; every line of the file that is not blank is
      counted, headers and trailers of batches too, so a number leads back to the file

Only the ends of segments and messages are interpreted. Refuses a file that is empty or holds no message, a message
too long to be one, and a batch with fewer messages than its trailer counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final, NamedTuple

from e2analytics.errors import RefusedFileError

MOST_BYTES: Final = 16 * 2**20
"""A longer one is not a message; the longest carry a scanned report."""

MOST_LINES: Final = 200_000
"""A message of that many bytes has fewer lines, unless it is made to do harm."""

LAST_FIELD: Final = {
    b"MSH": 18,
    b"PID": 18,
    b"PV1": 3,
    b"ORC": 15,
    b"OBR": 25,
    b"OBX": 23,
    b"NTE": 3,
    b"SPM": 17,
    b"TQ1": 11,
    b"RXE": 26,
    b"RXD": 17,
    b"RXA": 20,
}
"""The segments that results and orders of drugs need, and the last field of each that they need."""

_CHUNK: Final = 2**20
_BOM: Final = b"\xef\xbb\xbf"  # of the file, or of one of those that were put together to make it
# CR ends a segment; MLLP frames a message with VT and FS (HL7 v2.5.1, appendix C.4); SUB ends a file of
# DOS. A message without an end of its last segment is followed by the next one on the same line.
_END: Final = re.compile(rb"[\r\n\x0b\x1c\x1a]|(?=MSH\|\^~\\&)")
_SEGMENT: Final = re.compile(rb"[A-Z][A-Z0-9]{2}(?![A-Za-z0-9\s])")
_ENVELOPE: Final = (b"FHS", b"BHS", b"BTS", b"FTS")
_OBX_VALUE: Final = 5
_NTE_COMMENT: Final = 3


class Segment(NamedTuple):
    """One segment as it was written, its number, and whether the file goes on after it.

    ``more`` is text of it that bare line ends have broken.
    """

    number: int
    line: bytes
    ended: bool
    more: list[bytes]

    @property
    def content(self) -> bytes:
        """Return the whole segment."""
        return b" ".join([self.line, *self.more]) if self.more else self.line


@dataclass
class Message:
    """One message; without segments, it is lines that stand outside of any.

    Attributes
    ----------
    number
        Number of the first line.
    segments
        Those that results need, MSH first; others (next of kin, insurance, Z segments) are not kept.
    strays
        Numbers of the lines in it that hold fields, or the name of a segment that results need, and are
        no segments; or that the end of the file cut off.
    """

    number: int
    segments: list[Segment] = field(default_factory=list)
    strays: list[int] = field(default_factory=list)


def messages(file: BinaryIO) -> Iterator[Message]:
    """Yield the messages of a file in its order.

    Raises
    ------
    RefusedFileError
        With the rule that the file breaks: ``empty_file``, ``not_hl7``, ``line_too_long`` or
        ``truncated_file``.
    """
    cutter = _Cutter()
    number = 0
    for number, (line, ended) in enumerate(_lines(file), start=1):
        if done := cutter.add(number, line, ended=ended):
            yield done
    if not number:
        raise RefusedFileError("empty_file", "it holds nothing")
    if not cutter.n_messages:
        raise RefusedFileError("not_hl7", "no line of it begins with MSH")
    if cutter.message:
        yield cutter.message


def _lines(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    rest = b""
    while chunk := file.read(_CHUNK):
        *whole, rest = _END.split(rest + chunk)
        yield from ((text, True) for line in whole if (text := _without_blanks(line)))
        _check_length(len(rest))
    if text := _without_blanks(rest):
        yield text, False


def _without_blanks(line: bytes) -> bytes:
    return line.strip().removeprefix(_BOM).strip()


def _check_length(n_bytes: int) -> None:
    if n_bytes > MOST_BYTES:
        raise RefusedFileError("line_too_long", f"a message is longer than {MOST_BYTES:,} bytes")


@dataclass
class _Last:
    """The segment that was read last, and how many fields it has so far."""

    name: bytes
    n_fields: int

    def goes_on(self, n_more: int) -> bool:
        """Return whether a line of ``n_more`` further fields is text that a bare line end cut off."""
        if self.name == b"OBX":
            return self.n_fields <= _OBX_VALUE
        return self.name == b"NTE" and self.n_fields <= _NTE_COMMENT and not n_more


class _Cutter:
    """Collects lines until a message is whole."""

    def __init__(self) -> None:
        self.message: Message | None = None
        self.n_messages = 0
        self._separator = b""
        self._n_bytes = 0
        self._n_lines = 0
        self._last: _Last | None = None
        self._before_batch: int | None = None

    def add(self, number: int, line: bytes, *, ended: bool) -> Message | None:
        """Add a line; return the message that it ends, if it ends one."""
        name = line[:3] if _SEGMENT.match(line) else None
        if name in _ENVELOPE:
            self._count(line)
            return self._begin(None)
        segment = Segment(number, line, ended, [])
        if name == b"MSH":
            self.n_messages += 1
            self._separator, self._n_bytes, self._n_lines = line[3:4], 0, 0
            self._last = None
            done = self._begin(Message(number, [segment]))
        elif self.message is None:
            done = self._begin(Message(number) if name else None)
        else:
            done = None
            if self.message.segments:
                self._add(self.message, segment, name)
        self._check_size(line)
        return done

    def _begin(self, message: Message | None) -> Message | None:
        done, self.message = self.message, message
        return done

    def _check_size(self, line: bytes) -> None:
        if self.message and self.message.segments:
            self._n_bytes += len(line)
            self._n_lines += 1
            _check_length(self._n_bytes)
            if self._n_lines > MOST_LINES:
                raise RefusedFileError(
                    "line_too_long", f"a message has more than {MOST_LINES:,} lines"
                )

    def _add(self, message: Message, segment: Segment, name: bytes | None) -> None:
        n_fields = segment.line.count(self._separator)
        if name and segment.line[3:4] == self._separator:
            self._last = None
            if name in LAST_FIELD:
                message.segments.append(segment)
                self._last = _Last(name, n_fields)
        elif self._last and self._last.goes_on(n_fields):
            self._last.n_fields += n_fields
            last = message.segments[-1]
            last.more.append(segment.line)
            message.segments[-1] = last._replace(ended=segment.ended)
        elif n_fields or segment.line[:3] in LAST_FIELD or not segment.ended:
            message.strays.append(segment.number)

    def _count(self, line: bytes) -> None:
        if line.startswith(b"BHS"):
            self._before_batch = self.n_messages
        elif line.startswith(b"BTS") and self._before_batch is not None:
            declared = line[4:].partition(line[3:4] or b"|")[0]
            n_found = self.n_messages - self._before_batch
            if declared.isdigit() and int(declared[:9]) > n_found:
                raise RefusedFileError(
                    "truncated_file", "a batch holds fewer messages than its trailer counts"
                )
            self._before_batch = None
