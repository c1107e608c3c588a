"""The curve of an outcome against E2, with its uncertainty, its verdict and its limits.

In    one row per scan pair: posterior of E2 over it, covariates, outcome, man, sampling variance;
      in one piece or in parts
Out   ``CurveFit``: the curve on a grid of E2, what it may be called and where its limits lie

Refuses fewer than ``MIN_PATIENTS`` men. Claims nothing outside the supported range. Sees
arrays only; which pairs are usable is decided before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from e2analytics.errors import TooLittleDataError
from e2analytics.models import intervals, smooth, weights
from e2analytics.models.gram_matrices import ClusterGrams, collect
from e2analytics.models.intervals import Interval
from e2analytics.models.judgement import Curves, judge
from e2analytics.models.plan import Plan, exposures_differ, make_plan, summarise
from e2analytics.models.pspline import Array
from e2analytics.models.rows import CurveData, distinct
from e2analytics.models.sandwich import Influence
from e2analytics.models.shape import Evidence, Verdict
from e2analytics.models.smooth import Point
from e2analytics.models.support import Support, men_near, supported_points
from e2analytics.models.sweet_spot import Limit
from e2analytics.models.threads import one_blas_thread
from e2analytics.models.weights import Weighting

MIN_PATIENTS = 30


@dataclass(frozen=True)
class CurveSettings:
    """How a curve is fitted and judged.

    Attributes
    ----------
    delta : float
        Loss that matters, unit of the outcome.
    higher_is_better : bool
        True for change and level, False for risk.
    seed : int
        Of the bootstrap; the same seed gives the same bytes.
    n_basis, n_replicates, n_grid : int
        Splines, bootstrap replicates, points of the grid (evenly spaced in log E2).
    window_ratio : float
        Highest over lowest E2 of the window whose mean counts as best.
    min_effective : int
        Men that a supported point needs within ``support_half_width`` (log units) of it.
    central_range : pair of float
        Quantiles of E2 between which points may be supported.
    """

    delta: float = 0.5
    higher_is_better: bool = True
    seed: int = 0
    n_basis: int = 20
    n_replicates: int = 1000
    n_grid: int = 100
    window_ratio: float = 1.5
    min_effective: int = 30
    support_half_width: float = 0.2
    central_range: tuple[float, float] = (0.025, 0.975)


@dataclass(frozen=True)
class CurveFit:
    """A curve on g grid points with its R bootstrap replicates.

    Attributes
    ----------
    e2_pg_ml : array of shape (g,)
    estimate : array of shape (g,)
        Mean outcome at the mean of the covariates.
    ci_low, ci_high : array of shape (g,)
        Pointwise 95 % interval, clustered by man.
    band_low, band_high : array of shape (g,)
        Simultaneous 95 % band over the supported points.
    n_effective : integer array of shape (g,)
        Men with a row near the point.
    supported : boolean array of shape (g,)
        The longest unbroken run of points with enough men inside the central range.
    slope : Interval
        Change of the outcome per unit of log E2, with intervals; shape (g,) each.
    edf : float
        Effective degrees of freedom of the curve; a straight line has 1.
    smoothing : float
        The smoothing parameter, less than REML's; ``smooth`` says why.
    scale : float
        Residual variance of a row of weight one.
    tau : float
        Spread between intervals that neither curve nor scanner explains, unit of the outcome.
    verdict, explanation
        Shape of benefit against E2, and the same in words.
    nadir, lower_limit, upper_limit : Limit
    evidence : Evidence, optional
        The tests behind the verdict; None where too little is supported to test.
    replicates : array of shape (R, g)
    gradient : array of shape (g, p)
        Derivative of the estimate in the coefficients.
    influence : Influence
        Of each cluster of men on the coefficients.
    """

    e2_pg_ml: Array
    estimate: Array
    ci_low: Array
    ci_high: Array
    band_low: Array
    band_high: Array
    n_effective: NDArray[np.int64]
    supported: NDArray[np.bool_]
    slope: Interval
    edf: float
    smoothing: float
    scale: float
    tau: float
    n_patients: int
    n_intervals: int
    verdict: Verdict
    explanation: str
    nadir: Limit
    lower_limit: Limit
    upper_limit: Limit
    evidence: Evidence | None
    replicates: Array
    gradient: Array
    influence: Influence


def fit_curve(data: CurveData, settings: CurveSettings) -> CurveFit:
    """Fit the curve, resample men, judge the shape and derive the limits.

    Raises
    ------
    TooLittleDataError
        With fewer than 30 men, or where all have the same E2.
    """
    return fit_parts([data], settings)


def fit_parts(parts: Sequence[CurveData], settings: CurveSettings) -> CurveFit:
    """Do what ``fit_curve`` does for rows that come in parts; a man's rows are all in one part."""
    refuse_too_little(parts)
    plan = plan_curve(parts, settings)
    # Small matrices: a second thread costs more than it brings.
    with one_blas_thread():
        weighting = weights.estimate(parts, plan)
        row_weights = [weighting.weights(part.sampling_variance) for part in parts]
        return describe(parts, row_weights, settings, plan, weighting)


def refuse_too_little(parts: Sequence[CurveData]) -> None:
    """Raise ``TooLittleDataError`` with fewer than ``MIN_PATIENTS`` men, or where all have the same E2."""
    n_patients = sum(len(distinct(part.patient)) for part in parts)
    if n_patients < MIN_PATIENTS:
        raise TooLittleDataError(
            f"a curve needs at least {MIN_PATIENTS} men with a usable interval; "
            f"there are {n_patients}. Supply more men or a longer period."
        )
    if not exposures_differ(parts):
        raise TooLittleDataError(
            "a curve needs intervals that differ in E2; here all have the same. "
            "Supply more men or a longer period."
        )


def plan_curve(parts: Sequence[CurveData], settings: CurveSettings) -> Plan:
    """Plan knots, grid and clusters from all parts."""
    summaries = [summarise(part) for part in parts]
    return make_plan(summaries, settings.n_basis, settings.n_grid, settings.central_range)


def describe(
    parts: Sequence[CurveData],
    row_weights: Sequence[Array],
    settings: CurveSettings,
    plan: Plan,
    weighting: Weighting,
) -> CurveFit:
    """Do the work of ``fit_parts`` on rows whose weights are known, however few the men."""
    collected = [collect(part, each, plan) for part, each in zip(parts, row_weights, strict=True)]
    grams = sum(collected[1:], start=collected[0])
    return describe_grams(parts, grams, settings, plan, weighting)


def describe_grams(
    parts: Sequence[CurveData],
    grams: ClusterGrams,
    settings: CurveSettings,
    plan: Plan,
    weighting: Weighting,
) -> CurveFit:
    """Do the work of ``describe`` on the Gram matrices of the clusters."""
    fitted = smooth.fit(
        grams,
        plan.n_fixed,
        settings.n_replicates,
        settings.seed,
    )
    support = find_support(parts, settings, plan)
    at_grid = plan.at(plan.basis.evaluate(plan.grid))
    slopes_at_grid = plan.at(plan.basis.slopes(plan.grid))
    coefficients, influence = fitted.point.coefficients, fitted.influence
    curves = Curves(
        estimate=plan.outcome_mean + at_grid @ coefficients,
        replicates=plan.outcome_mean + fitted.replicates @ at_grid.T,
        gradient=at_grid,
        influence=influence,
    )
    return assemble(
        settings,
        plan,
        support,
        curves,
        level=intervals.around(curves.estimate, influence, at_grid, support.supported),
        slope=intervals.around(
            slopes_at_grid @ coefficients, influence, slopes_at_grid, support.supported
        ),
        point=fitted.point,
        tau=weighting.tau,
    )


def find_support(parts: Sequence[CurveData], settings: CurveSettings, plan: Plan) -> Support:
    """Count men near each grid point, and return which points they support."""
    half_width = settings.support_half_width
    men = np.sum(
        [men_near(each.log_e2, each.patient, plan.grid, half_width) for each in parts], axis=0
    )
    supported = supported_points(plan.grid, men, settings.min_effective, plan.central)
    return Support(men, supported, sum(len(each) for each in parts))


# Eight parameters: the parts of the result, which come from four computations that do not share one.
def assemble(
    settings: CurveSettings,
    plan: Plan,
    support: Support,
    curves: Curves,
    *,
    level: Interval,
    slope: Interval,
    point: Point,
    tau: float,
) -> CurveFit:
    """Judge the curves and assemble the result."""
    judgement = judge(
        plan.grid,
        support.men,
        support.supported,
        curves,
        delta=settings.delta,
        window_ratio=settings.window_ratio,
        higher_is_better=settings.higher_is_better,
    )
    return CurveFit(
        e2_pg_ml=np.exp(plan.grid),
        estimate=level.estimate,
        ci_low=level.ci_low,
        ci_high=level.ci_high,
        band_low=level.band_low,
        band_high=level.band_high,
        n_effective=support.men,
        supported=support.supported,
        slope=slope,
        edf=point.edf,
        smoothing=point.smoothing,
        scale=point.scale,
        tau=tau,
        n_patients=len(plan.patients),
        n_intervals=support.n_rows,
        **vars(judgement),
        replicates=curves.replicates,
        gradient=curves.gradient,
        influence=curves.influence,
    )


def judge_again(fit: CurveFit, settings: CurveSettings, evidence: Evidence) -> CurveFit:
    """Judge a fitted curve by other evidence than its own: by p values corrected for other curves."""
    judgement = judge(
        np.log(fit.e2_pg_ml),
        fit.n_effective,
        fit.supported,
        Curves(fit.estimate, fit.replicates, fit.gradient, fit.influence),
        delta=settings.delta,
        window_ratio=settings.window_ratio,
        higher_is_better=settings.higher_is_better,
        evidence=evidence,
    )
    return replace(fit, **vars(judgement))
