"""Says what the texts of a column look like: counts and shapes, for the comments of a draft.

In    the texts of a column
Out   a phrase: how many are numbers, below or above a limit, words that are known; how numbers of patients
      are made up

No phrase holds a value. A letter of a number is shown only where many different numbers begin with it.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Final

import polars as pl

from e2analytics import reference
from e2analytics.feeds.drafting import vocabulary

_NUMBER: Final = r"^[-+]?[0-9]+(?:[.,][0-9]+)*$"
_MARKS: Final = {
    "<": r"^\s*(?:<|≤|=<|less than|lower than|under|below)\D*\d",
    ">": r"^\s*(?:>|≥|=>|greater than|more than|higher than|over|above)\D*\d",
}
_FLAGGED: Final = r"^[-+<>]?\s*[0-9]+(?:[.,][0-9]+)?\s*(?:\*+|[(\[]?[HLhlAa]{1,2}[)\]]?\*?)$"
_LIKE_LIMITS: Final = frozenset({"nd", "nondetected", "notdetected", "nonedetected", "undetectable", "bdl", "blq", "bql", "lod", "loq", "nnwb", "nichtnachweisbar"})  # fmt: skip
_SHARED_BY: Final = 5
_LONGEST_PREFIX: Final = 6
_SHAPES_SHOWN: Final = 3


def share_of_numbers(texts: pl.Series) -> float:
    """Return the share of texts that are numbers, with a comparator or without."""
    given = texts.drop_nulls().str.strip_chars()
    number = r"^[<>=≤≥\s]*[-+]?[0-9]*[.,]?[0-9]+\s*(?i:mg)?\s*[HLhl*]{0,2}$"
    return len(given.filter(given.str.contains(number))) / len(given) if len(given) else 1.0


def of_results(texts: pl.Series) -> str:
    """Say what results look like.

    >>> of_results(pl.Series(["22", "<5", "QNS", "ND", "see note"]))
    '5: 1 number, 1 with <, 1 QNS (no result), 1 ND (TODO: below which limit?), 1 other'
    """
    given = texts.drop_nulls().str.strip_chars()
    counts: dict[str, int] = {}
    left = given
    for what, pattern in (("number", _NUMBER), *((f"with {m}", p) for m, p in _MARKS.items())):
        is_one = left.str.contains(f"(?i){pattern}")
        counts[what] = int(is_one.sum())
        left = left.filter(~is_one)
    flagged = left.str.contains(_FLAGGED)
    counts["number with a flag beside it"] = int(flagged.sum())
    words = Counter(left.filter(~flagged).to_list())
    none = {vocabulary.key(word) for part in _no_result().values() for word in part}
    for word, number in sorted(words.items(), key=lambda each: -each[1]):
        if vocabulary.key(word) in none:
            counts[f"{word} (no result)"] = counts.get(f"{word} (no result)", 0) + number
        elif vocabulary.key(word) in _LIKE_LIMITS:
            counts[f"{word} (TODO: below which limit?)"] = number
        else:
            counts["other"] = counts.get("other", 0) + number
    return _counted(len(given), counts)


def of_units(texts: pl.Series) -> str:
    """Say which units that are known stand in a column, and how many others.

    >>> of_units(pl.Series(["pg/mL", "pg/mL", "ng/dL", "cubit", None]))
    '5: 2 pg/mL, 1 ng/dL, 1 unknown to us, 1 empty'
    """
    known = set(reference.units()["unit_spelling"])
    keys = pl.DataFrame({"unit": texts}).select("unit", key=reference.unit_key(pl.col("unit")))
    words: dict[str, int] = {}
    for unit, key in sorted(Counter(keys.rows()).elements(), key=lambda row: row[0] or ""):
        name = "empty" if unit is None else unit if key in known else "unknown to us"
        words[name] = words.get(name, 0) + 1
    last = {"unknown to us": 1, "empty": 2}
    counts = dict(sorted(words.items(), key=lambda each: (last.get(each[0], 0), -each[1])))
    return _counted(len(texts), counts)


def of_numbers(texts: pl.Series) -> str:
    """Say how the numbers of patients, orders or tests are made up.

    >>> of_numbers(pl.Series([f"MRN-{each:05}" for each in range(12)]))
    '12 different in 12: MRN-99999 (12; 12 with zeros in front)'
    >>> of_numbers(pl.Series(["SMITH7", "007", None]))
    '2 different in 2, 1 empty: AAAAA9 (1), 999 (1; 1 with zeros in front)'
    """
    given = texts.drop_nulls()
    different = given.unique(maintain_order=True).to_list()
    prefixes = _shared_prefixes(different)
    shapes: Counter[str] = Counter()
    zeros: Counter[str] = Counter()
    for text in given.to_list():
        shape = _shape(text, prefixes)
        shapes[shape] += 1
        zeros[shape] += re.match(r"\D*0\d", text) is not None
    shown = [
        f"{shape} ({number:,}"
        + f"; {zeros[shape]:,} with zeros in front" * (zeros[shape] > 0)
        + ")"
        for shape, number in shapes.most_common(_SHAPES_SHOWN)
    ]
    more = [f"{len(shapes) - len(shown)} more shapes"] * (len(shapes) > len(shown))
    empty = f", {texts.null_count():,} empty" * bool(texts.null_count())
    return f"{len(different):,} different in {len(given):,}{empty}: {', '.join([*shown, *more])}"


def _shared_prefixes(numbers: list[str]) -> frozenset[str]:
    heads = [re.match(r"[^\W\d]+[^\w]?", number) for number in numbers]
    counts = Counter(head[0] for head in heads if head and len(head[0]) <= _LONGEST_PREFIX)
    return frozenset(head for head, number in counts.items() if number >= _SHARED_BY)


def _shape(number: str, prefixes: frozenset[str]) -> str:
    head = next((each for each in prefixes if number.startswith(each)), "")
    rest = re.sub(r"\d", "9", number[len(head) :])
    return head + re.sub(r"[^\W\d_]", "A", rest)


def _counted(total: int, counts: dict[str, int]) -> str:
    words = [
        f"{number:,} {what}{'s' * (number != 1 and what == 'number')}"
        for what, number in counts.items()
        if number
    ]
    return f"{total:,}: {', '.join(words)}" if words else "empty in these rows"


def _no_result() -> dict[str, list[str]]:
    words: dict[str, list[str]] = reference.load("analytes")["no_result"]
    return words
