"""Dose response of E2, provisional: a man's own level, his own drug response, and noise.

For draw j of man i, ``log E2 = a_i + on_ij r_i + offset(assay) + e_ij`` with ``(a_i, r_i)`` normal
over men and ``e_ij`` normal with a variance per assay. The dose enters only as on or off: the full
model with a dose curve and covariates replaces this one. Censored draws weigh what their interval
tells (a normal approximation at the mode), so ``<24`` hardly moves a man whose level is 20.

Fitted by EM; given the parameters, a man's posterior is in closed form from sums over his draws.
All levels are equivalents of mass spectrometry, log pg/mL.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

Vector = NDArray[np.float64]

MIN_MEN = 30
"""Fewer men do not tell how men differ."""
_MAX_ROUNDS = 500
_TOLERANCE = 1e-6
_MODE_ROUNDS = 8
_LEAST_VARIANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Draws:
    """E2 draws of n men.

    Attributes
    ----------
    man : ndarray of int, shape (m,)
        Which man, 0 ... n_men - 1.
    low, high : ndarray, shape (m,)
        Interval of log E2 (log pg/mL); equal unless censored, -inf or inf where open.
    on : ndarray, shape (m,)
        1 on the drug at steady state, 0 off it.
    ms : ndarray of bool, shape (m,)
        Measured by mass spectrometry; all others count as immunoassay.
    n_men : int
        Number of men; one may have no draw.
    """

    man: NDArray[np.int64]
    low: Vector
    high: Vector
    on: Vector
    ms: NDArray[np.bool_]
    n_men: int


@dataclass(frozen=True, slots=True)
class Shrinkage:
    """What the men have in common.

    Attributes
    ----------
    mean : tuple of 2 floats
        Mean level off the drug (log pg/mL) and mean response (log ratio).
    covariance : tuple of 3 floats
        Variance of the level, covariance, variance of the response, over men.
    variance_ms, variance_ia : float
        Residual variance of one draw, by assay.
    offset_ia : float
        How much an immunoassay reads above mass spectrometry (log ratio).
    n_men, n_draws, n_censored : int
        What it was estimated from.
    """

    mean: tuple[float, float]
    covariance: tuple[float, float, float]
    variance_ms: float
    variance_ia: float
    offset_ia: float
    n_men: int
    n_draws: int
    n_censored: int


@dataclass(frozen=True, slots=True)
class Levels:
    """Posterior of each man's own level (log pg/mL), each of shape (n_men,).

    ``covariance`` is that of the level off and on the drug.
    """

    off_mean: Vector
    off_sd: Vector
    on_mean: Vector
    on_sd: Vector
    covariance: Vector


@dataclass(frozen=True, slots=True)
class _Posterior:
    mean: Vector  # (n_men, 2): level, response
    covariance: Vector  # (n_men, 2, 2)


def fit(draws: Draws) -> Shrinkage:
    """Estimate what the men have in common, by EM.

    Raises
    ------
    ValueError
        If there are fewer than 30 men with a draw.
    """
    n_men = len(np.unique(draws.man))
    if n_men < MIN_MEN:
        raise ValueError(f"{n_men} men have an E2 draw; {MIN_MEN} are needed")
    shared = _start(draws, n_men)
    previous = np.full(7, np.inf)
    for _ in range(_MAX_ROUNDS):
        shared = _improve(shared, draws)
        now = np.array([*shared.mean, *shared.covariance, shared.variance_ms, shared.variance_ia])
        if np.max(np.abs(now - previous)) < _TOLERANCE:
            break
        previous = now
    return shared


def levels(shared: Shrinkage, draws: Draws) -> Levels:
    """Return every man's own level off and on the drug, given his draws."""
    own = _posterior(shared, draws)
    variance = own.covariance
    on_variance = variance[:, 0, 0] + 2 * variance[:, 0, 1] + variance[:, 1, 1]
    return Levels(
        off_mean=own.mean[:, 0],
        off_sd=np.sqrt(variance[:, 0, 0]),
        on_mean=own.mean.sum(axis=1),
        on_sd=np.sqrt(on_variance),
        covariance=variance[:, 0, 0] + variance[:, 0, 1],
    )


def _start(draws: Draws, n_men: int) -> Shrinkage:
    middle = _inside(draws)
    off, on = draws.on == 0, draws.on == 1
    level = float(np.median(middle[off])) if off.any() else float(np.median(middle))
    response = float(np.median(middle[on])) - level if on.any() else -0.8
    spread = max(float(np.var(middle)) / 2, 0.05)
    return Shrinkage(
        mean=(level, response),
        covariance=(spread, 0.0, spread / 4),
        variance_ms=spread / 2,
        variance_ia=spread / 2,
        offset_ia=0.0,
        n_men=n_men,
        n_draws=len(draws.man),
        n_censored=int(np.sum(draws.low < draws.high)),
    )


def _inside(draws: Draws) -> Vector:
    """Return a point inside every draw's interval, to start from."""
    low = np.where(np.isfinite(draws.low), draws.low, draws.high - 0.5)
    high = np.where(np.isfinite(draws.high), draws.high, draws.low + 0.5)
    return (low + high) / 2


def _improve(shared: Shrinkage, draws: Draws) -> Shrinkage:
    own = _posterior(shared, draws)
    drawn = np.unique(draws.man)
    means, covariances = own.mean[drawn], own.covariance[drawn]
    mean = means.mean(axis=0)
    spread = means - mean
    between = covariances.mean(axis=0) + spread.T @ spread / len(drawn)

    residual, uncertainty = _residuals(shared, draws, own)
    ia = ~draws.ms
    # Without a draw by mass spectrometry there is nothing that an offset could be measured against.
    offset = shared.offset_ia + float(residual[ia].mean()) if ia.any() and draws.ms.any() else 0.0
    residual = residual - np.where(ia, offset - shared.offset_ia, 0.0)
    squares = residual**2 + uncertainty
    return Shrinkage(
        mean=(float(mean[0]), float(mean[1])),
        covariance=(
            max(float(between[0, 0]), _LEAST_VARIANCE),
            float(between[0, 1]),
            max(float(between[1, 1]), _LEAST_VARIANCE),
        ),
        variance_ms=_mean_square(squares[draws.ms], otherwise=shared.variance_ia),
        variance_ia=_mean_square(squares[ia], otherwise=shared.variance_ms),
        offset_ia=offset,
        n_men=shared.n_men,
        n_draws=shared.n_draws,
        n_censored=shared.n_censored,
    )


def _mean_square(squares: Vector, *, otherwise: float) -> float:
    return max(float(squares.mean()), _LEAST_VARIANCE) if len(squares) else otherwise


def _residuals(shared: Shrinkage, draws: Draws, own: _Posterior) -> tuple[Vector, Vector]:
    """Return each draw's expected residual and the variance of it, both of shape (m,)."""
    expected = _expected(shared, draws, own)
    variance = _variance(shared, draws)
    inside, inside_variance = _within(draws, expected, variance)
    each = own.covariance[draws.man]
    of_level = each[:, 0, 0] + draws.on * (2 * each[:, 0, 1] + each[:, 1, 1])
    return inside - expected, of_level + inside_variance


def _expected(shared: Shrinkage, draws: Draws, own: _Posterior) -> Vector:
    level, response = own.mean[draws.man].T
    expected: Vector = level + draws.on * response + np.where(draws.ms, 0.0, shared.offset_ia)
    return expected


def _variance(shared: Shrinkage, draws: Draws) -> Vector:
    return np.where(draws.ms, shared.variance_ms, shared.variance_ia)


def _posterior(shared: Shrinkage, draws: Draws) -> _Posterior:
    """Return every man's posterior; censored draws make it a short search for the mode."""
    prior_mean = np.asarray(shared.mean)
    level, both, response = shared.covariance
    prior = np.linalg.inv(np.array([[level, both], [both, response]]))
    offset = np.where(draws.ms, 0.0, shared.offset_ia)
    variance = _variance(shared, draws)
    mean = np.tile(prior_mean, (draws.n_men, 1))
    censored = bool(np.any(draws.low < draws.high))
    for _ in range(_MODE_ROUNDS if censored else 1):
        expected = mean[draws.man, 0] + draws.on * mean[draws.man, 1] + offset
        inside, inside_variance = _within(draws, expected, variance)
        # What an interval tells: its information is that of a full draw less what is left open.
        weight = (1 - inside_variance / variance) / variance
        pull = weight * (expected - offset) + (inside - expected) / variance
        information = prior + _sums(draws, weight)
        score = prior @ prior_mean + _pulls(draws, pull)
        covariance = np.linalg.inv(information).astype(np.float64)
        mean = np.einsum("nij,nj->ni", covariance, score)
    return _Posterior(mean, covariance)


def _sums(draws: Draws, weight: Vector) -> Vector:
    every = np.bincount(draws.man, weight, draws.n_men)
    on = np.bincount(draws.man, weight * draws.on, draws.n_men)
    return np.stack([np.stack([every, on], axis=-1), np.stack([on, on], axis=-1)], axis=-2)


def _pulls(draws: Draws, pull: Vector) -> Vector:
    every = np.bincount(draws.man, pull, draws.n_men)
    on = np.bincount(draws.man, pull * draws.on, draws.n_men)
    return np.stack([every, on], axis=-1)


def _within(draws: Draws, expected: Vector, variance: Vector) -> tuple[Vector, Vector]:
    """Return mean and variance of each draw inside its interval; an exact one has no variance."""
    inside, left = draws.low.copy(), np.zeros_like(draws.low)
    open_ = draws.low < draws.high
    sd = np.sqrt(variance[open_])
    mean, share = truncated_normal(
        (draws.low[open_] - expected[open_]) / sd, (draws.high[open_] - expected[open_]) / sd
    )
    inside[open_] = expected[open_] + sd * mean
    left[open_] = variance[open_] * share
    return inside, left


def truncated_normal(low: Vector, high: Vector) -> tuple[Vector, Vector]:
    """Return mean and variance of a standard normal between ``low`` and ``high`` (may be infinite).

    >>> mean, variance = truncated_normal(np.array([-np.inf]), np.array([0.0]))
    >>> round(float(mean[0]), 4), round(float(variance[0]), 4)   # -sqrt(2/pi), 1 - 2/pi
    (-0.7979, 0.3634)
    """
    # Tails are computed on the left, where log_ndtr keeps its digits.
    flip = low > 0
    a, b = np.where(flip, -high, low), np.where(flip, -low, high)
    log_mass = log_ndtr(b) + np.log1p(-np.exp(np.minimum(log_ndtr(a) - log_ndtr(b), -1e-12)))
    at_a, at_b = _density_ratio(a, log_mass), _density_ratio(b, log_mass)
    mean = at_a - at_b
    variance = 1 + _times(a, at_a) - _times(b, at_b) - mean**2
    return np.where(flip, -mean, mean), np.clip(variance, 0.0, 1.0)


def _density_ratio(x: Vector, log_mass: Vector) -> Vector:
    finite = np.where(np.isfinite(x), x, 0.0)
    ratio: Vector = np.exp(-0.5 * finite**2 - 0.5 * np.log(2 * np.pi) - log_mass)
    return np.where(np.isfinite(x), ratio, 0.0)


def _times(x: Vector, ratio: Vector) -> Vector:
    return np.where(np.isfinite(x), x, 0.0) * ratio
