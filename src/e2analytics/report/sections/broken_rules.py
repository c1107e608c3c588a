"""Which rules were broken, by whom and how often, and which files were refused.

In    quarantine, files
Out   counts by feed, rule and advice; never a value, never a line
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from e2analytics.reference.row_rules import for_the_clinic
from e2analytics.report.sections.reasons import in_words


@dataclass(frozen=True, slots=True)
class RuleCount:
    """Rows of one feed that broke one rule, and what the supplier and the clinic can do."""

    feed: str
    rule: str
    column: str
    what_happened: str
    n: int
    advice: str
    for_the_clinic: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that could not be used as a whole."""

    source_file: str
    feed: str
    rule: str
    advice: str
    for_the_clinic: str


def count_by_rule(quarantine: pl.DataFrame) -> tuple[RuleCount, ...]:
    """Count the rows that broke each rule; whole files first, then rejected rows, then doubts."""
    # A refused file counts as one line: none of its rows was read.
    counted = (
        _with_table(quarantine)
        .with_columns(whole_file=pl.col("source_line").is_null())
        .group_by("feed", "rule", "severity", "column", "advice", "whole_file")
        .agg(n=pl.col("n_rows").fill_null(1).sum())
        .sort(
            "whole_file", "severity", "n", "feed", "rule", "column", "advice",
            descending=[True, False, True, False, False, False, False],
        )
    )  # fmt: skip
    return tuple(
        RuleCount(
            feed=row["feed"],
            rule=in_words(row["rule"]),
            column=row["column"] or "",
            what_happened=_what_happened(row["severity"], whole_file=row["whole_file"]),
            n=row["n"],
            advice=row["advice"],
            for_the_clinic=for_the_clinic().get(row["rule"], ""),
        )
        for row in counted.iter_rows(named=True)
    )


def _what_happened(severity: str, *, whole_file: bool) -> str:
    if whole_file:
        return "whole file refused" if severity == "reject" else "whole file in doubt"
    return "row left out" if severity == "reject" else "row used, in doubt"


def refusals(files: pl.DataFrame, quarantine: pl.DataFrame) -> tuple[Refusal, ...]:
    """List the files that were refused and did not come again mended, with what can be done."""
    advice = (
        quarantine.filter(pl.col("source_line").is_null())
        .sort("advice")
        .unique(["source_file", "rule"], keep="first", maintain_order=True)
        .select("source_file", pl.col("rule").alias("refused"), "advice")
    )
    refused = files.filter(pl.col("refused").is_not_null()).sort("source_file")
    named = refused.join(
        advice, on=["source_file", "refused"], how="inner", maintain_order="left", validate="1:1"
    )
    return tuple(
        Refusal(
            row["source_file"],
            row["feed"],
            in_words(row["refused"]),
            row["advice"] or "",
            for_the_clinic().get(row["refused"], ""),
        )
        for row in named.iter_rows(named=True)
    )


def feed_and_table() -> pl.Expr:
    """Name a feed with the table that its rows go to."""
    # A feed may fill several tables; one of the same name needs no second word.
    both = pl.format("{}: {}", "feed", "table")
    return pl.when(pl.col("feed") == pl.col("table")).then("feed").otherwise(both)


def _with_table(quarantine: pl.DataFrame) -> pl.DataFrame:
    return quarantine.with_columns(feed=feed_and_table())
