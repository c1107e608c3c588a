"""Scanners: which device took a scan. A clinic's id names one device; a change of maker under it, two.

In    scans with clinic, scanner's id, maker and the rules that failed
Out   the same scans, with ``maker_unsure``

A maker that is missing is no change: it is that of the id's other scans. Where these name two makers, or
where the word is there and not understood while others are, nobody knows which device it was.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics.tables.clinics import n_makers

_SCANNER: Final = ["clinic_id", "scanner_id"]
UNREADABLE: Final = "unreadable_manufacturer"


def with_maker_unsure(scans: pl.DataFrame, makers: pl.DataFrame | None = None) -> pl.DataFrame:
    """Add whether the device of each scan is unsure, by all scans under its id.

    Parameters
    ----------
    scans
        Scans with their clinic.
    makers
        ``Clinics.makers``; None: ``scans`` are all there are.
    """
    known = n_makers(scans) if makers is None else makers
    missing = pl.col("manufacturer").is_null()
    unreadable = missing & pl.col("failed_rules").str.split(" ").list.contains(UNREADABLE)
    n = pl.col("n_makers")
    return (
        scans.join(known, on=_SCANNER, how="left", nulls_equal=True, maintain_order="left")
        .with_columns(maker_unsure=missing & ((n > 1) | (unreadable & (n > 0))).fill_null(False))
        .drop("n_makers")
    )


def maker_changed() -> pl.Expr:
    """Return whether two scans, the second with the suffix ``_2``, name two makers."""
    return (pl.col("manufacturer") != pl.col("manufacturer_2")).fill_null(False)
