"""Fits the curves, where there is no frozen model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import polars as pl

from e2analytics.exposure.confounders import find_confounders
from e2analytics.exposure.scan_pairs import pair_scans
from e2analytics.run.frames import ExposureTables, Run
from e2analytics.run.steps.exposure import measure_exposure
from e2analytics.run.steps.registry import step
from e2analytics.tables.patient_data import PatientData

if TYPE_CHECKING:
    from e2analytics.curve.fit import Fitted
    from e2analytics.curve.hazards import FollowedUp
    from e2analytics.curve.rows import Measured
    from e2analytics.exposure.dose_response.fit import DoseResponseResult


_PAIR: Final = ["patient_id", "site", "scan_id", "scan_id_2"]


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
