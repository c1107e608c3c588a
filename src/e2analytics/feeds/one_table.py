"""Refuses a sheet that holds several tables, side by side or one below the other.

In    the rows of a sheet, batch by batch, under the names of one header
Out   nothing, or the refusal: the rows of the other table would be read as rows of the first
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Final

import polars as pl

from e2analytics.errors import RefusedFileError
from e2analytics.feeds.no_rows import COLUMNS_OF_READERS, footer_pattern

_FIRST_ROWS: Final = 50
"""Rows by which it is told what a column holds."""
_NUMBERED: Final = re.compile(r" \([0-9]+\)$")


class OneTable:
    """Checks the rows of one sheet.

    Parameters
    ----------
    columns
        Names of the columns of its batches.

    Raises
    ------
    RefusedFileError
        If two parts of the header have a column of the same name.
    """

    def __init__(self, columns: list[str]) -> None:
        self._names = [name for name in columns if name not in COLUMNS_OF_READERS]
        self._blocks = _blocks(self._names)
        self._with_digits = set(range(len(self._names)))
        self._n_rows = 0
        self._last_line = 0
        if _share_a_name(self._names, self._blocks):
            raise RefusedFileError(
                "several_tables", "two tables with the same columns stand side by side"
            )

    def check(self, rows: pl.DataFrame) -> None:
        """Look at the next rows.

        Raises
        ------
        RefusedFileError
            If they are of another table.
        """
        for line, *texts in rows.select("source_line", *self._names).iter_rows():
            filled = {place: text for place, text in enumerate(texts) if text is not None}
            if filled and not footer_pattern().match(next(iter(filled.values()))):
                self._check_row(line, filled)
            self._n_rows, self._last_line = self._n_rows + 1, line

    def _check_row(self, line: int, filled: dict[int, str]) -> None:
        if self._is_beside(filled):
            raise RefusedFileError(
                "several_tables", f"in line {line} only the table beside is filled"
            )
        after_gap = self._n_rows > 0 and line > self._last_line + 1
        if after_gap and self._is_header(filled):
            raise RefusedFileError("several_tables", f"line {line} is the header of another table")
        if self._n_rows < _FIRST_ROWS:
            self._with_digits &= {place for place, text in filled.items() if _has_digit(text)}

    def _is_beside(self, filled: dict[int, str]) -> bool:
        if len(self._blocks) < 2 or len(filled) < 2:
            return False
        return not any(place in filled for place in self._blocks[0])

    def _is_header(self, filled: dict[int, str]) -> bool:
        is_repeated = all(self._names[place] == text for place, text in filled.items())
        words_only = len(filled) > 1 and not any(map(_has_digit, filled.values()))
        return words_only and not is_repeated and bool(self._with_digits & set(filled))


def _blocks(names: list[str]) -> list[range]:
    """Return the places of each part of a header that stands between columns without a name."""
    places = [at for at, name in enumerate(names) if name != f"column {at + 1}"]
    runs = groupby(enumerate(places), key=lambda pair: pair[1] - pair[0])
    found = [[place for _, place in run] for _, run in runs]
    return [range(run[0], run[-1] + 1) for run in found if len(run) > 1]


def _share_a_name(names: list[str], blocks: list[range]) -> bool:
    parts = [{_NUMBERED.sub("", names[place]) for place in block} for block in blocks]
    return any(one & other for at, one in enumerate(parts) for other in parts[:at])


def _has_digit(text: str) -> bool:
    return any(letter.isdigit() for letter in text)
