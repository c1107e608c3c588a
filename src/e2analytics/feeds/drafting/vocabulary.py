"""What suppliers' words may mean: ``schemas/drafting.yaml``, looked up.

In    names of columns with their labels, or texts of a column, as a supplier writes them
Out   the column of a table, or the code, that they may mean; nothing for an unknown word

Guesses only: what is found here stands in a draft, and never decides about a row.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final

from e2analytics.reference import schemas_folder
from e2analytics.reference.yaml_text import from_yaml

_WORD: Final = re.compile(r"#|[A-ZÄÖÜ]+(?![a-zäöüß])|[A-ZÄÖÜ]?[^\W\d_A-ZÄÖÜ]+|\d+")


def key(text: str) -> str:
    """Return what is compared of a word.

    >>> key("Patient-ID"), key("BMD (g/cm²)")
    ('patientid', 'bmdgcm2')
    """
    plain = unicodedata.normalize("NFKC", text).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def keys(name: str) -> tuple[str, ...]:
    """Return what is compared of a column's name: as it is, and without its abbreviations.

    >>> keys("Coll Dt"), keys("ptDOB"), keys("Acct #")
    (('colldt', 'collectiondate'), ('ptdob', 'patientdob', 'dob'), ('acct', 'accountnumber'))
    """
    words = _load()["abbreviations"]
    parts = ("number" if part == "#" else part.casefold() for part in _WORD.findall(name))
    spelt = [words.get(part, part) for part in parts]
    # Of a header of two lines the group stands before the name.
    of_patient = spelt[1:] if spelt[:1] in (["patient"], ["demographics"]) else []
    every = (key(name), key(" ".join(spelt)), key(" ".join(of_patient)))
    return tuple(dict.fromkeys(each for each in every if each))


def columns(
    table: str, names: Iterable[str], labels: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the columns of ``table`` that ``names`` fill: table column -> name.

    No name fills two columns; ``labels`` say more of some names.

    >>> columns("labs", ["MRN", "Coll Dt", "Rslt", "Name"])
    {'patient_id': 'MRN', 'collected_at': 'Coll Dt', 'value': 'Rslt'}
    """
    return _assigned(_load()["columns"][table], names, labels)


def times(
    table: str, names: Iterable[str], labels: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return which of ``names`` hold the time of day of a date: table column -> name."""
    return _assigned(_load()["times"].get(table, {}), names, labels)


def numbers(
    table: str, names: Iterable[str], labels: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return which of ``names`` hold the number of an ``order`` and of the ``item`` in it."""
    return _assigned(_load()["numbers"].get(table, {}), names, labels)


def operator(names: Iterable[str], labels: Mapping[str, str] | None = None) -> str | None:
    """Return which of ``names`` holds marks like "<" of the numbers in another column."""
    return _assigned({"": _load()["operators"]["names"]}, names, labels).get("")


def marks() -> dict[str, str]:
    """Return what the codes of an operator mean."""
    return dict(_load()["operators"]["marks"])


def known(names: Iterable[str]) -> int:
    """Count the ``names`` that any table has a column for."""
    return sum(not _all_names().isdisjoint(keys(name)) for name in names)


def codes(table: str, column: str) -> dict[str, str]:
    """Return what each known word of a column means: key -> our code; none if it has no codes."""
    values = _load()["values"]
    meanings = values.get(f"{table}.{column}", values.get(column, {}))
    return {key(word): code for code, words in meanings.items() for word in words}


@cache
def ended() -> frozenset[str]:
    """Return the words of an order's status that say that it is over, by their key."""
    return frozenset(map(key, _load()["ended"]))


def sites() -> dict[str, str]:
    """Return the words of the skeleton's sites, the longest first: key -> site."""
    words = codes("dxa", "site")
    return {word: words[word] for word in sorted(words, key=len, reverse=True)}


def _assigned(
    meanings: Mapping[str, list[str]], names: Iterable[str], labels: Mapping[str, str] | None
) -> dict[str, str]:
    left: dict[str, str] = {}
    for name in names:
        for each in _keys_of(name, labels or {}):
            left.setdefault(each, name)
    found: dict[str, str] = {}
    for column, words in meanings.items():
        fills = next((left[each] for word in words for each in keys(word) if each in left), None)
        if fills is not None:
            found[column] = fills
            left = {each: other for each, other in left.items() if other != fills}
    return found


def _keys_of(name: str, labels: Mapping[str, str]) -> Iterator[str]:
    yield from keys(name)
    if name in labels:
        yield from keys(labels[name])


@cache
def _all_names() -> frozenset[str]:
    return frozenset(
        each
        for part in ("columns", "times", "numbers")
        for meanings in _load()[part].values()
        for words in meanings.values()
        for word in words
        for each in keys(word)
    )


@cache
def _load() -> dict[str, Any]:
    text = (schemas_folder() / "drafting.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = from_yaml(text)
    return content
