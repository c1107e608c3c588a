"""Scores of bone density: T by the reference databases whose numbers are known, and scores that BMD contradicts.

In    expressions over ``site``, ``bmd_g_cm2``, ``t_score``, ``z_score``, ``manufacturer``, ``reference_db``
Out   expressions: T recomputed, and whether a score and its BMD cannot both be right

The numbers stand in ``schemas/reference/bone_references.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from e2analytics import reference


def plain(text: pl.Expr) -> pl.Expr:
    """Return text in lower case, everything but letters and digits as one blank."""
    return text.str.to_lowercase().str.replace_all("[^a-z0-9]+", " ").str.strip_chars()


def recomputed_t() -> pl.Expr:
    """Return T from BMD, where the numbers of the reference are known for this maker and site."""
    written = plain(pl.col("reference_db"))
    return pl.coalesce(
        pl.when(
            (pl.col("site") == entry["site"])
            & (pl.col("manufacturer") == entry["maker"])
            & written.str.contains(entry["written"])
        ).then(_t(pl.col("bmd_g_cm2"), entry))
        for entry in reference.load("bone_references")["references"]
    )


def contradicts_bmd() -> pl.Expr:
    """Tell whether T or Z contradicts BMD: one of the two is wrong, and nobody knows which.

    T does where it lies further from the recomputed one than ``t_difference``. By whatever maker and reference,
    a score does where it is positive though BMD lies low even on the scale that reads lowest, or negative though
    BMD lies high even on the one that reads highest: a sign was lost, or added.

    >>> scans = pl.DataFrame({"bmd_g_cm2": [0.72, 0.72, 1.35], "t_score": [2.8, -2.8, -2.0]}).with_columns(
    ...     site=pl.lit("lumbar_spine"), z_score=None, manufacturer=None, reference_db=None
    ... ).cast({"z_score": pl.Float64, "manufacturer": pl.String, "reference_db": pl.String})
    >>> scans.select(contradicts_bmd()).to_series().to_list()
    [True, False, False]
    """
    doubted = reference.load("bone_references")["doubted"]
    bmd, t, z = pl.col("bmd_g_cm2"), pl.col("t_score"), pl.col("z_score")
    # Makers' scales differ: Hologic's is the lowest, the highest reads higher by this ratio.
    at_most = _by_site(bmd, highest_mean=False)
    at_least = _by_site(bmd / doubted["maker_ratio"], highest_mean=True)
    signs = doubted["sign"]
    is_so = (
        (t - recomputed_t()).abs() > doubted["t_difference"],
        (t > 0) & (at_most < -signs),
        (t < 0) & (at_least > signs),
        z - at_most > doubted["z_difference"],
    )
    return pl.any_horizontal(each.fill_null(False) for each in is_so)


def _by_site(bmd: pl.Expr, *, highest_mean: bool) -> pl.Expr:
    """Return T of a BMD by the reference of its site with the lowest mean, or the highest."""
    entries = sorted(
        reference.load("bone_references")["references"],
        key=lambda entry: float(entry["mean_g_cm2"]),
        reverse=highest_mean,
    )
    return pl.coalesce(
        pl.when(pl.col("site") == entry["site"]).then(_t(bmd, entry)) for entry in entries
    )


def _t(bmd: pl.Expr, entry: Mapping[str, Any]) -> pl.Expr:
    return (bmd - float(entry["mean_g_cm2"])) / float(entry["sd_g_cm2"])
