"""Takes a drop in: every row ever read gets its one fate, every file its line in the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import polars as pl

from e2analytics.compact import compact, plain
from e2analytics.contracts import TABLES, columns_of
from e2analytics.settings import Settings
from e2analytics.slip_settings import SlipSettings
from e2analytics.sources import Sources
from e2analytics.stages import account, quarantine, settle, slips, validate
from e2analytics.state import CANONICAL, Sliced, Snapshot


class TakenIn(NamedTuple):
    """Every row with its fate, the quarantine, suspected slips of unit and the ledger."""

    settled: Mapping[str, pl.DataFrame]
    quarantine: pl.DataFrame
    files: pl.DataFrame
    lines: pl.DataFrame
    unit_slips: pl.DataFrame

    def accepted(self, target: str) -> pl.DataFrame:
        """Return the current rows of a canonical table."""
        return plain(self._accepted(target), target)

    def tables(self, others: Mapping[str, pl.DataFrame]) -> Sliced:
        """Return the current rows of the canonical tables, each slice checked, beside ``others``."""

        def checked(target: str, rows: pl.DataFrame) -> pl.DataFrame:
            return validate.check(rows, TABLES[target], table=target, stage="take_in")

        return Sliced({target: self._accepted(target) for target in self.settled}, checked, others)

    def aside(self) -> Sliced:
        """Return the rows of the canonical tables that were not accepted."""
        return Sliced(
            {
                target: rows.filter(pl.col("fate") != "accepted")
                for target, rows in self.settled.items()
            },
            lambda _target, rows: rows,
        )

    def _accepted(self, target: str) -> pl.DataFrame:
        rows = self.settled[target]
        return rows.filter(pl.col("fate") == "accepted").select(columns_of(target))


def take_in(sources: Sources, before: Snapshot, settings: Settings, run_id: str) -> TakenIn:
    """Put what is new beside what is known, and give every row ever read its fate."""
    read_again = [file.source_file for file in sources.files if not file.refused]
    judged = {}
    for target in CANONICAL:
        old = before.rows(target).filter(~pl.col("source_file").is_in(read_again))
        new = [compact(sources.rows[target])] if target in sources.rows else []
        judged[target] = pl.concat([old, *new], how="diagonal")
    standing = settle.standings(judged["patients"], settings.identities_settled)
    feeds = _feeds(before, sources)
    clinics = plain(judged["patients"].select("patient_id", "clinic_id"), "patients")
    judged["labs"] = _converted(judged["labs"], feeds, clinics, settings.slips)
    settled = {target: settle.settle(target, rows, standing) for target, rows in judged.items()}
    found = slips.find(_watched(settled["labs"]), feeds, clinics, settings.slips)
    settled["labs"] = settle.suspect(settled["labs"], found.suspects)
    lines = account.lines(settled)
    files = account.ledger(_ledger(before.table("files"), sources, run_id), lines)
    waiting = [quarantine.waiting(target, rows, feeds) for target, rows in settled.items()]
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
    """Convert the results that the clinic has found to be in another unit than declared."""
    if not settings.decisions:
        return labs
    return compact(slips.apply_decisions(plain(labs, "labs"), feeds, clinics, settings))


def _watched(labs: pl.DataFrame) -> pl.DataFrame:
    """Return the accepted results in which slips are looked for; a day made up has no month."""
    watched = (pl.col("fate") == "accepted") & pl.col("analyte").is_in(list(slips.WATCHED))
    rows = plain(labs.filter(watched).select(columns_of("labs")), "labs")
    return rows.filter(~pl.col("imputed").str.contains("collected_at", literal=True))


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
                "named": file.named,
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
        "files_read_now": len({file.path for file in sources.files if not file.refused}),
        "files_refused_now": sum(file.refused is not None for file in sources.files),
        "files_known": len(sources.known),
        "files_unmatched": len(sources.unmatched),
    }
