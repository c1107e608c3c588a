r"""The likelihood of one draw: what a laboratory reports of a man, given his E2.

With :math:`\eta` the log of his E2 (pg/mL) on that day's average and :math:`R` the reading:

*Mass spectrometry*: :math:`\log R` is normal around :math:`\eta`. Its variance holds the assay and the
swing of the man himself.

*Immunoassay*: two components, one that grows with the level and one that stays at the low end,
:math:`R = c + \alpha e^{\eta + \kappa z_1} + \tau z_2` (Rocke and Lorenzato, Technometrics 1995;37:176). The
generalised logarithm makes both one normal error of constant variance (Durbin et al., Bioinformatics
2002;18 Suppl 1:S105): :math:`\sinh^{-1}(\kappa(R-c)/\tau)` is normal around
:math:`\sinh^{-1}(\kappa\alpha e^{\eta}/\tau)` with standard deviation :math:`\kappa`.

A censored result is an interval of readings, and weighs what the interval tells: "<24" hardly moves a
man at 15, who would read so most days.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

PARAMETERS = ("log_sd_ms", "log_ia_slope", "ia_constant_pg_ml", "log_ia_cv", "log_ia_sd_pg_ml")
"""What the assays have of their own, in the order of ``Likelihood.partials``."""


@dataclass(frozen=True, slots=True)
class Assays:
    """How the two kinds of assay read.

    Attributes
    ----------
    sd_ms : float
        Standard deviation of log readings by mass spectrometry around the man's own level.
    ia_slope, ia_constant_pg_ml : float
        What immunoassay reads on average: constant + slope x E2.
    ia_cv, ia_sd_pg_ml : float
        Its error that grows with the level (log scale), and the one that stays at the low end.
    """

    sd_ms: float
    ia_slope: float
    ia_constant_pg_ml: float
    ia_cv: float
    ia_sd_pg_ml: float


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Log-likelihood of m readings at k levels each, of shape (m, k).

    Attributes
    ----------
    value : ndarray
        Log density of an exact reading, log probability of a censored one.
    by_level : callable
        Gives ``slope`` and ``information``: they cost as much as the value, and are rarely wanted.
    partials : callable
        Given a weight for each level (m, k), the weighted sums (m, 5) of derivatives by ``PARAMETERS``.
    """

    value: Matrix
    by_level: Callable[[], tuple[Matrix, Matrix]]
    partials: Callable[[Matrix], Matrix]

    @property
    def slope(self) -> Matrix:
        """Derivative by the level, shape (m, k)."""
        return self.by_level()[0]

    @property
    def information(self) -> Matrix:
        """What the reading tells of the level: the curvature, where it bends the right way; at least 0."""
        return self.by_level()[1]


def on_scale(reading_pg_ml: Vector, ms: NDArray[np.bool_], assays: Assays) -> Vector:
    """Return readings on the scale of their assay, on which the error is normal and constant."""
    with np.errstate(divide="ignore"):
        logs = np.log(reading_pg_ml)
    return np.where(ms, logs, np.arcsinh(_in_errors(reading_pg_ml, assays)))


def as_mass_spectrometry(reading_pg_ml: Vector, ms: NDArray[np.bool_], assays: Assays) -> Vector:
    """Return what mass spectrometry reads on average where an assay reads this: at least 0, NaN where it is.

    >>> assays = Assays(sd_ms=0.15, ia_slope=0.8, ia_constant_pg_ml=10.0, ia_cv=0.1, ia_sd_pg_ml=3.0)
    >>> as_mass_spectrometry(np.array([50.0, 50.0, 4.0]), np.array([True, False, False]), assays)
    array([50., 50.,  0.])
    """
    level = (reading_pg_ml - assays.ia_constant_pg_ml) / assays.ia_slope
    return np.where(ms, reading_pg_ml, np.maximum(level, 0.0))


def expected(level: Matrix, ms: NDArray[np.bool_], assays: Assays) -> tuple[Matrix, Matrix]:
    """Return where readings lie on that scale at a level, and how steeply, of the shape of ``level``."""
    at, slope = _expected_immunoassay(level, assays)
    return np.where(ms, level, at), np.where(ms, 1.0, slope())


def _expected_immunoassay(level: Matrix, assays: Assays) -> tuple[Matrix, Callable[[], Matrix]]:
    """Return where immunoassay reads at a level, on its scale, and what gives how steeply."""
    steep = np.exp(level + np.log(assays.ia_slope * assays.ia_cv / assays.ia_sd_pg_ml))
    root = np.sqrt(1 + steep * steep)
    # arcsinh, of what is never negative: a fifth of its time.
    return np.log(steep + root), lambda: steep / root


def level_per_constant(level: Vector, reading_pg_ml: Vector, assays: Assays) -> Vector:
    """Return by how much log E2 of an immunoassay reading falls per pg/mL of its constant, shape (m,)."""
    _, slope = expected(level, np.zeros(1, bool), assays)
    root = np.sqrt(1 + _in_errors(reading_pg_ml, assays) ** 2)
    return np.asarray(assays.ia_cv / (assays.ia_sd_pg_ml * root * slope))


def exact_immunoassay(level: Matrix, reading_pg_ml: Vector, assays: Assays) -> Likelihood:
    """Return the likelihood of exact readings of shape (m,) at levels of shape (m, k)."""
    cv, sd = assays.ia_cv, assays.ia_sd_pg_ml
    q = _in_errors(reading_pg_ml, assays)[:, None]
    root = np.sqrt(1 + q**2)
    at, steepness = _expected_immunoassay(level, assays)
    error = (np.arcsinh(q) - at) / cv
    value = -0.5 * error * error - (np.log(sd * root) + 0.5 * np.log(2 * np.pi))

    def by_level() -> tuple[Matrix, Matrix]:
        slope = steepness()
        return error * slope / cv, (slope / cv) ** 2

    def partials(weight: Matrix) -> Matrix:
        slope = steepness()
        ratio, total = (q / root)[:, 0], _mean(weight)
        errors, slopes = _mean(weight, error), _mean(weight, error, slope)
        stretch = (errors * ratio - slopes) / cv
        by_cv = _mean(weight, error, error) - stretch - total * ratio**2
        by_constant = errors / (sd * root[:, 0]) + total * ratio * cv / (sd * root[:, 0])
        by_sd = stretch - total * (1 - ratio**2)
        return np.stack([np.zeros_like(total), slopes / cv, by_constant, by_cv, by_sd], axis=-1)

    return Likelihood(value, by_level, partials)


def censored_ms(level: Matrix, low_pg_ml: Vector, high_pg_ml: Vector, assays: Assays) -> Likelihood:
    """Return the likelihood of censored readings; bounds of shape (m,), 0 and inf where open."""
    ms = np.ones(len(low_pg_ml), bool)
    low, high = (on_scale(bound, ms, assays)[:, None] for bound in (low_pg_ml, high_pg_ml))
    a, b = (low - level) / assays.sd_ms, (high - level) / assays.sd_ms
    inside = interval(a, b)

    def partials(weight: Matrix) -> Matrix:
        by_sd = _mean(weight, _times(a, inside.at_low) - _times(b, inside.at_high))
        return np.column_stack([by_sd, np.zeros((len(by_sd), 4))])

    def by_level() -> tuple[Matrix, Matrix]:
        return inside.mean / assays.sd_ms, (1 - inside.variance) / assays.sd_ms**2

    return Likelihood(inside.log_mass, by_level, partials)


def censored_immunoassay(
    level: Matrix, low_pg_ml: Vector, high_pg_ml: Vector, assays: Assays
) -> Likelihood:
    """Return the likelihood of censored readings; bounds of shape (m,), 0 and inf where open."""
    ms = np.zeros(len(low_pg_ml), bool)
    at, steepness = _expected_immunoassay(level, assays)
    # What is open below may read anything, also less than nothing.
    low = np.where(low_pg_ml > 0, on_scale(low_pg_ml, ms, assays), -np.inf)[:, None]
    high = on_scale(high_pg_ml, ms, assays)[:, None]
    a, b = (low - at) / assays.ia_cv, (high - at) / assays.ia_cv
    inside = interval(a, b)

    def by_level() -> tuple[Matrix, Matrix]:
        slope = steepness() / assays.ia_cv
        return inside.mean * slope, (1 - inside.variance) * slope**2

    def partials(weight: Matrix) -> Matrix:
        slope = steepness()
        total = np.zeros((len(low_pg_ml), len(PARAMETERS)))
        total[:, 1] = _mean(weight, inside.mean, slope) / assays.ia_cv
        for bound, z, density, sign in (
            (low_pg_ml, a, inside.at_low, -1.0),
            (high_pg_ml, b, inside.at_high, 1.0),
        ):
            is_bound = (bound > 0) & np.isfinite(bound)
            q = _in_errors(np.where(is_bound, bound, 0.0), assays)
            root = np.sqrt(1 + q**2)
            densities = sign * is_bound * _mean(weight, density)
            slopes = sign * is_bound * _mean(weight, density, slope)
            stretch = (densities * q / root - slopes) / assays.ia_cv
            total[:, 2] -= densities / (assays.ia_sd_pg_ml * root)
            total[:, 3] += stretch - sign * is_bound * _mean(weight, _times(z, density))
            total[:, 4] -= stretch
        return total

    return Likelihood(inside.log_mass, by_level, partials)


def _mean(weight: Matrix, *values: Matrix) -> Vector:
    """Return the sums over levels of weight times all values, shape (m,)."""
    product = weight
    for value in values:
        product = product * value
    return np.asarray(product.sum(axis=1))


def _in_errors(reading_pg_ml: Vector, assays: Assays) -> Vector:
    scaled: Vector = (reading_pg_ml - assays.ia_constant_pg_ml) * assays.ia_cv / assays.ia_sd_pg_ml
    return scaled


@dataclass(frozen=True, slots=True)
class Interval:
    """A standard normal variable between two bounds; arrays of the shape of the bounds.

    Attributes
    ----------
    log_mass : ndarray
        Log probability of lying there.
    at_low, at_high : ndarray
        Density at a bound over that probability; 0 where the bound is open.
    variance : ndarray
        Variance given that it lies there: 1 without bounds.
    """

    log_mass: Matrix
    at_low: Matrix
    at_high: Matrix
    variance: Matrix

    @property
    def mean(self) -> Matrix:
        """Mean given that it lies there."""
        return self.at_low - self.at_high


# Beyond it the log of a tail has no digit left that its density needs; a search may pass there.
_FARTHEST: Final = -1e7


def interval(low: Matrix, high: Matrix) -> Interval:
    """Describe a standard normal variable between ``low`` and ``high``, either of which may be open.

    >>> below_zero = interval(np.array([-np.inf]), np.array([0.0]))
    >>> round(float(below_zero.mean[0]), 4), round(float(below_zero.variance[0]), 4)  # -sqrt(2/pi)
    (-0.7979, 0.3634)
    """
    if not np.isfinite(low).any():
        return _below(np.maximum(high, _FARTHEST))
    # Tails are computed on the left, where log_ndtr keeps its digits.
    flip = low > 0
    a, b = np.where(flip, -high, low), np.maximum(np.where(flip, -low, high), _FARTHEST)
    above = log_ndtr(b)
    log_mass = above
    both = np.isfinite(a)
    if both.any():
        share = np.exp(np.minimum(log_ndtr(a) - above, -1e-12))
        log_mass = above + np.log1p(-share)
    at_a, at_b = _density_ratio(a, log_mass), _density_ratio(b, log_mass)
    variance = 1 + _times(a, at_a) - _times(b, at_b) - (at_a - at_b) ** 2
    return Interval(
        log_mass,
        np.where(flip, at_b, at_a),
        np.where(flip, at_a, at_b),
        np.clip(variance, 0.0, 1.0),
    )


def _below(bound: Matrix) -> Interval:
    """Describe it below a bound alone: nearly all censored results are such, at half the cost."""
    log_mass = log_ndtr(bound)
    ratio = _density_ratio(bound, log_mass)
    variance = 1 - _times(bound, ratio) - ratio**2
    return Interval(log_mass, np.zeros_like(ratio), ratio, np.clip(variance, 0.0, 1.0))


def _density_ratio(x: Matrix, log_mass: Matrix) -> Matrix:
    exponent = -0.5 * np.square(x) - (log_mass + 0.5 * np.log(2 * np.pi))
    return np.asarray(np.exp(exponent))


def _times(x: Matrix, ratio: Matrix) -> Matrix:
    return np.where(np.isfinite(x), x, 0.0) * ratio
