"""The penalised complementary log-log model: how likely an event is, by interval and exposure.

In    the linear predictor of rows, and whether the event came: a measured loss of at least the LSC, a first symptom
Out   ``RiskPoint``, and working rows on which the machinery of the curve resamples men

The probability is 1 - exp(-exp(eta)), so that a coefficient of 1 for the log of an interval's
length would be a constant hazard. Of a loss it is estimated, because two noisy scans cross the LSC at any
interval; of first events it is an offset. Smoothing by the restricted likelihood with Laplace's approximation, Wood, J R Stat Soc B
2011;73:3, as mgcv's ``gam(family = binomial("cloglog"), method = "REML")``. A predictor that is not linear in its
coefficients (``hazard``) is taken as linear at the latest ones, step by step (Gauss and Newton).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import brentq

from e2analytics.models.penalised_least_squares import decompose
from e2analytics.models.pspline import Array

_MAX_STEPS = 100
_MAX_ROUNDS = 30
_MAX_HALVINGS = 30
# The likelihood is a sum over rows, right to about this share.
_SETTLED = 1e-13
# In units of the likelihood: a last step of a millionth of a standard error.
_LEAST_GAIN = 1e-12
# Below this hazard the weights are differences of nearly equal numbers: a series is used.
_SMALL = 1e-2
# Log smoothing is bracketed in steps of this size and more, at least so far.
_BRACKET, _FARTHEST = 0.5, 40.0


class Predictor(Protocol):
    """The linear predictor of n rows at p coefficients, and how these move it."""

    @property
    def n_columns(self) -> int:
        """p: fixed (unpenalised) coefficients, then penalised ones, whose penalty is an identity."""

    def at(self, coefficients: Array) -> tuple[Array, Array]:
        """Linear predictor (n,) and its derivative in the coefficients (n, p)."""


@dataclass(frozen=True)
class Linear:
    """The linear predictor of rows of a design.

    Attributes
    ----------
    design : array of shape (n, p)
    offset : array of shape (n,) or float
        Part of the predictor that is known: log years where the hazard is constant within a row.
    """

    design: Array
    offset: Array | float = 0.0

    @property
    def n_columns(self) -> int:
        """Columns of the design."""
        return int(self.design.shape[1])

    def at(self, coefficients: Array) -> tuple[Array, Array]:
        """Linear predictor (n,) and the design (n, p)."""
        return self.design @ coefficients + self.offset, self.design


@dataclass(frozen=True)
class Working:
    """The rows as weighted least squares sees them at some linear predictor; shape (n,) each.

    Attributes
    ----------
    weight : array
        Observed information about the linear predictor.
    outcome : array
        What least squares is to fit with these weights.
    slope : array
        Derivative of ``weight`` in the linear predictor.
    """

    weight: Array
    outcome: Array
    slope: Array


@dataclass(frozen=True)
class RiskPoint:
    """The fit to all rows.

    Attributes
    ----------
    coefficients : array of shape (m + p,)
    smoothing : float
        REML's smoothing parameter.
    eta : array of shape (n,)
        Linear predictor of each row.
    design : array of shape (n, m + p)
        Its derivative in the coefficients.
    """

    coefficients: Array
    smoothing: float
    eta: Array
    design: Array

    def least_squares(self, event: Array) -> tuple[Array, Array]:
        """Return the columns of least squares that stand for the fit, the outcome last, and their weights.

        Their solution, with the same penalty, is these coefficients.
        """
        rows = working(self.eta, event)
        known = self.eta - self.design @ self.coefficients
        return np.column_stack([self.design, rows.outcome - known]), rows.weight


def probability(eta: Array) -> Array:
    """Probability at a linear predictor."""
    return np.asarray(-np.expm1(-np.exp(eta)))


def log_likelihood(eta: Array, event: Array) -> float:
    """Log-likelihood of events (0 or 1), shape (n,) each."""
    hazard = np.exp(eta)
    came = np.log(-np.expm1(-hazard), where=event > 0, out=np.zeros_like(hazard))
    return float(np.sum(np.where(event > 0, came, -hazard)))


def working(eta: Array, event: Array) -> Working:
    """Expand the log-likelihood of each row to second order.

    Notes
    -----
    With hazard h = exp(eta) and g = h / (exp(h) - 1), the log-likelihood of an event has slope g
    and information g (h + g - 1); that of no event has slope -h and information h.
    """
    hazard = np.exp(np.clip(eta, -30.0, 30.0))
    came = hazard / np.expm1(np.minimum(hazard, 700.0))
    series = hazard / 2 + hazard**2 / 12 - hazard**4 / 720
    excess = np.where(hazard < _SMALL, series, hazard + came - 1)
    # In eta: came' = -came excess, excess' = hazard - came excess.
    with_event = came * excess
    weight = np.where(event > 0, with_event, hazard)
    score = np.where(event > 0, came, -hazard)
    slope = np.where(event > 0, came * (hazard - came * excess) - with_event * excess, hazard)
    weight = np.maximum(weight, np.finfo(float).tiny)
    return Working(weight, eta + score / weight, slope)


def expected_information(design: Array, eta: Array) -> Array:
    """Information about the coefficients that is expected at a linear predictor, shape (q, q).

    mgcv's standard errors and degrees of freedom rest on it, not on what was observed.
    """
    hazard = np.exp(eta)
    # The square of the probability's derivative over its binomial variance.
    weight = hazard**2 / np.expm1(np.minimum(hazard, 700.0))
    return np.asarray((design * weight[:, None]).T @ design)


def fit(predictor: Predictor, event: Array, n_fixed: int) -> RiskPoint:
    """Fit the coefficients and REML's smoothing.

    Parameters
    ----------
    predictor : Predictor
    event : array of shape (n,)
        0 or 1.
    n_fixed : int
        Unpenalised coefficients, which come first.
    """
    problem = _Problem(predictor, event, n_fixed)
    best = problem.best_smoothing(np.log(_start(problem)))
    return problem.fitted(float(np.exp(best)))


def refit(
    predictor: Predictor, event: Array, n_fixed: int, start: RiskPoint, smoothing: float
) -> RiskPoint:
    """Fit the coefficients for another smoothing parameter, from those of ``start``."""
    problem = _Problem(predictor, event, n_fixed)
    problem.latest = start
    return problem.fitted(smoothing)


def _start(problem: _Problem) -> float:
    """Smoothing near REML's: that of the working rows, in turn with these.

    The predictor is taken as linear all the way, as it is at coefficients of zero.
    """
    event = problem.event
    rate = float(np.clip(event.mean(), 1e-6, 1 - 1e-6))
    known, design = problem.latest.eta, problem.latest.design
    # All rows have the mean rate, whatever is known of them.
    eta = np.full(len(event), np.log(-np.log1p(-rate)))
    smoothing = 1.0
    n_rows = np.array([float(len(event))])
    for _ in range(_MAX_ROUNDS):
        rows = working(eta, event)
        unknown = np.column_stack([design, rows.outcome - known])
        table = unknown * np.sqrt(rows.weight)[:, None]
        parts = decompose((table.T @ table)[None], n_rows, problem.n_fixed, known_scale=1.0)
        previous, found = smoothing, parts.spectrum.reml()
        smoothing = float(found[0])
        eta = known + design @ parts.coefficients(found)[0]
        if abs(np.log(smoothing / previous)) < 1e-3:
            break
    return smoothing


class _Problem:
    """One data set whose coefficients are wanted for many smoothing parameters in turn."""

    def __init__(self, predictor: Predictor, event: Array, n_fixed: int) -> None:
        self.predictor, self.event, self.n_fixed = predictor, event, n_fixed
        n_columns = predictor.n_columns
        self.n_penalised = n_columns - n_fixed
        self.penalised = (np.arange(n_columns) >= n_fixed).astype(np.float64)
        none = np.zeros(n_columns)
        self.latest = RiskPoint(none, 0.0, *predictor.at(none))

    def fitted(self, smoothing: float) -> RiskPoint:
        """Maximise the penalised likelihood by Newton's method, from the latest coefficients."""
        penalty = smoothing * self.penalised
        point = replace(self.latest, smoothing=smoothing)
        best = self._penalised_likelihood(point)
        for _ in range(_MAX_STEPS):
            rows = working(point.eta, self.event)
            score = (
                point.design.T @ (rows.weight * (rows.outcome - point.eta))
                - penalty * point.coefficients
            )
            step = cho_solve(cho_factor(_information(point, rows.weight, penalty)), score)
            gain = float(score @ step)
            for _ in range(_MAX_HALVINGS):
                moved = self._at(point.coefficients + step, smoothing)
                reached = self._penalised_likelihood(moved)
                if reached >= best - _SETTLED * abs(best):
                    break
                step = step / 2
            point, best = moved, reached
            if gain <= _LEAST_GAIN:
                break
        self.latest = point
        return point

    def best_smoothing(self, log_smoothing: float) -> float:
        """Log smoothing at which the restricted likelihood is greatest, near a first guess."""
        step = _BRACKET if self.slope(log_smoothing) < 0 else -_BRACKET
        near = log_smoothing
        while abs(near - log_smoothing) < _FARTHEST:
            far = near + step
            if self.slope(far) * step >= 0:
                return float(brentq(self.slope, near, far, xtol=1e-13, rtol=1e-14))
            near, step = far, 2 * step
        # No penalty at all, or nothing but a line.
        return near

    def slope(self, log_smoothing: float) -> float:
        """Differentiate twice the negative restricted likelihood in log smoothing."""
        smoothing = float(np.exp(log_smoothing))
        point = self.fitted(smoothing)
        beta, design = point.coefficients, point.design
        rows = working(point.eta, self.event)
        penalty = smoothing * self.penalised
        factor = cho_factor(_information(point, rows.weight, penalty))
        # How the linear predictor, and with it the information, moves with log smoothing.
        moved = -design @ cho_solve(factor, penalty * beta)
        changed = (design * (rows.slope * moved)[:, None]).T @ design + np.diag(penalty)
        trace = float(np.trace(cho_solve(factor, changed)))
        return float(penalty @ beta**2 + trace - self.n_penalised)

    def _at(self, coefficients: Array, smoothing: float) -> RiskPoint:
        return RiskPoint(coefficients, smoothing, *self.predictor.at(coefficients))

    def _penalised_likelihood(self, point: RiskPoint) -> float:
        roughness = float(self.penalised @ point.coefficients**2)
        return log_likelihood(point.eta, self.event) - point.smoothing * roughness / 2


def _information(point: RiskPoint, weight: Array, penalty: Array) -> Array:
    return np.asarray((point.design * weight[:, None]).T @ point.design + np.diag(penalty))
