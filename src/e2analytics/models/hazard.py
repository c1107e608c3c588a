"""The hazard of a row, averaged over what E2 may have been in its interval.

In    rows with the posterior of E2 in each dose episode, the plan of a curve, log years
Out   log cumulative hazard of each row at some coefficients, and its derivative in them

A hazard is no straight line of E2, and a man whose E2 is in doubt is at the mean of the hazards that he may have,
not at the hazard of his mean E2. To average the spline instead, as is right of a linear outcome, takes the mean of
logarithms for the logarithm of the mean: it is too small wherever the curve bends upwards, and the fit makes up for
that by a curve that is too high there. Source: the induced relative risk of Prentice, Biometrika 1982;69:331;
Carroll et al., Measurement Error in Nonlinear Models, 2006, section 14.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from e2analytics.models import plan as planning
from e2analytics.models.plan import N_STRAIGHT, Plan
from e2analytics.models.pspline import Array, Basis
from e2analytics.models.rows import CurveData

# The trapezoidal rule over a normal: right to a thousandth for splines whose knots lie half an SD apart.
_DEVIATES: Final = np.arange(-3.0, 3.1, 0.75)
_MASS: Final = np.exp(-(_DEVIATES**2) / 2) / np.exp(-(_DEVIATES**2) / 2).sum()
_BLOCK_ROWS: Final = 8_192


@dataclass(frozen=True)
class AveragedHazard:
    """The linear predictor of n rows whose E2 is in doubt: a ``risk.Predictor``.

    Attributes
    ----------
    data : CurveData
    log_years : array of shape (n,)
        Length of each row's interval, in which its hazard is constant but for E2.
    plan : Plan
    """

    data: CurveData
    log_years: Array
    plan: Plan

    @property
    def n_columns(self) -> int:
        """Coefficients: straight part, covariates, penalised part."""
        return self.plan.n_columns - 1

    def at(self, coefficients: Array) -> tuple[Array, Array]:
        """Log of the averaged cumulative hazard, shape (n,), and its derivative, shape (n, p).

        Notes
        -----
        The derivative of the log of a mean of exp(f) is the mean of f's derivative, weighted by exp(f): the splines
        averaged over the posterior of E2, in which each E2 counts with its hazard.
        """
        basis, n_covariates = self.plan.basis, self.data.covariates.shape[1]
        of_spline = np.delete(coefficients, np.s_[N_STRAIGHT : N_STRAIGHT + n_covariates])
        spline = basis.to_mixed @ of_spline
        averaged = [_averaged(basis, spline, each) for each in self._blocks()]
        log_hazard = np.concatenate([log_mean for log_mean, _ in averaged])
        splines = np.concatenate([rows for _, rows in averaged])
        covariates = self.data.covariates - self.plan.covariate_means
        of_covariates = coefficients[N_STRAIGHT : N_STRAIGHT + n_covariates]
        eta = log_hazard + covariates @ of_covariates + self.log_years
        return eta, planning.design(basis, splines, covariates)

    def _blocks(self) -> Iterator[CurveData]:
        for start in range(0, len(self.data), _BLOCK_ROWS):
            yield self.data.take(slice(start, start + _BLOCK_ROWS))


def _averaged(basis: Basis, spline: Array, data: CurveData) -> tuple[Array, Array]:
    """Log of the mean of exp(spline) over each row's E2, (n,), and its derivative in the spline, (n, k)."""
    row, log_e2, weight = _points(data)
    cell, pieces = basis.pieces(log_e2)
    height = sum(piece * spline[cell + after] for after, piece in enumerate(pieces))
    # Less the greatest, so that no hazard overflows on the way.
    top = float(np.max(height, initial=-np.inf))
    hazard = weight * np.exp(height - top)
    n, k = len(data), basis.n_basis
    total = np.bincount(row, hazard, n)
    share = hazard / total[row]
    first = row * k + cell
    rows = sum(
        np.bincount(first + after, share * piece, n * k) for after, piece in enumerate(pieces)
    )
    return np.log(total) + top, np.asarray(rows).reshape(n, k)


def _points(data: CurveData) -> tuple[NDArray[np.intp], Array, Array]:
    """Points of E2 that stand for each row's posterior: its row, log pg/mL, weight; a row's weights sum to one."""
    row, episode = np.nonzero(data.episode_weight > 0)
    mean, sd = data.log_e2_mean[row, episode], data.log_e2_sd[row, episode]
    share = data.episode_weight[row, episode]
    known, doubtful = ~(sd > 0), sd > 0
    return (
        np.concatenate([row[known], np.repeat(row[doubtful], len(_DEVIATES))]),
        np.concatenate(
            [mean[known], (mean[doubtful, None] + sd[doubtful, None] * _DEVIATES).ravel()]
        ),
        np.concatenate([share[known], (share[doubtful, None] * _MASS).ravel()]),
    )
