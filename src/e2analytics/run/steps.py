"""The steps of a run: functions of frames and a ``Run``, in the order of the pipeline.

The packages do the work; a step connects them. ``STEPS`` names the steps for progress bars; the name of
its function is also a step's name in timings and in Prefect. A step imports what needs scipy when it
runs: a command that only ingests does not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import polars as pl

from e2analytics import key
from e2analytics.exposure import patient_data
from e2analytics.exposure.confounders import find_confounders
from e2analytics.exposure.episodes import doses_on_days, find_episodes, present_dose
from e2analytics.exposure.scan_pairs import pair_scans
from e2analytics.exposure.testosterone_orders import find_changes
from e2analytics.feeds.description import load_feeds
from e2analytics.ingest import (
    filled_rows,
    ledger,
    listing,
    quality,
    quality_counts,
    quarantine,
    reconcile,
    superseded_files,
)
from e2analytics.ingest.intake import Intake, ReadRows, every_row, with_settled
from e2analytics.ingest.read_drop import Sources
from e2analytics.ingest.unit_errors import convert, find, of_all_men, on_treatment
from e2analytics.measures import clinic_rows, pending
from e2analytics.reference.simulation_marker import is_simulated
from e2analytics.run import across, attrition
from e2analytics.run.frames import ExposureTables, FlagTables, Run
from e2analytics.run.then import Then, read_rows, then
from e2analytics.store import crosswalk
from e2analytics.store import publish as publishing
from e2analytics.store.store import Store
from e2analytics.tables.categoricals import to_contract_types
from e2analytics.tables.clinics import Clinics
from e2analytics.tables.patient_data import AsOfRows, CareUnits, Estimates, PatientData
from e2analytics.tables.registry import CANONICAL, columns_of
from e2analytics.tables.snapshot import Outputs, Snapshot
from e2analytics.tables.state import State
from e2analytics.tables.sums import Sums, minus, none, plus

if TYPE_CHECKING:
    from e2analytics.curve.fit import Fitted
    from e2analytics.curve.frozen_model import FrozenModel
    from e2analytics.curve.hazards import FollowedUp
    from e2analytics.curve.rows import Measured
    from e2analytics.exposure.dose_response.fit import DoseResponseResult
    from e2analytics.flags.criteria import Criteria
    from e2analytics.models.dose_response.frozen import FrozenDoseResponse

P = ParamSpec("P")
R = TypeVar("R")
STEPS: Final[dict[str, str]] = {}
"""By name, in order, what the terminal shows while a step of a whole run is at work."""
_OF_UNITS: Final = {"labs", "medications", "patients"}
"""Tables whose new rows may show that a source's unit slipped."""
_PAIR: Final = ["patient_id", "site", "scan_id", "scan_id_2"]


def step(message: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Register a function as the next step of a run."""

    def register(function: Callable[P, R]) -> Callable[P, R]:
        STEPS[function.__name__] = message
        return function

    return register


def key_of(drop: Path) -> bytes:
    """Return the key that a drop's patients are named by; a simulated drop needs none of its own."""
    return key.read_key(simulated=is_simulated(drop))


# --- reading and intake ---------------------------------------------------------------------------


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


# --- exposure -------------------------------------------------------------------------------------


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
    rows = as_of_view(read_rows(part), replace(run, as_of=state.as_of))
    return then(part, rows, state)


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


# --- the curves, when there is no frozen model ----------------------------------------------------


@step("Preparing rows for the curves")
def measure_for_curves(
    data: PatientData, response: DoseResponseResult, exposure: ExposureTables, run: Run
) -> Measured:
    """Add the pairs of the risk form: each scan with the next one at least a year later."""
    from e2analytics.curve.rows import Measured

    settings = run.settings.link
    shortest = settings.shortest_years_of_risk
    of_risk = settings.model_copy(update={"shortest_years": shortest})
    pairs = pair_scans(
        data.dxa,
        data.patients,
        data.precision,
        of_risk,
        data.scanner_shifts,
        data.clinics.makers,
    ).filter(pl.col("why_not").is_null())
    # Most scans have the same next scan in both forms: their exposures are known already.
    added = pairs.join(data.pairs.select(_PAIR), on=_PAIR, how="anti", maintain_order="left")
    more = measure_exposure(replace(data, pairs=added), response, run)
    long_enough = exposure.exposures.filter(pl.col("years") >= shortest)
    of_them = exposure.exposure_episodes.join(
        long_enough, on=["patient_id", "site", "first_scan_id"], how="semi"
    )
    return Measured(
        exposures=exposure.exposures,
        episodes=exposure.exposure_episodes,
        levels=exposure.levels,
        risk_exposures=pl.concat([long_enough, more.exposures]).sort(
            "patient_id", "site", "first_on"
        ),
        risk_episodes=pl.concat([of_them, more.exposure_episodes]),
    )


@step("Following men to their first events")
def follow_up(data: PatientData, response: DoseResponseResult, run: Run) -> FollowedUp:
    """Return when men were at risk of outcomes beyond bone, with their E2 where a curve may be fitted."""
    from e2analytics.curve.hazards import FollowedUp, with_enough_events
    from e2analytics.exposure.e2_at_risk import e2_at_risk
    from e2analytics.exposure.first_events import intervals_at_risk

    confounders = find_confounders(data.patients, data.medications, run.settings.flag)
    at_risk = intervals_at_risk(data, confounders, run.settings.link, run.as_of)
    return FollowedUp(at_risk, *e2_at_risk(with_enough_events(at_risk), data, response.response))


@step("Fitting the curves with their bootstrap")
def fit(measured: Measured, followed: FollowedUp, run: Run, model_id: str) -> Fitted:
    """Fit the curves of all sites, and of the outcomes beyond bone."""
    from e2analytics.curve import fit as fitting
    from e2analytics.curve import hazards

    of_bone = fitting.fit(measured, run.settings.fit, model_id=model_id)
    beyond = hazards.fit(followed, run.settings.fit, model_id=model_id)
    return of_bone._replace(
        curve=pl.concat([of_bone.curve, beyond.curve]),
        summary=pl.concat([of_bone.summary, beyond.summary]),
    )


@step("Fitting the curve under other choices")
def sensitivity(
    measured: Measured, data: PatientData, run: Run, model_id: str
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Fit the primary curve under other modelling choices; compare the men who are given the drug."""
    from e2analytics.curve import sensitivity as variants

    return (
        variants.sensitivity(measured, data.draws, run.settings.fit, model_id=model_id),
        variants.prescribing(measured, data.draws, run.settings.fit, model_id=model_id),
    )


# --- measures and flags ---------------------------------------------------------------------------


@step("Finding what the quality measures count")
def find_care(data: PatientData, response: FrozenDoseResponse | None, run: Run) -> CareUnits:
    """Return the units of the quality measures of the months that have ended, and of the day."""
    from e2analytics.measures import rates, units
    from e2analytics.run.measured import as_measured

    measured = as_measured(data, response, run.settings.flag, run.as_of)
    return units.care_units(measured, [*rates.month_ends(run.as_of), run.as_of])


@step("Flagging")
def flag_men(
    data: PatientData,
    response: DoseResponseResult,
    exposure: ExposureTables,
    care: CareUnits,
    criteria: Criteria,
    before: Snapshot,
    run: Run,
) -> FlagTables:
    """Assess every man on the drug by the limit in use; add changes, evidence, causes, gaps and context."""
    from e2analytics.exposure.dose_response import predict
    from e2analytics.exposure.dose_response.causes import causes as parts_of_e2
    from e2analytics.flags import causes as ledger_of_causes
    from e2analytics.flags import cohort as cohorts
    from e2analytics.flags import context, evidence, gaps, lifecycle
    from e2analytics.flags import de_escalations as ledger_of_changes
    from e2analytics.run.measured import as_measured

    present = present_dose(data.episodes, run.as_of)
    day = predict.AsOf(run.as_of, find_changes(data.medications))
    on_drug = cohorts.present_men(data, criteria.settings, run.as_of)
    of_cohort = present.join(on_drug, on="patient_id", how="semi")
    estimates = Estimates(
        e2=predict.present_and_off_drug(response.response, response.own_levels, present, day),
        changes=predict.recent_changes(
            response.response, response.own_levels, response.draws, of_cohort, day
        ),
        exposures=exposure.exposures,
    )
    was = lifecycle.FlagState(before.table("cohort"), before.table("flags"))
    cohort = cohorts.cohort(data, estimates, criteria, before=was.flags)
    flags = lifecycle.flags(cohort, was.flags, as_of=run.as_of)
    now = lifecycle.FlagState(cohort, flags)
    changes = lifecycle.events(was, now, as_of=run.as_of, run_id=run.run_id)
    estimated = cohort.filter(pl.col("e2_expected_pg_ml").is_not_null()).select("patient_id")
    projections = predict.projections(response.response, response.own_levels, estimated, day)
    parts = parts_of_e2(response.response, response.own_levels, response.draws, present, day)
    causes = ledger_of_causes.causes(cohort, parts)
    return FlagTables(
        cohort=cohort,
        flags=flags,
        flag_events=pl.concat([before.table("flag_events"), changes]),
        flag_evidence=evidence.evidence(data, estimates, cohort, projections, causes, criteria),
        causes=causes,
        gaps=gaps.gaps(data, care, cohort, flags, criteria),
        context=context.context(data, exposure.exposures, cohort),
        de_escalations=ledger_of_changes.de_escalations(
            as_measured(data, response.response, run.settings.flag, run.as_of),
            exposure.exposures,
            day.changes,
            criteria,
        ),
        projections=projections,
    )


# --- accounting and publishing --------------------------------------------------------------------


@step("Adding up men and their care")
def sum_men(
    data: PatientData,
    care: CareUnits,
    exposure: ExposureTables,
    cohort: pl.DataFrame,
    flags: pl.DataFrame,
    run: Run,
) -> Sums:
    """Return the sums of men: what the measures count, and how far they come on their way to the models."""
    from e2analytics.measures import rates
    from e2analytics.run.tallies import tallies

    ends = rates.month_ends(run.as_of)
    return Sums(
        {
            "unit_counts": rates.unit_counts(care.units, data.patients, ends),
            "tallies": tallies(data, exposure, cohort, flags, run.settings, run.as_of),
        }
    )


@step("Counting the quality measures")
def count_measures(sums: Sums, before: Snapshot, run: Run) -> pl.DataFrame:
    """Count the quality measures of the months that have ended."""
    from e2analytics.measures import rates

    measures = rates.measures(sums["unit_counts"], sums["clinic_rows"], run.as_of)
    return rates.with_older(measures, before.table("measures"))


@step("Accounting for every row")
def account_for(sums: Sums, run: Run) -> pl.DataFrame:
    """Return where rows, men and pairs of the primary curve went."""
    from e2analytics.run.tallies import primary_curve

    tallied = attrition.Tallies(sums["tallies"])
    chains = {
        "rows": attrition.of_rows(sums["row_fates"]),
        **attrition.of_men(tallied, *primary_curve(tallied, run.settings.fit)),
    }
    return attrition.table(run.run_id, chains)


@step("Noting what the next run need not compute")
def leave_state(
    men: pl.Series | None,
    intake: Intake,
    data: PatientData,
    response: DoseResponseResult,
    flagged: FlagTables,
    sums: Sums,
    before: Snapshot,
    basis: str,
    run: Run,
) -> State:
    """Return the state that the next run goes on from."""
    from e2analytics.exposure.dose_response.predict import AsOf
    from e2analytics.run.concerned import shared_numbers
    from e2analytics.run.due import due

    day = AsOf(run.as_of, find_changes(data.medications))
    found = {
        "due": due(intake, data, response.own_levels, flagged, day, run.settings.flag),
        "shared": shared_numbers(intake.rows),
    }
    if men is not None and before.state is not None:
        for name, rows in found.items():
            others = getattr(before.state, name).filter(~pl.col("patient_id").is_in(men.implode()))
            found[name] = pl.concat([others, rows])
    return State(
        basis=basis,
        as_of=run.as_of,
        due=found["due"].sort("patient_id"),
        shared=found["shared"].sort("table", "number", "patient_id"),
        sums=sums,
    )


@step("Grading each feed's data")
def grade(sums: Sums, files: pl.DataFrame, before: Snapshot, run: Run) -> pl.DataFrame:
    """Grade the data of every feed, table and month."""
    read_on = run.days_of_runs(before)
    return quality.grade(sums["row_quality"], sums["report_delays"], files, read_on=read_on)


@step("Sealing the crosswalk")
def keep_crosswalk(drop: Path, store: Store, sources: Sources) -> None:
    """Add the patients of a drop to the encrypted crosswalk."""
    crosswalk.add(store, sources.crosswalk, key_of(drop))


@step("Publishing")
def publish(
    store: Store,
    outputs: Outputs,
    sources: Sources,
    run: Run,
    key_check: str | None,
    started_at: datetime,
) -> dict[str, Any]:
    """Publish all tables at once; return the manifest."""
    return publishing.publish(
        store,
        outputs,
        run_id=run.run_id,
        as_of=run.as_of,
        part=run.scope,
        key_check=key_check,
        started_at=started_at,
        settings=run.settings.model_dump(mode="json"),
        inputs={file.source_file: file.sha256 for file in sources.files},
    )
