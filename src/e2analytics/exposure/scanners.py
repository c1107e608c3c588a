"""Scanners: which device took a scan. A clinic's id names one device; a change of maker under it, two.

In    scans with clinic, scanner's id, maker and the rules that failed
Out   the same scans, with ``maker_unsure``

A maker that is missing is no change: it is that of the id's other scans. Where these name two makers, or
where the word is there and not understood while others are, nobody knows which device it was.
"""

from __future__ import annotations

from typing import Final

import polars as pl

_SCANNER: Final = ["clinic_id", "scanner_id"]
UNREADABLE: Final = "unreadable_manufacturer"


def with_maker_unsure(scans: pl.DataFrame) -> pl.DataFrame:
    """Add whether the device of each scan is unsure, by all scans under its id."""
    missing = pl.col("manufacturer").is_null()
    unreadable = missing & pl.col("failed_rules").str.split(" ").list.contains(UNREADABLE)
    n_makers = pl.col("manufacturer").drop_nulls().n_unique().over(_SCANNER)
    return scans.with_columns(
        maker_unsure=missing & ((n_makers > 1) | (unreadable & (n_makers > 0)))
    )


def maker_changed() -> pl.Expr:
    """Return whether two scans, the second with the suffix ``_2``, name two makers."""
    return (pl.col("manufacturer") != pl.col("manufacturer_2")).fill_null(False)
