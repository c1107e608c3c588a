"""Grades the data of each supplier, table by table and month by month.

In    the sums ``row_quality`` and ``report_delays``, the ledger of files, the day of each run
Out   quality   grain feed, table, month: shares with numerator and denominator, and grades A to D

Completeness, conformance and plausibility are the categories of Kahn et al., eGEMs 2016;4(1):1244,
doi 10.13063/2327-9214.1244; timeliness is added to them. A share that the data cannot give is null, never
100 %. Only accepted and quarantined rows count, so that a supplier who corrects rows gets a better grade;
superseded, withdrawn and excluded rows do not (:mod:`e2analytics.ingest.quality_counts`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from e2analytics.ingest.quality_counts import MINUTES_PER_DAY
from e2analytics.tables.months import month_of
from e2analytics.tables.registry import key_of, order_of

OUR_OWN_RULE: Final = "our own rule"
MIN_ROWS: Final = 20
"""Our own rule: a share of fewer rows is reported and not graded."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The values at which a grade begins: A from ``a`` on, then B, then C; D is below them."""

    a: float
    b: float
    c: float
    unit: str
    source: str = OUR_OWN_RULE


SCALES: Final[Mapping[str, Scale]] = {
    "completeness": Scale(0.98, 0.95, 0.90, "share of rows, at least"),
    "conformance": Scale(0.99, 0.97, 0.90, "share of rows, at least"),
    "plausibility": Scale(0.99, 0.97, 0.90, "share of accepted rows, at least"),
    "timeliness": Scale(7, 14, 30, "median days from draw to report, at most"),
}
"""The overall grade is the worst of the known ones (our own rule)."""

_SHARES: Final = ("completeness", "conformance", "plausibility")


def grade(
    row_quality: pl.DataFrame,
    report_delays: pl.DataFrame,
    files: pl.DataFrame,
    *,
    read_on: Mapping[str, date],
) -> pl.DataFrame:
    """Grade every feed, table and month of the event.

    Parameters
    ----------
    row_quality, report_delays
        The sums.
    files
        The ledger: ``source_file``, ``feed``, ``run_id``.
    read_on
        The as-of day of each run, by ``run_id``; a missing run gives no days to read.

    Returns
    -------
    pl.DataFrame
        ``month`` is null for rows without a possible date, and for tables whose rows have none. ``days_to_report`` is a
        median of whole minutes: less than a minute below that of the exact times.
    """
    days = pl.DataFrame(
        list(read_on.items()), schema={"run_id": pl.String, "read_on": pl.Date}, orient="row"
    )
    known = files.join(days, on="run_id", how="left").select("source_file", "feed", "read_on")
    counted = (
        _counts(row_quality.join(known, on="source_file", how="left"))
        .join(_medians(report_delays), on=["table", "feed", "month"], how="left", nulls_equal=True)
        .with_columns(
            pl.col("days_to_report_of").fill_null(0),
            month=pl.date(pl.col("month") // 12, pl.col("month") % 12 + 1, 1).dt.strftime("%Y-%m"),
        )
    )
    return _graded(counted).sort(order_of("quality"))


def _counts(by_day: pl.DataFrame) -> pl.DataFrame:
    """Count by table, feed and month what was counted by file and day."""
    days_to_read = (pl.col("read_on") - pl.col("day")).dt.total_days().cast(pl.Float64)
    read = (days_to_read >= 0).fill_null(False)
    return (
        by_day.with_columns(
            month=month_of(pl.col("day")),
            days_to_read=pl.when(read).then(days_to_read),
            n_read=pl.when(read).then("dated").otherwise(0),
        )
        .sort("days_to_read")
        .group_by("table", "feed", "month", maintain_order=True)
        .agg(
            pl.col("n_rows").sum(),
            pl.col("complete").sum().alias("completeness_n"),
            pl.col("n_rows").sum().alias("completeness_of"),
            pl.col("accepted").sum().alias("conformance_n"),
            pl.col("n_rows").sum().alias("conformance_of"),
            pl.col("plausible").sum().alias("plausibility_n"),
            pl.col("accepted").sum().alias("plausibility_of"),
            _median_of_counts("days_to_read", "n_read").alias("days_to_read"),
            pl.col("n_read").sum().alias("days_to_read_of"),
        )
    )


def _medians(report_delays: pl.DataFrame) -> pl.DataFrame:
    return (
        report_delays.sort("minutes")
        .with_columns(days=pl.col("minutes") / MINUTES_PER_DAY)
        .group_by("feed", "month", maintain_order=True)
        .agg(
            _median_of_counts("days", "n").alias("days_to_report"),
            pl.col("n").sum().alias("days_to_report_of"),
        )
        .with_columns(table=pl.lit("labs"))
    )


def _median_of_counts(value: str, n: str) -> pl.Expr:
    """Return the median of sorted values, each of which occurs ``n`` times."""
    reached, half = pl.col(n).cum_sum() * 2, pl.col(n).sum()
    there = (pl.col(n) > 0) & pl.col(value).is_not_null()
    lower = pl.col(value).filter(there & (reached >= half)).first()
    upper = pl.col(value).filter(there & (reached > half)).first()
    return (lower + upper) / 2


def _graded(counted: pl.DataFrame) -> pl.DataFrame:
    shares = counted.with_columns(
        # 0 of 0 is null, not 100 %.
        pl.when(pl.col(f"{name}_of") > 0)
        .then(pl.col(f"{name}_n") / pl.col(f"{name}_of"))
        .alias(name)
        for name in _SHARES
    )
    letters = shares.with_columns(
        *(
            _letter(pl.col(name), pl.col(f"{name}_of"), SCALES[name]).alias(f"{name}_grade")
            for name in _SHARES
        ),
        # Fewer days are better. Days until a row is read are shown and not graded: a first
        # delivery of years of history is always late.
        timeliness_grade=_letter(
            pl.col("days_to_report"), pl.col("days_to_report_of"), SCALES["timeliness"]
        ),
    )
    worst = pl.max_horizontal(f"{name}_grade" for name in SCALES)
    return letters.with_columns(grade=worst).select(
        *key_of("quality"),
        "n_rows",
        *(f"{name}{part}" for name in _SHARES for part in ("_n", "_of", "", "_grade")),
        "days_to_report",
        "days_to_report_of",
        "timeliness_grade",
        "days_to_read",
        "days_to_read_of",
        "grade",
    )


def _letter(value: pl.Expr, of: pl.Expr, scale: Scale) -> pl.Expr:
    more_is_better = scale.a > scale.c
    reaches = [
        value >= cut if more_is_better else value <= cut for cut in (scale.a, scale.b, scale.c)
    ]
    return (
        pl.when(value.is_null() | (of < MIN_ROWS))
        .then(pl.lit(None, dtype=pl.String))
        .when(reaches[0])
        .then(pl.lit("A"))
        .when(reaches[1])
        .then(pl.lit("B"))
        .when(reaches[2])
        .then(pl.lit("C"))
        .otherwise(pl.lit("D"))
    )
