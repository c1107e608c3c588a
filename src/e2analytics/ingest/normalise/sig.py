"""Parses the directions of a prescription (sig): mg per dose, and doses per week.

In    the wordings of orders: sig, strength, and drug as written
Out   dose and frequency, one row for each different wording; null where the wording leaves them open

Refuses to guess. A range, a taper and "as needed" fix nothing (``sig_varies``); "as directed" says
nothing; two doses in one sig, two frequencies that disagree, tablets of unknown strength leave their
part open. Prescriptions repeat each other, so every wording is read once, however many rows have it.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final, NamedTuple

import polars as pl

from e2analytics.reference import load

WORDING: Final = ("sig", "strength", "raw_drug")
LONGEST: Final = 500
"""Characters; a longer text is a letter, not a sig, and is not read."""
SAME_DOSE_RATIO: Final = 0.05
"""Relative difference within which two doses are the same: a third of a tablet is written 0.33 mg. Our own rule."""

# A number that is not the end of another one: 1,000 and 5/8 are not read.
_N: Final = r"(?<![0-9.,/])([0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
_MG: Final = r"(?:mg|milligrams?)\b"
_ML: Final = r"(?:ml|milliliters?|millilitres?|cc)\b"
_TABLET: Final = r"(?:oral )?(?:tabs?|tablets?|tb|caps?|capsules?|pills?)\b"
_PER_ML: Final = rf"{_N} ?{_MG} ?/ ?([0-9.]*) ?{_ML}"

_DAY: Final = (
    r"\b(?:mon(?:days?)?|tue(?:s(?:days?)?)?|wed(?:nesdays?|s)?|thu(?:r(?:s(?:days?)?)?)?"
    r"|fri(?:days?)?|sat(?:urdays?)?|sun(?:days?)?)\b"
)
_BETWEEN_DAYS: Final = r"(?: ?(?:,|/|&|\+|-|\band\b|\bto\b|\bthrough\b|\bthru\b) ?(?:and |& )?| )"
_DAYS: Final = rf"{_DAY}(?:{_BETWEEN_DAYS}{_DAY})*"
_LETTER: Final = r"(?:th|tu|su|sa|m|t|w|f)"
_LETTERS: Final = rf"\b(?:mwf|t(?:u)?th(?:sa)?|mth|{_LETTER}(?: ?[/,&-] ?{_LETTER})+|{_LETTER}(?: {_LETTER}){{2,}})\b"
_DAY_OF_LETTER: Final = {"m": "mon", "t": "tue", "tu": "tue", "w": "wed", "th": "thu", "f": "fri", "sa": "sat", "su": "sun"}  # fmt: skip

_DAYS_IN: Final = {"d": 1.0, "n": 1.0, "h": 1 / 24, "w": 7.0, "m": 30.4375, "y": 365.25}
_EVERY: Final = rf"\b(?:(?:every|each|q) ?-?|e){_N} ?-?(days?|d|nights?|hours?|hrs?|h|weeks?|wks?|w|months?|mos?)\b"
_EVERY_NTH: Final = r"\b(?:every|each) ([2-9])(?:nd|rd|th) (day|night|week|month)s?\b"
_TIMES: Final = (
    r"(?<![0-9.,/])([1-9][0-9]?) ?(?:(?:x|times?) ?(?:/|a\b|per|each|every)?|/|a\b|per|each) ?"
    r"(day|d|night|week|wk|w|month|mo|year)(?:s|ly|y)?\b"
)
_DAYS_A_WEEK: Final = r"(?<![0-9.,/])([1-7]) days (?:a|per|each|every|/) ?(?:week|wk)\b"
_HOW_LONG: Final = rf"\b(?:for|x) ?{_N} ?-?(?:days?|d|weeks?|wks?|months?|mos?|years?)\b"

_WORDS: Final = {
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "once": "1 times",
    "twice": "2 times",
    "thrice": "3 times",
    "second": "2nd",
    "third": "3rd",
    "fourth": "4th",
    "fifth": "5th",
}
_FRACTIONS: Final = {"½": " 1/2 ", "¼": " 1/4 ", "¾": " 3/4 ", "⅓": " 1/3 ", "⅔": " 2/3 "}


class Sig(NamedTuple):
    """What a sig fixes; ``varies``: it states that the dose is not always the same."""

    dose_mg: float | None
    doses_per_week: float | None
    varies: bool = False


def doses(orders: pl.DataFrame) -> pl.DataFrame:
    """Return what each wording of an order fixes.

    Parameters
    ----------
    orders
        Orders with the text columns of ``WORDING``.

    Returns
    -------
    DataFrame
        The three columns, every combination once, and ``sig_dose_mg``, ``sig_doses_per_week``,
        ``sig_varies``.
    """
    wordings = orders.select(WORDING).unique(maintain_order=True)
    fixed = [read(*wording) for wording in wordings.iter_rows()]
    return wordings.with_columns(
        pl.Series("sig_dose_mg", [each.dose_mg for each in fixed], dtype=pl.Float64),
        pl.Series("sig_doses_per_week", [each.doses_per_week for each in fixed], dtype=pl.Float64),
        pl.Series("sig_varies", [each.varies for each in fixed], dtype=pl.Boolean),
    )


def read(sig: str | None, strength: str | None = None, drug: str | None = None) -> Sig:
    """Return what one sig fixes; tablets and millilitres count by ``strength``, else by ``drug``.

    Examples
    --------
    >>> read("1/2 tab MWF", strength="1 mg")
    Sig(dose_mg=0.5, doses_per_week=3.0, varies=False)
    >>> read("0.5 mg twice weekly as needed")
    Sig(dose_mg=None, doses_per_week=None, varies=True)
    >>> read("as directed")
    Sig(dose_mg=None, doses_per_week=None, varies=False)
    """
    if sig is None or len(sig) > LONGEST:
        return Sig(None, None)
    text = _plain(sig)
    if _says(text, "varies") or _is_range(text):
        return Sig(None, None, varies=True)
    if _says(text, "unclear"):
        return Sig(None, None)
    return Sig(_dose_mg(text, strength or "", drug or ""), _doses_per_week(text))


def _plain(sig: str) -> str:
    """Return the sig in small letters, quantities as decimal numbers, without dates and purposes."""
    text = sig.lower().replace("–", "-").replace("—", "-")
    for sign, fraction in _FRACTIONS.items():
        text = text.replace(sign, fraction)
    text = re.sub(r"\b[0-9]{4}-[0-9]{2}-[0-9]{2}\b|\b[0-9]{1,2}/[0-9]{1,2}/[0-9]{2,4}\b", " ", text)
    text = re.sub(
        r"\bto (?:help )?(?:reduce|lower|decrease|control|block|treat)\b[^.;,]*", " ", text
    )
    text = re.sub(r"(?<=[a-z])\.(?![0-9])", "", text)  # q.o.d., tab.
    text = re.sub(
        r"\b(?:an? |one[- ])?(half|quarter)(?:-| of)?(?: an?\b| one\b)?", _named_fraction, text
    )
    text = re.sub(rf"\b(?:{'|'.join(_WORDS)})\b", lambda word: _WORDS[word[0]], text)
    text = re.sub(r"\bof (?:an? |the )?", " ", text)
    text = re.sub(rf"(?<=[0-9]) an? (?={_TABLET})", " ", text)  # "1/2 a tablet"
    text = re.sub(rf"\ban? (?={_TABLET})", "1 ", text)
    # A comma before one or two digits is a decimal comma; before three it may part thousands.
    text = re.sub(r"(?<![0-9.,])([0-9]+),([0-9]{1,2})(?![0-9.,])", r"\1.\2", text)
    text = re.sub(r"\s+", " ", text)
    text = re.sub(
        r"(?<![0-9./])(?:([0-9])(?: and |[ -]))?([1-3])/([2-4])(?![0-9/])", _fraction, text
    )
    return re.sub(
        r"([0-9.]+) ?\( ?\1 ?\)", r"\1", text
    ).strip()  # "2 (two) times", "one (1) tablet"


def _named_fraction(found: re.Match[str]) -> str:
    return " 1/2 " if found[1] == "half" else " 1/4 "


def _fraction(found: re.Match[str]) -> str:
    return f"{int(found[1] or 0) + int(found[2]) / int(found[3]):.6g}"


@cache
def _any_of(kind: str) -> str:
    """Return the pattern of the words of one kind in drugs.yaml, longest first."""
    words = sorted(load("drugs")["sig"][kind], key=len, reverse=True)
    guarded = (re.escape(word) if word[0] == "/" else rf"\b{re.escape(word)}" for word in words)
    return rf"(?:{'|'.join(guarded)})\b"


def _says(text: str, kind: str) -> bool:
    return re.search(_any_of(kind), text) is not None


def _is_range(text: str) -> bool:
    unit = rf"(?: ?(?:{_MG}|{_ML}|{_TABLET}))?"
    # "1 mg - 2 times a week" is no range: its dash has blanks on both sides.
    patterns = (rf"{_N} ?- ?[0-9.]", rf"{_N}{unit}-[0-9.]", rf"{_N}{unit} (?:to|or) [0-9.]")
    return any(re.search(pattern, text) for pattern in patterns)


def _doses_per_week(text: str) -> float | None:
    text = re.sub(rf"\b(?:start|begin|next)[a-z]*(?: [a-z]+){{0,2}} {_DAY}", " ", text)
    text = re.sub(_HOW_LONG, " ", text)
    if re.search(rf"\b(?:every|each) (?:other|2nd) {_DAY}", text):
        return 0.5
    days, text = _days_named(text)
    often, text = _how_often(text)
    left = re.sub(r"\b1 ?(?:x|times)\b", " ", text)
    if days is None or re.search(r"\btimes\b|[0-9)] ?x\b(?! ?[0-9.])", left):
        return None  # "2 times", of an unknown period
    if days and not often:
        return float(days)
    if len(often) > 1:
        return None
    if days:
        # "Once a day on Mon and Thu" is two doses a week, "twice a day" there is four.
        a_day = {7.0: 1, 14.0: 2, float(days): 1}.get(often[0])
        return None if a_day is None else float(days * a_day)
    if often:
        return often[0]
    return 7.0 if len(set(re.findall(_any_of("once_a_day"), text))) == 1 else None


def _days_named(text: str) -> tuple[int | None, str]:
    """Count the days of the week that are named; None for a span, which may be two days or five."""
    named: set[str] = set()
    for pattern, day in ((_DAYS, _DAY), (_LETTERS, _LETTER)):
        for listed in re.findall(pattern, text):
            each = re.findall(day, listed)
            if re.search(r" (?:to|through|thru) ", listed) or (len(each) == 2 and "-" in listed):
                return None, text
            named |= {_DAY_OF_LETTER.get(word, word[:3]) for word in each}
        text = re.sub(pattern, " ", text)
    return len(named), text


def _how_often(text: str) -> tuple[list[float], str]:
    """Return the different numbers of doses a week that the text names, and the rest of the text."""
    per_week: list[float] = []
    for pattern in (_EVERY, _EVERY_NTH):
        per_week += [
            7 / (float(n) * _DAYS_IN[unit[0]]) for n, unit in re.findall(pattern, text) if float(n)
        ]
        text = re.sub(pattern, " ", text)
    per_week += [float(n) for n in re.findall(_DAYS_A_WEEK, text)]
    text = re.sub(_DAYS_A_WEEK, " ", text)
    per_week += [float(n) * 7 / _DAYS_IN[unit[0]] for n, unit in re.findall(_TIMES, text)]
    text = re.sub(_TIMES, " ", text)
    words = _any_of("doses_per_week")
    meaning = load("drugs")["sig"]["doses_per_week"]
    per_week += [float(meaning[word]) for word in re.findall(words, text)]
    different: list[float] = []
    for number in sorted(per_week):
        if not different or number > different[-1] * (1 + SAME_DOSE_RATIO):
            different.append(number)
    return different, re.sub(words, " ", text)


class _Amounts(NamedTuple):
    """The amounts that a text names, each as the different numbers of it."""

    per_ml: set[float]
    per_tablet: set[float]
    tablets: set[float]
    ml: set[float]
    mg: set[float]

    def are_single(self) -> bool:
        return all(len(numbers) <= 1 for numbers in self)


def _amounts(text: str) -> _Amounts:
    per_ml = {float(mg) / float(ml or 1) for mg, ml in re.findall(_PER_ML, text) if _is_size(ml)}
    text = re.sub(_PER_ML, " ", text)
    # "1/2 1 mg tablet", "2 x 0.5 mg": so many of that strength.
    several = rf"{_N} (?:x ?)?\(?{_N} ?{_MG}\)?(?: {_TABLET})?"
    tablets = {float(n) for n, _ in re.findall(several, text)}
    per_tablet = {float(mg) for _, mg in re.findall(several, text)}
    text = re.sub(several, " ", text)
    strength = rf"{_N} ?{_MG} ?(?:(?:/|per )? ?{_TABLET}|each\b)"
    per_tablet |= {float(mg) for mg in re.findall(strength, text)}
    text = re.sub(strength, " ", text)
    # Two numbers in a row are two numbers: which of them counts is open.
    counted = rf"(?:{_N} )?{_N} ?{_TABLET}|\btake {_N} (?:po|by mouth|orally)\b"
    tablets |= {float(n) for found in re.findall(counted, text) for n in found if n}
    ml = {float(n) for n in re.findall(rf"{_N} ?{_ML}", text)}
    mg = {float(n) for n in re.findall(rf"{_N} ?{_MG}(?! ?/ ?(?!day|d\b|week|wk|dose))", text)}
    return _Amounts(per_ml, per_tablet, tablets, ml, mg)


def _is_size(ml: str) -> bool:
    return ml == "" or (re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", ml) is not None and float(ml) > 0)


def _dose_mg(text: str, strength: str, drug: str) -> float | None:
    named = _amounts(text)
    if not named.are_single() or (named.tablets and named.ml):
        return None
    mg = _only(named.mg)
    if mg is not None and not named.tablets and not named.ml:
        return mg
    per_tablet = _strength(named.per_tablet, strength, drug, "per_tablet")
    if not named.tablets and not named.ml:
        # "1 mg tablet daily" is one tablet.
        return per_tablet if named.per_tablet else None
    each = per_tablet if named.tablets else _strength(named.per_ml, strength, drug, "per_ml")
    number = _only(named.tablets | named.ml)
    counted = None if each is None or number is None else each * number
    if mg is None or _same(mg, counted):
        return counted if mg is None else mg
    if counted is None:
        # "2 tablets (1 mg)" may be 1 mg or 2; of one tablet and of a volume the mg are the dose.
        return mg if named.ml or number == 1 or "total" in text else None
    return counted if _same(mg, each) else None


def _strength(in_sig: set[float], strength: str, drug: str, of: str) -> float | None:
    """Return the one strength that sig, strength and drug agree on; null if none has it or two differ."""
    written = [_written_strength(text.lower(), of) for text in (strength, drug)]
    different = {number for numbers in (in_sig, *written) for number in numbers}
    return _only(different) if len(different) == 1 else None


def _written_strength(text: str, of: str) -> set[float]:
    found = _amounts(text)
    return found.per_ml if of == "per_ml" else found.per_tablet | found.mg


def _only(numbers: set[float]) -> float | None:
    return next(iter(numbers), None)


def _same(one: float, other: float | None) -> bool:
    return other is not None and abs(one - other) <= SAME_DOSE_RATIO * max(one, other)
