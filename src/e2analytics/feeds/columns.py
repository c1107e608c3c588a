"""Names of the columns of a file, in every format."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from e2analytics.errors import RefusedFileError

MOST_COLUMNS: Final = 10_000
"""A file with more columns is not an export of a table."""

_OURS: Final = frozenset({"source_line", "source_part", "short_line"})


def named(written: Iterable[str | None]) -> list[str]:
    """Return the names of a header's columns, made distinct.

    A column without a name, or with one that readers use themselves, is called by its place.

    >>> named(["id", " value ", "", "source_line"])
    ['id', 'value', 'column 3', 'column 4']

    Raises
    ------
    RefusedFileError
        For too many columns, or two of one name.
    """
    names = [(name or "").strip() for name in written]
    if len(names) > MOST_COLUMNS:
        raise RefusedFileError("too_many_columns", f"its header has {len(names):,} columns")
    names = [
        f"column {place}" if not name or name in _OURS else name
        for place, name in enumerate(names, start=1)
    ]
    if len(set(names)) < len(names):
        raise RefusedFileError("duplicate_column", "two columns of the header have the same name")
    return names
