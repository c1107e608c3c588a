"""Links the men's rows as of a day, and estimates their E2 at draws and between scans."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from e2analytics.exposure import patient_data
from e2analytics.exposure.confounders import find_confounders
from e2analytics.exposure.episodes import doses_on_days
from e2analytics.exposure.testosterone_orders import find_changes
from e2analytics.ingest import filled_rows
from e2analytics.ingest.intake import Intake, ReadRows
from e2analytics.measures import clinic_rows, pending
from e2analytics.run import across
from e2analytics.run.frames import ExposureTables, Run
from e2analytics.run.steps.registry import step
from e2analytics.run.then import Then, read_rows, then
from e2analytics.tables.clinics import Clinics
from e2analytics.tables.patient_data import AsOfRows, PatientData
from e2analytics.tables.registry import CANONICAL
from e2analytics.tables.snapshot import Snapshot
from e2analytics.tables.sums import Sums

if TYPE_CHECKING:
    from e2analytics.curve.frozen_model import FrozenModel
    from e2analytics.exposure.dose_response.fit import DoseResponseResult


@step("Taking the as-of view")
def as_of_view(intake: ReadRows, run: Run) -> AsOfRows:
    """Return the accepted rows of the as-of date or before, and what is pending of the same men."""
    return pending.as_of_rows(
        {table: intake.accepted(table) for table in CANONICAL}
        | {"lifestyle": filled_rows.known_entries(intake.rows["lifestyle"])},
        filled_rows.known_patients(intake.rows["patients"]),
        intake.rows,
        run.as_of,
    )


@step("Adding up what clinics sent")
def sum_clinics(rows: AsOfRows) -> Sums:
    """Return the sums that the facts of clinics follow from."""
    return clinic_rows.clinic_sums(rows)


@step("Looking back")
def look_back(before: Snapshot, men: pl.Series | None, run: Run) -> Then | None:
    """Return what the run before knew and found of these men; None where all men are taken in."""
    if men is None or before.state is None:
        return None
    part, state = before.of(men), before.state
    read = read_rows(part)
    return then(part, read, as_of_view(read, replace(run, as_of=state.as_of)), state)


@step("Looking across men")
def look_across(
    rows: AsOfRows, was: Then | None, sums: Sums, before: Snapshot, men: pl.Series | None, run: Run
) -> across.Across:
    """Return the facts of clinics and the shifts of scanners, and whom a change of these concerns."""
    return across.look_across(rows, was.rows if was else None, sums, before, men, run)


@step("Linking doses, draws and scans")
def link(
    rows: AsOfRows, clinics: Clinics, run: Run, scanner_shifts: pl.DataFrame | None = None
) -> PatientData:
    """Find the dosing episodes, the E2 draws under them, the scan pairs and the bone classes."""
    return patient_data.linked(rows, clinics, run.settings.link, run.settings.flag, scanner_shifts)


def link_all(intake: Intake, run: Run) -> PatientData:
    """Take the as-of view of all men and link it, with the facts of clinics that follow from it."""
    rows = as_of_view(intake, run)
    return link(rows, clinic_rows.clinics(sum_clinics(rows), run.as_of), run)


@step("Estimating each man's estradiol")
def respond_to_dose(
    data: PatientData, before: Snapshot, frozen: FrozenModel | None, run: Run
) -> DoseResponseResult:
    """Estimate each man's own E2: of all men with a new model, of those with new draws with a frozen one."""
    from e2analytics.exposure import body_mass_index
    from e2analytics.exposure.dose_response import fit as dose_response
    from e2analytics.exposure.dose_response.tables import TABLES

    estimated = None
    if frozen:
        of_model = pl.col("model_id") == frozen.model_id
        tables = (before.table(name).filter(of_model).drop("model_id") for name in TABLES)
        estimated = dose_response.DoseResponseResult(frozen.response, *tables)
    return dose_response.estimate(
        data.draws,
        data.patients,
        body_mass_index.with_body_fat(data.labs, data.patients, data.dxa),
        data.episodes,
        find_changes(data.medications),
        find_confounders(data.patients, data.medications, run.settings.flag),
        as_of=run.as_of,
        before=estimated,
    )


@step("Estimating estradiol between scans")
def measure_exposure(
    data: PatientData, response: DoseResponseResult, run: Run, was: Then | None = None
) -> ExposureTables:
    """Estimate the E2 of every scan pair from the men's own levels; men whose rows are what they were keep theirs."""
    if was is not None:
        same = was.of_unchanged(data)
        changed = ~pl.col("patient_id").is_in(same.implode())
        others = replace(data, pairs=data.pairs.filter(changed), dxa=data.dxa.filter(changed))
        return was.exposure.of(same).plus(measure_exposure(others, response, run))
    from e2analytics.exposure import bone_drugs, intervals
    from e2analytics.exposure.dose_response import predict

    interval_e2 = predict.interval_exposure(
        response.response,
        response.own_levels,
        response.draws,
        find_changes(data.medications),
        doses_on_days(data.pairs, data.episodes),
    )
    exposures = intervals.exposures(
        data.pairs,
        data.draws,
        data.episodes,
        interval_e2.pairs,
        data.patients,
        data.labs,
        run.settings.link,
    )
    levels = intervals.levels(
        data.dxa, data.labs, data.patients, data.medications, run.settings.link
    )
    return ExposureTables(
        exposures=bone_drugs.leave_out(exposures, data.medications),
        exposure_episodes=interval_e2.episodes,
        levels=levels,
    )
