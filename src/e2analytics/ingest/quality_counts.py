"""Quality counts: how many rows of each file and day are complete, accepted and plausible, and how late results are.

In    rows of the canonical tables with their fate
Out   row_quality     grain table, source_file, day (``tables.sums``)
      report_delays   grain feed, month, minutes (``tables.sums``)

Only accepted and quarantined rows count. Changes no row and rejects none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import polars as pl

from e2analytics.reference.names import ESTRADIOL
from e2analytics.tables.categoricals import distinct, to_categories
from e2analytics.tables.months import month_of
from e2analytics.tables.registry import EVENT_DATE
from e2analytics.tables.sums import added_up

MINUTES_PER_DAY: Final = 1440
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

_ACCEPTED: Final = pl.col("fate") == "accepted"


def row_quality(reconciled: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the sum ``row_quality``.

    Parameters
    ----------
    reconciled
        By table: rows with ``fate``, ``failed_rules`` and ``source_file``.
    """
    return added_up(
        "row_quality", pl.concat(_count(table, rows) for table, rows in reconciled.items())
    )


def _count(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    read_from = distinct(to_categories(rows.select("source_file")))
    n = pl.len().cast(pl.Int64)
    # In one select: it makes no copy of the other columns of many rows.
    by_day = (
        rows.select(
            file=read_from.of,
            day=_day(table, rows),
            is_judged=_ACCEPTED | (pl.col("fate") == "quarantined"),
            complete=_complete(table, rows),
            # Conforming, too: what is in quarantine breaks a rule of its own (value conformance) or
            # one of all rows together, as when nobody knows its patient (relational conformance).
            accepted=_ACCEPTED,
            plausible=_ACCEPTED & (pl.col("failed_rules") == ""),
            # A day that the feed made up does not tell when the supplier could have sent the row.
            dated=_ACCEPTED & ~_day_is_declared(table, rows),
        )
        .lazy()
        .filter("is_judged")
        .group_by("file", "day")
        .agg(
            n.alias("n_rows"),
            pl.col("complete", "accepted", "plausible", "dated").sum().cast(pl.Int64),
        )
        .collect()
    )
    files = read_from.rows["source_file"].cast(pl.String)
    return by_day.with_columns(source_file=files[by_day["file"]], table=pl.lit(table)).drop("file")


def report_delays(labs: pl.DataFrame, files: pl.DataFrame) -> pl.DataFrame:
    """Return the sum ``report_delays``: accepted results by whole minutes from draw to report.

    Parameters
    ----------
    labs
        Laboratory rows with their fate.
    files
        The ledger: ``source_file``, ``feed``.
    """
    minutes = (pl.col("reported_at") - pl.col("collected_at")).dt.total_minutes()
    seconds = (pl.col("reported_at") - pl.col("collected_at")).dt.total_seconds()
    read_from = distinct(to_categories(labs.select("source_file")))
    feeds = read_from.rows.select(pl.col("source_file").cast(pl.String)).join(
        files.select("source_file", "feed"), on="source_file", how="left", maintain_order="left"
    )["feed"]
    counted = (
        labs.select(
            file=read_from.of,
            month=month_of(_day("labs", labs)),
            minutes=pl.when(_ACCEPTED & (seconds >= 0) & ~_day_is_declared("labs", labs)).then(
                minutes
            ),
        )
        .lazy()
        .drop_nulls("minutes")
        .group_by("file", "month", "minutes")
        .agg(n=pl.len())
        .collect()
    )
    return added_up("report_delays", counted.with_columns(feed=feeds[counted["file"]]))


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
