"""Pieces of a text file, each with the places of its marks: line ends, quotes, white space, control bytes.

In    a file, and how it is written
Out   its text as UTF-8, its lines ending with LF and without control bytes, piece by piece

Marks decide how the other bytes are read, and are few: one pass over the bytes finds them, and later
questions about a text look at its marks only.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from e2analytics.errors import RefusedFileError
from e2analytics.feeds.columns import Repeated
from e2analytics.feeds.reader import Encoding, FormatOptions

FIRST_BYTES: Final = 1 << 16
LF, CR, TAB, SPACE = b"\n\r\t "
_MARKS_OF_ORDER: Final = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_LOOKED_AT_ONCE: Final = 1 << 17
"""Bytes that stay in the processor's cache during the pass."""
_SWAP_LINE_ENDS: Final = bytes.maketrans(b"\n\r", b"\r\n")
_CUT_INSIDE_A_CHARACTER: Final = ("unexpected end of data", "truncated data")

Positions: TypeAlias = npt.NDArray[np.intp]
Codes: TypeAlias = npt.NDArray[np.uint8]


class Options(FormatOptions, frozen=True):
    """How the text is written. A byte order mark wins over ``encoding``."""

    kind: Literal["delimited"] = "delimited"
    delimiter: str = Field(",", min_length=1, max_length=1)
    encoding: Encoding = "utf-8"
    quote: str | None = Field('"', min_length=1, max_length=1)
    header_line: int = Field(1, ge=1, le=1000)
    repeated: Repeated = "refuse"

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> Self:
        for name, mark in (("delimiter", self.delimiter), ("quote", self.quote or '"')):
            if not mark.isascii() or mark.isalnum() or mark in "\r\n\0":
                raise ValueError(f"{name} must be an ASCII character, no letter, digit or line end")
        if self.delimiter == self.quote:
            raise ValueError("delimiter and quote must differ")
        return self


class Text(NamedTuple):
    """A piece of a file.

    Attributes
    ----------
    content : bytes
    at : ndarray of int, shape (n,)
        Where its marks are, in order.
    mark : ndarray of uint8, shape (n,)
        Which.
    """

    content: bytes
    at: Positions
    mark: Codes

    def places_of(self, mark: int) -> Positions:
        """Return where one mark is."""
        places: Positions = self.at[self.mark == mark]
        return places

    def count(self, mark: int) -> int:
        """Return how often one mark is there."""
        return int(np.count_nonzero(self.mark == mark))

    def before(self, end: int) -> Text:
        """Return what lies before a place."""
        n = np.searchsorted(self.at, end)
        return Text(self.content[:end], self.at[:n], self.mark[:n])

    def since(self, begin: int) -> Text:
        """Return what lies from a place on."""
        n = np.searchsorted(self.at, begin)
        return Text(self.content[begin:], self.at[n:] - begin, self.mark[n:])


def marked(content: bytes, options: Options) -> Text:
    """Find the marks of a text."""
    codes = np.frombuffer(content, np.uint8)
    found = [np.empty(0, np.intp)]
    for start in range(0, len(codes), _LOOKED_AT_ONCE):
        part = codes[start : start + _LOOKED_AT_ONCE]
        is_mark = part <= SPACE
        if options.quote is not None:
            is_mark |= part == ord(options.quote)
        found.append(np.flatnonzero(is_mark) + start)
    at = np.concatenate(found)
    return Text(content, at, codes[at])


def joined(texts: Sequence[Text]) -> Text:
    """Put pieces together."""
    starts = accumulate((len(text.content) for text in texts), initial=0)
    return Text(
        b"".join(text.content for text in texts),
        np.concatenate([text.at + start for text, start in zip(texts, starts, strict=False)]),
        np.concatenate([text.mark for text in texts]),
    )


def pieces(path: Path, options: Options, size: int) -> Iterator[Text]:
    """Yield the text of a file in pieces of about ``size`` bytes.

    Raises
    ------
    RefusedFileError
        If it is no text in its encoding.
    """
    try:
        with path.open("rb") as file:
            first = file.read(FIRST_BYTES)
            order = next((mark for mark in _MARKS_OF_ORDER if first.startswith(mark)), b"")
            encoding = _MARKS_OF_ORDER.get(order, options.encoding)
            beginning = first.decode(encoding, errors="ignore")
            only_cr = "\r" in beginning and "\n" not in beginning
            file.seek(len(order))
            decoder = codecs.getincrementaldecoder(encoding)()
            line = 1
            piece = b" "
            while piece:
                piece = file.read(size)
                decoded = _decoded(piece, decoder, encoding, line)
                if only_cr:
                    decoded = decoded.translate(_SWAP_LINE_ENDS)
                text = marked(decoded, options)
                line += _checked_lines(text, options.delimiter, line)
                if decoded:
                    yield text
    except OSError:
        # Not chained: the name of the file may be a patient's.
        raise RefusedFileError("unreadable_file", "it cannot be read") from None


def _decoded(piece: bytes, decoder: codecs.IncrementalDecoder, encoding: str, line: int) -> bytes:
    one_byte_each = not encoding.startswith("utf-16")
    if piece.isascii() and one_byte_each and not decoder.getstate()[0]:
        return piece
    try:
        text = decoder.decode(piece, final=not piece)
    except UnicodeDecodeError as error:
        if error.reason in _CUT_INSIDE_A_CHARACTER:
            raise RefusedFileError("truncated_file", "it ends inside a character") from None
        before = error.object[: error.start].decode(encoding)
        line += len(re.findall(r"\r\n?|\n", before))
        raise RefusedFileError("wrong_encoding", f"line {line} is not {encoding}") from None
    # A character may be cut by the end of a piece of UTF-8; no row is.
    return piece if encoding == "utf-8" else text.encode()


def _checked_lines(text: Text, delimiter: str, line: int) -> int:
    """Return how many lines end in a text without control bytes."""
    n_lines = text.count(LF)
    if np.count_nonzero(text.mark < SPACE) > n_lines:
        allowed = rb"[^ -\xff\t\n\r" + re.escape(delimiter.encode()) + rb"]"
        if control := re.search(allowed, text.content):
            line += text.content.count(b"\n", 0, control.start())
            raise RefusedFileError(
                "not_text", f"line {line} holds control bytes: not text, or UTF-16"
            )
    return n_lines
