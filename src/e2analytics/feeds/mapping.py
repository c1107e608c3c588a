"""Puts a supplier's columns under the names of a table, still as text.

In    rows of one file as its reader gave them
Out   the text columns of the table (``description.TEXT_COLUMNS``), where each row came from, which
      columns the feed declared (``imputed``) and why a row is none of ours (``apart``)

A line that holds several results becomes several rows with the same ``source_line``.
"""

from __future__ import annotations

import polars as pl

from e2analytics.feeds.description import (
    TEXT_COLUMNS,
    Age,
    Constant,
    FileDescription,
    Source,
)

INVALID_SCAN = "invalid_scan"
NOT_MEASURED = "not_measured"
PROVENANCE = ("source_file", "source_line", "source_part", "source_order")


def to_table(
    raw: pl.DataFrame, kind: FileDescription, *, namespace: str, source_file: str, source_order: int
) -> pl.DataFrame:
    """Return the rows of one file as text rows of ``kind.target``."""
    parts = [
        raw.select(
            pl.lit(source_file).alias("source_file"),
            "source_line",
            "short_line",
            pl.lit(number, dtype=pl.Int64).alias("source_part"),
            pl.lit(source_order, dtype=pl.Int64).alias("source_order"),
            pl.lit(namespace).alias("namespace"),
            pl.lit(" ".join(kind.imputed)).alias("imputed"),
            _validity(kind).alias("apart"),
            *_columns({**kind.columns, **part}, kind.target, raw.columns),
        )
        for number, part in enumerate(kind.parts)
    ]
    return _without_empty_parts(pl.concat(parts), kind)


def _columns(sources: dict[str, Source], target: str, present: list[str]) -> list[pl.Expr]:
    return [
        _text(sources[name], present).alias(name)
        if name in sources
        else pl.lit(None, dtype=pl.String).alias(name)
        for name in TEXT_COLUMNS[target]
    ]


def _text(source: Source, present: list[str]) -> pl.Expr:
    match source:
        case Constant(constant=value):
            return pl.lit(str(value))
        case Age(age_years=column, known_on=day):
            years = pl.col(column).cast(pl.Float64, strict=False).round(0).cast(pl.Int32)
            # The middle of the year of life: half a year off at the most.
            return pl.lit(day).dt.offset_by(pl.format("-{}mo", years * 12 + 6)).cast(pl.String)
        case str():
            return pl.col(source) if source in present else pl.lit(None, dtype=pl.String)
    if source.column not in present:
        return pl.lit(None, dtype=pl.String)
    text = pl.col(source.column)
    if source.below_detection is not None:
        below = pl.col(source.below_detection.column) == source.below_detection.equals
        text = pl.when(below).then(pl.lit(f"<{source.below_detection.limit:g}")).otherwise(text)
    if source.values is not None:
        text = text.replace(source.values)
    return pl.concat_str(pl.lit(source.prefix), text) if source.prefix else text


def _validity(kind: FileDescription) -> pl.Expr:
    if kind.valid_when is None:
        return pl.lit(None, dtype=pl.String)
    valid = pl.col(kind.valid_when.column).eq_missing(pl.lit(kind.valid_when.equals))
    return pl.when(~valid).then(pl.lit(INVALID_SCAN))


def _without_empty_parts(rows: pl.DataFrame, kind: FileDescription) -> pl.DataFrame:
    """Mark what was not measured; of a line with several results keep those that are there."""
    if kind.not_measured_when_empty is None:
        return rows
    empty = pl.col(kind.not_measured_when_empty).is_null()
    marked = rows.with_columns(
        apart=pl.coalesce("apart", pl.when(empty).then(pl.lit(NOT_MEASURED)))
    )
    first_of_all_empty = empty.all().over("source_line") & (pl.col("source_part") == 0)
    return marked.filter(~empty | first_of_all_empty)
