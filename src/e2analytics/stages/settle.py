"""Settle: give every source row its one fate.

In    every row ever read of a table, judged; and where each patient stands
Out   the same rows, same grain, with ``fate`` and ``why``

``accepted`` is the one current version of its key; ``duplicate`` says the same again; ``superseded``
gave way to a newer version; ``withdrawn`` was cancelled by its supplier; ``set_apart`` is none of ours
(women, other analytes); ``quarantined`` waits for its supplier or for its patient.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics.contracts import columns_of
from e2analytics.rules import (
    CONFLICTING_IDENTITY,
    FILE_RULES,
    IDENTITY_ADVICE,
    ROW_RULES,
    UNKNOWN_PATIENT,
)

FATES: Final = (
    "accepted",
    "duplicate",
    "superseded",
    "withdrawn",
    "set_apart",
    "quarantined",
)
WOMAN: Final = "woman"

KEYS: Final = {
    "patients": ("patient_id",),
    "labs": ("namespace", "result_id"),
    "dxa": ("namespace", "scan_id", "site"),
    "medications": ("namespace", "order_id"),
    "events": ("namespace", "event_id"),
    "precision": ("namespace", "clinic_id", "scanner_id", "site"),
}

_READING_ORDER: Final = ("source_order", "source_line", "source_part")
_ABOUT_THE_FILE: Final = (
    "source_file",
    "source_line",
    "source_part",
    "source_order",
    "broken",
    "reported_at",
    "apart",
    "reject",
)


def standings(patients: pl.DataFrame) -> pl.DataFrame:
    """Tell where each patient stands: ``man``, ``woman`` or ``conflict``.

    Two dates of birth or two sexes under one number may be two people: ``conflict``.
    """
    known = patients.filter(pl.col("reject").is_null() & pl.col("apart").is_null())
    conflict = (pl.col("birth_date").n_unique() > 1) | (pl.col("sex").n_unique() > 1)
    return known.group_by("patient_id", maintain_order=True).agg(
        standing=pl.when(conflict)
        .then(pl.lit("conflict"))
        .when(pl.col("sex").first() == "F")
        .then(pl.lit(WOMAN))
        .otherwise(pl.lit("man"))
    )


def settle(target: str, rows: pl.DataFrame, standing: pl.DataFrame) -> pl.DataFrame:
    """Return ``rows`` of table ``target`` with ``fate`` and ``why``."""
    placed = _before_versions(target, rows, standing)
    # A newer row that is none of ours takes the place of an older one that was; a row that waits in
    # quarantine takes nobody's: bad input must not harm what is there.
    waiting = pl.col("fate") == "quarantined"
    versions = _choose_versions(target, placed.filter(~waiting.fill_null(False)))
    return pl.concat([placed.filter(waiting), versions]).sort(
        "source_order", "source_line", "source_part"
    )


def _before_versions(target: str, rows: pl.DataFrame, standing: pl.DataFrame) -> pl.DataFrame:
    if "patient_id" not in KEYS[target] and "patient_id" not in rows.columns:
        stands = pl.lit("man")
        known = rows
    else:
        known = rows.join(standing, on="patient_id", how="left", maintain_order="left")
        stands = pl.col("standing")
    # A cancellation needs no more than the number of what it cancels.
    bare = pl.lit(False)
    if target == "labs":
        bare = (pl.col("status") == "X") & pl.col("patient_id").is_null()
    set_apart = pl.coalesce("apart", pl.when(stands == WOMAN).then(pl.lit(WOMAN)))
    quarantined = pl.coalesce(
        "reject",
        pl.when(stands.is_null() & ~bare).then(pl.lit(UNKNOWN_PATIENT)),
        pl.when(stands == "conflict").then(pl.lit(CONFLICTING_IDENTITY)),
    )
    return known.with_columns(
        fate=pl.when(set_apart.is_not_null())
        .then(pl.lit("set_apart"))
        .when(quarantined.is_not_null())
        .then(pl.lit("quarantined")),
        why=pl.coalesce(set_apart, quarantined),
    ).drop("standing", strict=False)


def _choose_versions(target: str, rows: pl.DataFrame) -> pl.DataFrame:
    key = list(KEYS[target])
    alone = pl.len().over(key) == 1
    cancelled = pl.col("status") == "X" if target == "labs" else pl.lit(False)
    fate_alone = (
        pl.when(pl.col("fate").is_not_null())
        .then("fate")
        .when(cancelled)
        .then(pl.lit("withdrawn"))
        .otherwise(pl.lit("accepted"))
    )
    single = rows.filter(alone).with_columns(fate=fate_alone)
    several = rows.filter(~alone)
    return pl.concat([single, _among_versions(target, several)]) if len(several) else single


def _among_versions(target: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Newest report wins, then file, then line; a preliminary result never replaces a final one."""
    key = list(KEYS[target])
    cancelled = pl.lit(False)
    if target == "labs":
        rows = _oldest_report_first(rows, key)
        cancelled = pl.col("status").last().over(key) == "X"
    else:
        rows = rows.sort(_READING_ORDER)
    said = [name for name in columns_of(target) if name not in _ABOUT_THE_FILE]
    ordered = rows.with_columns(said=pl.struct(said).hash(seed=0))
    as_newest = pl.col("said") == pl.col("said").last().over(key)
    newest_is_apart = pl.col("fate").last().over(key) == "set_apart"
    # The first row that says what the newest says is the one kept: a file that repeats it moves nothing.
    first_read = pl.col("source_order").cum_count().over([*key, "said"]) == 1
    fate = (
        pl.when(pl.col("fate").is_not_null())
        .then("fate")
        .when(newest_is_apart.fill_null(False))
        .then(pl.lit("superseded"))
        .when(cancelled)
        .then(pl.lit("withdrawn"))
        .when(as_newest & first_read)
        .then(pl.lit("accepted"))
        .when(as_newest)
        .then(pl.lit("duplicate"))
        .otherwise(pl.lit("superseded"))
    )
    return ordered.with_columns(fate=fate).select(rows.columns)


def _oldest_report_first(rows: pl.DataFrame, key: list[str]) -> pl.DataFrame:
    """Order the versions of each result; where a time of report is missing, file and line decide."""
    preliminary = pl.col("status") == "P"
    behind = preliminary & (~preliminary).any().over(key)
    newest_so_far = pl.col("reported_at").cum_max().forward_fill().over(key)
    return (
        rows.sort(_READING_ORDER)
        .with_columns(behind=behind, reported=pl.coalesce("reported_at", newest_so_far))
        .sort(~pl.col("behind"), "reported", *_READING_ORDER, nulls_last=False)
        .drop("behind", "reported")
    )


def quarantine(target: str, settled: pl.DataFrame, feeds: pl.DataFrame) -> pl.DataFrame:
    """List why rows wait outside, or came in with a doubt; one line a row and rule.

    Parameters
    ----------
    target
        Name of the table.
    settled
        Its rows with their fate.
    feeds
        ``source_file -> feed``.
    """
    doubtful = settled.filter(
        (pl.col("fate") == "quarantined")
        | ((pl.col("fate") == "accepted") & (pl.col("broken") != ""))
    )
    # A row whose patient is not known breaks no rule of its own.
    identity = pl.when(pl.col("why").is_in(list(IDENTITY_ADVICE))).then("why")
    lines = (
        doubtful.select(
            "source_file",
            "source_line",
            rule=pl.concat_str("broken", identity, separator=" ", ignore_nulls=True)
            .str.strip_chars()
            .str.split(" "),
        )
        .explode("rule")
        .unique(maintain_order=True)
    )
    return (
        lines.join(feeds, on="source_file", how="left", maintain_order="left")
        .join(_facts(target), on="rule", how="left", maintain_order="left")
        .select("feed", "source_file", "source_line", "rule", "severity", "column", "advice")
    )


def refused(files: pl.DataFrame) -> pl.DataFrame:
    """List the refused files of the ledger, a line each without a line number."""
    advice = pl.DataFrame(
        [(rule.name, rule.advice) for rule in FILE_RULES.values()],
        schema={"refused": pl.String, "advice": pl.String},
        orient="row",
    )
    return (
        files.filter(pl.col("refused").is_not_null())
        .join(advice, on="refused", how="left", maintain_order="left")
        .select(
            "feed",
            "source_file",
            pl.lit(None, dtype=pl.Int64).alias("source_line"),
            pl.col("refused").alias("rule"),
            pl.lit("reject").alias("severity"),
            pl.lit(None, dtype=pl.String).alias("column"),
            "advice",
        )
    )


def _facts(target: str) -> pl.DataFrame:
    own = [(rule.name, rule.severity, rule.column, rule.advice) for rule in ROW_RULES[target]]
    identity = [(name, "reject", "patient_id", advice) for name, advice in IDENTITY_ADVICE.items()]
    return pl.DataFrame(
        [*own, *identity], schema=["rule", "severity", "column", "advice"], orient="row"
    )
