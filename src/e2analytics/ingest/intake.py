"""Intake: every row ever read with its one fate, the quarantine, the ledger and suspected unit mix-ups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import polars as pl

from e2analytics.ingest.read_drop import Sources
from e2analytics.ingest.row_owners import number_of
from e2analytics.tables.categoricals import to_categories, to_contract_types
from e2analytics.tables.check import check
from e2analytics.tables.registry import CANONICAL, OF_MEN, TABLES, columns_of
from e2analytics.tables.snapshot import Sliced, Snapshot
from e2analytics.tables.source import ROW
from e2analytics.tables.vocabulary import FATES

_SETTLED: Final = ("duplicate", "superseded", "withdrawn")


@dataclass(frozen=True, kw_only=True)
class ReadRows:
    """Rows that were read, after reconciliation.

    Attributes
    ----------
    rows
        By canonical table: compact rows with ``fate`` and ``why``.
    """

    rows: Mapping[str, pl.DataFrame]

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


@dataclass(frozen=True, kw_only=True)
class Intake(ReadRows):
    """The rows that were ever read of the men who are taken in now, and what is known of all rows.

    Attributes
    ----------
    quarantine, files, unit_slips
        As their contracts say: of all men.
    row_fates
        How many of ``rows`` of each file have a fate, and why.
    concerned
        Other men whose results are newly suspected of another unit, or no longer: they must be taken in, too.
    """

    quarantine: pl.DataFrame
    files: pl.DataFrame
    row_fates: pl.DataFrame
    unit_slips: pl.DataFrame
    concerned: pl.Series


class EveryRow(NamedTuple):
    """Rows read before and now, by canonical table.

    Attributes
    ----------
    rows
        Those to be reconciled.
    settled
        Rows that name no patient and have their fate, with it: nothing that is taken in now shares their number.
    """

    rows: dict[str, pl.DataFrame]
    settled: dict[str, pl.DataFrame]


def every_row(sources: Sources, before: Snapshot, *, of_all_men: bool = True) -> EveryRow:
    """Return the rows read before and now, by canonical table; a file read again replaces its rows.

    Parameters
    ----------
    sources
        What is read now.
    before
        What is known of the men who are taken in.
    of_all_men
        Whether these are all. Else a row that names no patient may share its number with a man who is not there, and
        keeps the fate that it got beside his rows.
    """
    read_again = [file.source_file for file in sources.files if not file.refused]
    rows, settled = {}, {}
    for table in CANONICAL:
        old = before.rows(table).filter(~pl.col("source_file").is_in(read_again))
        new = [to_categories(sources.rows[table])] if table in sources.rows else []
        settled[table] = old.clear()
        if not of_all_men and table in OF_MEN:
            settled[table] = _settled(table, old, new)
            old = old.join(settled[table].select(ROW), on=ROW, how="anti", maintain_order="left")
        rows[table] = pl.concat([old.drop("fate", "why"), *new], how="diagonal")
    return EveryRow(rows, settled)


def _settled(table: str, old: pl.DataFrame, new: Sequence[pl.DataFrame]) -> pl.DataFrame:
    nobody = pl.col("patient_id").is_null()
    has_fate = pl.col("fate").cast(pl.String).is_in(_SETTLED)
    number = number_of(table)
    taken_in = pl.concat(
        [old.filter(~nobody).select(number), *(rows.select(number) for rows in new)]
    )
    return old.filter(nobody & has_fate).join(
        taken_in, on=number, how="anti", maintain_order="left"
    )


def with_settled(
    reconciled: Mapping[str, pl.DataFrame], settled: Mapping[str, pl.DataFrame]
) -> dict[str, pl.DataFrame]:
    """Return the reconciled rows, and those that had their fate."""
    return {
        table: pl.concat([rows, settled[table]], how="diagonal")
        for table, rows in reconciled.items()
    }


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
