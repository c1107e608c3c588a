"""The order of everything, once: from suppliers' files to published tables.

::

    publish_run   snapshot -> read -> run_steps -> keep_crosswalk -> publish
    run_steps     find_men -> take_in -> sum_intake -> as_of_view -> sum_clinics -> look_back -> look_across
                  -> analysis -> grade
    analysis      link -> respond_to_dose -> measure_exposure
                  -> measure_for_curves -> follow_up -> fit -> sensitivity  (unless the model is frozen)
                  -> find_care -> flag_men -> sum_men -> count_measures -> account_for -> leave_state

A night takes in the men whose answers may have changed (``find_men``): every step is a function of their rows, the frozen
model, the as-of date, and of what crosses men.

What crosses men is made from sums (:mod:`e2analytics.tables.sums`): measures, losses, grades, the facts of clinics; those
of today are those of before, less what these men counted for then (``look_back``), and what they count for now.

Each step is a function of frames and a ``Run`` in :mod:`e2analytics.run.steps`. The commands do the same order in part:
``ingest`` stops after ``take_in``; ``fit`` and ``flag`` read no drop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from e2analytics.ingest.intake import Intake, counts_of_rows
from e2analytics.ingest.read_drop import Sources
from e2analytics.run import attrition, concerned
from e2analytics.run.across import Across
from e2analytics.run.frames import CurveTables, ExposureTables, Run, frames_of
from e2analytics.run.steps import (
    account_for,
    as_of_view,
    count_measures,
    find_care,
    find_men,
    fit,
    flag_men,
    follow_up,
    grade,
    keep_crosswalk,
    leave_state,
    link,
    look_across,
    look_back,
    measure_exposure,
    measure_for_curves,
    publish,
    read,
    respond_to_dose,
    sensitivity,
    snapshot,
    sum_clinics,
    sum_intake,
    sum_men,
    take_in,
)
from e2analytics.run.then import Then
from e2analytics.run.timing import StepWrapper, Timer, unwrapped
from e2analytics.store.store import Store
from e2analytics.tables.check import check
from e2analytics.tables.limit_in_use import limit_in_use
from e2analytics.tables.patient_data import AsOfRows, PatientData
from e2analytics.tables.registry import DERIVED, TABLES
from e2analytics.tables.snapshot import Outputs, Snapshot
from e2analytics.tables.state import State
from e2analytics.tables.sums import Sums, minus, plus

if TYPE_CHECKING:
    from e2analytics.curve.frozen_model import FrozenModel
    from e2analytics.exposure.dose_response.fit import DoseResponseResult
    from e2analytics.flags.criteria import Criteria


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """Everything that follows from the rows: the derived tables, losses, counts, the model's name."""

    tables: Mapping[str, pl.DataFrame]
    attrition: pl.DataFrame
    counts: dict[str, int]
    model_id: str
    state: State | None = None


def publish_run(
    store: Store,
    drop: Path | None,
    run: Run,
    *,
    key_check: str | None,
    started_at: datetime,
    wrap: StepWrapper = unwrapped,
) -> tuple[dict[str, Any], Sources, Outputs]:
    """Run every step on what is new in a drop, and publish; return manifest, sources and outputs.

    Must be called while the store is held for writing.
    """
    before = wrap(snapshot)(store, run)
    sources = wrap(read)(drop, before, run)
    outputs = run_steps(sources, before, run, wrap)
    if drop is not None:
        # Before the rows that need it: known files are not read again.
        wrap(keep_crosswalk)(drop, store, sources)
    manifest = wrap(publish)(store, outputs, sources, run, key_check, started_at)
    return manifest, sources, outputs


def run_steps(
    sources: Sources, before: Snapshot, run: Run, wrap: StepWrapper = unwrapped
) -> Outputs:
    """Run every step between reading and publishing, for the men whose answers may have changed."""
    timed = Timer(wrap)
    if run.scope == "ingest":
        intake = timed(take_in)(sources, before, run)
        sums = timed(sum_intake)(intake, intake.files)
        analysis = _as_before(sums, before, run)
        men = None
    else:
        taken = _taken_in(sources, before, run, timed)
        intake, men = taken.intake, taken.men
        analysis = _analyse(taken, before, run, timed)
        sums = taken.sums
    others = {
        "files": intake.files,
        "quarantine": intake.quarantine,
        "unit_slips": intake.unit_slips,
        "quality": timed(grade)(sums, intake.files, before, run),
        "attrition": analysis.attrition,
        **analysis.tables,
    }
    checked = {
        name: check(frame, TABLES[name], table=name, stage="run") for name, frame in others.items()
    }
    return Outputs(
        tables=intake.tables(checked),
        not_accepted=intake.not_accepted(),
        outcome="incomplete" if any(file.refused for file in sources.files) else "complete",
        model_id=analysis.model_id,
        counts=counts_of_rows(intake, sources) | analysis.counts,
        timings=timed.seconds,
        men=men,
        state=analysis.state,
    )


@dataclass(frozen=True, kw_only=True)
class _TakenIn:
    """The rows of some men, as they are and as they were, and what is known from those of all.

    ``men`` is None where they are all; then nothing was. ``sums`` are of all men; those of what is found of them are
    of the run before.
    """

    men: pl.Series | None
    intake: Intake
    rows: AsOfRows
    was: Then | None
    across: Across
    sums: Sums


def _taken_in(sources: Sources, before: Snapshot, run: Run, timed: Timer) -> _TakenIn:
    """Take in the rows of the men whose answers may change; more men while theirs change with these."""
    men = timed(find_men)(sources, before, run)
    while True:
        intake = timed(take_in)(sources, before, run, men)
        of_rows = timed(sum_intake)(intake, intake.files)
        rows = timed(as_of_view)(intake, run)
        now = plus(of_rows, timed(sum_clinics)(rows))
        was = timed(look_back)(before, men, run)
        sums = now
        if was is not None and before.state is not None:
            were = plus(sum_intake(was.intake, before.table("files")), sum_clinics(was.rows))
            sums = plus(minus(before.state.sums, were), now)
        across = timed(look_across)(rows, was, sums, before, men, run)
        more = pl.concat([intake.concerned, across.concerned])
        if men is None or more.is_empty():
            return _TakenIn(men=men, intake=intake, rows=rows, was=was, across=across, sums=sums)
        men = concerned.with_others(men, more, before)


def _as_before(sums: Sums, before: Snapshot, run: Run) -> Analysis:
    """Keep the derived tables of the run before: only rows were taken in."""
    rows = {"rows": attrition.of_rows(sums["row_fates"])}
    model_id = before.table("models").sort("fitted_as_of")["model_id"].last()
    return Analysis(
        tables={name: before.table(name) for name in DERIVED},
        attrition=attrition.table(run.run_id, rows),
        counts={},
        model_id=str(model_id or "none"),
    )


def _analyse(taken: _TakenIn, known: Snapshot, run: Run, timed: Timer) -> Analysis:
    """Do everything that follows from the rows."""
    from e2analytics.curve import frozen_model, limit
    from e2analytics.flags import judged

    before, across = known.of(taken.men), taken.across
    models, curve_summary = before.table("models"), before.table("curve_summary")
    frozen = (
        None if run.refit else frozen_model.in_force(models, curve_summary, run.settings, run.as_of)
    )
    data = timed(link)(taken.rows, across.clinics, run, across.scanner_shifts)
    response = timed(respond_to_dose)(data, before, frozen, run)
    exposure = timed(measure_exposure)(data, response, run, taken.was)
    if frozen is None:
        model, curves = _new_model(data, response, exposure, run, timed)
    else:
        model = frozen
        curves = CurveTables(**{each.name: before.table(each.name) for each in fields(CurveTables)})
    models = frozen_model.record(models, model, as_of=run.as_of, run_id=run.run_id)
    limits = before.table("limits")
    if run.adopt is not None:
        limits = limit.adopt(
            limits,
            curves.curve_summary,
            run.settings.fit.primary_site,
            run.settings.flag,
            as_of=run.as_of,
            reason=run.adopt,
        )
    care = timed(find_care)(data, response.response, run)
    criteria = _criteria(response, models, limits, model.model_id, run)
    flagged = timed(flag_men)(data, response, exposure, care, criteria, before, run)
    found = timed(sum_men)(data, care, exposure, flagged.cohort, flagged.flags, run)
    sums = plus(taken.sums, found)
    if taken.was is not None:
        sums = minus(sums, _sums_then(taken.was, across, frozen, run))
    measures = timed(count_measures)(sums, before, run)
    losses = timed(account_for)(sums, run)
    of_model = pl.lit(model.model_id).alias("model_id")
    tables = {
        "densitometry": data.densitometry,
        "scanner_shifts": data.scanner_shifts,
        **frames_of(exposure),
        "own_levels": response.own_levels.with_columns(of_model),
        "dose_effects": response.effects.with_columns(of_model),
        "e2_checks": response.checks.with_columns(of_model),
        **frames_of(curves),
        **frames_of(flagged),
        "limits": limits,
        "models": models,
        "measures": measures,
    }
    tallied = attrition.Tallies(sums["tallies"])
    counts = {
        "men": tallied.n("men", "known"),
        "men_on_drug": tallied.n("men", "judged"),
        **{f"men_on_drug_{why}": tallied.n("men", "set_apart", why) for why in judged.WHY},
        "men_flagged": tallied.n("men", "flagged"),
    }
    basis = concerned.basis(run.settings, model.model_id, limits, run.as_of)
    state = timed(leave_state)(
        taken.men, taken.intake, data, response, flagged, sums, known, basis, run
    )
    return Analysis(
        tables=tables, attrition=losses, counts=counts, model_id=model.model_id, state=state
    )


def _sums_then(was: Then, across: Across, frozen: FrozenModel | None, run: Run) -> Sums:
    """Return what the sums of the men were, as of the day of the run before."""
    run_then = replace(run, as_of=was.as_of)
    data = link(was.rows, across.clinics_then, run_then, was.scanner_shifts)
    care = find_care(data, frozen.response if frozen else None, run_then)
    return sum_men(data, care, was.exposure, was.cohort, was.flags, run_then)


def _new_model(
    data: PatientData,
    response: DoseResponseResult,
    exposure: ExposureTables,
    run: Run,
    timed: Timer,
) -> tuple[FrozenModel, CurveTables]:
    """Fit the curves to what was measured, and freeze the model for its month."""
    from e2analytics.curve import frozen_model

    measured = timed(measure_for_curves)(data, response, exposure, run)
    followed = timed(follow_up)(data, response, run)
    inputs = (exposure.exposures, exposure.levels, response.own_levels, followed.at_risk)
    model_id = frozen_model.name(inputs, run.settings, run.as_of)
    fitted = timed(fit)(measured, followed, run, model_id)
    varied, prescribing = timed(sensitivity)(measured, data, run, model_id)
    model = frozen_model.FrozenModel(
        model_id,
        response.response,
        fitted.limit_quantiles_pg_ml,
        frozen_model.settings_of_fit(run.settings),
    )
    curves = CurveTables(
        curve=fitted.curve,
        curve_summary=fitted.summary,
        curve_sensitivity=varied,
        prescribing=prescribing,
    )
    return model, curves


def _criteria(
    response: DoseResponseResult,
    models: pl.DataFrame,
    limits: pl.DataFrame,
    model_id: str,
    run: Run,
) -> Criteria:
    """Return what the men are assessed by: the limit in use, its uncertainty, the settings."""
    from e2analytics.curve import frozen_model
    from e2analytics.exposure.dose_response import predict
    from e2analytics.flags.criteria import Criteria

    limit = limit_in_use(limits, run.settings.flag, as_of=run.as_of)
    return Criteria(
        as_of=run.as_of,
        limit=limit,
        limit_quantiles_pg_ml=frozen_model.limit_uncertainty(models, limit.model_id, limit.site),
        model_id=model_id,
        sd_of_draw=predict.sd_of_draw(response.response),
        settings=run.settings.flag,
    )
