"""Loads ``schemas/``: the cited reference tables and the feed descriptions.

Small tables come out as frames, so that rows meet them by a join.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import yaml


def schemas_folder() -> Path:
    """Return ``schemas/`` of the checkout, or the copy that a wheel carries."""
    checkout = Path(__file__).parents[2] / "schemas"
    return checkout if checkout.is_dir() else Path(__file__).parent / "schemas"


@cache
def load(table: str) -> dict[str, Any]:
    """Return ``schemas/reference/<table>.yaml`` as written."""
    text = (schemas_folder() / "reference" / f"{table}.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


@cache
def analyte_names() -> pl.DataFrame:
    """Return ``spelling -> analyte``: names of tests, lower case."""
    return pl.DataFrame(
        [
            {"spelling": spelling.lower(), "analyte_by_name": analyte}
            for analyte, entry in load("analytes")["analytes"].items()
            for spelling in entry["names"]
        ]
    )


@cache
def analyte_codes() -> pl.DataFrame:
    """Return ``loinc -> analyte`` and the assay, where the code names its method."""
    return pl.DataFrame(
        [
            {"loinc": code, "analyte_by_code": analyte, "assay_by_code": facts.get("assay")}
            for analyte, entry in load("analytes")["analytes"].items()
            for code, facts in entry["loinc"].items()
        ],
        schema={"loinc": pl.String, "analyte_by_code": pl.String, "assay_by_code": pl.String},
    )


@cache
def units() -> pl.DataFrame:
    """Return ``analyte, spelling -> factor``; spellings lower case and without blanks."""
    return pl.DataFrame(
        [
            {"analyte": analyte, "unit_spelling": spelling.lower(), "factor": float(unit["factor"])}
            for analyte, entry in load("analytes")["analytes"].items()
            for unit in entry["units"].values()
            for spelling in unit["spellings"]
        ]
    )


@cache
def analytes() -> pl.DataFrame:
    """Return ``analyte -> unit, lowest and highest possible result`` in that unit."""
    return pl.DataFrame(
        [
            {
                "analyte": analyte,
                "canonical_unit": entry["unit"],
                "least_possible": float(entry["possible"][0]),
                "most_possible": float(entry["possible"][1]),
            }
            for analyte, entry in load("analytes")["analytes"].items()
        ]
    )


@cache
def laboratories() -> pl.DataFrame:
    """Return ``performing_lab -> assay`` of its estradiol."""
    return pl.DataFrame(
        list(load("analytes")["laboratories"].items()),
        schema={"performing_lab": pl.String, "assay_by_laboratory": pl.String},
        orient="row",
    )


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
