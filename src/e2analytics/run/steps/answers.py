"""Counts the measures, flags the men, and says where rows and men went."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from e2analytics.exposure.episodes import present_dose
from e2analytics.exposure.testosterone_orders import find_changes
from e2analytics.ingest.intake import Intake
from e2analytics.run import attrition
from e2analytics.run.frames import ExposureTables, FlagTables, Run
from e2analytics.run.steps.registry import step
from e2analytics.tables.patient_data import CareUnits, Estimates, PatientData
from e2analytics.tables.snapshot import Snapshot
from e2analytics.tables.state import State
from e2analytics.tables.sums import Sums

if TYPE_CHECKING:
    from e2analytics.exposure.dose_response.fit import DoseResponseResult
    from e2analytics.flags.criteria import Criteria
    from e2analytics.models.dose_response.frozen import FrozenDoseResponse


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
