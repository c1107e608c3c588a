"""Tells the files beside the data of a drop, which nothing need be read from, by name or by content.

In    an entry of a drop
Out   what it is, in a few words; None for what is, or may be, data

Whatever is not surely one of these is data: a file that no feed takes is a broken contract.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

_LARGEST_LOOKED_INTO: Final = 1 << 24
_DOCUMENT: Final = r"(\.(md|txt|rst|html?|pdf|docx?|rtf))?"
_BY_NAME: Final = (
    ("hidden", r"\..*"),
    (
        "of the operating system",
        r"thumbs\.db|desktop\.ini|icon\r|__macosx|lost\+found|\$recycle\.bin|system volume information",
    ),
    ("a lock of an open document", r"~\$.*|.*~"),
    ("a readme", rf"(readme|read[ _-]me|licen[cs]e|copying|changelog)([ _-][a-z]{{1,12}})?{_DOCUMENT}"),
    ("a checksum", r".*\.(md5|sha1|sha256|sha384|sha512|crc|crc32|sfv)"),
    ("a checksum", r"((md5|sha1|sha256|sha384|sha512)sums?|checksums?)(\.(txt|md5|sha256))?"),
    ("a log", r".*\.log"),
)  # fmt: skip
_SIGNAL: Final = re.compile(
    r"_success|_started.*|_committed.*|.*\.(done|ok|ready|trg|trigger|flag|fin|complete|eof|sem|go)",
    re.IGNORECASE,
)
"""Files that say by being there that an export is complete; with content they may be data."""
_BULK_LOG: Final = re.compile(r"log.*\.ndjson", re.IGNORECASE)


def kind_of(path: Path, called: Iterable[str] = ()) -> str | None:
    """Return what a side file is.

    Parameters
    ----------
    path
        The entry of a drop.
    called
        Patterns of names that the clinic knows to be no data.

    >>> kind_of(Path("README.md")), kind_of(Path("labs.csv")), kind_of(Path("readme_labs.csv"))
    ('a readme', None, None)
    """
    name = path.name.lower()
    if any(fnmatchcase(name, pattern.lower()) for pattern in called):
        return "no data by the settings"
    for kind, pattern in _BY_NAME:
        if re.fullmatch(pattern, name, re.DOTALL):
            return kind
    try:
        return _by_content(path)
    except OSError:
        return None


def _by_content(path: Path) -> str | None:
    if path.is_symlink() or not path.is_file():
        return None
    if _SIGNAL.fullmatch(path.name) and not path.stat().st_size:
        return "a signal that an export is complete"
    if _BULK_LOG.fullmatch(path.name) and _is_bulk_log(path):
        return "a log of the server"
    if path.suffix.lower() == ".json" and _is_bulk_manifest(path):
        return "the list of files of a Bulk Data export"
    return None


def _is_bulk_log(path: Path) -> bool:
    """Return whether every line is an entry of a log; one resource among them is data."""
    entries = [_object(line) for line in _content(path).splitlines() if line.strip()]
    return bool(entries) and all(_is_log_entry(entry) for entry in entries)


def _is_log_entry(entry: dict[str, object] | None) -> bool:
    return entry is not None and "resourceType" not in entry and "eventId" in entry


def _is_bulk_manifest(path: Path) -> bool:
    content = _content(path)
    manifest = _object(content) if b'"transactionTime"' in content else None
    return manifest is not None and "output" in manifest and "resourceType" not in manifest


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.stat().st_size <= _LARGEST_LOOKED_INTO else b""


def _object(text: bytes) -> dict[str, object] | None:
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None
