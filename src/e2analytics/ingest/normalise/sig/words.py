"""The words of a sig: every spelling becomes the one word that it counts as.

In    the sig as written, and the drug of the order
Out   its words as ``schemas/reference/sigs.yaml`` names them, with a blank after each; numbers as decimals

A word that is not listed becomes ``UNKNOWN``, so that no rule of the grammar takes it. Only what is listed
as irrelevant is left out. A number that can be read in two ways (1,000; 05; 5/8) becomes ``NO_NUMBER``.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Final

from e2analytics.reference import load

UNKNOWN: Final = "?"
NO_NUMBER: Final = "nan"
VARIES: Final = "varies"
DRUG: Final = "drug"
DATE: Final = "date"
WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
NUMBER: Final = rf"(?:[0-9]+(?:\.[0-9]+)?|{NO_NUMBER})"
DAY: Final = rf"(?:{'|'.join(WEEKDAYS)})"

_FRACTION_SIGNS: Final = {"½": " 1/2 ", "¼": " 1/4 ", "¾": " 3/4 ", "⅓": " 1/3 ", "⅔": " 2/3 "}
_TOKEN: Final = re.compile(
    r"[0-9]+(?:st|nd|rd|th)\b|\.?[0-9]+(?:[.,/]+[0-9]+)*|[^\W\d_]+(?:'[a-z]+)?|\S"
)
_PUNCTUATION: Final = frozenset(",;.:()-")
_MOST_DIGITS: Final = 9
_LONGEST_PHRASE: Final = 7


def words(sig: str, drug: str = "") -> str:
    """Return the words of a sig, each followed by a blank.

    Examples
    --------
    >>> words("Take one-half tab by mouth on M/W/F.")
    'take 0.5 tablet mon and wed and fri . '
    >>> words("0.5 mg on Mondays if E2 is high")
    '0.5 mg mon ? object ? object '
    """
    tokens = _TOKEN.findall(_plain(sig))
    text = "".join(f"{word} " for word in _named(tokens, _names_of(drug.lower())))
    return _with_numbers(text)


def _plain(sig: str) -> str:
    """Return the sig in small letters, with one sign for each meaning and the days in full."""
    text = sig.lower()
    for sign, fraction in _FRACTION_SIGNS.items():
        text = text.replace(sign, fraction)
    text = unicodedata.normalize("NFKC", text).replace("⁄", "/").replace("×", "x")
    text = re.sub(r"[‐-―−]", "-", text).replace("’", "'")
    text = re.sub(r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}\b|\b[0-9]{1,2}/[0-9]{1,2}/[0-9]{2,4}\b", f" {DATE} ", text)  # fmt: skip
    text = re.sub(r"(?<=[a-z])\(s\)", "s", text)
    text = re.sub(r"(?<![a-z0-9])(?:[a-z]\.){2,}[a-z]?", lambda it: it[0].replace(".", ""), text)
    text = re.sub(r"\be ?-?(?=[0-9.]+ ?-?d)", "every ", text)
    text = re.sub(r"\bq-(?=[0-9])", "q ", text)
    text = re.sub(r"(?<=[0-9])x(?=wk|week|day|dai|mo)", " x ", text)
    text = _list_of_days().sub(_days_in_full, text)
    text = re.sub(r"(?<=[0-9])-(?=[1-3]/[2-4](?![0-9/]))", " ", text)  # 1-1/2
    text = re.sub(r"(?<=[0-9]) ?- ?(?=[0-9.])|(?<=[a-z])-(?=[0-9.])", " to ", text)
    return re.sub(r"(?<=\w)-(?=[a-z])", " ", text)


@cache
def _list_of_days() -> re.Pattern[str]:
    named = [name for day in WEEKDAYS for name in load("sigs")["words"][day]]
    letters = [letter for letter, days in _letters().items() if " " not in days]
    lists = [letter for letter, days in _letters().items() if " " in days]
    any_day = "|".join(sorted({*named, *letters}, key=len, reverse=True))
    between = r"(?: ?[/,&+-] ?(?:and )?| and )"
    return re.compile(
        rf"\b(?:(?:{any_day})(?:{between}(?:{any_day}))+|[mtwf]h?(?: [tuwrfs][hua]?){{2,}}|{'|'.join(lists)})\b"
    )


@cache
def _letters() -> dict[str, str]:
    letters: dict[str, str] = load("sigs")["weekday_letters"]
    return letters


def _days_in_full(listed: re.Match[str]) -> str:
    names = re.findall(r"[a-z]+", listed[0].replace(" and ", " "))
    days = [_letters().get(name) or _phrases().get((name,), UNKNOWN) for name in names]
    # Two days with a dash between them may be two days or a span.
    is_span = len(days) == 2 and "-" in listed[0]
    return f" {' to ' if is_span else ' and '} ".join(" ".join(days).split()).join("  ")


@cache
def _phrases() -> dict[tuple[str, ...], str]:
    """Return every listed phrase, as its tokens, with what it counts as."""
    content = load("sigs")
    phrases: dict[tuple[str, ...], str] = {}
    for word, spellings in content["words"].items():
        flat = (each for group in spellings for each in ([group] if isinstance(group, str) else group))  # fmt: skip
        phrases |= {
            tuple(_TOKEN.findall(each)): "" if word == "irrelevant" else word for each in flat
        }
    return phrases | {tuple(_TOKEN.findall(each)): VARIES for each in content["varies"]}


@cache
def _names_of(drug: str) -> frozenset[str]:
    """Return all names of the drugs that an order's drug text names."""
    named = [facts["names"] for facts in load("drugs")["drugs"].values()]
    written = set(re.findall(r"[a-z]+", drug))
    return frozenset(name for names in named if written & set(names) for name in names)


def _named(tokens: list[str], drug_names: frozenset[str]) -> list[str]:
    phrases, found, at = _phrases(), list[str](), 0
    while at < len(tokens):
        for length in range(min(_LONGEST_PHRASE, len(tokens) - at), 0, -1):
            word = phrases.get(tuple(tokens[at : at + length]))
            if word is not None:
                found.append(word)
                at += length
                break
        else:
            found.append(_single(tokens, at, drug_names))
            at += 1
    return [word for word in found if word]


def _single(tokens: list[str], at: int, drug_names: frozenset[str]) -> str:
    token = tokens[at]
    if token in drug_names:
        return DRUG
    if token in _PUNCTUATION or token == DATE:
        return token
    if ordinal := re.fullmatch(r"([2-9])(?:nd|rd|th)", token):
        return f"th{ordinal[1]}"
    if token[0].isdecimal() or (token[0] == "." and len(token) > 1):
        if "/" not in token:
            return _number(token)
        # "1 1/2" is a sum; "two 1/2" may be one.
        before = tokens[at - 1] if at else ""
        return f"{'+' if before.isdecimal() or before == 'and' else '~'}{_number(token)}"
    return UNKNOWN


def _number(written: str) -> str:
    if not written.isascii() or len(written) > _MOST_DIGITS:
        return NO_NUMBER
    if fraction := re.fullmatch(r"([1-3])/([2-4])", written):
        value = int(fraction[1]) / int(fraction[2])
        return f"{value:.6g}" if value < 1 else NO_NUMBER
    # A comma before one or two digits is a decimal comma; before three it may part thousands.
    decimal = re.sub(r"^([0-9]+),([0-9]{1,2})$|^(0),([0-9]+)$", r"\1\3.\2\4", written)
    if re.fullmatch(r"[0-9]*\.?[0-9]+", decimal) is None:
        return NO_NUMBER
    # "05 mg" may have lost its point; "1.250 mg" may have thousands.
    if re.match(r"0[0-9]|[1-9][0-9]{0,2}\.[0-9]{3}$", decimal):
        return NO_NUMBER
    return f"{float(decimal):.9f}".rstrip("0").rstrip(".")


_ARTICLE: Final = rf"(?: of)?(?: a| 1(?= tablet | {NUMBER} mg tablet ))?"
_PARTS: Final = {"half": 0.5, "quarter": 0.25}


def _with_numbers(text: str) -> str:
    """Put one number for "one and a half", "half of a", "two half", "1 (one)" and "a" before a tablet."""
    text = re.sub(rf"\b([0-9]+) (?:and )?\+({NUMBER}) ", _sum, text).replace("+", "")
    text = re.sub(rf"\b[0-9]+ ~{NUMBER} ", f"{NO_NUMBER} ", text).replace("~", "")
    text = re.sub(r"\b([0-9]+) and (?:a |1 )?(half|quarter) ", _sum, text)
    text = re.sub(rf"\b(?:({NUMBER}) |a )?(half|quarter){_ARTICLE} ", _product, text)
    text = re.sub(rf"\b(0\.[0-9]+)(?: of)?(?: a| of 1) (?=tablet |{NUMBER} mg tablet )", r"\1 ", text)  # fmt: skip
    text = re.sub(r"\b(0\.[0-9]+) of (?=[0-9.]+ mg tablet )", r"\1 ", text)
    text = re.sub(r"\ba (?=tablet )", "1 ", text)
    return re.sub(rf"\b({NUMBER}) \( ({NUMBER}) \) ", _twice, text)


def _sum(found: re.Match[str]) -> str:
    part = _PARTS.get(found[2]) or float(found[2])
    return f"{int(found[1]) + part:.9g} "


def _product(found: re.Match[str]) -> str:
    times = found[1] or "1"
    # "0.5 half" is no number; "two half" are two halves.
    return f"{float(times) * _PARTS[found[2]]:.9g} " if times.isdecimal() else f"{NO_NUMBER} "


def _twice(found: re.Match[str]) -> str:
    return f"{found[1] if found[1] == found[2] else NO_NUMBER} "
