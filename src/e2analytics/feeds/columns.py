"""Names of the columns of a file, in every format."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Final, Literal

from e2analytics.errors import RefusedFileError

Repeated = Literal["refuse", "number"]
"""What becomes of columns of one name."""

MOST_COLUMNS: Final = 10_000
"""A file with more columns is not an export of a table."""

_ALIKE: Final = 0.6
"""Least likeness of two names (Ratcliff and Obershelp) to be one name written otherwise; our own choice."""
_OURS: Final = frozenset({"source_line", "source_part", "short_line"})


def named(written: Iterable[str | None], repeated: Repeated = "refuse") -> list[str]:
    """Return the names of a header's columns, made distinct.

    A column without a name, or with one that readers use themselves, is called by its place.

    Parameters
    ----------
    written
        The names.
    repeated
        ``number`` numbers columns of one name from the left.

    >>> named(["id", " value ", "", "source_line"])
    ['id', 'value', 'column 3', 'column 4']
    >>> named(["id", "Result", "Unit", "Result", "Unit"], "number")
    ['id', 'Result (1)', 'Unit (1)', 'Result (2)', 'Unit (2)']

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
    if repeated == "number":
        names = _numbered(names)
    if len(set(names)) < len(names):
        raise RefusedFileError("duplicate_column", "two columns of the header have the same name")
    return names


def _numbered(names: list[str]) -> list[str]:
    # Every one of them: the bare name would stand for the first, whichever was meant.
    n_of, met = Counter(names), Counter[str]()
    numbered = []
    for name in names:
        met[name] += 1
        numbered.append(f"{name} ({met[name]})" if n_of[name] > 1 else name)
    return numbered


def differences(missing: Iterable[str], others: Iterable[str]) -> str:
    """Say which columns are missing, each with the one of ``others`` that is called most like it.

    >>> differences(["Chart No", "Fasting"], ["Chart Number", "Comment"])
    '`Chart No` is missing, `Chart Number` is there; `Fasting` is missing'
    """
    left = list(dict.fromkeys(others))
    said = []
    for name in dict.fromkeys(missing):
        alike = max(left, key=lambda other: likeness(name, other), default="")
        if likeness(name, alike) < _ALIKE:
            said.append(f"`{name}` is missing")
        else:
            left.remove(alike)
            said.append(f"`{name}` is missing, `{alike}` is there")
    return "; ".join(said)


def renamings(missing: Iterable[str], others: Iterable[str]) -> str:
    """Say which missing columns may be one of ``others``, written otherwise; empty if none may.

    >>> renamings(["stopped_on", "sig"], ["Stopped On", "comment"])
    '`stopped_on` is missing, `Stopped On` is there'
    """
    said = differences(missing, others).split("; ")
    return "; ".join(each for each in said if each.endswith("is there"))


def likeness(name: str, other: str) -> float:
    """Return how alike two names are, from 0 to 1, whatever their case and punctuation.

    A name within another is like it.

    >>> likeness("End", "end_date") == likeness("End date", "END") == _ALIKE
    True
    """
    one, two = (re.sub(r"[\W_]+", " ", each).strip().casefold() for each in (name, other))
    if not one or not two:
        return 0.0
    words = set(one.split()), set(two.split())
    is_within = words[0] <= words[1] or words[1] <= words[0]
    ratio = SequenceMatcher(None, one, two, autojunk=False).ratio()
    return max(ratio, _ALIKE) if is_within else ratio
