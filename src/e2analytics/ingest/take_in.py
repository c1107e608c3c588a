"""Takes a drop in: every row ever read gets its one fate, every file its line in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from e2analytics.exposure.episodes import find_episodes
from e2analytics.ingest import ledger, quarantine, reconcile, superseded_files
from e2analytics.ingest.read_drop import Sources
from e2analytics.ingest.rules.judge import judge_values
from e2analytics.ingest.unit_errors import convert, find, on_treatment
from e2analytics.settings import Settings, SlipSettings
from e2analytics.tables.categoricals import compact, plain
from e2analytics.tables.check import check
from e2analytics.tables.registry import CANONICAL, TABLES, columns_of
from e2analytics.tables.snapshot import Sliced, Snapshot


class TakenIn(NamedTuple):
    """Every row with its fate, the quarantine, suspected slips of unit and the ledger."""

    settled: Mapping[str, pl.DataFrame]
    quarantine: pl.DataFrame
    files: pl.DataFrame
    lines: pl.DataFrame
    unit_slips: pl.DataFrame

    def accepted(self, table: str) -> pl.DataFrame:
        """Return the current rows of a canonical table."""
        return plain(self._accepted(table), table)

    def tables(self, others: Mapping[str, pl.DataFrame]) -> Sliced:
        """Return the current rows of the canonical tables, checked, beside ``others``."""
        return Sliced(
            {
                table: check(self._accepted(table), TABLES[table], table=table, stage="take_in")
                for table in self.settled
            },
            others,
        )

    def not_accepted(self) -> Sliced:
        """Return the rows of the canonical tables that were not accepted."""
        return Sliced(
            {
                table: rows.filter(pl.col("fate") != "accepted")
                for table, rows in self.settled.items()
            }
        )

    def _accepted(self, table: str) -> pl.DataFrame:
        rows = self.settled[table]
        return rows.filter(pl.col("fate") == "accepted").select(columns_of(table))


def take_in(sources: Sources, before: Snapshot, settings: Settings, run_id: str) -> TakenIn:
    """Put what is new beside what is known, and give every row ever read its fate."""
    read_again = [file.source_file for file in sources.files if not file.refused]
    judged = {}
    for table in CANONICAL:
        old = before.rows(table).filter(~pl.col("source_file").is_in(read_again))
        new = [compact(sources.rows[table])] if table in sources.rows else []
        judged[table] = pl.concat([old, *new], how="diagonal")
    standing = reconcile.standings(judged["patients"], settings.identities_settled)
    feeds = _feeds(before, sources)
    clinics = plain(judged["patients"].select("patient_id", "clinic_id"), "patients")
    judged["labs"] = _converted(judged["labs"], feeds, clinics, settings.slips)
    settled = {table: reconcile.settle(table, rows, standing) for table, rows in judged.items()}
    found = _slips(settled, feeds, clinics, settings)
    settled["labs"] = reconcile.suspect(settled["labs"], found.suspects)
    known = _ledger(before.table("files"), sources, run_id)
    settled = {
        table: superseded_files.give_way(table, rows, known) for table, rows in settled.items()
    }
    lines = ledger.lines(settled)
    files = ledger.ledger(known, lines)
    waiting = [quarantine.waiting(table, rows, feeds) for table, rows in settled.items()]
    now = pl.concat([*waiting, quarantine.refused(files)])
    listed = quarantine.listed(now, before.table("quarantine"), run_id)
    return TakenIn(settled, listed, files, lines, found.evidence)


def _feeds(before: Snapshot, sources: Sources) -> pl.DataFrame:
    now = pl.DataFrame(
        [(file.source_file, file.feed) for file in sources.files],
        schema={"source_file": pl.String, "feed": pl.String},
        orient="row",
    )
    return pl.concat([before.table("files").select("source_file", "feed"), now]).unique()


def _converted(
    labs: pl.DataFrame, feeds: pl.DataFrame, clinics: pl.DataFrame, settings: SlipSettings
) -> pl.DataFrame:
    """Put results into the unit that the clinic has found them to be in; a new value is judged again."""
    at = convert.AT
    changed = convert.convert(labs, feeds, clinics, settings)
    if changed.is_empty():
        return labs
    judged = compact(judge_values(changed))
    new = judged.select(at, "value_low", "value_high", "imputed", "failed_rules", "reject")
    rows = labs.with_row_index(at).update(new, on=at, how="left", include_nulls=True)
    return rows.drop(at)


def _slips(
    settled: Mapping[str, pl.DataFrame],
    feeds: pl.DataFrame,
    clinics: pl.DataFrame,
    settings: Settings,
) -> find.Found:
    """Look for results in another unit than declared; whoever is on the drug is no slip."""
    labs, orders = settled["labs"], settled["medications"].filter(pl.col("fate") == "accepted")
    spells = find_episodes(plain(orders, "medications"))
    on_drug = on_treatment.on_drug(labs, spells, clinics, settings.flag)
    return find.find(labs.with_columns(on_drug), feeds, clinics, settings.slips)


def _ledger(before: pl.DataFrame, sources: Sources, run_id: str) -> pl.DataFrame:
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
                "rows_read": file.rows_read,
            }
            for file in sources.files
        ],
        schema={
            name: dtype for name, dtype in before.schema.items() if name not in reconcile.FATES
        },
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
        **{fate: int(taken.files[fate].sum()) for fate in reconcile.FATES},
        "rows_read_now": sum(file.rows_read for file in sources.files),
        "files_read_now": len({file.path for file in sources.files if not file.refused}),
        "files_refused_now": sum(file.refused is not None for file in sources.files),
        "files_known": len(sources.known),
        "files_unmatched": len(sources.unmatched),
    }
