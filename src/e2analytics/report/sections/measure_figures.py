"""The figures of a measure as they are printed.

In    rows of the table ``measures``, or sums of them
Out   Figure: a share with its counts in per cent, or why there is none
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from e2analytics.reference import measures
from e2analytics.report.formatting import listing, percent_of

HIDDEN_FIGURE: Final = "hidden: few men"


@dataclass(frozen=True, slots=True)
class Figure:
    """A share with its counts; shares in per cent.

    ``numerator`` is None where the measure was not measured or its counts are hidden; ``value`` also where
    no unit is eligible. ``words`` says it whatever it is.
    """

    numerator: int | None
    denominator: int | None
    value: float | None
    ci_low: float | None
    ci_high: float | None
    words: str
    share: str
    interval: str


@dataclass(frozen=True, slots=True)
class Signal:
    """What a chart signals: of which measure, where, and whether it is for the worse."""

    measure: str
    where: str
    words: str
    worse: bool


NO_FIGURE: Final = Figure(None, None, None, None, None, "no such month on record", "–", "–")


def figure_of(row: Mapping[str, Any]) -> Figure:
    """Say what a row counted."""
    if row["suppressed"]:
        return Figure(None, None, None, None, None, HIDDEN_FIGURE, "–", "–")
    if row["not_measured"] is not None:
        why = f"not measured: {reason(row['not_measured'])}"
        return Figure(None, None, None, None, None, why, "–", "–")
    counts = row["numerator"], row["denominator"]
    if row["value"] is None:
        return Figure(*counts, None, None, None, "no eligible patients", "–", "–")
    shares = tuple(100 * row[name] for name in ("value", "ci_low", "ci_high"))
    share = f"{percent_of(shares[0])} %"
    words = f"{counts[0]:,} of {counts[1]:,} ({share})"
    between = f"{percent_of(shares[1])} to {percent_of(shares[2])} %"
    value, ci_low, ci_high = shares
    return Figure(*counts, value, ci_low, ci_high, words, share, between)


def reason(not_measured: str) -> str:
    """Say why a measure says nothing.

    >>> reason("no_dxa"), reason("no_patients"), reason("short_record_of_psa")
    ('no DXA scan has come in', 'there are no patients', 'the record of PSA is still shorter than the measure looks back')
    """
    return listing(_one_reason(each) for each in not_measured.split("; "))


def _one_reason(name: str) -> str:
    sources = measures.load().sources
    if name == "no_patients":
        return "there are no patients"
    if name == "nothing_came_in":
        return "nothing at all has come in of late"
    if name.startswith("short_record_of_"):
        what = sources[name.removeprefix("short_record_of_")].record
        return f"the record of {what} is still shorter than the measure looks back"
    return f"{sources[name.removeprefix('no_')].absent} has come in"


def of_clinic(clinic: str | None) -> pl.Expr:
    """Keep the rows of a clinic, or of all together."""
    return pl.col("clinic_id").eq_missing(pl.lit(clinic, dtype=pl.String))
