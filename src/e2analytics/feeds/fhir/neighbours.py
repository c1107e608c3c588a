"""The other FHIR files of a drop: drugs, devices, specimens and bone densities that a file refers to.

In    a file of FHIR resources
Out   the files beside it, in its own folder, that hold something which its references may mean

Bulk Data has a file for each type of resource, or several. Files are searched as bytes first, and parsed only
where they hold such a resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from e2analytics import reference

DIRECTORY: Final = re.compile(rb'"resourceType"\s*:\s*"(?:Medication|Device|Specimen)"')
"""What a text with a drug, a device or a specimen in it holds."""

_REFERS_TO_DIRECTORY: Final = re.compile(rb'"(?:medicationReference|device|specimen)"\s*:')
_SUFFIXES: Final = frozenset({".ndjson", ".jsonl", ".json"})
_BLOCK: Final = 2**24
_OVERLAP: Final = 2**10


def with_directory(path: Path) -> list[Path]:
    """Return the files beside a file that hold drugs or devices."""
    return [each for each in _beside(path) if _holds(each)[0]]


def with_scans(path: Path) -> list[Path]:
    """Return the files beside a file that hold bone densities or scores of them."""
    return [each for each in _beside(path) if _holds(each)[2]]


def needed(path: Path) -> list[Path]:
    """Return the files that decide, besides a file itself, what its rows say."""
    _, refers, has_scans = _holds(path)
    found = [*(with_directory(path) if refers else []), *(with_scans(path) if has_scans else [])]
    return list(dict.fromkeys(found))


def scan_codes() -> re.Pattern[bytes]:
    """Return a pattern of the LOINC codes of bone densities and their scores."""
    codes = "|".join(map(re.escape, reference.load("dxa_codes")["codes"]))
    return re.compile(f'"(?:{codes})"'.encode())


def _beside(path: Path) -> Iterator[Path]:
    folder = path.parent.resolve()
    for each in sorted(folder.iterdir(), key=lambda file: file.name):
        if each.suffix.lower() not in _SUFFIXES or each.name in (path.name, path.resolve().name):
            continue
        # A link may lead out of the drop; nothing outside of it is read.
        if not each.name.startswith(".") and each.is_file() and not each.is_symlink():
            yield each


def _holds(path: Path) -> tuple[bool, bool, bool]:
    """Return whether a file holds drugs or devices, references to them, and bone densities."""
    state = path.stat()
    return _searched(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4096)
def _searched(path: Path, _modified_ns: int, _size: int) -> tuple[bool, bool, bool]:
    patterns = (DIRECTORY, _REFERS_TO_DIRECTORY, scan_codes())
    found = [False, False, False]
    with path.open("rb") as file:
        before = b""
        while block := file.read(_BLOCK):
            text = before + block
            found = [
                known or pattern.search(text) is not None
                for known, pattern in zip(found, patterns, strict=True)
            ]
            before = block[-_OVERLAP:]
    return found[0], found[1], found[2]
