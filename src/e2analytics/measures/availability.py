"""Availability: which clinics send what a quality measure needs, and for how long.

In    what clinics sent (the sum ``clinic_rows``), the last days of the months
Out   unavailable   grain month_end, clinic_id, measure: why the measure is not counted

A measure is not counted where its clinic has not yet sent what the measure needs, has sent it for a shorter
time than the measure looks back, or has stopped sending.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import polars as pl

from e2analytics.reference import measures
from e2analytics.tables.clinics import ANY_ROW, MAN

SILENT: Final = "nothing_came_in"
SHORT_RECORD: Final = "short_record_of_"
GRAIN: Final = ["month_end", "clinic_id", "measure"]


def unavailable(sent: pl.DataFrame, month_ends: Sequence[date]) -> pl.DataFrame:
    """Return the first reason why a clinic's data do not allow a measure by the end of a month.

    Parameters
    ----------
    sent
        The sum ``clinic_rows``.
    month_ends
        The days.

    Returns
    -------
    DataFrame
        ``month_end``, ``clinic_id``, ``measure`` and the reason, ``not_measured``; measures that can be counted have no row.
    """
    defined = measures.load()
    needs = pl.DataFrame(
        [
            {"measure": name, "source": source, "look_back_days": each.days.get("record", 0)}
            for name, each in defined.measures.items()
            for source in each.needs
        ]
    )
    since = sent.group_by("clinic_id", "source").agg(since=pl.col("on").min())
    missing = pl.col("since").is_null() | (pl.col("since") > pl.col("month_end"))
    recorded_days = (pl.col("month_end") - pl.col("since")).dt.total_days()
    silent = (pl.col("silent_days") > defined.silent_after_days) & (
        pl.col("silent_days") > 2 * pl.col("longest_gap_days")
    )
    reason = (
        pl.when(missing)
        .then(pl.format("no_{}", "source"))
        .when(silent)
        .then(pl.lit(SILENT))
        .when(recorded_days < pl.col("look_back_days"))
        .then(pl.format(f"{SHORT_RECORD}{{}}", "source"))
    )
    return (
        grid(sent, month_ends)
        .join(needs, on="measure", maintain_order="left_right")
        .join(since, on=["clinic_id", "source"], how="left", maintain_order="left")
        .join(
            _silences(sent, month_ends),
            on=["clinic_id", "month_end"],
            how="left",
            maintain_order="left",
        )
        .with_columns(not_measured=reason, is_there=~missing)
        .drop_nulls("not_measured")
        .group_by(GRAIN, maintain_order=True)
        # A source that never came matters more than one that came late.
        .agg(pl.col("not_measured").sort_by("is_there", maintain_order=True).first())
    )


def _silences(sent: pl.DataFrame, month_ends: Sequence[date]) -> pl.DataFrame:
    """Return how long before each month's end a clinic's last row lies, and its longest gap until then."""
    of_clinics = (
        sent.filter(pl.col("source") == ANY_ROW)
        .sort("clinic_id", "on")
        .with_columns(gap_days=pl.col("on").diff().over("clinic_id").dt.total_days())
    )
    return (
        month_rows(month_ends)
        .join(of_clinics, how="cross")
        .filter(pl.col("on") <= pl.col("month_end"))
        .group_by("clinic_id", "month_end")
        .agg(
            silent_days=(pl.col("month_end").first() - pl.col("on").max()).dt.total_days(),
            longest_gap_days=pl.col("gap_days").max(),
        )
    )


def month_rows(month_ends: Sequence[date]) -> pl.DataFrame:
    """Return a row a month."""
    return pl.DataFrame({"month_end": month_ends}, schema={"month_end": pl.Date})


def grid(sent: pl.DataFrame, month_ends: Sequence[date]) -> pl.DataFrame:
    """Return a row a month, clinic that has a man, and measure."""
    names = pl.DataFrame({"measure": list(measures.load().measures)})
    each_clinic = sent.filter(pl.col("source") == MAN).select("clinic_id").sort("clinic_id")
    return month_rows(month_ends).join(each_clinic, how="cross").join(names, how="cross")
