"""What a sheet shows of a number, where its format is part of what it says.

In    a number as text, and the number format of its cell (ECMA-376, part 1, 18.8.31)
Out   the text that a person reads there: leading zeros, a per cent sign, words and marks; never rounded,
      grouped or coloured, as those change nothing of the number

>>> as_shown("123", "0000000"), as_shown("0.452", "0.0%"), as_shown("5", '"<"0.0')
('0000123', '45.2%', '<5')
>>> as_shown("5.25", "#,##0.0"), as_shown("0", '0.0;-0.0;"ND"')
('5.25', 'ND')
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Final, NamedTuple

GENERAL: Final = "General"
_SILENT: Final = " $€£¥+()\xa0"
"""What stands beside a number and says nothing of it."""
# A quoted text, an escaped letter, room as wide as a letter, a filler, a colour or condition, or one sign.
_TOKEN: Final = re.compile(
    r'"([^"]*)"|\\(.)|_.|\*.|\[([^]]*)\]|(General)|(E[+-])|(.)', re.IGNORECASE
)
_CONDITION: Final = re.compile(r"(<=|>=|<>|<|>|=)(-?[0-9.]+)")
_COMPARE: Final[dict[str, Callable[[Decimal, Decimal], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<>": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}


class _Section(NamedTuple):
    """One of the parts of a format, for some of the numbers.

    Attributes
    ----------
    before, after
        What is shown beside the number.
    digits
        Its placeholders, with what stands between them; none if no number is shown.
    n_percent
        How many per cent signs it has.
    condition
        Which numbers it is for, if it says so.
    """

    before: str
    digits: str
    after: str
    n_percent: int
    condition: tuple[str, Decimal] | None


def as_shown(number: str, number_format: str) -> str:
    """Return a number as its cell shows it; ``number`` is its shortest exact text."""
    if number_format == GENERAL:
        return number
    value = Decimal(number)
    section = _chosen(_sections(number_format), value)
    if section is None:
        return number
    if not section.digits:
        return section.before.strip() or number
    text = number
    if section.n_percent:
        text = f"{(value * 100**section.n_percent).normalize():f}{'%' * section.n_percent}"
    is_padded = section.digits.count("0") > 1 and not set(section.digits) & set("#?.,E")
    if is_padded and not section.n_percent and value == abs(value.to_integral_value()):
        text = _padded(number, section.digits)
    return section.before.strip(_SILENT) + text + section.after.rstrip(_SILENT)


def _padded(number: str, pattern: str) -> str:
    """Fill the zeros of a pattern from the right; more digits than zeros stand before them."""
    digits = list(number)
    shown: list[str] = []
    for sign in reversed(pattern):
        shown.append((digits.pop() if digits else "0") if sign == "0" else sign)
    return "".join([*digits, *reversed(shown)])


def _chosen(sections: tuple[_Section, ...], value: Decimal) -> _Section | None:
    """Return the section of a number; none of a negative one, whose sign its section may leave out."""
    if any(section.condition for section in sections):
        others = (section for section in sections if section.condition is None)
        meant = (
            section
            for section in sections
            if section.condition and _COMPARE[section.condition[0]](value, section.condition[1])
        )
        return next(meant, next(others, None))
    if value < 0:
        return sections[0] if len(sections) == 1 and sections[0].n_percent else None
    return sections[2] if value == 0 and len(sections) > 2 else sections[0]


@cache
def _sections(number_format: str) -> tuple[_Section, ...]:
    parts: list[list[re.Match[str]]] = [[]]
    for token in _TOKEN.finditer(number_format):
        if token[6] == ";":
            parts.append([])
        else:
            parts[-1].append(token)
    return tuple(map(_section, parts))


def _section(tokens: list[re.Match[str]]) -> _Section:
    shown = ["", "", ""]
    condition = None
    n_percent = 0
    for token in tokens:
        quoted, escaped, bracketed, general, exponent, sign = token.groups()
        literal = quoted or escaped or ""
        if bracketed and (found := _CONDITION.fullmatch(bracketed)):
            condition = (found[1], Decimal(found[2]))
        elif general or exponent or (sign and sign in "0#?.,"):
            # What stood between two placeholders is between digits.
            shown[1] += shown[2] + ("#" if general else exponent or sign)
            shown[2] = ""
        elif sign == "%":
            n_percent += 1
        elif sign != "@":
            shown[2 if shown[1] else 0] += literal or sign or ""
    return _Section(shown[0], shown[1], shown[2], n_percent, condition)
