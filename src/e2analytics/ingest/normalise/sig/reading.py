"""Parses the directions of a prescription (sig): mg per dose, doses per week, days of the week, an end.

In    the wordings of orders: sig, strength, and drug as written
Out   what each fixes, one row for each different wording; null where the wording leaves it open

A sig is understood to its last word, or it fixes nothing: its words (``words``) must be covered by
clauses without a gap. A range, an alternative, a taper and "as needed" fix nothing, and say so
(``sig_varies``), whatever stands around them. Two doses in one sig, two frequencies that disagree, tablets of
unknown strength leave their part open. What a sig names beside the columns of its order is compared with them
even where the sig is not understood: that can raise a doubt, never make a dose. Prescriptions repeat each
other, so every wording is read once, however many rows have it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import polars as pl

from e2analytics.ingest.normalise.sig.amount import dose_mg, in_mg
from e2analytics.ingest.normalise.sig.clauses import Clause, find_clauses
from e2analytics.ingest.normalise.sig.schedule import lasts_days, rate, schedule
from e2analytics.ingest.normalise.sig.words import words

WORDING: Final = ("sig", "strength", "raw_drug")
LONGEST: Final = 500
"""Characters; a longer text is a letter, not a sig, and is not read."""


class Sig(NamedTuple):
    """What a sig fixes.

    Attributes
    ----------
    dose_mg, doses_per_week
        None where it leaves them open.
    varies
        It states that the dose is not always the same.
    weekdays
        Days of the week, as ``mon thu``; None where it names none, or is not understood.
    lasts_days
        After so many days it ends ("for 10 days", "one dose"); None where it does not say.
    """

    dose_mg: float | None
    doses_per_week: float | None
    varies: bool = False
    weekdays: str | None = None
    lasts_days: int | None = None


def doses(orders: pl.DataFrame) -> pl.DataFrame:
    """Return what each wording of an order fixes, and what it names.

    Parameters
    ----------
    orders
        Orders with the text columns of ``WORDING``.

    Returns
    -------
    DataFrame
        The three columns, every combination once; ``sig_dose_mg``, ``sig_doses_per_week``, ``sig_varies``,
        ``sig_weekdays``, ``sig_lasts_days``; and ``least_`` and ``most_dose_mg`` and ``_doses_per_week``, between
        which lies all that the sig names, whether it is understood or not.
    """
    wordings = orders.select(WORDING).unique(maintain_order=True)
    parsed = [(_parse(sig, drug), strength, drug) for sig, strength, drug in wordings.iter_rows()]
    fixed = [_fixed(*each) for each in parsed]
    named = [_named(*each) for each in parsed]
    columns = {
        "sig_dose_mg": pl.Series([each.dose_mg for each in fixed], dtype=pl.Float64),
        "sig_doses_per_week": pl.Series([each.doses_per_week for each in fixed], dtype=pl.Float64),
        "sig_varies": pl.Series([each.varies for each in fixed], dtype=pl.Boolean),
        "sig_weekdays": pl.Series([each.weekdays for each in fixed], dtype=pl.String),
        "sig_lasts_days": pl.Series([each.lasts_days for each in fixed], dtype=pl.Int64),
    }
    for place, quantity in enumerate(("dose_mg", "doses_per_week")):
        for extreme, of in (("least", min), ("most", max)):
            found = [of(each[place], default=None) for each in named]
            columns[f"{extreme}_{quantity}"] = pl.Series(found, dtype=pl.Float64)
    return wordings.with_columns(**columns)


def read(sig: str | None, strength: str | None = None, drug: str | None = None) -> Sig:
    """Return what one sig fixes; tablets and millilitres count by ``strength``, else by ``drug``.

    Examples
    --------
    >>> read("1/2 tab MWF", strength="1 mg")
    Sig(dose_mg=0.5, doses_per_week=3.0, varies=False, weekdays='mon wed fri', lasts_days=None)
    >>> read("0.5 mg twice weekly as needed").varies
    True
    >>> read("0.5 mg twice weekly with each injection")
    Sig(dose_mg=None, doses_per_week=None, varies=False, weekdays=None, lasts_days=None)
    """
    return _fixed(_parse(sig, drug), strength, drug)


def names(
    sig: str | None, strength: str | None = None, drug: str | None = None
) -> tuple[list[float], list[float]]:
    """Return the doses in mg and the doses per week that a sig names, whether it is understood or not.

    Examples
    --------
    >>> names("0.5 mg twice weekly, 1 mg daily before the visit")
    ([0.5, 1.0], [2.0, 7.0])
    """
    return _named(_parse(sig, drug), strength, drug)


def named_weekdays(text: str | None) -> str | None:
    """Return the days of the week of a text that names nothing else; None for all others.

    >>> named_weekdays("Mon/Thu")
    'mon thu'
    """
    clauses = _parse(text, None)
    if any(each.kind not in ("weekdays", "nothing") for each in clauses):
        return None
    return schedule(clauses)[1]


def _parse(sig: str | None, drug: str | None) -> list[Clause]:
    if sig is None or len(sig) > LONGEST:
        return []
    return list(find_clauses(words(sig, drug or "")))


def _fixed(clauses: list[Clause], strength: str | None, drug: str | None) -> Sig:
    kinds = {each.kind for each in clauses}
    if "varies" in kinds or "unknown" in kinds:
        return Sig(None, None, varies="varies" in kinds)
    per_week, weekdays = schedule(clauses)
    mg = dose_mg(clauses, strength or "", drug or "")
    return Sig(mg, per_week, weekdays=weekdays, lasts_days=lasts_days(clauses, per_week))


def _named(
    clauses: list[Clause], strength: str | None, drug: str | None
) -> tuple[list[float], list[float]]:
    if any(each.kind == "varies" for each in clauses):
        return [], []
    mg = dose_mg(clauses, strength or "", drug or "")
    per_week, _ = schedule(clauses)
    counted = any(each.kind in ("tablets", "ml", "product", "several", "many") for each in clauses)
    # Beside a number of tablets, mg may be the strength or the dose.
    mentioned = [] if counted else [number for number in map(in_mg, clauses) if number is not None]
    rates = [rate for rate in map(rate, clauses) if rate is not None]
    return (
        mentioned if mg is None else [mg],
        rates if per_week is None else [per_week],
    )
