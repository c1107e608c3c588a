"""The curve as a scikit-learn estimator, for notebooks, pipelines and cross-validation.

In    X of shape (n, 1 + c): log E2 (log pg/mL), then linear covariates; y, the outcome
Out   a fitted regressor whose attributes carry the curve, its verdict and its limits

Takes E2 as known exactly; ``curve.fit_curve`` is the one that takes its uncertainty along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from e2analytics.errors import TooLittleDataError
from e2analytics.models import intervals, sandwich, smooth
from e2analytics.models.curve import (
    MIN_PATIENTS,
    CurveFit,
    CurveSettings,
    describe_grams,
    plan_curve,
)
from e2analytics.models.gram_matrices import collect, whole_gram
from e2analytics.models.penalised_least_squares import decompose
from e2analytics.models.plan import Plan, design
from e2analytics.models.pspline import Array
from e2analytics.models.rows import CurveData
from e2analytics.models.shape import Verdict
from e2analytics.models.threads import one_blas_thread
from e2analytics.models.weights import Weighting

if TYPE_CHECKING:
    import altair as alt


class SweetSpotRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    r"""Penalised spline of an outcome in log E2 with a verdict and limits.

    Row :math:`i` of man :math:`m(i)` has log E2 :math:`x_i`, covariates :math:`z_i` and weight
    :math:`w_i`:

    .. math:: y_i = f(x_i) + z_i'\gamma + e_i, \qquad f(x) = \sum_k \beta_k B_k(x).

    The :math:`B_k` are cubic B-splines on evenly spaced knots; :math:`\beta` and :math:`\gamma`
    minimise

    .. math:: \sum_i w_i (y_i - f(x_i) - z_i'\gamma)^2 + \lambda \sum_k (\Delta^2 \beta_k)^2,

    with :math:`\lambda` by REML, then lowered until the curve's standard error has doubled, so that
    its bias is small relative to its intervals. Errors :math:`e_i` of one man may depend on each other in
    any way: intervals come from the sandwich over men, bands from its sup-t quantile, limits and
    verdict from resampled men, each resample with its own :math:`\lambda`. *Best* is the best mean
    of :math:`f` over a window of E2 with ratio 1.5; a limit is where :math:`f` has fallen by
    ``delta`` from it. A U is claimed only where harm is shown on both sides.

    Parameters
    ----------
    delta : float, default=0.5
        Loss of outcome that matters, in the unit of ``y``.
    higher_is_better : bool, default=True
        False where a larger outcome is worse, as a risk is.
    n_basis : int, default=20
        Number of splines.
    n_replicates : int, default=1000
        Patient-cluster bootstrap replicates behind intervals, verdict and limits.
    random_state : int, default=0
        Seed of the bootstrap.

    Attributes
    ----------
    curve_ : CurveFit or None
        The curve with intervals and replicates; None with fewer than 30 patients, who carry a
        prediction but no claim.
    verdict_ : Verdict
        Shape of benefit against E2.
    nadir_, lower_limit_, upper_limit_ : float or None
        E2 that is best, and between which it stays within ``delta`` of best, pg/mL.
    edf_ : float
        Effective degrees of freedom of the curve; a straight line has 1.
    smoothing_ : float
        The smoothing parameter, less than REML's; ``smooth`` says why.
    scale_ : float
        Residual variance of a row of weight one.
    basis_ : Basis
    coef_ : array of shape (n_basis + c,)
        Of the columns of ``plan.design``.
    covariate_means_ : array of shape (c,)
    level_ : float
        Mean of ``y``.
    n_features_in_ : int
    feature_names_in_ : array of str
        Where ``X`` had names.

    Examples
    --------
    A threshold at 20 pg/mL: below it, outcome falls by 3 per log unit of E2, so that it has lost
    0.5 at 20 exp(-0.5 / 3) = 16.9 pg/mL. Three rows a man.

    >>> rng = np.random.default_rng(0)
    >>> log_e2 = rng.uniform(np.log(8), np.log(60), 3000)
    >>> y = np.minimum(0, 3 * (log_e2 - np.log(20))) + rng.normal(0, 1, 3000)
    >>> fit = SweetSpotRegressor().fit(log_e2[:, None], y, groups=np.arange(3000) // 3)
    >>> print(fit.verdict_, 15 < fit.lower_limit_ < 19)
    low_side_threshold True

    The expected outcome at 12 and at 30 pg/mL, with 95 % intervals by man:

    >>> at = np.log([[12.0], [30.0]])
    >>> (fit.predict(at).round(1) + 0.0).tolist()
    [-1.4, 0.0]
    >>> low, high = fit.predict_interval(at).T
    >>> bool(np.all(low < fit.predict(at)) and np.all(fit.predict(at) < high))
    True

    ``fit.plot()`` draws curve, intervals and limits.
    """

    def __init__(
        self,
        *,
        delta: float = 0.5,
        higher_is_better: bool = True,
        n_basis: int = 20,
        n_replicates: int = 1000,
        random_state: int = 0,
    ) -> None:
        self.delta = delta
        self.higher_is_better = higher_is_better
        self.n_basis = n_basis
        self.n_replicates = n_replicates
        self.random_state = random_state

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        groups: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the curve.

        Parameters
        ----------
        X : array of shape (n, 1 + c)
        y : array of shape (n,)
        groups : array of shape (n,), optional
            Patient of each row; without it every row is a patient of its own.
        sample_weight : array of shape (n,), optional
            Precision (inverse variance up to a factor) of each row, not its frequency.
        """
        rows, outcome = validate_data(
            self, X, y, y_numeric=True, ensure_min_samples=2, dtype=np.float64
        )
        weight = _check_sample_weight(
            sample_weight, rows, dtype=np.float64, ensure_non_negative=True
        )
        patient = _codes(groups, len(rows))
        weighed = weight > 0
        data = CurveData.at_points(
            log_e2=rows[weighed, 0],
            outcome=outcome.astype(np.float64)[weighed],
            patient=patient[weighed],
            covariates=rows[weighed, 1:],
        )
        settings = CurveSettings(
            delta=self.delta,
            higher_is_better=self.higher_is_better,
            seed=self.random_state,
            n_basis=self.n_basis,
            n_replicates=self.n_replicates,
        )
        plan = plan_curve([data], settings)
        with one_blas_thread():
            self._fit_points(data, plan, weight[weighed])
            self._judge(data, settings, plan, weight[weighed])
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Predict the expected outcome at the rows of ``X``, shape (n,)."""
        columns = self._columns(X)
        return np.asarray(self.level_ + columns @ self.coef_)

    def predict_interval(self, X: ArrayLike) -> Array:
        """Give the 95 % interval, clustered by man, of the expected outcome at each row of ``X``.

        It says how well the mean of such rows is known, not where a single outcome will lie.

        Returns
        -------
        array of shape (n, 2)
            Low and high end.

        Raises
        ------
        TooLittleDataError
            If fewer than 30 patients were fitted.
        """
        columns = self._columns(X)
        self._claims()
        everywhere = np.ones(len(columns), dtype=np.bool_)
        expected = self.level_ + columns @ self.coef_
        interval = intervals.around(expected, self._influence, columns, everywhere)
        return np.column_stack([interval.ci_low, interval.ci_high])

    def plot(self, outcome: str = "outcome") -> alt.LayerChart:
        """Draw the curve with its intervals, its band and its limits, covariates at their means.

        Parameters
        ----------
        outcome : str, default="outcome"
            Title of the vertical axis.

        Raises
        ------
        TooLittleDataError
            If fewer than 30 patients were fitted.
        """
        from e2analytics.models.curve_plot import plot  # charts only for those who draw

        check_is_fitted(self)
        return plot(self._claims(), outcome)

    def _columns(self, X: ArrayLike) -> Array:
        check_is_fitted(self)
        rows: Array = validate_data(self, X, reset=False, dtype=np.float64)
        basis_rows = self.basis_.evaluate(rows[:, 0])
        return design(self.basis_, basis_rows, rows[:, 1:] - self.covariate_means_)

    def _claims(self) -> CurveFit:
        """Return the curve, or say why there is none."""
        if self.curve_ is None:
            raise TooLittleDataError(
                f"fewer than {MIN_PATIENTS} patients were fitted: they carry a prediction, but no "
                "interval, verdict or limit. Supply more patients."
            )
        return self.curve_

    def _fit_points(self, data: CurveData, plan: Plan, weight: Array) -> None:
        point = smooth.fit_point(*whole_gram(data, weight, plan), plan.n_fixed)
        self.basis_, self.level_ = plan.basis, plan.outcome_mean
        self.covariate_means_ = plan.covariate_means
        self.coef_, self.edf_ = point.coefficients, point.edf
        self.smoothing_, self.scale_ = point.smoothing, point.scale

    def _judge(self, data: CurveData, settings: CurveSettings, plan: Plan, weight: Array) -> None:
        self.curve_: CurveFit | None = None
        self.verdict_ = Verdict.INCONCLUSIVE
        self.nadir_ = self.lower_limit_ = self.upper_limit_ = None
        if len(plan.patients) < MIN_PATIENTS:
            return
        every_row_alike = Weighting(np.inf, 0.0)
        grams = collect(data, weight, plan)
        self.curve_ = describe_grams([data], grams, settings, plan, every_row_alike)
        parts = decompose(*grams.whole(), plan.n_fixed)
        bread = parts.covariance(np.array([self.smoothing_]))[0]
        self._influence = sandwich.influence(grams, self.coef_, bread)
        self.verdict_ = self.curve_.verdict
        self.nadir_ = self.curve_.nadir.value_pg_ml
        self.lower_limit_ = self.curve_.lower_limit.value_pg_ml
        self.upper_limit_ = self.curve_.upper_limit.value_pg_ml


def _codes(groups: ArrayLike | None, n_rows: int) -> NDArray[np.int64]:
    if groups is None:
        return np.arange(n_rows)
    codes: NDArray[Any] = np.unique(np.asarray(groups), return_inverse=True)[1]
    check_consistent_length(codes, np.empty(n_rows))
    return codes.astype(np.int64)
