"""Headers of sheets over several lines, with merged cells.

In    the lines of a header as texts by column, and the merged cells
Out   one name for each column
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from openpyxl.utils.cell import range_boundaries

_MERGED: Final = re.compile(rb'<(?:\w+:)?mergeCell\b[^>]*\bref="([A-Z]+[0-9]+:[A-Z]+[0-9]+)"')
_CHUNK_BYTES: Final = 1 << 20
_LONGEST_TAG: Final = 200


class Line(NamedTuple):
    """A line of a sheet."""

    number: int
    texts: dict[int, str]
    """By the place of the column, from 1."""


class Merged(NamedTuple):
    """A range of cells that shows the text of its first."""

    left: int
    top: int
    right: int
    bottom: int


def merged(sheet: Any) -> list[Merged]:
    """Return the merged cells of a sheet, which stand behind all its rows."""
    found, rest = [], b""
    with sheet._get_source() as source:
        while chunk := source.read(_CHUNK_BYTES):
            text = rest + chunk
            # A tag that is cut in two is found with the next chunk; one in the overlap is found twice.
            found += [match.group(1).decode() for match in _MERGED.finditer(text)]
            rest = text[-_LONGEST_TAG:]
    return [Merged(*range_boundaries(each)) for each in dict.fromkeys(found)]


def joined(header: Mapping[int, Mapping[int, str]], ranges: list[Merged]) -> dict[int, str]:
    """Return the name of each column of a header of several lines: its group, then its own name.

    A group stands over the columns that its cell is merged over. In a line without merged cells it goes on
    to the right until the next text of its line; a cell with nothing below is no group but a name.

    >>> lines = {1: {1: "Chart", 2: "Estradiol", 4: "Testosterone"}, 2: {2: "Result", 3: "Unit", 4: "Result"}}
    >>> joined(lines, [])
    {1: 'Chart', 2: 'Estradiol Result', 3: 'Estradiol Unit', 4: 'Testosterone Result'}
    """
    numbers = sorted(header)
    last = max(column for texts in header.values() for column in texts)
    names: dict[int, list[str]] = {column: [] for column in range(1, last + 1)}
    for number in numbers:
        below = [header[other] for other in numbers if other > number]
        across = [each for each in ranges if each.top <= number <= each.bottom]
        group: str | None = None
        for column in names:
            text = header[number].get(column)
            if across:
                over = next((each for each in across if each.left <= column <= each.right), None)
                shown = header.get(over.top, {}).get(over.left) if over else text
                # Merged downwards as well it is said once.
                text = shown if over is None or number == max(over.top, numbers[0]) else None
            elif below:
                is_group = any(column in texts for texts in below)
                group = text if text and is_group else None if text or not is_group else group
                text = text or group
            if text and text not in names[column]:
                names[column].append(text)
    return {column: " ".join(parts) for column, parts in names.items() if parts}
