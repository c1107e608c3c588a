"""Takes a drop in: every row ever read gets its one fate, every file its line in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import NamedTuple

import polars as pl

from e2analytics.contracts import columns_of
from e2analytics.feeds.drop import Sources, empty_rows
from e2analytics.settings import Settings
from e2analytics.stages import account, settle, validate
from e2analytics.stages.normalise import normalise
from e2analytics.state import CANONICAL, Snapshot


class TakenIn(NamedTuple):
    """Every row with its fate, the quarantine and the ledger."""

    settled: Mapping[str, pl.DataFrame]
    quarantine: pl.DataFrame
    files: pl.DataFrame
    lines: pl.DataFrame

    def accepted(self, target: str) -> pl.DataFrame:
        """Return the current rows of a canonical table."""
        rows = self.settled[target].filter(pl.col("fate") == "accepted")
        return rows.select(columns_of(target))

    def aside(self, target: str) -> pl.DataFrame:
        """Return the rows of a canonical table that were not accepted."""
        return self.settled[target].filter(pl.col("fate") != "accepted")


def take_in(
    sources: Sources, before: Snapshot, settings: Settings, read_on: date, run_id: str
) -> TakenIn:
    """Normalise and judge what is new, then give every row ever read its fate."""
    read_again = [file.source_file for file in sources.files if not file.refused]
    judged = {}
    for target in CANONICAL:
        text = sources.rows[target] if target in sources.rows else empty_rows(target)
        new = normalise(target, text, timezone=settings.timezone)
        new = validate.judge(target, new, today=read_on)
        old = before.rows(target).filter(~pl.col("source_file").is_in(read_again))
        judged[target] = pl.concat([old, new], how="diagonal")
    standing = settle.standings(judged["patients"])
    settled = {target: settle.settle(target, rows, standing) for target, rows in judged.items()}
    lines = account.lines(settled)
    files = account.ledger(_ledger(before.table("files"), sources, run_id), lines)
    feeds = files.select("source_file", "feed")
    quarantine = pl.concat(
        [
            *(settle.quarantine(target, rows, feeds) for target, rows in settled.items()),
            settle.refused(files),
        ]
    ).sort("source_file", "source_line", "rule")
    return TakenIn(settled, quarantine, files, lines)


def _ledger(before: pl.DataFrame, sources: Sources, run_id: str) -> pl.DataFrame:
    new = pl.DataFrame(
        [
            {
                "source_file": file.source_file,
                "sha256": file.sha256,
                "feed": file.feed,
                "target": file.target,
                "source_order": file.source_order,
                "run_id": run_id,
                "described_by": file.described_by,
                "refused": file.refused.rule if file.refused else None,
                "rows_read": file.rows_read,
            }
            for file in sources.files
        ],
        schema={name: dtype for name, dtype in before.schema.items() if name not in settle.FATES},
    )
    # A file refused before may be read now; one read before and refused now keeps what it brought.
    read_before = before.filter(pl.col("refused").is_null())
    refused_now = new.filter(pl.col("refused").is_not_null())
    new = new.join(
        refused_now.join(read_before, on="source_file", how="semi"), on="source_file", how="anti"
    )
    kept = before.join(new, on="source_file", how="anti")
    return pl.concat([kept, new], how="diagonal").sort("source_order")


def counts_of_rows(taken: TakenIn, sources: Sources) -> dict[str, int]:
    """Count rows by fate and files by what became of them, for the manifest."""
    return {
        "rows_read": int(taken.files["rows_read"].sum()),
        **{fate: int(taken.files[fate].sum()) for fate in settle.FATES},
        "rows_read_now": sum(file.rows_read for file in sources.files),
        "files_read_now": sum(file.refused is None for file in sources.files),
        "files_refused_now": sum(file.refused is not None for file in sources.files),
        "files_known": len(sources.known),
        "files_unmatched": len(sources.unmatched),
    }
