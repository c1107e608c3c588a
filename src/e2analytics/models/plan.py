"""The plan of a curve: what all parts of the rows share, so that their sums add up.

In    a ``PartSummary`` of each part (a man's rows are all in one part)
Out   ``Plan``: knots, grid, clusters of men, and the means that columns are centred by

A summary carries one number per row, its E2, because quantiles do not add up; everything else in
it is a sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.pspline import Array, Basis
from e2analytics.models.rows import Codes, CurveData, distinct

MAX_CLUSTERS = 5_000
"""Beyond this many men, neighbours in the order of codes are resampled together.

Standard errors from 5,000 clusters vary by 1 %, less than 1,000 replicates make them vary.
"""

N_STRAIGHT = 2
"""Unpenalised columns of the spline: a constant and a straight line."""

# Grid and knots leave out the outermost 0.5 % of exposures on either side: one man far out would
# stretch them and blur the bend. The supported range lies well inside.
_BULK = (0.005, 0.995)
# Exposures that hardly differ still get a basis, as wide as this share of their size.
_LEAST_RANGE = 1e-3
_ABREAST = 1_024


@dataclass(frozen=True)
class PartSummary:
    """What a part of the rows contributes to the plan.

    Attributes
    ----------
    log_e2 : array of shape (n,)
    patients : integer array
        Codes of the part's men, ascending.
    covariate_sums : array of shape (c,)
    outcome_sum : float
    log_e2_sd_sum, n_episodes : float
        Standard deviations of log E2 over episodes that are present, and how many these are.
    """

    log_e2: Array
    patients: Codes
    covariate_sums: Array
    outcome_sum: float
    log_e2_sd_sum: float
    n_episodes: int


@dataclass(frozen=True)
class Plan:
    """Knots, grid, clusters and centring that all parts share.

    Attributes
    ----------
    basis : Basis
    grid : array of shape (g,)
        Log pg/mL.
    central : pair of float
        Central range of E2, log pg/mL, in which points may be supported.
    patients : integer array
        Codes of all men, ascending.
    covariate_means : array of shape (c,)
    outcome_mean : float
    """

    basis: Basis
    grid: Array
    central: tuple[float, float]
    patients: Codes
    covariate_means: Array
    outcome_mean: float

    @property
    def n_fixed(self) -> int:
        """Unpenalised columns, which come first."""
        return N_STRAIGHT + len(self.covariate_means)

    @property
    def n_columns(self) -> int:
        """Columns of the design and, last, the outcome."""
        return self.basis.n_basis + len(self.covariate_means) + 1

    @property
    def men_per_cluster(self) -> int:
        """1 unless there are more men than are resampled one by one."""
        return -(-len(self.patients) // MAX_CLUSTERS)

    @property
    def n_clusters(self) -> int:
        """Men, or groups of neighbours."""
        return -(-len(self.patients) // self.men_per_cluster)

    def cluster(self, patient: Codes) -> NDArray[np.intp]:
        """Cluster of each row, shape (n,)."""
        return np.searchsorted(self.patients, patient) // self.men_per_cluster

    def columns(self, data: CurveData) -> Array:
        """Columns of the model and, last, the outcome less its mean, shape (n, q)."""
        columns = np.empty((len(data), self.n_columns))
        _fill(columns, self.basis, self._averaged(data))
        columns[:, N_STRAIGHT : self.n_fixed] = data.covariates - self.covariate_means
        columns[:, -1] = data.outcome - self.outcome_mean
        return columns

    def plain_columns(self, data: CurveData) -> Array:
        """Splines as they are, covariates and outcome less their means, shape (n, q)."""
        n_basis = self.basis.n_basis
        columns = np.empty((len(data), self.n_columns))
        columns[:, :n_basis] = self._averaged(data)
        columns[:, n_basis:-1] = data.covariates - self.covariate_means
        columns[:, -1] = data.outcome - self.outcome_mean
        return columns

    @property
    def from_plain(self) -> Array:
        """What turns ``plain_columns`` into ``columns``, shape (q, q)."""
        n_basis = self.basis.n_basis
        turn = np.zeros((self.n_columns, self.n_columns))
        _fill(turn[:n_basis], self.basis, np.eye(n_basis))
        turn[n_basis:-1, N_STRAIGHT : self.n_fixed] = np.eye(len(self.covariate_means))
        turn[-1, -1] = 1.0
        return turn

    def _averaged(self, data: CurveData) -> Array:
        return self.basis.averaged(data.log_e2_mean, data.log_e2_sd, data.episode_weight)

    def at(self, basis_rows: Array) -> Array:
        """Columns at rows of the basis, covariates at their means, shape (g, q - 1)."""
        at_means = np.zeros((len(basis_rows), len(self.covariate_means)))
        return design(self.basis, basis_rows, at_means)


def design(basis: Basis, basis_rows: Array, covariates: Array) -> Array:
    """Columns of the model, shape (n, k + c): straight part, covariates, penalised part."""
    n_covariates = covariates.shape[1]
    columns = np.empty((len(basis_rows), basis.n_basis + n_covariates + 1))
    _fill(columns, basis, basis_rows)
    columns[:, N_STRAIGHT : N_STRAIGHT + n_covariates] = covariates
    return columns[:, :-1]


def _fill(columns: Array, basis: Basis, basis_rows: Array) -> None:
    """Write the straight and the penalised part of the spline, leaving room between them."""
    columns[:, :N_STRAIGHT] = basis_rows @ basis.to_mixed[:, :N_STRAIGHT]
    columns[:, N_STRAIGHT - 1 - basis.n_basis : -1] = basis_rows @ basis.to_mixed[:, N_STRAIGHT:]


def summarise(data: CurveData) -> PartSummary:
    """Summarise one part of the rows."""
    present = data.episode_weight > 0
    return PartSummary(
        log_e2=data.log_e2,
        patients=distinct(data.patient),
        covariate_sums=_column_sums(data.covariates),
        outcome_sum=float(data.outcome.sum()),
        log_e2_sd_sum=float(data.log_e2_sd.sum(where=present)),
        n_episodes=int(present.sum()),
    )


def _column_sums(table: Array) -> Array:
    """Sum each column of a table of shape (n, c), whatever its layout in memory.

    Rows are added so many abreast: one by one, short rows take numpy seven times as long.
    """
    n_columns, n_abreast = table.shape[1], len(table) // _ABREAST * _ABREAST
    table = np.ascontiguousarray(table)
    abreast = table[:n_abreast].reshape(n_abreast // _ABREAST, _ABREAST * n_columns)
    sums = abreast.sum(axis=0).reshape(_ABREAST, n_columns).sum(axis=0)
    return np.asarray(sums + table[n_abreast:].sum(axis=0))


def _quantiles(ascending: Array, shares: Array) -> Array:
    """Do what ``np.quantile`` does, for values in order: to sort them takes half as long."""
    place = shares * (len(ascending) - 1)
    below = place.astype(np.intp)
    above = np.minimum(below + 1, len(ascending) - 1)
    return np.asarray(ascending[below] + (place - below) * (ascending[above] - ascending[below]))


def exposures_differ(parts: Sequence[CurveData]) -> bool:
    """Return whether the rows differ in E2 by more than rounding, outliers left out: else nothing bends."""
    log_e2 = np.sort(np.concatenate([part.log_e2 for part in parts]))
    return not _hardly_differ(*_quantiles(log_e2, np.array(_BULK)).tolist())


def _hardly_differ(lower: float, upper: float) -> bool:
    return upper - lower < _least_range(upper)


def _least_range(upper: float) -> float:
    return _LEAST_RANGE * max(1.0, abs(upper))


def make_plan(
    summaries: Sequence[PartSummary], n_basis: int, n_grid: int, central: tuple[float, float]
) -> Plan:
    """Plan what the parts share.

    Parameters
    ----------
    summaries : sequence of PartSummary
        One per part.
    n_basis, n_grid : int
    central : pair of float
        Quantiles of E2 between which points may be supported.
    """
    log_e2 = np.concatenate([each.log_e2 for each in summaries])
    log_e2.sort()
    lower, low, high, upper = _quantiles(log_e2, np.array([_BULK[0], *central, _BULK[1]])).tolist()
    if _hardly_differ(lower, upper):
        least = _least_range(upper)
        lower, upper = lower - least, upper + least
    # A basis is constant beyond its ends. Posteriors that reach beyond would pull the end flat.
    margin = sum(each.log_e2_sd_sum for each in summaries) / sum(
        each.n_episodes for each in summaries
    )
    return Plan(
        basis=Basis(lower - margin, upper + margin, n_basis),
        grid=np.linspace(lower, upper, n_grid),
        central=(low, high),
        patients=distinct(np.concatenate([each.patients for each in summaries])),
        covariate_means=np.sum([each.covariate_sums for each in summaries], axis=0) / len(log_e2),
        outcome_mean=sum(each.outcome_sum for each in summaries) / len(log_e2),
    )
