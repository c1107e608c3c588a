"""The penalised complementary log-log model: how likely an event is, by interval and exposure.

In    rows of a design, and whether the event came: a measured loss of at least the LSC, a first symptom
Out   ``RiskPoint``, and working rows on which the machinery of the curve resamples men

The probability is 1 - exp(-exp(eta)), so that a coefficient of 1 for the log of an interval's
length would be a constant hazard. Of a loss it is estimated, because two noisy scans cross the LSC at any
interval; of first events it is an offset. Smoothing by the restricted likelihood with Laplace's approximation, Wood, J R Stat Soc B
2011;73:3, as mgcv's ``gam(family = binomial("cloglog"), method = "REML")``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import brentq

from e2analytics.models.penalised_least_squares import decompose
from e2analytics.models.pspline import Array

_MAX_STEPS = 100
_MAX_ROUNDS = 30
_MAX_HALVINGS = 30
# Likelihood and score are sums over rows, right to about this share.
_SETTLED = 1e-13
# Below this hazard the weights are differences of nearly equal numbers: a series is used.
_SMALL = 1e-2
# Log smoothing is bracketed in steps of this size, at most so far.
_BRACKET, _FARTHEST = 0.5, 40.0


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
    """

    coefficients: Array
    smoothing: float
    eta: Array


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


def fit(design: Array, event: Array, n_fixed: int, offset: Array | float = 0.0) -> RiskPoint:
    """Fit the coefficients and REML's smoothing.

    Parameters
    ----------
    design : array of shape (n, m + p)
        Fixed (unpenalised) columns, then penalised ones, whose penalty is an identity.
    event : array of shape (n,)
        0 or 1.
    n_fixed : int
        m
    offset : array of shape (n,), optional
        Part of the linear predictor that is known: log years where the hazard is constant within a row.
    """
    problem = _Problem(design, event, n_fixed, offset)
    best = problem.best_smoothing(np.log(_start(problem)))
    coefficients = problem.coefficients(np.exp(best))
    return RiskPoint(coefficients, float(np.exp(best)), problem.eta(coefficients))


def refit(
    design: Array,
    event: Array,
    n_fixed: int,
    start: RiskPoint,
    smoothing: float,
    offset: Array | float = 0.0,
) -> RiskPoint:
    """Fit the coefficients for another smoothing parameter, from those of ``start``."""
    problem = _Problem(design, event, n_fixed, offset)
    problem.latest = start.coefficients
    coefficients = problem.coefficients(smoothing)
    return RiskPoint(coefficients, smoothing, problem.eta(coefficients))


def _start(problem: _Problem) -> float:
    """Smoothing near REML's: that of the working rows, in turn with these."""
    design, event = problem.design, problem.event
    rate = float(np.clip(event.mean(), 1e-6, 1 - 1e-6))
    # All rows have the mean rate, whatever is known of them.
    eta = np.full(len(event), np.log(-np.log1p(-rate)))
    smoothing = 1.0
    n_rows = np.array([float(len(event))])
    for _ in range(_MAX_ROUNDS):
        rows = working(eta, event)
        unknown = np.column_stack([design, rows.outcome - problem.offset])
        table = unknown * np.sqrt(rows.weight)[:, None]
        parts = decompose((table.T @ table)[None], n_rows, problem.n_fixed, known_scale=1.0)
        previous, found = smoothing, parts.spectrum.reml()
        smoothing = float(found[0])
        eta = problem.eta(parts.coefficients(found)[0])
        if abs(np.log(smoothing / previous)) < 1e-3:
            break
    return smoothing


class _Problem:
    """One data set whose coefficients are wanted for many smoothing parameters in turn."""

    def __init__(
        self, design: Array, event: Array, n_fixed: int, offset: Array | float = 0.0
    ) -> None:
        self.design, self.event, self.n_fixed, self.offset = design, event, n_fixed, offset
        n_columns = design.shape[1]
        self.n_penalised = n_columns - n_fixed
        self.penalised = (np.arange(n_columns) >= n_fixed).astype(np.float64)
        self.latest = np.zeros(n_columns)

    def eta(self, coefficients: Array) -> Array:
        """Linear predictor of each row."""
        return np.asarray(self.design @ coefficients + self.offset)

    def coefficients(self, smoothing: float) -> Array:
        """Maximise the penalised likelihood by Newton's method, from the latest coefficients."""
        beta, best = self.latest, self._penalised_likelihood(self.latest, smoothing)
        for _ in range(_MAX_STEPS):
            score, information = self._expansion(beta, smoothing)
            step = cho_solve(cho_factor(information), score)
            for _ in range(_MAX_HALVINGS):
                moved = self._penalised_likelihood(beta + step, smoothing)
                if moved >= best - _SETTLED * abs(best):
                    break
                step = step / 2
            beta, best = beta + step, moved
            # The expected gain of the next step, in units of the likelihood.
            if score @ step <= _SETTLED**2 * abs(best) or np.all(
                np.abs(step) <= _SETTLED * (1 + np.abs(beta))
            ):
                break
        self.latest = beta
        return beta

    def best_smoothing(self, log_smoothing: float) -> float:
        """Log smoothing at which the restricted likelihood is greatest, near a first guess."""
        low = high = log_smoothing
        while self.slope(low) > 0 and low > log_smoothing - _FARTHEST:
            low -= _BRACKET
        while self.slope(high) < 0 and high < log_smoothing + _FARTHEST:
            high += _BRACKET
        if low == high or self.slope(low) > 0 or self.slope(high) < 0:
            # One of the ends was reached: no penalty at all, or nothing but a line.
            return low if low < log_smoothing else high
        return float(brentq(self.slope, low, high, xtol=1e-13, rtol=1e-14))

    def slope(self, log_smoothing: float) -> float:
        """Differentiate twice the negative restricted likelihood in log smoothing."""
        smoothing = float(np.exp(log_smoothing))
        beta = self.coefficients(smoothing)
        rows = working(self.eta(beta), self.event)
        penalty = smoothing * self.penalised
        information = (self.design * rows.weight[:, None]).T @ self.design + np.diag(penalty)
        factor = cho_factor(information)
        # How the linear predictor, and with it the information, moves with log smoothing.
        moved = -self.design @ cho_solve(factor, penalty * beta)
        changed = (self.design * (rows.slope * moved)[:, None]).T @ self.design + np.diag(penalty)
        trace = float(np.trace(cho_solve(factor, changed)))
        return float(penalty @ beta**2 + trace - self.n_penalised)

    def _penalised_likelihood(self, beta: Array, smoothing: float) -> float:
        roughness = float(self.penalised @ beta**2)
        return log_likelihood(self.eta(beta), self.event) - smoothing * roughness / 2

    def _expansion(self, beta: Array, smoothing: float) -> tuple[Array, Array]:
        eta = self.eta(beta)
        rows = working(eta, self.event)
        penalty = smoothing * self.penalised
        score = self.design.T @ (rows.weight * (rows.outcome - eta)) - penalty * beta
        information = (self.design * rows.weight[:, None]).T @ self.design + np.diag(penalty)
        return score, information
