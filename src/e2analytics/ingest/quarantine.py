"""Lists the rows and files that need a correction, or were accepted with a doubt, and what to do.

In    the reconciled rows of each table, the ledger, and the list as it was
Out   quarantine   grain source_file, source_line, rule: ``open``, or ``resolved`` once its cause is gone
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from e2analytics.ingest.source_file import NO_FEED
from e2analytics.reference import row_rules
from e2analytics.tables.categoricals import to_contract_types
from e2analytics.tables.registry import columns_of

_LINE = ["table", "source_file", "source_line", "rule"]


def listed(
    now: pl.DataFrame,
    before: pl.DataFrame,
    run_id: str,
    rows: Mapping[str, pl.DataFrame] | None = None,
) -> pl.DataFrame:
    """Return today's list: what is open now, and what was open before and is resolved.

    Parameters
    ----------
    now
        What is open now, of :func:`pending` and :func:`refused`.
    before
        The list as the last run left it.
    run_id
        This run.
    rows
        By table: the rows, as they were, that ``now`` can be about, beside new ones; lines of others stay as they are.
        None: all.
    """
    of_these = pl.lit(True) if rows is None else _of_rows(before, rows)
    concerned = before.filter(of_these)
    first_listed = concerned.select(*_LINE, first="run_id")
    still_open = now.join(
        first_listed, on=_LINE, how="left", nulls_equal=True, maintain_order="left"
    ).with_columns(
        state=pl.lit("open"),
        run_id=pl.coalesce("first", pl.lit(run_id)),
        resolved_run_id=pl.lit(None, dtype=pl.String),
    )
    resolved = concerned.join(now, on=_LINE, how="anti", nulls_equal=True).with_columns(
        state=pl.lit("resolved"), resolved_run_id=pl.coalesce("resolved_run_id", pl.lit(run_id))
    )
    columns = columns_of("quarantine")
    return pl.concat(
        each.select(columns) for each in (still_open, resolved, before.filter(~of_these))
    ).sort("source_file", "source_line", "rule")


def _of_rows(listed: pl.DataFrame, rows: Mapping[str, pl.DataFrame]) -> pl.Expr:
    """Return which lines of a list are of some rows, or of a whole file."""
    line = ["table", "source_file", "source_line"]
    theirs = pl.concat(
        each.select(pl.col("source_file").cast(pl.String), "source_line", table=pl.lit(table))
        for table, each in rows.items()
    )
    places = listed.with_row_index("place").join(theirs, on=line, how="semi")["place"]
    is_theirs = pl.int_range(pl.len()).is_in(places.implode())
    return is_theirs | pl.col("source_line").is_null()


def pending(table: str, reconciled: pl.DataFrame, feeds: pl.DataFrame) -> pl.DataFrame:
    """List why rows are in quarantine, or accepted with a doubt; one line for each source line and rule.

    Parameters
    ----------
    table
        Name of the table.
    reconciled
        Its rows with their fate.
    feeds
        ``source_file -> feed``.
    """
    doubtful = reconciled.filter(
        (pl.col("fate") == "quarantined")
        | ((pl.col("fate") == "accepted") & (pl.col("failed_rules") != ""))
    )
    # A row whose patient is not known breaks no rule of its own.
    reconcile_rule = pl.when(pl.col("why").is_in(list(row_rules.load().reconcile_rules))).then(
        "why"
    )
    lines = (
        to_contract_types(
            doubtful.select("source_file", "source_line", "failed_rules", "why"), table
        )
        .select(
            "source_file",
            "source_line",
            rule=pl.concat_str("failed_rules", reconcile_rule, separator=" ", ignore_nulls=True)
            .str.strip_chars()
            .str.split(" "),
        )
        .explode("rule")
        .group_by("source_file", "source_line", "rule", maintain_order=True)
        .agg(n_rows=pl.len().cast(pl.Int64))
    )
    return (
        lines.join(feeds, on="source_file", how="left", maintain_order="left")
        .join(_rules_of(table), on="rule", how="left", maintain_order="left")
        .select(
            "feed",
            pl.lit(table).alias("table"),
            "source_file",
            "source_line",
            "rule",
            "n_rows",
            "severity",
            "column",
            "advice",
        )
    )


def refused(files: pl.DataFrame) -> pl.DataFrame:
    """List the refused files of the ledger, a line each without a line number.

    One that was resent under its name, and was read, is corrected.
    """
    corrected = files.filter(pl.col("refused").is_null())["named"].unique().to_list()
    advice = pl.DataFrame(
        [(name, rule.advice) for name, rule in row_rules.load().file_rules.items()],
        schema={"refused": pl.String, "advice": pl.String},
        orient="row",
    )
    return (
        files.filter(pl.col("refused").is_not_null() & ~pl.col("named").is_in(corrected))
        .join(advice, on="refused", how="left", maintain_order="left")
        .with_columns(
            # What differs from the nearest feed is what there is to do.
            advice=pl.when(pl.col("refused") == NO_FEED)
            .then(pl.format("{} Found: {}.", "advice", "detail"))
            .otherwise("advice")
        )
        .select(
            "feed",
            "table",
            "source_file",
            pl.lit(None, dtype=pl.Int64).alias("source_line"),
            pl.col("refused").alias("rule"),
            pl.lit(None, dtype=pl.Int64).alias("n_rows"),
            pl.lit("reject").alias("severity"),
            pl.lit(None, dtype=pl.String).alias("column"),
            "advice",
        )
    )


def _rules_of(table: str) -> pl.DataFrame:
    own = [
        (rule.name, rule.severity, rule.column, rule.advice) for rule in row_rules.of_table(table)
    ]
    together = [
        (name, "reject", rule.column, rule.advice)
        for name, rule in row_rules.load().reconcile_rules.items()
    ]
    return pl.DataFrame(
        [*own, *together], schema=["rule", "severity", "column", "advice"], orient="row"
    )
