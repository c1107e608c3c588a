"""The smoothing parameter by REML or GCV, for many data sets at once.

In    what the data say along each direction of the penalty
Out   the smoothing parameter that minimises a criterion

In these directions (Demmler and Reinsch, Numer Math 1975;24:375) every smoothing parameter costs
O(p). REML: restricted likelihood, Wood, J R Stat Soc B 2011;73:3. GCV: Craven and Wahba, Numer
Math 1978;31:377; it is here for comparison, no claim rests on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.pspline import Array

Which = NDArray[np.intp]

# Smoothing is searched from where the penalty no longer matters to where only a line is left.
_SPAN = np.log(1e9)
_N_COARSE = 13
_N_STEPS = 60
# Newton's error after a step is of the order of the step's square.
_LAST_NEWTON_STEP = 1e-7
_LAST_HALVING = 1e-12


@dataclass(frozen=True)
class Spectrum:
    """What r data sets say along each of p penalised directions.

    Attributes
    ----------
    information : array of shape (r, p)
        In units of the penalty.
    loading : array of shape (r, p)
        Outcome along each direction.
    residual : array of shape (r,)
        Sum of squares that the unpenalised columns leave.
    dof : array of shape (r,)
        Rows less the rank of the unpenalised columns.
    known_scale : float or None
        Residual variance of a row of weight one; None: estimated.
    """

    information: Array
    loading: Array
    residual: Array
    dof: Array
    known_scale: float | None

    def reml(self) -> Array:
        """Smoothing parameter by restricted maximum likelihood, shape (r,)."""
        return np.exp(_minimise(self, _RESTRICTED_LIKELIHOOD))

    def gcv(self) -> Array:
        """Smoothing parameter by generalised cross-validation, shape (r,)."""
        return np.exp(_minimise(self, _CROSS_VALIDATION))

    def at_edf(self, edf: float) -> Array:
        """Smoothing parameter that leaves so many penalised degrees of freedom, shape (r,).

        Where the data cannot have so many, next to no smoothing.
        """

        def shortfall(which: Which, log_smoothing: Array) -> tuple[Array, Array]:
            smoothing = np.exp(log_smoothing)[:, None]
            stiff = self.information[which] + smoothing
            kept, shrunk = self.information[which] / stiff, smoothing / stiff
            return edf - kept.sum(axis=1), (kept * shrunk).sum(axis=1)

        low, high = self.search_range()
        return np.exp(_root(shortfall, (low + high) / 2, low, high))

    def at_variance(self, variance: Array, amplitude: Array, most: Array) -> Array:
        """Smoothing parameter, at most ``most``, that leaves so much variance, shape (r,).

        Where the data cannot have so much, next to no smoothing.
        """

        def shortfall(which: Which, log_smoothing: Array) -> tuple[Array, Array]:
            smoothing = np.exp(log_smoothing)[:, None]
            stiff = self.information[which] + smoothing
            along = amplitude[which] * self.information[which] / stiff**2
            left = along.sum(axis=1)
            steepness = 2 * (along * smoothing / stiff).sum(axis=1) / left
            return np.log(variance[which] / left), steepness

        end = np.log(most)
        return np.exp(_root(shortfall, end, self.search_range()[0], end))

    def variance(self, smoothing: Array, amplitude: Array) -> Array:
        """Mean sampling variance of the curve for a scale of one, shape (r,).

        ``amplitude``, of shape (r, p): mean square of the curve that each direction draws.
        """
        stiff = self.information + smoothing[:, None]
        return np.asarray((amplitude * self.information / stiff**2).sum(axis=1))

    def edf(self, smoothing: Array) -> Array:
        """Effective degrees of freedom of the penalised columns, shape (r,)."""
        shares = self.information / (self.information + smoothing[:, None])
        return np.asarray(shares.sum(axis=1))

    def residual_squares(self, smoothing: Array) -> Array:
        """Weighted sum of squared residuals, shape (r,)."""
        stiff = self.information + smoothing[:, None]
        explained = self.loading**2 * (stiff + smoothing[:, None]) / stiff**2
        return np.asarray(self.residual - explained.sum(axis=1))

    def search_range(self) -> tuple[Array, Array]:
        """Give the ends of the log smoothing that is searched, shape (r,) each."""
        strongest = np.log(np.maximum(self.information.max(axis=1), np.finfo(float).tiny))
        return strongest - _SPAN, strongest + _SPAN

    def some(self, which: Which) -> Spectrum:
        """Keep some of the data sets."""
        return Spectrum(
            self.information[which],
            self.loading[which],
            self.residual[which],
            self.dof[which],
            self.known_scale,
        )


class _Criterion(NamedTuple):
    """What is minimised over log smoothing: its value, and its first two derivatives."""

    value: Callable[[Spectrum, Array], Array]
    derivatives: Callable[[Spectrum, Array], tuple[Array, Array]]


def _minimise(spectrum: Spectrum, criterion: _Criterion) -> Array:
    """Log smoothing that minimises a criterion: best of a coarse grid, then Newton."""
    start, end = spectrum.search_range()
    steps = np.linspace(0, 1, _N_COARSE)
    scores = [criterion.value(spectrum, start + step * (end - start)) for step in steps]
    best = np.argmin(np.stack(scores, axis=1), axis=1)
    found = start + steps[best] * (end - start)
    width = (end - start) / (_N_COARSE - 1)
    return _root(
        lambda which, at: criterion.derivatives(spectrum.some(which), at),
        found,
        np.maximum(found - width, start),
        np.minimum(found + width, end),
    )


def _root(
    function: Callable[[Which, Array], tuple[Array, Array]], start: Array, low: Array, high: Array
) -> Array:
    """Where r increasing functions cross zero, or the end of the bracket that lies nearer to it.

    Newton's method, and halving where that leaves the bracket. ``function`` gives values and slopes
    of some of the r at one place each.
    """
    found, low, high = start.copy(), low.copy(), high.copy()
    active = np.arange(len(found))
    for _ in range(_N_STEPS):
        at = found[active]
        value, slope = function(active, at)
        low[active] = np.where(value < 0, at, low[active])
        high[active] = np.where(value < 0, high[active], at)
        step = np.divide(-value, slope, out=np.full_like(at, np.inf), where=slope > 0)
        newton = (at + step > low[active]) & (at + step < high[active])
        halfway = (low[active] + high[active]) / 2
        found[active] = np.where(newton, at + step, halfway)
        moved = np.abs(found[active] - at)
        enough = np.where(newton, _LAST_NEWTON_STEP, _LAST_HALVING * (1 + np.abs(at)))
        active = active[moved >= enough]
        if not len(active):
            break
    return found


def _restricted_value(spectrum: Spectrum, log_smoothing: Array) -> Array:
    """Twice the negative restricted log-likelihood, up to a constant."""
    smoothing = np.exp(log_smoothing)[:, None]
    squares = _penalised_squares(spectrum, spectrum.information + smoothing)
    shrinkage = np.log1p(spectrum.information / smoothing).sum(axis=1)
    if spectrum.known_scale is not None:
        return np.asarray(squares / spectrum.known_scale + shrinkage)
    # The scale is profiled out.
    return np.asarray(spectrum.dof * np.log(squares) + shrinkage)


def _restricted_derivatives(spectrum: Spectrum, log_smoothing: Array) -> tuple[Array, Array]:
    smoothing = np.exp(log_smoothing)[:, None]
    stiff = spectrum.information + smoothing
    kept, shrunk = spectrum.information / stiff, smoothing / stiff
    bent = spectrum.loading**2 * shrunk / stiff
    first, second = bent.sum(axis=1), (bent * (kept - shrunk)).sum(axis=1)
    edf, freed = kept.sum(axis=1), (kept * shrunk).sum(axis=1)
    if spectrum.known_scale is not None:
        return first / spectrum.known_scale - edf, second / spectrum.known_scale + freed
    squares = _penalised_squares(spectrum, stiff)
    first, second = first / squares, second / squares
    return spectrum.dof * first - edf, spectrum.dof * (second - first**2) + freed


def _cross_value(spectrum: Spectrum, log_smoothing: Array) -> Array:
    """Log of the squared residuals over the squared degrees of freedom that they have left."""
    smoothing = np.exp(log_smoothing)
    left = np.maximum(spectrum.dof - spectrum.edf(smoothing), 1.0)
    return np.asarray(np.log(_squares_left(spectrum, smoothing)) - 2 * np.log(left))


def _cross_derivatives(spectrum: Spectrum, log_smoothing: Array) -> tuple[Array, Array]:
    smoothing = np.exp(log_smoothing)[:, None]
    stiff = spectrum.information + smoothing
    kept, shrunk = spectrum.information / stiff, smoothing / stiff
    squares = _squares_left(spectrum, smoothing[:, 0])
    left = np.maximum(spectrum.dof - kept.sum(axis=1), 1.0)
    bent = 2 * spectrum.loading**2 * shrunk**2 / stiff
    first = bent.sum(axis=1) / squares
    second = (bent * (2 * kept - shrunk)).sum(axis=1) / squares
    gain = (kept * shrunk).sum(axis=1) / left
    change = (kept * shrunk * (kept - shrunk)).sum(axis=1) / left
    return first - 2 * gain, second - first**2 - 2 * change + 2 * gain**2


def _squares_left(spectrum: Spectrum, smoothing: Array) -> Array:
    return np.maximum(spectrum.residual_squares(smoothing), np.finfo(float).tiny)


def _penalised_squares(spectrum: Spectrum, stiff: Array) -> Array:
    """Weighted squared residuals plus penalty; kept above zero for an outcome without noise."""
    squares = spectrum.residual - (spectrum.loading**2 / stiff).sum(axis=1)
    floor = np.finfo(float).eps * spectrum.residual + np.finfo(float).tiny
    return np.asarray(np.maximum(squares, floor))


_RESTRICTED_LIKELIHOOD = _Criterion(_restricted_value, _restricted_derivatives)
_CROSS_VALIDATION = _Criterion(_cross_value, _cross_derivatives)
