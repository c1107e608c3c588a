"""The curve of a probability against E2: of a measured loss over two years, of a first event within one.

In    one row per scan pair, or per interval of a man at risk: exposure, covariates, whether the loss reached
      the LSC or the event came, man, years
Out   ``CurveFit`` on the scale of the probability, at the horizon and the means of the covariates

Refuses fewer than 30 men, and too few losses or events. Intervals are made for
the linear predictor and then turned into probabilities, so that they stay between 0 and 1.
Resampled cohorts are fitted to the rows as least squares sees them at the estimate (one Newton
step), each with its own REML smoothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from e2analytics.errors import TooLittleDataError
from e2analytics.models import intervals, risk, smooth
from e2analytics.models.curve import (
    CurveFit,
    CurveSettings,
    assemble,
    find_support,
    plan_curve,
    refuse_too_little,
)
from e2analytics.models.gram_matrices import collect_columns
from e2analytics.models.hazard import AveragedHazard
from e2analytics.models.intervals import Interval
from e2analytics.models.judgement import Curves
from e2analytics.models.penalised_least_squares import decompose
from e2analytics.models.plan import Plan
from e2analytics.models.pspline import Array
from e2analytics.models.risk import Predictor, RiskPoint
from e2analytics.models.rows import CurveData
from e2analytics.models.smooth import Point
from e2analytics.models.threads import one_blas_thread

MIN_EVENTS = 10
MIN_FIRST_EVENTS = 50
"""Our own rule: about ten for each of the six degrees of freedom that a curve keeps (``smooth``)."""
HORIZON_YEARS = 2.0
HAZARD_HORIZON_YEARS = 1.0
# Less is rounding.
_LEAST_RANGE = 1e-6


@dataclass(frozen=True)
class _Form:
    """The linear predictor of rows and of the grid, and where slopes are tested.

    Attributes
    ----------
    predictor : Callable
        Of the rows, by the plan of the curve.
    offset_on_grid : float
        Log years at the horizon; 0 where they are a covariate.
    covariate_on_grid : float, optional
        The same, where log years are the last covariate.
    events_are_rare : bool
        Whether slopes are tested on the linear predictor: ``shape.weigh`` says why.
    """

    predictor: Callable[[Plan], Predictor]
    offset_on_grid: float
    covariate_on_grid: float | None
    events_are_rare: bool


def fit_risk(data: CurveData, years: Array, settings: CurveSettings) -> CurveFit:
    """Fit the risk, resample men, judge the shape and derive the limits.

    Parameters
    ----------
    data : CurveData
        ``outcome`` is 1 where the loss between two scans reached the LSC, else 0.
    years : array of shape (n,)
        Between the two scans.
    settings : CurveSettings
        ``higher_is_better`` is False for a risk.

    Raises
    ------
    TooLittleDataError
        With fewer than 30 men, or fewer than 10 losses, or 10 pairs without; where all intervals are of one
        length, which does not show the risk over two years; or where the losses do not determine a curve.
    """
    refuse_too_little([data])
    if np.ptp(np.log(years)) < _LEAST_RANGE:
        raise TooLittleDataError(
            f"a risk over {HORIZON_YEARS:g} years needs intervals of different lengths; here all have the "
            "same. Supply a longer period."
        )
    events = int(data.outcome.sum())
    if min(events, len(data) - events) < MIN_EVENTS:
        raise TooLittleDataError(
            f"a risk needs at least {MIN_EVENTS} losses and {MIN_EVENTS} intervals without; "
            f"there are {events} and {len(data) - events}. Supply more men or a longer period."
        )
    differing = _without_shared(data)
    timed = replace(differing, covariates=np.column_stack([differing.covariates, np.log(years)]))
    form = _Form(
        lambda plan: risk.Linear(plan.columns(timed)[:, :-1]),
        offset_on_grid=0.0,
        covariate_on_grid=np.log(HORIZON_YEARS),
        events_are_rare=False,
    )
    return _fit(timed, form, settings, "losses")


def fit_hazard(data: CurveData, years: Array, settings: CurveSettings) -> CurveFit:
    """Fit the probability of a first event within a year, and do the rest as for a risk.

    Parameters
    ----------
    data : CurveData
        A row for each interval in which a man was at risk; ``outcome`` is 1 where his first event came in it, else
        0. A man has no row after it.
    years : array of shape (n,)
        Length of each interval, as it was planned: that of an interval with an event does not end with it.
    settings : CurveSettings
        ``higher_is_better`` is False for a hazard.

    Raises
    ------
    TooLittleDataError
        With fewer than 30 men or 50 first events, or where the events do not determine a curve.
    """
    refuse_too_little([data])
    refuse_too_few_events(int(data.outcome.sum()))
    differing = _without_shared(data)
    form = _Form(
        lambda plan: AveragedHazard(differing, np.log(years), plan),
        offset_on_grid=np.log(HAZARD_HORIZON_YEARS),
        covariate_on_grid=None,
        events_are_rare=True,
    )
    return _fit(differing, form, settings, "events")


def refuse_too_few_events(n_events: int) -> None:
    """Raise ``TooLittleDataError`` with fewer than ``MIN_FIRST_EVENTS``."""
    if n_events < MIN_FIRST_EVENTS:
        raise TooLittleDataError(
            f"a curve of first events needs at least {MIN_FIRST_EVENTS} events; there are {n_events} events. "
            "Supply more men or a longer period."
        )


def _without_shared(data: CurveData) -> CurveData:
    """Leave out covariates that all men share: the constant has them already."""
    differing = np.ptp(data.covariates, axis=0) > _LEAST_RANGE * np.abs(data.covariates).max(axis=0)
    return replace(data, covariates=data.covariates[:, differing])


def _fit(data: CurveData, form: _Form, settings: CurveSettings, what: str) -> CurveFit:
    # What least squares is to fit has no mean that is known beforehand.
    plan = replace(plan_curve([data], settings), outcome_mean=0.0)
    try:
        with one_blas_thread():
            return _described(data, form, settings, plan)
    except np.linalg.LinAlgError:
        raise TooLittleDataError(
            f"the {what} do not determine a curve: what the men share explains them as well. "
            "Supply more men or a longer period."
        ) from None


def _described(data: CurveData, form: _Form, settings: CurveSettings, plan: Plan) -> CurveFit:
    point, fine = _fit_point(form.predictor(plan), data.outcome, plan.n_fixed)
    columns, weight = fine.least_squares(data.outcome)
    fitted = smooth.fit(
        collect_columns(columns, data.patient, weight, plan),
        plan.n_fixed,
        settings.n_replicates,
        settings.seed,
        known=point,
    )
    support = find_support([data], settings, plan)
    at_grid = plan.at(plan.basis.evaluate(plan.grid))
    if form.covariate_on_grid is not None:
        at_grid[:, plan.n_fixed - 1] = form.covariate_on_grid - plan.covariate_means[-1]
    along = plan.at(plan.basis.slopes(plan.grid))
    predictor = at_grid @ point.coefficients + form.offset_on_grid
    rise = along @ point.coefficients
    hazard = np.exp(predictor)
    # First and second derivative of the probability in the linear predictor.
    first = hazard * np.exp(-hazard)
    second = first * (1 - hazard)
    slope_gradient = (second * rise)[:, None] * at_grid + first[:, None] * along
    predictor_replicates = fitted.replicates @ at_grid.T + form.offset_on_grid
    curves = Curves(
        estimate=risk.probability(predictor),
        replicates=risk.probability(predictor_replicates),
        gradient=first[:, None] * at_grid,
        influence=fitted.influence,
        tested=predictor if form.events_are_rare else None,
        tested_replicates=predictor_replicates if form.events_are_rare else None,
    )
    level = intervals.around(predictor, fitted.influence, at_grid, support.supported)
    return assemble(
        settings,
        plan,
        support,
        curves,
        level=_as_probabilities(level),
        slope=intervals.around(first * rise, fitted.influence, slope_gradient, support.supported),
        point=point,
        tau=0.0,
    )


def _fit_point(predictor: Predictor, event: Array, n_fixed: int) -> tuple[Point, RiskPoint]:
    """Fit to all rows, less smoothed than REML would."""
    rough = risk.fit(predictor, event, n_fixed)
    columns, weight = rough.least_squares(event)
    weighted = columns * np.sqrt(weight)[:, None]
    n_rows = np.array([float(len(event))])
    parts = decompose((weighted.T @ weighted)[None], n_rows, n_fixed, known_scale=1.0)
    smoothing = smooth.undersmoothed(parts, np.array([rough.smoothing]))
    fine = risk.refit(predictor, event, n_fixed, rough, float(smoothing[0]))
    edf = float(1 + parts.spectrum.edf(smoothing)[0])
    return Point(fine.coefficients, edf, fine.smoothing, scale=1.0), fine


def _as_probabilities(level: Interval) -> Interval:
    return Interval(
        *(
            risk.probability(each)
            for each in (
                level.estimate,
                level.ci_low,
                level.ci_high,
                level.band_low,
                level.band_high,
            )
        )
    )
