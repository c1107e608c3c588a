"""Densitometry: the class of each scan, by the score that it rests on.

In    the accepted rows of dxa and patients
Out   densitometry   grain namespace, scan_id, site (``tables.exposure.Densitometry``): every row of dxa

Men of 50 and over are judged by the T-score, younger men by the Z-score alone (ISCD): a man who turns 50
between two scans changes the system, so compare his BMD, not his classes. Classes rest on the score that
was reported; the recomputed T is a check of it. Never classes a total body, and drops no scan.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics import reference
from e2analytics.reference.bone_scores import plain, recomputed_t
from e2analytics.tables.ages import completed_years

T_SCORES_FROM_AGE_YEARS: Final = 50
LOW_BONE_MASS_BELOW_T: Final = -1.0
OSTEOPOROSIS_UP_TO_T: Final = -2.5
LOW_FOR_AGE_UP_TO_Z: Final = -2.0
"""ISCD official positions, adults; WHO 1994 for the two T-scores. -1.0 itself is normal."""

_CLASSED_SITES: Final = reference.sites_with("class_by_score")
_ROUNDING: Final = 1e-9
_COLUMNS: Final = (
    "namespace",
    "scan_id",
    "site",
    "patient_id",
    "scanned_on",
    "age_years",
    "bone_class",
    "score_used",
    "why_not",
    "t_score",
    "z_score",
    "t_score_recomputed",
    "t_score_agrees",
    "reference_db",
    "doubts",
)


def classify(dxa: pl.DataFrame, patients: pl.DataFrame) -> pl.DataFrame:
    """Return every scan with its class, the score that it rests on, and its doubts.

    Parameters
    ----------
    dxa
        Accepted scans.
    patients
        The men, with ``birth_date``.

    Returns
    -------
    DataFrame
        ``bone_class`` is null where ``why_not`` says why. ``t_score_recomputed`` is null where the
        numbers of the reference database on this maker's scale are not known. ``doubts`` are
        ``radius_in_special_cases``, ``t_score_disagrees`` and ``male_reference``, separated by blanks.
    """
    aged = dxa.join(
        patients.select("patient_id", "birth_date"),
        on="patient_id",
        how="left",
        validate="m:1",
        maintain_order="left",
    ).with_columns(
        age_years=completed_years(pl.col("scanned_on")), t_score_recomputed=recomputed_t()
    )
    tolerance = reference.load("bone_references")["tolerance_t"]
    off = (pl.col("t_score") - pl.col("t_score_recomputed")).abs()
    classed_site = pl.col("site").is_in(_CLASSED_SITES)
    by_t = pl.col("age_years") >= T_SCORES_FROM_AGE_YEARS
    score = pl.when(by_t).then("t_score").otherwise("z_score")
    score_used = pl.when(by_t).then(pl.lit("t_score")).otherwise(pl.lit("z_score"))
    return (
        aged.with_columns(
            t_score_agrees=off <= tolerance + _ROUNDING,
            score_used=pl.when(classed_site & score.is_not_null()).then(score_used),
            bone_class=pl.when(classed_site).then(
                pl.when(by_t).then(_class_by_t()).otherwise(_class_by_z())
            ),
            why_not=pl.when(~classed_site)
            .then(pl.lit("site_has_no_class"))
            .when(score.is_null())
            .then(pl.format("no_{}", score_used)),
        )
        .with_columns(doubts=_doubts(), t_score_recomputed=pl.col("t_score_recomputed").round(2))
        .sort("patient_id", "site", "scanned_on", "namespace", "scan_id")
        .select(_COLUMNS)
    )


def _class_by_t() -> pl.Expr:
    t = pl.col("t_score")
    return (
        pl.when(t <= OSTEOPOROSIS_UP_TO_T)
        .then(pl.lit("osteoporosis"))
        .when(t < LOW_BONE_MASS_BELOW_T)
        .then(pl.lit("low_bone_mass"))
        .when(t.is_not_null())
        .then(pl.lit("normal"))
    )


def _class_by_z() -> pl.Expr:
    z = pl.col("z_score")
    return (
        pl.when(z <= LOW_FOR_AGE_UP_TO_Z)
        .then(pl.lit("below_expected_for_age"))
        .when(z.is_not_null())
        .then(pl.lit("within_expected"))
    )


def _doubts() -> pl.Expr:
    table = reference.load("bone_references")
    written = plain(pl.col("reference_db"))
    male = written.str.contains(table["male"]) & ~written.str.contains(table["female"])
    doubts = {
        "radius_in_special_cases": pl.col("site") == "one_third_radius",
        "t_score_disagrees": ~pl.col("t_score_agrees"),
        # Not an error: laboratories often do. But ISCD would compare men with women.
        "male_reference": male,
    }
    named = [pl.when(is_so).then(pl.lit(name)) for name, is_so in doubts.items()]
    return pl.concat_str(named, separator=" ", ignore_nulls=True)
