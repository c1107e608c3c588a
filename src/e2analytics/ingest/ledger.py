"""The ledger of files: every source row has one fate, and the fates of a file add up to its rows.

In    every row with its fate, and the files
Out   row_fates   grain source_file, table, fate, why (``tables.sums``): how many rows
      files       grain source_file: the ledger, rows by fate

A line that holds several results is several rows.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from e2analytics.errors import ContractError
from e2analytics.ingest.read_drop import Sources
from e2analytics.ingest.source_file import NO_FEED
from e2analytics.tables.registry import columns_of
from e2analytics.tables.sums import added_up
from e2analytics.tables.vocabulary import FATES


def feed_of_each_file(before: pl.DataFrame, sources: Sources) -> pl.DataFrame:
    """Return ``source_file, feed`` of the files read before and now.

    Parameters
    ----------
    before
        The ledger as the last run left it.
    sources
        The files read now.
    """
    now = pl.DataFrame(
        [(file.source_file, file.feed) for file in sources.files],
        schema={"source_file": pl.String, "feed": pl.String},
        orient="row",
    )
    return pl.concat([before.select("source_file", "feed"), now]).unique()


def with_files_read_now(before: pl.DataFrame, sources: Sources, run_id: str) -> pl.DataFrame:
    """Return the ledger with the files read now, without fates.

    Parameters
    ----------
    before
        The ledger as the last run left it.
    sources
        The files read now.
    run_id
        This run.
    """
    new = pl.DataFrame(
        [
            {
                "source_file": file.source_file,
                "sha256": file.sha256,
                "feed": file.feed,
                "table": file.table,
                "source_order": file.source_order,
                "run_id": run_id,
                "described_by": file.described_by,
                "named": file.named,
                "refused": file.refused.rule if file.refused else None,
                "detail": file.refused.detail if file.refused else None,
                "rows_read": file.rows_read,
            }
            for file in sources.files
        ],
        schema={name: dtype for name, dtype in before.schema.items() if name not in FATES},
    )
    before = _without_what_is_known_now(before, sources)
    # A file refused before may be read now; one read before and refused now keeps its rows.
    read_before = before.filter(pl.col("refused").is_null())
    refused_now = new.filter(pl.col("refused").is_not_null())
    new = new.join(
        refused_now.join(read_before, on="source_file", how="semi"), on="source_file", how="anti"
    )
    kept = before.join(new, on="source_file", how="anti")
    return pl.concat([kept, new], how="diagonal").sort("source_order")


def _without_what_is_known_now(before: pl.DataFrame, sources: Sources) -> pl.DataFrame:
    """Forget that no feed took a file that one takes now, or that is no data."""
    read = [file.sha256 for file in sources.files if not file.refused]
    no_data = [file.named for file in sources.passed_over]
    is_known = pl.col("sha256").is_in(read) | pl.col("named").is_in(no_data)
    return before.filter(~((pl.col("feed") == NO_FEED) & is_known))


def row_fates(reconciled: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """Return the sum ``row_fates``: how many rows of each file have a fate, and why.

    Parameters
    ----------
    reconciled
        By canonical table: rows with ``fate`` and ``why``.
    """
    counted = (
        rows.group_by("source_file", "fate", "why")
        .agg(n=pl.len())
        .with_columns(pl.col("source_file", "fate", "why").cast(pl.String), table=pl.lit(table))
        for table, rows in reconciled.items()
    )
    return added_up("row_fates", pl.concat(counted))


def count_fates(files: pl.DataFrame, row_fates: pl.DataFrame) -> pl.DataFrame:
    """Return the ledger with today's fates.

    Parameters
    ----------
    files
        The ledger.
    row_fates
        The sum.

    Raises
    ------
    ContractError
        If the rows of a file and their fates do not add up: a defect of e2analytics.
    """
    counts = row_fates.group_by("source_file").agg(
        pl.col("n").filter(pl.col("fate") == fate).sum().alias(fate) for fate in FATES
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
