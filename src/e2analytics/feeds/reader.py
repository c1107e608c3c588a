"""What the reader of a file format offers, and what it is shown of a file that no feed describes."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from e2analytics.feeds.batch import Batch

Encoding = Literal["utf-8", "utf-16", "utf-16-le", "utf-16-be", "windows-1252"]


class FormatOptions(BaseModel, frozen=True, extra="forbid"):
    """How files of a format are written; ``kind`` names the format."""

    kind: str


@dataclass(frozen=True)
class Beginning:
    """The first bytes of a file.

    Attributes
    ----------
    path
        The file.
    content
        Its first bytes; not all of a longer file.
    """

    path: Path
    content: bytes

    @cached_property
    def encoding(self) -> Encoding:
        """The encoding that it seems to have, if it is text."""
        if self.content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        if b"\0" in self.content:
            zeros = Counter(at % 2 for at, byte in enumerate(self.content) if not byte)
            return "utf-16-le" if zeros[1] > zeros[0] else "utf-16-be"
        try:
            codecs.getincrementaldecoder("utf-8")().decode(self.content)
        except UnicodeDecodeError:
            return "windows-1252"
        return "utf-8"

    @cached_property
    def text(self) -> str:
        """Its text in this encoding, without a byte order mark."""
        return self.content.decode(self.encoding, errors="replace").lstrip("\ufeff")


class Reader(Protocol):
    """The module of a format; ``Options`` is what a feed description may say about it."""

    __name__: str
    Options: type[Any]  # subclasses of FormatOptions, which mypy does not accept of a module

    def read(self, path: Path, options: Any) -> Iterator[Batch]:
        """Yield the rows of a file, some at a time."""

    def header(self, path: Path, options: Any) -> dict[str, list[str]]:
        """Return the columns of each record of a file; none where they are unknown."""

    def looks_like(self, beginning: Beginning) -> bool:
        """Return whether a file begins like one of this format, and of no other."""
