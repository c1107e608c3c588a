"""Reads what is new, and gives every row of the men who are concerned its fate."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from e2analytics import key
from e2analytics.exposure.episodes import find_episodes
from e2analytics.feeds.description import load_feeds
from e2analytics.ingest import (
    ledger,
    listing,
    quality_counts,
    quarantine,
    reconcile,
    superseded_files,
)
from e2analytics.ingest.intake import Intake, ReadRows, every_row, with_settled
from e2analytics.ingest.read_drop import Sources
from e2analytics.ingest.unit_errors import convert, find, of_all_men, on_treatment
from e2analytics.reference.simulation_marker import is_simulated
from e2analytics.run.frames import Run
from e2analytics.run.steps.registry import step
from e2analytics.store.store import Store
from e2analytics.tables.categoricals import to_contract_types
from e2analytics.tables.registry import columns_of
from e2analytics.tables.snapshot import Snapshot
from e2analytics.tables.sums import Sums, minus, none, plus

if TYPE_CHECKING:
    pass


_OF_UNITS: Final = {"labs", "medications", "patients"}
"""Tables whose new rows may show that a source's unit slipped."""


def key_of(drop: Path) -> bytes:
    """Return the key that a drop's patients are named by; a simulated drop needs none of its own."""
    return key.read_key(simulated=is_simulated(drop))


@step("Opening the store")
def snapshot(store: Store, run: Run) -> Snapshot:
    """Return the published state that the run adds to."""
    return store.snapshot(run.as_of)


@step("Reading the drop")
def read(drop: Path | None, before: Snapshot, run: Run) -> Sources:
    """Read the new and the changed files of a drop; None reads nothing."""
    if drop is None:
        return Sources()
    return Sources.from_drop(
        drop,
        load_feeds(run.settings.feeds_folder),
        key_of(drop),
        ledger=before.table("files"),
        settings=run.settings,
        today=max(run.as_of, date.today()),
    )


@step("Finding the men whose answers may change")
def find_men(sources: Sources, before: Snapshot, run: Run) -> pl.Series | None:
    """Return the men with new rows and those for whom time changes something; None: all men."""
    from e2analytics.run.concerned import men_concerned

    return men_concerned(sources, before, run)


@step("Normalising and checking rows")
def take_in(sources: Sources, before: Snapshot, run: Run, men: pl.Series | None = None) -> Intake:
    """Give every row ever read its one fate, and every file its line in the ledger.

    Of ``men`` alone, where the rows of no others can change; None: of all.
    """
    settings, part = run.settings, before.of(men)
    rows, settled = every_row(sources, part, of_all_men=men is None)
    feeds = ledger.feed_of_each_file(before.table("files"), sources)
    clinics = to_contract_types(rows["patients"].select("patient_id", "clinic_id"), "patients")
    rows["labs"] = convert.converted(rows["labs"], feeds, clinics, settings.slips)
    identities = reconcile.identity_status(rows["patients"], settings.identities_settled)
    rows = {table: reconcile.reconcile(table, each, identities) for table, each in rows.items()}
    mix_ups, concerned = _unit_mix_ups(rows, clinics, feeds, sources, before, run, men)
    rows["labs"] = reconcile.quarantine_suspects(rows["labs"], mix_ups.suspects)

    files = ledger.with_files_read_now(before.table("files"), sources, run.run_id)
    old = {table: part.rows(table) for table in rows}
    rows = {
        table: superseded_files.supersede(table, each, files)
        if men is None
        else superseded_files.stay(table, each, old[table])
        for table, each in rows.items()
    }
    rows["medications"] = listing.with_last_listing(
        rows["medications"], files, run.days_of_runs(before), run.as_of
    )
    rows = with_settled(rows, settled)
    row_fates = ledger.row_fates(rows)
    others = none()
    if men is not None and before.state is not None:
        others = minus(before.state.sums, Sums({"row_fates": ledger.row_fates(old)}))
    files = ledger.count_fates(files, plus(others, Sums({"row_fates": row_fates}))["row_fates"])
    now = [quarantine.pending(table, each, feeds) for table, each in rows.items()]
    return Intake(
        rows=rows,
        quarantine=quarantine.listed(
            pl.concat([*now, quarantine.refused(files)]),
            before.table("quarantine"),
            run.run_id,
            old if men is not None else None,
        ),
        files=files,
        row_fates=row_fates,
        unit_slips=mix_ups.evidence,
        concerned=concerned,
    )


def _unit_mix_ups(
    rows: Mapping[str, pl.DataFrame],
    clinics: pl.DataFrame,
    feeds: pl.DataFrame,
    sources: Sources,
    before: Snapshot,
    run: Run,
    men: pl.Series | None,
) -> tuple[find.MixUps, pl.Series]:
    """Return the unit mix-ups of all men's results, and whom else a new suspicion concerns."""
    if men is not None and not sources.rows.keys() & _OF_UNITS:
        return of_all_men.as_before(before.of(men)), men.clear()
    accepted = rows["medications"].filter(pl.col("fate") == "accepted")
    orders = to_contract_types(accepted.select(columns_of("medications")), "medications")
    searched = of_all_men.with_others(rows["labs"], orders, clinics, before, men)
    episodes = find_episodes(searched.orders)
    on_drug = on_treatment.on_drug(searched.labs, episodes, searched.clinics, run.settings.flag)
    labs = searched.labs.with_columns(on_drug)
    mix_ups = find.find(labs, feeds, searched.clinics, run.settings.slips)
    return mix_ups, of_all_men.concerned(mix_ups.suspects, searched, men)


@step("Adding up rows")
def sum_intake(intake: ReadRows, files: pl.DataFrame) -> Sums:
    """Return the sums of rows: their fates, and how good they are."""
    return Sums(
        {
            "row_fates": ledger.row_fates(intake.rows),
            "row_quality": quality_counts.row_quality(intake.rows),
            "report_delays": quality_counts.report_delays(intake.rows["labs"], files),
        }
    )
