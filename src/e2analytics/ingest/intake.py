"""Intake: every row ever read with its one fate, the quarantine, the ledger and suspected unit mix-ups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from e2analytics.ingest.read_drop import Sources
from e2analytics.tables.categoricals import to_categories, to_contract_types
from e2analytics.tables.check import check
from e2analytics.tables.registry import CANONICAL, TABLES, columns_of
from e2analytics.tables.snapshot import Sliced, Snapshot
from e2analytics.tables.vocabulary import FATES


@dataclass(frozen=True, kw_only=True)
class Intake:
    """The rows that were ever read, after reconciliation.

    Attributes
    ----------
    rows
        By canonical table: compact rows with ``fate`` and ``why``.
    quarantine, files, unit_slips
        As their contracts say.
    row_fates
        The sum of that name: how many rows of each file have a fate, and why.
    """

    rows: Mapping[str, pl.DataFrame]
    quarantine: pl.DataFrame
    files: pl.DataFrame
    row_fates: pl.DataFrame
    unit_slips: pl.DataFrame

    def accepted(self, table: str) -> pl.DataFrame:
        """Return the current rows of a canonical table."""
        return to_contract_types(self._accepted(table), table)

    def tables(self, others: Mapping[str, pl.DataFrame]) -> Sliced:
        """Return the current rows of the canonical tables, checked, together with ``others``."""
        checked = {
            table: check(self._accepted(table), TABLES[table], table=table, stage="take_in")
            for table in self.rows
        }
        return Sliced(checked, others)

    def not_accepted(self) -> Sliced:
        """Return the rows of the canonical tables that were not accepted."""
        not_accepted = pl.col("fate") != "accepted"
        return Sliced({table: rows.filter(not_accepted) for table, rows in self.rows.items()})

    def _accepted(self, table: str) -> pl.DataFrame:
        rows = self.rows[table]
        return rows.filter(pl.col("fate") == "accepted").select(columns_of(table))


def every_row(sources: Sources, before: Snapshot) -> dict[str, pl.DataFrame]:
    """Return the rows read before and now, by canonical table; a file read again replaces its rows."""
    read_again = [file.source_file for file in sources.files if not file.refused]
    rows = {}
    for table in CANONICAL:
        old = before.rows(table).filter(~pl.col("source_file").is_in(read_again))
        new = [to_categories(sources.rows[table])] if table in sources.rows else []
        rows[table] = pl.concat([old, *new], how="diagonal")
    return rows


def counts_of_rows(intake: Intake, sources: Sources) -> dict[str, int]:
    """Count rows by fate, and files by outcome, for the manifest."""
    return {
        "rows_read": int(intake.files["rows_read"].sum()),
        **{fate: int(intake.files[fate].sum()) for fate in FATES},
        "rows_read_now": sum(file.rows_read for file in sources.files),
        "files_read_now": len({file.path for file in sources.files if not file.refused}),
        "files_refused_now": sum(
            file.refused is not None and not file.is_of_no_feed for file in sources.files
        ),
        "files_known": len(sources.known),
        "files_unmatched": len(sources.unmatched),
        "files_passed_over": len(sources.passed_over),
    }
