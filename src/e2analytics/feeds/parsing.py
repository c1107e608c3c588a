"""Parses numbers, days and times in the spellings that suppliers use.

In    texts
Out   numbers, days and instants; null where a text is not one
"""

from __future__ import annotations

from datetime import time, timedelta
from typing import Final

import polars as pl

_INSTANT = (
    r"^(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ](?P<time>[0-9]{2}:[0-9]{2})(?::(?P<second>[0-9]{2})(?:\.[0-9]+)?)?"
    r"(?:(?P<utc>Z)|(?P<sign>[+-])(?P<hours>0[0-9]|1[0-4]):?(?P<minutes>[0-5][0-9]))?)?$"
)
# How most times are written, by length: twice as fast as the pattern above, which reads the rest.
_PLAIN_TIMES: Final = (
    (10, "%Y-%m-%d"),
    (19, "%Y-%m-%dT%H:%M:%S"),
    (19, "%Y-%m-%d %H:%M:%S"),
    (16, "%Y-%m-%dT%H:%M"),
    (16, "%Y-%m-%d %H:%M"),
)
_LOCAL: Final = pl.Datetime("us")


def number(name: str) -> pl.Expr:
    """Read a column of numbers."""
    return finite(pl.col(name).cast(pl.Float64, strict=False))


def finite(number: pl.Expr) -> pl.Expr:
    """Keep finite numbers: not 1e400, "inf" or "nan"."""
    return pl.when(number.is_finite()).then(number)


def birthday(written: pl.Series) -> pl.Series:
    """Read the date as it is written: it is nobody's instant, whatever stands behind it."""
    local, _ = _as_written(written)
    return local.dt.date()


def day(written: pl.Series, timezone: str) -> pl.Series:
    """Read the local date: as it is written with an offset, of ``timezone`` where it is written in UTC.

    Midnight in UTC is how programs write a day without a time: it stays that day.
    """
    local, offset = _as_written(written)
    is_midnight = local.dt.time() == time.min
    return _dates(local, offset, timezone).zip_with(~is_midnight.fill_null(True), local.dt.date())


def instant(written: pl.Series, timezone: str) -> tuple[pl.Series, pl.Series]:
    """Read each time as an instant in UTC, and as the local date.

    That is the date as it is written; of a time in UTC, which is nobody's local time, it is the date that
    it then was in ``timezone``.
    """
    local, offset = _as_written(written)
    here = _in_zone(local, timezone)
    if here.null_count() > local.null_count():
        # An hour that the clocks skipped: what was meant is at most an hour away.
        here = here.fill_null(_in_zone(local - timedelta(hours=1), timezone))
    if offset.null_count() < len(offset):
        here = (local - offset).dt.replace_time_zone("UTC").fill_null(here)
    return here, _dates(local, offset, timezone)


def _dates(local: pl.Series, offset: pl.Series, timezone: str) -> pl.Series:
    is_utc = (offset == timedelta()).fill_null(False)
    if not is_utc.any():
        return local.dt.date()
    there = local.dt.replace_time_zone("UTC").dt.convert_time_zone(timezone)
    return there.dt.date().zip_with(is_utc, local.dt.date())


def _in_zone(local: pl.Series, timezone: str) -> pl.Series:
    zoned = local.dt.replace_time_zone(timezone, ambiguous="earliest", non_existent="null")
    return zoned.dt.convert_time_zone("UTC")


def _as_written(written: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Read local times, and their offsets from UTC where they have one."""
    rows = pl.DataFrame({"text": written, "local": None}, schema_overrides={"local": _LOCAL})
    length = written.str.len_bytes()
    for n_bytes, format_ in _PLAIN_TIMES:
        if rows["local"].null_count() == written.null_count() or not (length == n_bytes).any():
            continue
        left = pl.when(pl.col("local").is_null() & (length == n_bytes))
        # Not cached by text: nearly every time is different.
        at = left.then("text").str.to_datetime(
            format_, time_unit="us", strict=False, cache=n_bytes == len("2020-01-01")
        )
        rows = rows.with_columns(local=pl.coalesce("local", at))
    if rows["local"].null_count() == written.null_count():
        return rows["local"], pl.repeat(None, len(rows), dtype=pl.Duration("us"), eager=True)
    rest = rows.select(
        pl.when(pl.col("local").is_null()).then("text").str.extract_groups(_INSTANT).alias("part")
    ).unnest("part")
    seconds = pl.col("second").fill_null("00")
    local = pl.format("{}T{}:{}", "day", pl.col("time").fill_null("00:00"), seconds)
    east = pl.duration(
        hours=pl.col("hours").cast(pl.Int64), minutes=pl.col("minutes").cast(pl.Int64)
    )
    read = rest.select(
        local=local.str.to_datetime("%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False),
        offset=pl.when(pl.col("utc").is_not_null())
        .then(pl.duration(hours=0))
        .when(pl.col("sign") == "-")
        .then(-east)
        .otherwise(east),
    )
    return rows["local"].fill_null(read["local"]), read["offset"]
