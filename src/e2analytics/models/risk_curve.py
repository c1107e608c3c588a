"""The curve of a risk against E2: how likely a man's measured loss over two years reaches the LSC.

In    one row per scan pair: exposure, covariates, whether the loss reached the LSC, man, years
Out   ``CurveFit`` on the scale of the probability, at two years and the means of the covariates

Refuses fewer than 30 men, and fewer than ``MIN_EVENTS`` of either answer. Intervals are made for
the linear predictor and then turned into probabilities, so that they stay between 0 and 1.
Resampled cohorts are fitted to the rows as least squares sees them at the estimate (one Newton
step), each with its own REML smoothing.
"""

from __future__ import annotations

from dataclasses import replace

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
from e2analytics.models.gram_matrices import collect, whole_gram
from e2analytics.models.intervals import Interval
from e2analytics.models.judgement import Curves
from e2analytics.models.penalised_least_squares import decompose
from e2analytics.models.plan import Plan
from e2analytics.models.pspline import Array
from e2analytics.models.rows import CurveData
from e2analytics.models.smooth import Point
from e2analytics.models.threads import one_blas_thread

MIN_EVENTS = 10
HORIZON_YEARS = 2.0
# Less is rounding.
_LEAST_RANGE = 1e-6


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
    # What all men share is in the constant already.
    differing = np.ptp(data.covariates, axis=0) > _LEAST_RANGE * np.abs(data.covariates).max(axis=0)
    timed = replace(
        data, covariates=np.column_stack([data.covariates[:, differing], np.log(years)])
    )
    # What least squares is to fit has no mean that is known beforehand.
    plan = replace(plan_curve([timed], settings), outcome_mean=0.0)
    events = int(data.outcome.sum())
    if min(events, len(data) - events) < MIN_EVENTS:
        raise TooLittleDataError(
            f"a risk needs at least {MIN_EVENTS} losses and {MIN_EVENTS} intervals without; "
            f"there are {events} and {len(data) - events}. Supply more men or a longer period."
        )
    try:
        with one_blas_thread():
            return _described(timed, settings, plan)
    except np.linalg.LinAlgError:
        raise TooLittleDataError(
            "the losses do not determine a curve: what the men share explains them as well. "
            "Supply more men or a longer period."
        ) from None


def _described(data: CurveData, settings: CurveSettings, plan: Plan) -> CurveFit:
    point, eta = _fit_point(data, plan)
    rows = risk.working(eta, data.outcome)
    fitted = smooth.fit(
        collect(replace(data, outcome=rows.outcome), rows.weight, plan),
        plan.n_fixed,
        settings.n_replicates,
        settings.seed,
        known=point,
    )
    support = find_support([data], settings, plan)
    at_grid = plan.at(plan.basis.evaluate(plan.grid))
    at_grid[:, plan.n_fixed - 1] = np.log(HORIZON_YEARS) - plan.covariate_means[-1]
    along = plan.at(plan.basis.slopes(plan.grid))
    predictor, rise = at_grid @ point.coefficients, along @ point.coefficients
    hazard = np.exp(predictor)
    # First and second derivative of the probability in the linear predictor.
    first = hazard * np.exp(-hazard)
    second = first * (1 - hazard)
    slope_gradient = (second * rise)[:, None] * at_grid + first[:, None] * along
    curves = Curves(
        estimate=risk.probability(predictor),
        replicates=risk.probability(fitted.replicates @ at_grid.T),
        gradient=first[:, None] * at_grid,
        influence=fitted.influence,
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


def _fit_point(data: CurveData, plan: Plan) -> tuple[Point, Array]:
    """Fit to all rows, less smoothed than REML would; also the linear predictor of each row."""
    design = plan.columns(data)[:, :-1]
    rough = risk.fit(design, data.outcome, plan.n_fixed)
    rows = risk.working(rough.eta, data.outcome)
    gram = whole_gram(replace(data, outcome=rows.outcome), rows.weight, plan)
    parts = decompose(*gram, plan.n_fixed, known_scale=1.0)
    smoothing = smooth.undersmoothed(parts, np.array([rough.smoothing]))
    fine = risk.refit(design, data.outcome, plan.n_fixed, rough, float(smoothing[0]))
    edf = float(1 + parts.spectrum.edf(smoothing)[0])
    return Point(fine.coefficients, edf, fine.smoothing, scale=1.0), fine.eta


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
