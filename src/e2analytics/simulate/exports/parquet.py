"""The canonical tables as Parquet, dates and numbers typed: `schemas/feeds/canonical_parquet.yaml`.

A date that no calendar has cannot be typed: it is empty.
"""

from pathlib import Path
from typing import Final

import polars as pl

from e2analytics.simulate.exports.tables import Tables

TIMES: Final = ("collected_at", "reported_at")
DAYS: Final = (
    "birth_date",
    "trt_started_on",
    "scanned_on",
    "started_on",
    "stopped_on",
    "occurred_on",
)
NUMBERS: Final = (
    "height_cm",
    "weight_kg",
    "bmd_g_cm2",
    "t_score",
    "z_score",
    "body_fat_pct",
    "dose_mg",
    "doses_per_week",
    "cv_pct",
)


def typed(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table with dates, times and numbers; a result stays text, for the sake of `<5.0`."""
    have = set(table.columns)
    return table.with_columns(
        *(
            pl.col(name).str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False)
            for name in TIMES
            if name in have
        ),
        *(pl.col(name).str.to_date("%Y-%m-%d", strict=False) for name in DAYS if name in have),
        *(pl.col(name).cast(pl.Float64, strict=False) for name in NUMBERS if name in have),
    )


def write(folder: Path, tables: Tables) -> Tables:
    """Write every table; nothing is left."""
    for name, table in tables.items():
        typed(table).write_parquet(folder / f"{name}.parquet")
    return {}
