"""The dose of a sig: mg each time.

In    the clauses of a sig; strength and drug of its order as written
Out   mg per dose; None where two doses are named, or the strength of a tablet is unknown
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from e2analytics.ingest.normalise.sig.clauses import Clause, find_clauses, value
from e2analytics.ingest.normalise.sig.words import words

SAME_DOSE_RATIO: Final = 0.05
"""Relative difference within which two doses are the same: a third of a tablet is written 0.33 mg. Our own rule."""
AMOUNTS: Final = ("mg", "mcg", "total", "ml", "tablets", "several", "many", "product")
"""Kinds of clauses that say how much."""


def dose_mg(clauses: list[Clause], strength: str, drug: str) -> float | None:
    """Return mg per dose; tablets and millilitres count by ``strength``, else by ``drug``."""
    named = _amounts(clauses)
    if not named.are_single() or _are_added(clauses):
        return None
    if sum(bool(each) for each in (named.tablets, named.ml, named.product)) > 1:
        return None
    mg = _only(named.mg)
    is_total = any(each.kind == "total" for each in clauses)
    if named.product:
        return mg if is_total else None
    if not named.tablets and not named.ml:
        if is_total:
            return None  # of a dose, or of a week
        # "1 mg tablet daily" is one tablet.
        in_sig = _strength(named.per_tablet, strength, drug, "per_tablet")
        return mg if mg is not None else in_sig if named.per_tablet else None
    of = "per_tablet" if named.tablets else "per_ml"
    each = _strength(getattr(named, of), strength, drug, of)
    number = _only(named.tablets or named.ml)
    counted = None if each is None or number is None else each * number
    if mg is None or _same(mg, counted):
        return counted if mg is None else mg
    if counted is None:
        # "2 tablets (1 mg)" may be 1 mg or 2; of one tablet and of a volume the mg are the dose.
        return mg if named.ml or number == 1 or is_total else None
    # Of "1 mg (1/2 tablet)" the mg may be the strength or the dose.
    is_strength = _same(mg, each) and not is_total and not _explained_in_brackets(clauses)
    return counted if is_strength else None


def _explained_in_brackets(clauses: list[Clause]) -> bool:
    """Return whether tablets or millilitres stand in brackets, and the mg before them do not."""
    outside = {each.kind for each in clauses if not each.in_brackets}
    inside = {each.kind for each in clauses if each.in_brackets}
    return bool({"tablets", "ml"} & inside) and bool({"mg", "mcg"} & outside)


class _Amounts(NamedTuple):
    """The amounts that a sig names, each as the different numbers of it; None is an unreadable one."""

    per_ml: set[float | None]
    per_tablet: set[float | None]
    tablets: set[float | None]
    ml: set[float | None]
    mg: set[float | None]
    product: set[float | None]

    def are_single(self) -> bool:
        return all(len(numbers) <= 1 and None not in numbers for numbers in self)


def in_mg(clause: Clause) -> float | None:
    """Return the mg of a clause that names them; None for all else."""
    number = value(clause, "n")
    if clause.kind in ("mg", "total"):
        return number
    return number / 1000 if clause.kind == "mcg" and number is not None else None


def _amounts(clauses: list[Clause]) -> _Amounts:
    found = _Amounts(set(), set(), set(), set(), set(), set())
    for each in clauses:
        number, other = value(each, "n", "e"), value(each, "m")
        if each.kind in ("mg", "mcg", "total"):
            found.mg.add(in_mg(each))
        elif each.kind == "per_ml":
            volume = 1.0 if "m" not in each.values else other
            found.per_ml.add(number / volume if number is not None and volume else None)
        elif each.kind == "several":
            found.tablets.add(number)
            found.per_tablet.add(other)
        elif each.kind == "many":
            found.tablets.add(None if number is None or other is None else number * other)
        elif each.kind in ("per_tablet", "tablets", "ml", "product"):
            getattr(found, each.kind).add(number)
    return found


def _are_added(clauses: list[Clause]) -> bool:
    """Return whether two amounts are joined by "and": "0.5 mg + 0.5 mg"."""
    rest = [each for each in clauses if each.text not in (", ", "; ")]
    return any(
        before.kind in AMOUNTS and joined.text == "and " and after.kind in AMOUNTS
        for before, joined, after in zip(rest, rest[1:], rest[2:], strict=False)
    )


def _strength(in_sig: set[float | None], strength: str, drug: str, of: str) -> float | None:
    """Return the one strength that sig, strength and drug agree on; None if none has it or two differ."""
    written = [_written_strength(text, of) for text in (strength, drug)]
    different = {number for numbers in (in_sig, *written) for number in numbers}
    return _only(different) if len(different) == 1 else None


@lru_cache(maxsize=1000)
def _written_strength(text: str, of: str) -> frozenset[float | None]:
    found = _amounts(list(find_clauses(words(text))))
    return frozenset(found.per_ml if of == "per_ml" else found.per_tablet | found.mg)


def _only(numbers: set[float | None]) -> float | None:
    return next(iter(numbers), None)


def _same(one: float, other: float | None) -> bool:
    return other is not None and abs(one - other) <= SAME_DOSE_RATIO * max(one, other)
