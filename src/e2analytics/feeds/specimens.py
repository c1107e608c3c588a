"""The specimen that a result was measured in, where its message says so beside the test's name.

In    the name of a test; words and codes of its specimen
Out   the name, with the specimen behind it where that is none of blood, as ``analytes.yaml`` lists them

A test called "Estradiol" is of serum by its name alone; of urine it is another test.
"""

from __future__ import annotations

from collections.abc import Iterable

from e2analytics.reference import load


def of_specimen(name: str | None, specimen: Iterable[str]) -> str | None:
    """Return the name of a test with its specimen.

    >>> of_specimen("Estradiol", ["UR"]), of_specimen("Estradiol", ["Serum"])
    ('Estradiol, urine', 'Estradiol')
    """
    other = other_specimen(specimen)
    return f"{name}, {other}" if name and other else name


def other_specimen(said: Iterable[str]) -> str | None:
    """Return the specimen that words or codes name, if it is none of blood."""
    others: dict[str, list[str]] = load("analytes")["sex_steroids"]["other_specimens"]
    words = {each.strip().casefold() for each in said}
    return next((other for other, spellings in others.items() if words & set(spellings)), None)
