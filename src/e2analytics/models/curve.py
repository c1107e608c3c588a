"""The curve of an outcome against E2, with its uncertainty, its verdict and its limits.

In    one row per scan pair: posterior of E2 over it, covariates, outcome, man, sampling variance
Out   ``CurveFit``: the curve on a grid of E2, what it may be called and where its limits lie

Refuses fewer than ``MIN_PATIENTS`` men. Claims nothing outside the supported range. Sees
arrays only; which pairs are usable is decided before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from e2analytics.errors import TooLittleDataError
from e2analytics.models import intervals, precision, smooth
from e2analytics.models.judgement import judge
from e2analytics.models.precision import Precision
from e2analytics.models.pspline import Array, Basis
from e2analytics.models.shape import Verdict
from e2analytics.models.smooth import Rows
from e2analytics.models.support import men_near, supported_points
from e2analytics.models.sweet_spot import Limit

MIN_PATIENTS = 30

# Grid and knots leave out the outermost 0.5 % of exposures on either side: one man far out would
# stretch them and blur the bend. The supported range lies well inside.
_BULK = (0.005, 0.995)
# Exposures that hardly differ still get a basis, as wide as this share of their size.
_LEAST_RANGE = 1e-3


@dataclass(frozen=True)
class CurveData:
    """Usable scan pairs (or other rows) of one site and outcome.

    Attributes
    ----------
    log_e2 : array of shape (n,)
        Point exposure of each row, log pg/mL: decides support and range.
    log_e2_mean, log_e2_sd : array of shape (n, s)
        Normal posterior of log E2 in each of s episodes of the row's interval.
    episode_weight : array of shape (n, s)
        Share of the interval's time; rows sum to one.
    covariates : array of shape (n, c)
        Linear terms, any units; c may be 0.
    outcome : array of shape (n,)
    patient : integer array of shape (n,)
        Equal codes are one man.
    sampling_variance : array of shape (n,)
        Variance of the outcome due to measurement alone; all zero if unknown.
    """

    log_e2: Array
    log_e2_mean: Array
    log_e2_sd: Array
    episode_weight: Array
    covariates: Array
    outcome: Array
    patient: NDArray[np.int64]
    sampling_variance: Array

    @classmethod
    def at_points(
        cls,
        log_e2: Array,
        outcome: Array,
        patient: NDArray[np.int64],
        covariates: Array | None = None,
        sampling_variance: Array | None = None,
    ) -> Self:
        """Rows whose E2 is taken as known exactly; arrays of shape (n,), covariates (n, c)."""
        n = len(log_e2)
        return cls(
            log_e2=log_e2,
            log_e2_mean=log_e2[:, None],
            log_e2_sd=np.zeros((n, 1)),
            episode_weight=np.ones((n, 1)),
            covariates=np.empty((n, 0)) if covariates is None else covariates,
            outcome=outcome,
            patient=patient,
            sampling_variance=np.zeros(n) if sampling_variance is None else sampling_variance,
        )


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
    n_basis: int = 12
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
    edf : float
        Effective degrees of freedom of the curve; a straight line has 1.
    smoothing : float
        A tenth of REML's smoothing parameter; ``smooth`` says why.
    scale : float
        Residual variance of a row of weight one.
    tau : float
        Spread between intervals that neither curve nor scanner explains, unit of the outcome.
    verdict, explanation
        Shape of benefit against E2, and the same in words.
    nadir, lower_limit, upper_limit : Limit
    replicates : array of shape (R, g)
    """

    e2_pg_ml: Array
    estimate: Array
    ci_low: Array
    ci_high: Array
    band_low: Array
    band_high: Array
    n_effective: NDArray[np.int64]
    supported: NDArray[np.bool_]
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
    replicates: Array


def fit_curve(data: CurveData, settings: CurveSettings) -> CurveFit:
    """Fit the curve, resample men, judge the shape and derive the limits.

    Raises
    ------
    TooLittleDataError
        With fewer than 30 men.
    """
    n_patients = len(np.unique(data.patient))
    if n_patients < MIN_PATIENTS:
        raise TooLittleDataError(
            f"a curve needs at least {MIN_PATIENTS} men with a usable interval; "
            f"there are {n_patients}. Supply more men or a longer period."
        )
    # Small matrices: a second thread costs more than it brings.
    with threadpool_limits(limits=1, user_api="blas"):
        rows = rows_of(data, settings.n_basis)
        return describe(data, settings, rows, precision.estimate(rows, data.sampling_variance))


def rows_of(data: CurveData, n_basis: int) -> Rows:
    """Average a basis over each row's exposure and put the rows in order."""
    basis = _basis(data, n_basis)
    averaged = basis.averaged(data.log_e2_mean, data.log_e2_sd, data.episode_weight)
    return smooth.arrange(basis, averaged, data.covariates, data.outcome)


def describe(data: CurveData, settings: CurveSettings, rows: Rows, known: Precision) -> CurveFit:
    """Do the work of ``fit_curve`` on rows whose weights are known, however few the men."""
    grid = np.linspace(*_range(data.log_e2), settings.n_grid)
    curves = smooth.fit(
        rows, known.weight, data.patient, grid, settings.n_replicates, settings.seed
    )
    low, high = (float(end) for end in np.quantile(data.log_e2, settings.central_range))
    men = men_near(data.log_e2, data.patient, grid, settings.support_half_width)
    supported = supported_points(grid, men, settings.min_effective, (low, high))
    ci_low, ci_high = intervals.pointwise(curves.estimate, curves.replicates)
    band_low, band_high = intervals.simultaneous(curves.estimate, curves.replicates, supported)
    judgement = judge(
        grid,
        men,
        supported,
        curves,
        delta=settings.delta,
        window_ratio=settings.window_ratio,
        higher_is_better=settings.higher_is_better,
    )
    return CurveFit(
        e2_pg_ml=np.exp(grid),
        estimate=curves.estimate,
        ci_low=ci_low,
        ci_high=ci_high,
        band_low=band_low,
        band_high=band_high,
        n_effective=men,
        supported=supported,
        edf=curves.point.edf,
        smoothing=curves.point.smoothing,
        scale=curves.point.scale,
        tau=known.tau,
        n_patients=len(np.unique(data.patient)),
        n_intervals=len(data.outcome),
        verdict=judgement.verdict,
        explanation=judgement.explanation,
        nadir=judgement.nadir,
        lower_limit=judgement.lower_limit,
        upper_limit=judgement.upper_limit,
        replicates=curves.replicates,
    )


def _range(log_e2: Array) -> tuple[float, float]:
    """Where the bulk of the exposures lies, log pg/mL."""
    lower, upper = np.quantile(log_e2, _BULK).tolist()
    least = _LEAST_RANGE * max(1.0, abs(upper))
    if upper - lower < least:
        return lower - least, upper + least
    return lower, upper


def _basis(data: CurveData, n_basis: int) -> Basis:
    """Spread the knots over the bulk of the exposures and what doubt adds on either side."""
    lower, upper = _range(data.log_e2)
    # A basis is constant beyond its ends. Posteriors that reach beyond would pull the end flat.
    doubt = float(np.mean(data.log_e2_sd[data.episode_weight > 0]))
    return Basis(lower - doubt, upper + doubt, n_basis)
