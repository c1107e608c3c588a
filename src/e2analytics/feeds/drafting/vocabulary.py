"""What suppliers' words may mean: ``schemas/drafting.yaml``, looked up.

In    names of columns, or texts of a column, as a supplier writes them
Out   the column of a table, or the code, that they may mean; nothing for an unknown word

Guesses only: what is found here stands in a draft, and never decides about a row.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from functools import cache

import yaml

from e2analytics.reference import schemas_folder


def key(text: str) -> str:
    """Return what is compared of a word.

    >>> key("Patient-ID"), key("BMD (g/cm²)")
    ('patientid', 'bmdgcm2')
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def columns(table: str, names: Iterable[str]) -> dict[str, str]:
    """Return the columns of ``table`` that ``names`` fill: table column -> name.

    No name fills two columns.

    >>> columns("labs", ["MRN", "Collected", "Result", "Name"])
    {'patient_id': 'MRN', 'collected_at': 'Collected', 'value': 'Result'}
    """
    return _assigned(_load()["columns"][table], names)


def times(table: str, names: Iterable[str]) -> dict[str, str]:
    """Return which of ``names`` hold the time of day of a date: table column -> name."""
    return _assigned(_load()["times"].get(table, {}), names)


def known(names: Iterable[str]) -> int:
    """Count the ``names`` that any table has a column for."""
    return sum(key(name) in _all_names() for name in names)


def codes(column: str) -> dict[str, str]:
    """Return what each known word of a column means: key -> our code; none if it has no codes."""
    return {
        key(word): code
        for code, words in _load()["values"].get(column, {}).items()
        for word in words
    }


def _assigned(meanings: Mapping[str, list[str]], names: Iterable[str]) -> dict[str, str]:
    left = {key(name): name for name in names}
    found: dict[str, str] = {}
    for column, words in meanings.items():
        word = next((key(word) for word in words if key(word) in left), None)
        if word is not None:
            found[column] = left.pop(word)
    return found


@cache
def _all_names() -> frozenset[str]:
    return frozenset(
        key(word)
        for part in ("columns", "times")
        for meanings in _load()[part].values()
        for words in meanings.values()
        for word in words
    )


@cache
def _load() -> dict[str, dict[str, dict[str, list[str]]]]:
    text = (schemas_folder() / "drafting.yaml").read_text(encoding="utf-8")
    content: dict[str, dict[str, dict[str, list[str]]]] = yaml.safe_load(text)
    return content
