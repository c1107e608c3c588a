"""Which lumbar vertebrae a spine scan was read from, in one way of writing.

In    ``L1-L4``, ``L1,L2,L4``, ``L1 L2 L3 L4``, ``L2-L4 (L3)``, ``L1-4``, four flags ``1,1,0,1`` ...
Out   ``L1-L4`` where they are neighbours, ``L1,L2,L4`` where one between is left out; ``L3`` alone

Never guesses: what cannot be read, and any vertebra but L1 to L4, is null.
"""

from __future__ import annotations

from typing import Final

import polars as pl

_LUMBAR: Final = (1, 2, 3, 4)
# Ranges that span a vertebra without naming it, in either order.
_SPANS: Final = {2: "1-[34]|[34]-1", 3: "[12]-4|4-[12]"}
# A chain of neighbours says the same as a list and as a range; of others, nobody knows which it is.
_NAMED: Final = r"^(?:[1-4](?:-[1-4])?(?:,[1-4](?:-[1-4])?)*|1-2-3|2-3-4|1-2-3-4)$"
# Four inclusion flags, from L1 down.
_FLAGS: Final = r"^(0|1|NO?|Y(?:ES)?|F(?:ALSE)?|T(?:RUE)?)" + 3 * (
    r"[-,]?(0|1|NO?|Y(?:ES)?|F(?:ALSE)?|T(?:RUE)?)"
) + "$"  # fmt: skip
_INCLUDED: Final = "^[1YT]"


def _normal_forms() -> dict[int, str]:
    """Return the way of writing of every set, named by the sum of ``2 ** (vertebra - 1)``."""
    forms = {}
    for mask in range(1, 16):
        named = [number for number in _LUMBAR if mask & 1 << number - 1]
        neighbours = len(named) > 1 and named[-1] - named[0] == len(named) - 1
        ends = [named[0], named[-1]] if neighbours else named
        forms[mask] = ("-" if neighbours else ",").join(f"L{number}" for number in ends)
    return forms


_FORMS: Final = _normal_forms()


def normal_form(written: pl.Expr) -> pl.Expr:
    """Return the vertebrae in the one way of writing; null if it cannot be told which.

    What stands in parentheses, or after ``without`` or ``excluding``, was left out (so GE's enCORE
    labels it, from general knowledge). Two names without anything between, as in ``L1L4``, are a range,
    as in merged exports; more of them are a list.

    Examples
    --------
    >>> given = pl.DataFrame({"vertebrae": ["L1 - L4", "L2-L4 (L3)", "L3,L1,L2", "total"]})
    >>> given.select(form=normal_form(pl.col("vertebrae")))["form"].to_list()
    ['L1-L4', 'L2,L4', 'L1-L3', None]
    """
    text = (
        written.str.to_uppercase()
        .str.replace_all(r"[\u2010-\u2015\u2212]|\bTO\b|\bTHRU\b|\bTHROUGH\b", "-")
        .str.replace_all(r"\b(?:AP|PA|LUMBAR|SPINE|TOTAL)\b", "")
        .str.replace(r"^[\s:]*\(([^()]*)\)\s*$", "$1")
        .str.replace(r"\b(?:EXCLUDING|EXCL?|EXCEPT|WITHOUT|W/O)\b\.?", "(")
    )
    kept = _listed(text.str.replace(r"\(.*$", ""))
    out = _listed(text.str.extract(r"\((.*)$", 1).str.replace(r"\)\s*$", ""))
    without = text.str.contains("(", literal=True)
    flags = kept.str.extract_groups(_FLAGS)
    are_flags = kept.str.contains(_FLAGS) & ~without
    readable = kept.str.contains(_NAMED) & (~without | out.str.contains(_NAMED))
    mask = pl.lit(0)
    nonsense = pl.lit(False)
    for number in _LUMBAR:
        named, left_out = _names(kept, number), without & _names(out, number)
        flagged = flags.struct.field(str(number)).str.contains(_INCLUDED)
        included = pl.when(are_flags).then(flagged).otherwise(named & ~left_out)
        mask = mask + included.cast(pl.Int32) * 2 ** (number - 1)
        nonsense = nonsense | (left_out & ~named)
    form = mask.replace_strict(_FORMS, default=None, return_dtype=pl.String)
    return pl.when(are_flags | (readable & ~nonsense)).then(form)


def count(form: pl.Expr) -> pl.Expr:
    """Return how many vertebrae a normal form names.

    Examples
    --------
    >>> given = pl.DataFrame({"vertebrae": ["L1-L4", "L1,L2,L4", "L3", None]})
    >>> given.select(n=count(pl.col("vertebrae")))["n"].to_list()
    [4, 3, 1, None]
    """
    numbers = {name: mask.bit_count() for mask, name in _FORMS.items()}
    return form.replace_strict(numbers, default=None, return_dtype=pl.Int64)


def _listed(text: pl.Expr) -> pl.Expr:
    """Return digits joined by ``-`` and ``,`` alone, the letter L left out."""
    return (
        text.str.strip_chars(" ,;:\t")
        .str.replace(r"^L([1-4])L([1-4])$", "$1-$2")
        .str.replace_all(r"([1-4])L", "$1,L")
        .str.replace_all(r"\s*[,;+&/|\s]\s*", ",")
        .str.replace_all(r",*-,*", "-")
        .str.replace_all(r"\bL([1-4])", "$1")
    )


def _names(listed: pl.Expr, number: int) -> pl.Expr:
    spans = f"|{_SPANS[number]}" if number in _SPANS else ""
    return listed.str.contains(f"{number}{spans}")
