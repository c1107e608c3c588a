"""Grades the data of each supplier, table by table and month by month.

In    the reconciled rows of every table, the ledger of files, the day of each run
Out   quality   grain feed, table, month: shares with numerator and denominator, and grades A to D

Completeness, conformance and plausibility are the categories of Kahn et al., eGEMs 2016;4(1):1244,
doi 10.13063/2327-9214.1244; timeliness is added to them. A share that the data cannot give is null, never
100 %. Only accepted and quarantined rows count, so that a supplier who corrects rows gets a better grade;
superseded, withdrawn and excluded rows do not.
Changes no row and rejects none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from e2analytics.reference.names import ESTRADIOL
from e2analytics.tables.categoricals import distinct, to_categories
from e2analytics.tables.months import month_of
from e2analytics.tables.registry import EVENT_DATE, key_of, order_of

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

WANTED: Final[Mapping[str, tuple[str, ...]]] = {
    "patients": ("patient_id", "clinic_id", "sex", "birth_date", "height_cm", "weight_kg"),
    "labs": ("result_id", "patient_id", "collected_at", "analyte", "value_low", "unit"),
    "dxa": ("scan_id", "patient_id", "scanned_on", "site", "bmd_g_cm2", "scanner_id"),
    "medications": ("order_id", "patient_id", "drug", "weekly_dose_mg", "started_on"),
    "events": ("event_id", "patient_id", "kind", "occurred_on"),
    "lifestyle": ("patient_id", "recorded_on"),
    "precision": ("clinic_id", "scanner_id", "site", "cv_pct"),
}
"""What the analyses need of a row; of an estradiol also an assay that is not ``unknown``."""

_NAME_IN_FEEDS: Final = EVENT_DATE | {"labs": "collected_at"}
"""By table: what rules and feeds call the day on which a row happened."""

_MONTHS: Final = 120_000
"""More than there are."""
_SHARES: Final = ("completeness", "conformance", "plausibility")


def grade(
    reconciled: Mapping[str, pl.DataFrame], files: pl.DataFrame, *, read_on: Mapping[str, date]
) -> pl.DataFrame:
    """Grade every feed, table and month of the event.

    Parameters
    ----------
    reconciled
        By table: every row ever read, with ``fate``, ``failed_rules`` and ``source_file``.
    files
        The ledger: ``source_file``, ``feed``, ``run_id``.
    read_on
        The as-of day of each run, by ``run_id``; a missing run gives no days to read.

    Returns
    -------
    pl.DataFrame
        ``month`` is null for rows without a possible date, and for tables whose rows have none.
    """
    days = pl.DataFrame(
        list(read_on.items()), schema={"run_id": pl.String, "read_on": pl.Date}, orient="row"
    )
    known = files.join(days, on="run_id", how="left").select("source_file", "feed", "read_on")
    counted = pl.concat(_count(table, rows, known) for table, rows in reconciled.items())
    return _graded(counted).sort(order_of("quality"))


def _count(table: str, rows: pl.DataFrame, files: pl.DataFrame) -> pl.DataFrame:
    accepted = pl.col("fate") == "accepted"
    read_from = distinct(to_categories(rows.select("source_file")))
    known = read_from.rows.select(pl.col("source_file").cast(pl.String)).join(
        files, on="source_file", how="left", maintain_order="left"
    )
    # In one select: it makes no copy of the other columns of many rows.
    judged = rows.select(
        file=read_from.of,
        day=_day(table, rows),
        is_judged=accepted | (pl.col("fate") == "quarantined"),
        complete=_complete(table, rows),
        # Conforming, too: what is in quarantine breaks a rule of its own (value conformance) or
        # one of all rows together, as when nobody knows its patient (relational conformance).
        accepted=accepted,
        plausible=accepted & (pl.col("failed_rules") == ""),
        days_to_report=pl.when(accepted).then(_days_to_report(table, rows)),
        # A day that the feed made up does not tell when the supplier could have sent the row.
        is_counted=accepted & ~_day_is_declared(table, rows),
    ).filter("is_judged")
    return (
        _counts(judged, known)
        .join(_medians(judged, known), on=["feed", "month"], how="left", nulls_equal=True)
        .with_columns(
            pl.col("days_to_report_of").fill_null(0),
            pl.lit(table).alias("table"),
            month=pl.date(pl.col("month") // 12, pl.col("month") % 12 + 1, 1).dt.strftime("%Y-%m"),
        )
    )


def _counts(judged: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Count by feed and month; rows of one file and day are added up first."""
    n = pl.len().cast(pl.Int64)
    by_day = (
        judged.lazy()
        .group_by("file", "day")
        .agg(
            n.alias("n_rows"),
            *(
                pl.col(name).sum().cast(pl.Int64)
                for name in ("complete", "accepted", "plausible", "is_counted")
            ),
        )
        .collect()
    )
    days_to_read = (pl.col("read_on") - pl.col("day")).dt.total_days().cast(pl.Float64)
    read = (days_to_read >= 0).fill_null(False)
    return (
        by_day.with_columns(known[by_day["file"]].select("feed", "read_on"))
        .with_columns(
            month=month_of(pl.col("day")),
            days_to_read=pl.when(read).then(days_to_read),
            n_read=pl.when(read).then("is_counted").otherwise(0),
        )
        .sort("days_to_read", "file", "day")
        .group_by("feed", "month", maintain_order=True)
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


def _median_of_counts(value: str, n: str) -> pl.Expr:
    """Return the median of sorted values, each of which occurs ``n`` times."""
    reached, half = pl.col(n).cum_sum() * 2, pl.col(n).sum()
    there = (pl.col(n) > 0) & pl.col(value).is_not_null()
    lower = pl.col(value).filter(there & (reached >= half)).first()
    upper = pl.col(value).filter(there & (reached > half)).first()
    return (lower + upper) / 2


def _medians(judged: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    feeds = known.select("feed").unique().sort("feed").with_row_index("number")
    number = known.join(feeds, on="feed", how="left", nulls_equal=True, maintain_order="left")
    of_feed = pl.lit(number["number"].cast(pl.Int32)).gather(pl.col("file"))
    return (
        judged.lazy()
        .filter(pl.col("days_to_report").is_not_null())
        # One number for both: grouping many rows by two columns takes twice as long.
        .select("days_to_report", group=of_feed * _MONTHS + month_of(pl.col("day")))
        .group_by("group")
        .agg(
            pl.col("days_to_report").median(),
            pl.col("days_to_report").count().cast(pl.Int64).alias("days_to_report_of"),
        )
        .with_columns(
            number=(pl.col("group") // _MONTHS).cast(pl.UInt32), month=pl.col("group") % _MONTHS
        )
        .join(feeds.lazy(), on="number")
        .drop("group", "number")
        .collect()
    )


def _complete(table: str, rows: pl.DataFrame) -> pl.Expr:
    wanted = WANTED[table]
    filled = pl.all_horizontal(pl.col(name).is_not_null() for name in wanted)
    if table == "labs":
        filled &= ((pl.col("analyte") != ESTRADIOL) | (pl.col("assay") != "unknown")).fill_null(
            False
        )
    return filled & ~_declared(rows, wanted)


def _declared(rows: pl.DataFrame, names: tuple[str, ...]) -> pl.Expr:
    """Return which rows have one of these columns from the feed description, not from the supplier."""
    return _names_one_of(rows, "imputed", names) if "imputed" in rows.columns else pl.lit(False)


def _day_is_declared(table: str, rows: pl.DataFrame) -> pl.Expr:
    return _declared(rows, (_NAME_IN_FEEDS[table],) if table in _NAME_IN_FEEDS else ())


def _names_one_of(rows: pl.DataFrame, column: str, names: tuple[str, ...]) -> pl.Expr:
    """Return which rows have one of ``names`` in a list of names separated by blanks."""
    # Few lists, many rows: each list is searched once.
    lists = rows[column].unique().drop_nulls().cast(pl.String)
    return pl.col(column).is_in([each for each in lists if {*each.split()} & {*names}])


def _day(table: str, rows: pl.DataFrame) -> pl.Expr:
    """Return the day of the event in a row, null where it is impossible."""
    if table not in EVENT_DATE:
        return pl.lit(None, dtype=pl.Date)
    impossible = _names_one_of(rows, "failed_rules", (f"impossible_{_NAME_IN_FEEDS[table]}",))
    return pl.when(~impossible).then(EVENT_DATE[table])


def _days_to_report(table: str, rows: pl.DataFrame) -> pl.Expr:
    if table != "labs":
        return pl.lit(None, dtype=pl.Float64)
    days = (pl.col("reported_at") - pl.col("collected_at")).dt.total_seconds() / 86_400
    return pl.when((days >= 0) & ~_day_is_declared(table, rows)).then(days)


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
