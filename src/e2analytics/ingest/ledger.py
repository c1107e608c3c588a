"""Account: where every row, man and scan pair went, so that the figures of a report can be summed.

In    the settled rows, exposures, levels, the rows that the curve used
Out   attrition   grain run_id, unit, position: n_in - n_out = n_left, one chain a unit
      files       grain source_file: the ledger, rows by fate
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from e2analytics.errors import ContractError
from e2analytics.ingest.reconcile import FATES
from e2analytics.tables.categoricals import TEXT
from e2analytics.tables.registry import columns_of, schema_of


class Loss(NamedTuple):
    """So many leave at a step, for a reason."""

    step: str
    n_out: int
    reason: str


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


def rows_chain(every_line: pl.DataFrame) -> list[Loss]:
    """Return what left between rows read and rows accepted."""
    left = (
        every_line.filter(pl.col("fate") != "accepted")
        .group_by("fate", "table", "why")
        .len("n_out")
        .cast({"fate": pl.Enum(FATES), "table": pl.String, "why": pl.String})
        .sort("fate", "table", "why")
    )
    return [
        Loss(f"{row['fate']} ({row['table']})", row["n_out"], row["why"] or row["fate"])
        for row in left.iter_rows(named=True)
    ]


def patients_chain(
    patients: pl.DataFrame,
    paired: pl.DataFrame,
    usable: pl.DataFrame,
    analysed: pl.DataFrame,
    *,
    what: str,
) -> list[Loss]:
    """Return where the men went between the patients' table and the primary curve.

    Parameters
    ----------
    patients, paired, usable, analysed
        Frames with a ``patient_id``: all men, those with a pair (or scan), those with a usable one,
        those with all covariates.
    what
        ``scan pair`` or ``scan beside an E2``.
    """
    men, with_pair, with_usable, complete = (
        frame["patient_id"].n_unique() for frame in (patients, paired, usable, analysed)
    )
    return [
        Loss(f"no {what}", men - with_pair, f"no {what} at the primary site"),
        Loss(f"no usable {what}", with_pair - with_usable, f"no usable {what}"),
        Loss("covariate missing", with_usable - complete, "incomplete covariates"),
    ]


def pairs_chain(pairs: pl.DataFrame, analysed: pl.DataFrame) -> list[Loss]:
    """Return where the scan pairs of the primary site went."""
    reasons = (
        pairs.filter(~pl.col("usable")).group_by("why_not").len("n_out").sort("why_not").rows()
    )
    usable = int(pairs["usable"].sum())
    return [
        *(Loss(reason.replace("_", " "), n_out, reason) for reason, n_out in reasons),
        Loss("covariate missing", usable - len(analysed), "incomplete covariates"),
    ]


def attrition(run_id: str, chains: Mapping[str, tuple[int, list[Loss]]]) -> pl.DataFrame:
    """Return the table of losses.

    Parameters
    ----------
    run_id
        The run.
    chains
        By unit: how many came in, and the losses in order.
    """
    rows: list[dict[str, object]] = []
    for unit, (n_in, losses) in chains.items():
        rows.append(
            _row(run_id, len(rows), "read" if unit == "rows" else "known", unit, n_in, 0, "")
        )
        for loss in losses:
            rows.append(_row(run_id, len(rows), loss.step, unit, n_in, loss.n_out, loss.reason))
            n_in -= loss.n_out
    return pl.DataFrame(rows, schema=schema_of("attrition"))


def _row(
    run_id: str, position: int, step: str, unit: str, n_in: int, n_out: int, reason: str
) -> dict[str, object]:
    return {
        "run_id": run_id,
        "position": position,
        "step": step,
        "unit": unit,
        "n_in": n_in,
        "n_out": n_out,
        "n_left": n_in - n_out,
        "reason": reason,
    }
