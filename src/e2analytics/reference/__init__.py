"""Loads ``schemas/``: the cited reference tables and the feed descriptions.

Small tables come out as frames, so that rows meet them by a join. A text of a table takes a fact that has its
home elsewhere by a placeholder: ``{lsc_factor}`` of :mod:`e2analytics.reference.constants`, ``{sites}`` of
``sites.yaml``.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from e2analytics.reference import constants


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
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def name_key(name: pl.Expr) -> pl.Expr:
    """Return what is compared of a test's name: its words in alphabetical order, each once.

    Examples
    --------
    >>> names = pl.DataFrame({"name": ["TESTOSTERONE, Total, MS", "Total Testosterone", "% free"]})
    >>> names.select(name_key(pl.col("name")))["name"].to_list()
    ['testosterone total', 'testosterone total', 'free percent']
    """
    ignored = load("analytes")["ignored_words"]
    words = (
        name.str.to_lowercase()
        .str.replace_all("%", " percent ", literal=True)
        .str.replace_all(r"\b[0-9]{5,}\b", " ")
        .str.extract_all(r"[\p{L}\p{N}]+")
    )
    return words.list.set_difference(ignored).list.sort().list.join(" ")


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
    """Return ``loinc -> analyte`` and the assay, where the code names its method.

    The analyte is null for codes of something else that could be taken for one of ours.
    """
    ours = [
        {"loinc": code, "analyte_by_code": analyte, "assay_by_code": facts.get("assay")}
        for analyte, entry in load("analytes")["analytes"].items()
        for code, facts in entry["loinc"].items()
    ]
    others = [{"loinc": code} for code in load("analytes")["other_codes"]]
    return pl.DataFrame(
        [*ours, *others],
        schema={"loinc": pl.String, "analyte_by_code": pl.String, "assay_by_code": pl.String},
    ).with_columns(code_known=pl.lit(True))


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
    >>> makers = pl.DataFrame({"maker": ["HOLOGIC", "GE MEDICAL SYSTEMS LUNAR", "Acme"]})
    >>> makers.select(maker=dxa_word("manufacturer", pl.col("maker")))["maker"].to_list()
    ['Hologic', 'GE Lunar', None]
    """
    lower = written.str.to_lowercase().str.strip_chars()
    meanings: dict[str, list[str]] = load("sites")["words"][about]
    return pl.coalesce(
        pl.when(lower.str.contains("|".join(patterns))).then(pl.lit(meaning))
        for meaning, patterns in meanings.items()
    )
