"""The ledger of files: every source line has one fate, and the fates of a file add up to its rows.

In    every row with its fate, and the files
Out   lines   grain source_file, source_line: one fate and its reason
      files   grain source_file: the ledger, rows by fate
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from e2analytics.errors import ContractError
from e2analytics.ingest.reconcile import FATES
from e2analytics.tables.categoricals import TEXT
from e2analytics.tables.registry import columns_of


def lines(settled: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return one row a source line with its one fate.

    A line that holds several results has the fate of its best one: accepted before all others.
    """
    return pl.concat(
        _one_fate_a_line(
            rows.select("source_file", "source_line", "source_part", "fate", "why")
        ).with_columns(table=pl.lit(table, dtype=TEXT))
        for table, rows in settled.items()
    )


def _one_fate_a_line(rows: pl.DataFrame) -> pl.DataFrame:
    line = ["source_file", "source_line"]
    if not (rows["source_part"] > 0).any():
        return rows.drop("source_part")
    best = pl.col("fate").cast(pl.String).cast(pl.Enum(FATES))
    return rows.sort(best).unique(line, keep="first", maintain_order=True).drop("source_part")


def ledger(files: pl.DataFrame, every_line: pl.DataFrame) -> pl.DataFrame:
    """Return the ledger with today's fates.

    Raises
    ------
    ContractError
        If the rows of a file and their fates do not add up: a defect of e2analytics.
    """
    counts = (
        every_line.group_by("source_file")
        .agg((pl.col("fate") == fate).sum().cast(pl.Int64).alias(fate) for fate in FATES)
        .with_columns(pl.col("source_file").cast(pl.String))
    )
    counted = (
        files.drop(FATES, strict=False)
        .join(counts, on="source_file", how="left", maintain_order="left")
        .with_columns(pl.col(FATES).fill_null(0))
        .select(columns_of("files"))
    )
    off = counted.filter(pl.col("rows_read") != pl.sum_horizontal(FATES))
    if len(off):
        raise ContractError("account", "files", {"rows_read is not the sum of the fates": len(off)})
    return counted
