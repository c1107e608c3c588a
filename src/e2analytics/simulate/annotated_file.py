"""A file of the drop while defects are planted in it: its rows as text, each with its expected fate.

A row carries its place (rows are sorted by it at the end, so that line numbers are known last), the
defect it stands for, the fate that a correct ingestion gives it, the rule that explains the fate and
the place of the row that replaces it.
"""

from typing import Final, Literal

import polars as pl

Fate = Literal["accepted", "duplicate", "superseded", "withdrawn", "set_apart", "quarantined"]

# Distance between neighbouring rows: room for planted rows next to any of them.
STEP: Final = 10
NOTES: Final = ("_place", "_kind", "_fate", "_rule", "_twin")


def as_text(table: pl.DataFrame) -> pl.DataFrame:
    """Return the table as it is written: every value as text, dates and times in ISO 8601."""
    return table.with_columns(pl.col(pl.Datetime).dt.to_string("%Y-%m-%dT%H:%M:%S")).cast(pl.String)


def annotated(table: pl.DataFrame) -> pl.DataFrame:
    """Return a clean table as text with the notes of rows that are accepted as they are."""
    return as_text(table).with_columns(
        _place=pl.int_range(pl.len(), dtype=pl.Int64) * STEP,
        _kind=pl.lit(None, pl.String),
        _fate=pl.lit("accepted"),
        _rule=pl.lit(None, pl.String),
        _twin=pl.lit(None, pl.Int64),
    )


def planted(
    rows: pl.DataFrame,
    kind: str,
    fate: Fate,
    rule: str,
    *,
    offset: int = 1,
    twin: int | None = None,
) -> pl.DataFrame:
    """Return rows marked as one kind of defect.

    Parameters
    ----------
    rows : DataFrame
        Annotated rows, already changed to what is wrong with them.
    kind, fate, rule : str
        Kind of the defect, expected fate, and the rule that explains it.
    offset : int
        Place relative to the row they were copied from, less than `STEP` either way; 0 replaces that row.
    twin : int, optional
        Place, relative to the same row, of the row that replaces them.
    """
    return rows.with_columns(
        _place=pl.col("_place") + offset,
        _kind=pl.lit(kind),
        _fate=pl.lit(fate),
        _rule=pl.lit(rule),
        _twin=pl.lit(None, pl.Int64) if twin is None else pl.col("_place") + twin,
    )


def file_and_answers(name: str, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the file as written and its answer key: one row per defective line.

    Line 1 is the header, so the first row is line 2.
    """
    ordered = rows.sort("_place").with_row_index("line", offset=2)
    twins = ordered.select(pl.col("_place").alias("_twin"), pl.col("line").alias("twin_line"))
    answers = (
        ordered.filter(pl.col("_kind").is_not_null())
        .join(twins, on="_twin", how="left", validate="m:1", maintain_order="left")
        .select(
            pl.lit(name).alias("file"),
            "line",
            kind="_kind",
            expected_fate="_fate",
            rule="_rule",
            twin_line="twin_line",
        )
    )
    return ordered.drop("line", *NOTES), answers
