"""Loads ``schemas/``: the cited reference tables and the feed descriptions.

Small tables come out as frames, so that rows meet them by a join. A text of a table takes a fact that has its
home elsewhere by a placeholder: ``{lsc_factor}`` of :mod:`e2analytics.reference.constants`, ``{sites}`` and
``{symptoms}`` of the tables of these names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

import polars as pl

from e2analytics.reference import constants
from e2analytics.reference.yaml_text import from_yaml

PROPERTY: Final = r"\[(moles|mass)/volume\]"
"""What a LOINC's name says of its unit, in lower case."""


def schemas_folder() -> Path:
    """Return ``schemas/`` of the checkout, or the copy that a wheel carries."""
    checkout = Path(__file__).parents[3] / "schemas"
    return checkout if checkout.is_dir() else Path(__file__).parents[1] / "schemas"


@cache
def load(table: str) -> dict[str, Any]:
    """Return ``schemas/reference/<table>.yaml`` with its placeholders filled."""
    text = (schemas_folder() / "reference" / f"{table}.yaml").read_text(encoding="utf-8")
    text = text.replace("{lsc_factor}", f"{constants.LSC_FACTOR.value:g}")
    if "{sites}" in text:
        text = text.replace("{sites}", ", ".join(load("sites")["sites"]))
    if "{symptoms}" in text:
        text = text.replace("{symptoms}", ", ".join(load("symptoms")["symptoms"]))
    content: dict[str, Any] = from_yaml(text)
    return content


def name_key(name: pl.Expr) -> pl.Expr:
    """Return what is compared of a test's name: its words in alphabetical order, each once.

    Of estradiol and testosterone the words that do not change what is measured are left out.

    Examples
    --------
    >>> names = pl.DataFrame({"name": ["TESTOSTERONE, Total, MS", "Estradiol (E2), Roche ECLIA", "% free"]})
    >>> names.select(name_key(pl.col("name")))["name"].to_list()
    ['testosterone total', 'estradiol', 'free percent']
    """
    steroids = load("analytes")["sex_steroids"]
    words = _words(name)
    is_steroid = pl.any_horizontal(words.list.contains(word) for word in steroids["words"])
    plain = words.list.set_difference(_listed(steroids["qualifiers"]))
    return pl.when(is_steroid).then(plain).otherwise(words).list.sort().list.join(" ")


def names_sex_steroid(name: pl.Expr) -> pl.Expr:
    """Tell whether a test's name names estradiol or testosterone, whatever else it says.

    Examples
    --------
    >>> names = pl.DataFrame({"name": ["Estradiol, XY", "Dihydrotestosterone", "Prostaglandin E2"]})
    >>> names.select(names_sex_steroid(pl.col("name")))["name"].to_list()
    [True, False, False]
    """
    steroids = load("analytes")["sex_steroids"]
    words = _words(name).list.set_difference(steroids["other_substances"])
    contained = words.list.join(" ").str.contains("|".join(steroids["contain"]))
    named = pl.any_horizontal(words.list.contains(word) for word in steroids["words"])
    return (contained | named).fill_null(False)


def is_other_steroid_test(name: pl.Expr) -> pl.Expr:
    """Tell whether a name with estradiol or testosterone in it is known to be of another test than ours.

    Examples
    --------
    >>> names = pl.DataFrame({"name": ["Estradiol, free", "Estradiol, 24 hour urine", "Estradiol, free or total"]})
    >>> names.select(is_other_steroid_test(pl.col("name")))["name"].to_list()
    [True, True, False]
    """
    steroids = load("analytes")["sex_steroids"]
    others = steroids["other_tests"]
    words = _words(name)
    said_of = [
        words.list.contains(steroid)
        & (words.list.set_intersection(others[steroid] + others["both"]).list.len() > 0)
        for steroid in steroids["words"]
    ]
    known = [
        *steroids["words"],
        *_listed(steroids["qualifiers"]),
        *_listed(others.values()),
        *steroids["beside_other_tests"],
        *steroids["other_substances"],
    ]
    understood = words.list.set_difference(known).list.len() == 0
    return (pl.any_horizontal(said_of) & understood).fill_null(False)


def _words(name: pl.Expr) -> pl.Expr:
    """Return the words of a test's name, without those that are ignored, in one spelling."""
    table = load("analytes")
    steroids = table["sex_steroids"]
    text = name.str.to_lowercase()
    for phrase in table["ignored_phrases"]:
        text = text.str.replace_all(phrase, " ")
    words = (
        text.str.replace_all("%", " percent ", literal=True)
        .str.replace_all(r"\b[0-9]{5,}\b", " ")
        .str.extract_all(r"[\p{L}\p{N}]+")
    )
    spellings = {
        spelling: word for word, listed in steroids["words"].items() for spelling in listed
    }
    of_others = words.list.set_intersection(steroids["e2_of_others"]).list.len() > 0
    without_e2 = {key: word for key, word in spellings.items() if key != "e2"}
    return (
        pl.when(of_others)
        .then(words.list.eval(pl.element().replace(without_e2)))
        .otherwise(words.list.eval(pl.element().replace(spellings)))
        .list.set_difference(table["ignored_words"])
    )


def _listed(lists: Iterable[Iterable[str]]) -> list[str]:
    return [str(word) for words in lists for word in words]


def unit_key(unit: pl.Expr) -> pl.Expr:
    """Return what is compared of a unit's spelling.

    Examples
    --------
    >>> pl.DataFrame({"unit": ["PG / ml", "µg/L"]}).select(unit_key(pl.col("unit")))["unit"].to_list()
    ['pg/ml', 'ug/l']
    """
    # Two characters look like a small mu: the micro sign and the Greek letter.
    return unit.str.to_lowercase().str.replace_all(r"\s", "").str.replace_all("[\u00b5\u03bc]", "u")


@cache
def analyte_names() -> pl.DataFrame:
    """Return ``spelling -> analyte``: names of tests by their ``name_key``."""
    names = [
        {"spelling": name, "analyte_by_name": analyte}
        for analyte, entry in load("analytes")["analytes"].items()
        for name in entry["names"]
    ]
    return (
        pl.DataFrame(names).with_columns(name_key(pl.col("spelling"))).unique(maintain_order=True)
    )


@cache
def analyte_codes() -> pl.DataFrame:
    """Return ``loinc -> analyte``, the assay where the code names its method, and its property.

    The analyte is null for codes of something else that could be taken for one of ours.
    """
    ours = [
        {
            "loinc": code,
            "analyte_by_code": analyte,
            "assay_by_code": facts.get("assay"),
            "property_by_code": _property(facts["name"]),
        }
        for analyte, entry in load("analytes")["analytes"].items()
        for code, facts in entry["loinc"].items()
    ]
    others = [{"loinc": code} for code in load("analytes")["other_codes"]]
    return pl.DataFrame(
        [*ours, *others],
        schema=dict.fromkeys(
            ("loinc", "analyte_by_code", "assay_by_code", "property_by_code"), pl.String
        ),
    ).with_columns(code_known=pl.lit(True))


def _property(loinc_name: str) -> str | None:
    """Return what a LOINC measures by its name, moles or mass; none where that is to be confirmed."""
    written = re.search(PROPERTY, loinc_name.lower())
    return written[1] if written and "property to be confirmed" not in loinc_name else None


@cache
def units() -> pl.DataFrame:
    """Return ``analyte, spelling -> factor``; spellings by their ``unit_key``."""
    return pl.DataFrame(
        [
            {"analyte": analyte, "unit_spelling": spelling, "factor": float(unit["factor"])}
            for analyte, entry in load("analytes")["analytes"].items()
            for unit in entry["units"].values()
            for spelling in unit["spellings"]
        ]
    ).with_columns(unit_key(pl.col("unit_spelling")))


def unit_factors(analyte: str) -> dict[str, float]:
    """Return the units of an analyte with their factors to its own one; none of an unknown analyte."""
    entry = load("analytes")["analytes"].get(analyte, {"units": {}})
    return {name: float(unit["factor"]) for name, unit in entry["units"].items()}


@cache
def analytes() -> pl.DataFrame:
    """Return ``analyte ->`` its unit and, in it, what a result can be, what a man's result is like.

    ``least_by_ia`` and ``least_by_ms`` are the least numbers that an assay of the kind can tell, null
    where nobody has said.
    """
    return pl.DataFrame(
        [
            {
                "analyte": analyte,
                "unit": entry["unit"],
                "least_possible": float(entry["possible"][0]),
                "most_possible": float(entry["possible"][1]),
                "least_plausible": float(entry["plausible"][0]),
                "most_plausible": float(entry["plausible"][1]),
                **{
                    f"least_by_{assay}": entry.get("least_reportable", {})
                    .get(assay, {})
                    .get("limit")
                    for assay in ("ia", "ms")
                },
            }
            for analyte, entry in load("analytes")["analytes"].items()
        ],
        schema_overrides={"least_by_ia": pl.Float64, "least_by_ms": pl.Float64},
    )


def least_reportable() -> pl.Expr:
    """Tell the least number that a row's assay can tell, of the columns of :func:`analytes`."""
    assay = pl.col("assay")
    return pl.when(assay == "ms").then("least_by_ms").when(assay == "ia").then("least_by_ia")


def sites_with(fact: str) -> tuple[str, ...]:
    """Return the sites of which a fact is true: ``class_by_score`` or ``sided``."""
    return tuple(site for site, entry in load("sites")["sites"].items() if entry.get(fact))


@cache
def sites() -> pl.DataFrame:
    """Return ``site ->`` possible and plausible BMD (g/cm2) and the worst precision allowed (%)."""
    return pl.DataFrame(
        [
            {
                "site": site,
                "least_possible": float(entry["possible"][0]),
                "most_possible": float(entry["possible"][1]),
                "least_plausible": float(entry["plausible"][0]),
                "most_plausible": float(entry["plausible"][1]),
                "max_precision_cv_pct": float(entry["max_precision_cv_pct"]),
            }
            for site, entry in load("sites")["sites"].items()
        ]
    )


@cache
def site_limits() -> pl.DataFrame:
    """Return ``site, maker ->`` possible and plausible BMD (g/cm2) on that maker's scanners.

    A maker without an equation, and ``unknown``, may be any: the widest limits hold.
    """
    equations = load("sites")["standardised_bmd"]
    makers = list(load("sites")["words"]["manufacturer"])
    hologic = sites().drop("max_precision_cv_pct")
    names = [name for name in hologic.columns if name != "site"]
    rows = []
    for given in hologic.iter_rows(named=True):
        of_site = equations.get(given["site"], {})
        own = {
            maker: {name: _carried(given[name], of_site["Hologic"], scale) for name in names}
            for maker, scale in of_site.items()
        } or {"Hologic": {name: given[name] for name in names}}
        widest = {
            name: (min if name.startswith("least") else max)(each[name] for each in own.values())
            for name in names
        }
        rows += [
            {"site": given["site"], "maker": maker, **own.get(maker, widest)}
            for maker in [*makers, "unknown"]
        ]
    return pl.DataFrame(rows)


def _carried(bmd: float, of: dict[str, float], to: dict[str, float]) -> float:
    standardised = of["slope"] * bmd + of["intercept_g_cm2"]
    return round((standardised - to["intercept_g_cm2"]) / to["slope"], 2)


def dxa_word(about: str, written: pl.Expr) -> pl.Expr:
    """Return what a scanner's word means, or null where no pattern of it is known.

    Parameters
    ----------
    about
        ``manufacturer``, ``side`` or ``validity``.
    written
        The word, in any case.

    Examples
    --------
    >>> makers = pl.DataFrame({"maker": ["HOLOGIC", "GE MEDICAL SYSTEMS LUNAR", "Acme", "Lunar/Hologic"]})
    >>> makers.select(maker=dxa_word("manufacturer", pl.col("maker")))["maker"].to_list()
    ['Hologic', 'GE Lunar', None, None]
    """
    lower = written.str.to_lowercase().str.strip_chars()
    meanings: dict[str, list[str]] = load("sites")["words"][about]
    named = {
        meaning: lower.str.contains("|".join(patterns)).fill_null(False)
        for meaning, patterns in meanings.items()
    }
    # A word that names two of them says neither.
    is_one = pl.sum_horizontal(named.values()) == 1
    return pl.when(is_one).then(
        pl.coalesce(pl.when(is_it).then(pl.lit(meaning)) for meaning, is_it in named.items())
    )
