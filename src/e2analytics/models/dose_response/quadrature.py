r"""Men of two or three readings that are not normal: integrates over log E2 at these by quadrature.

In    men and their sites by ``propagation``
Out   the log-likelihood's correction, the moments of log E2 at these readings, and sites that give these moments

Normal sites miss such men's log-likelihood by up to 0.006: each site stands for its reading exactly, all of them
together do not. Given log E2 at these readings the rest of the man is normal, so that an integral over two or
three dimensions is all that is missing. Its nodes lie where the sites put the man, which is nearly right, and are few
(Naylor and Smith, Appl Stat 1982;31:214).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import combinations_with_replacement
from typing import Final

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.dose_response import assay, state_space
from e2analytics.models.dose_response.assay import Likelihood
from e2analytics.models.dose_response.batches import Batch
from e2analytics.models.dose_response.state_space import Times
from e2analytics.models.dose_response.types import Draws, Population

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Cube = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

READINGS: Final = (2, 3)
"""How many readings that are not normal a man may have: one is exact by itself, more would cost too much."""
_NODES: Final = 9
# Nodes are worked on at a time: what a processor's cache holds.
_NODES_AT_A_TIME: Final = 20_000
_MATCHING_STEPS: Final = 5
_MATCHED, _FARTHEST, _NOTHING = 1e-3, 1.0, 1e-9


@dataclass(frozen=True, slots=True)
class Few:
    """b men of k readings each that are not normal.

    Attributes
    ----------
    batch : Batch
        These men.
    columns, rows : ndarray of int, shape (b,) and (m,)
        Where they and their draws stand in the batch that they were taken from.
    readings : ndarray of int, shape (b, k)
        Rows of ``batch`` that hold these readings.
    """

    batch: Batch
    columns: Integers
    rows: Integers
    readings: Integers


@dataclass(frozen=True, slots=True)
class Corrected:
    """What quadrature says of b men.

    Attributes
    ----------
    log_mass : ndarray, shape (b,)
        Log of the integral over the man of all that is not a normal reading's constant.
    precision, shift : ndarray, shape (b, k)
        Sites that give log E2 at these readings its means and variances.
    between : ndarray, shape (b, k, k)
        Covariance of log E2 at these readings, less that which these sites give, in directions that were
        independent and of variance 1.
    follows : ndarray, shape (t, k, b)
        How far log E2 at each draw follows each of these directions.
    pulls : ndarray, shape (t, k, b)
        Inverse prior covariance times ``follows``.
    by_assays : ndarray, shape (b, k, 5)
        Mean derivatives of these readings' log-likelihoods.
    """

    log_mass: Vector
    precision: Matrix
    shift: Matrix
    between: Cube
    follows: Cube
    pulls: Cube
    by_assays: Cube

    def variance(self, few: Few) -> Vector:
        """Return the variances of log E2 at the draws, less those which these sites give; shape (m,)."""
        more = np.einsum("tib,bij,tjb->tb", self.follows, self.between, self.follows)
        return np.asarray(more[few.batch.place, few.batch.column])

    def scores(self, few: Few, population: Population) -> Matrix:
        """Return the derivatives by ``SPREADS``, less those which these sites give; shape (b, 6)."""
        times, total = few.batch.times, np.zeros((len(few.columns), len(state_space.SPREADS)))
        for i, j in combinations_with_replacement(range(self.between.shape[1]), 2):
            each = state_space.scores_between(
                times, population.spreads, self.pulls[:, i], self.pulls[:, j]
            )
            total += (0.5 if i == j else 1.0) * self.between[:, i, j, None] * each
        return total


def men_of_few(batch: Batch) -> list[Few]:
    """Return the men of a batch who have two such readings, and those who have three."""
    special = batch.special
    count = np.bincount(batch.column[special], minlength=len(batch.men))
    found = []
    for k in READINGS:
        columns = np.flatnonzero(count == k)
        if len(columns):
            some = batch.of_men(columns)
            rows = np.flatnonzero(count[batch.column] == k)
            found.append(Few(some, columns, rows, some.special.reshape(-1, k)))
    return found


def correct(few: Few, population: Population, precision: Vector, shift: Vector) -> Corrected:
    """Integrate over men whose m draws have these sites."""
    batch, readings = few.batch, few.readings
    (b, k), t = readings.shape, int(batch.place.max()) + 1
    average = batch.average(population)
    of_sites = batch.grid(precision)
    # One pass for all: the man himself, and him pulled at each of these readings by one unit.
    pulled = np.zeros((t, k + 1, b))
    pulled[:, 0] = batch.grid(shift - precision * average)
    men = np.arange(b)
    for i in range(k):
        pulled[batch.place[readings[:, i]], i + 1, men] = 1.0
    smoothed = state_space.smooth(
        _repeated(batch.times, k + 1),
        population.spreads,
        np.tile(of_sites, k + 1),
        pulled.reshape(t, -1),
        with_scores=False,
    )
    moved = smoothed.mean.reshape(t, k + 1, b)
    places = batch.place[readings]
    mean, covariance = moved[places.T, 0, men].T, moved[places.T, 1:, men].transpose(1, 0, 2)
    root, from_root = _roots(covariance)
    own = average[readings]
    # Less the mean of men like him, so that large terms do not cancel.
    sites = precision[readings], shift[readings] - precision[readings] * own
    found = _over_nodes(few, population, (mean + own, root), sites, own)
    more, given, is_matched = _matched(root, found.covariance)
    # Readings at odds by far: nodes that lie so badly say less than the sites.
    keeps = is_matched & (np.abs(found.mean).max(axis=1) < _FARTHEST)
    more, away = keeps[:, None] * more, keeps[:, None] * found.mean
    between = np.where(keeps[:, None, None], found.covariance - given, 0.0)
    new_mean = mean + np.einsum("bij,bj->bi", root, away)
    new_shift = sites[1] + more * new_mean + np.einsum("bji,bj->bi", from_root, away)
    new_precision = sites[0] + more
    pulls = -of_sites[:, None] * moved[:, 1:]
    for i in range(k):
        pulls[places[:, i], i, men] += 1.0
    return Corrected(
        smoothed.log_mass[:b] + found.log_ratio,
        new_precision,
        new_shift + new_precision * own,
        between,
        np.einsum("tib,bji->tjb", moved[:, 1:], from_root),
        np.einsum("tib,bji->tjb", pulls, from_root),
        found.by_assays,
    )


def _repeated(times: Times, often: int) -> Times:
    return Times(*(np.tile(each, often) for each in (times.on, times.days, times.changes)))


def _roots(covariance: Cube) -> tuple[Cube, Cube]:
    """Return L with L L' = covariance, and its inverse; 0 in directions in which nothing varies."""
    variance, axes = np.linalg.eigh(covariance)
    varies = variance > _NOTHING * variance[:, -1:]
    sd = np.sqrt(np.where(varies, variance, 1.0))
    root = axes * (sd * varies)[:, None, :]
    return root, (axes * (varies / sd)[:, None, :]).transpose(0, 2, 1)


@cache
def _rule(k: int) -> tuple[Matrix, Vector]:
    """Return the nodes (k, n) of a standard normal vector, and the logs of their weights."""
    points, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    logs = np.log(weights / weights.sum())
    nodes = np.stack([each.ravel() for each in np.meshgrid(*[points] * k, indexing="ij")])
    of_nodes = np.stack([each.ravel() for each in np.meshgrid(*[logs] * k, indexing="ij")])
    return nodes, of_nodes.sum(axis=0)


@dataclass(frozen=True, slots=True)
class _OverNodes:
    """Log of the mean ratio of readings to sites (b,); means (b, k) and covariances of the directions; by assays."""

    log_ratio: Vector
    mean: Matrix
    covariance: Cube
    by_assays: Cube


def _over_nodes(
    few: Few,
    population: Population,
    at: tuple[Matrix, Cube],
    sites: tuple[Matrix, Matrix],
    average: Matrix,
) -> _OverNodes:
    """Integrate over nodes ``at`` a mean and along the columns of a root of the covariance."""
    (b, k), draws = few.readings.shape, few.batch.draws
    nodes, log_weights = _rule(k)
    result = _OverNodes(
        np.empty(b), np.empty((b, k)), np.empty((b, k, k)), np.empty((b, k, len(assay.PARAMETERS)))
    )
    at_a_time = max(1, _NODES_AT_A_TIME // nodes.shape[1])
    for first in range(0, b, at_a_time):
        men = np.arange(first, min(first + at_a_time, b))
        log_e2 = at[0][men, :, None] + at[1][men] @ nodes
        log_joint = np.tile(log_weights, (len(men), 1))
        read = []
        for i in range(k):
            of_readings = draws.take(few.readings[men, i])
            read.append(_likelihoods(of_readings, log_e2[:, i], population))
            for rows, likelihood in read[i]:
                log_joint[rows] += likelihood.value
            away = log_e2[:, i] - average[men, i, None]
            precision, shift = (each[men, i, None] for each in sites)
            log_joint -= away * (shift - 0.5 * precision * away)
        most = log_joint.max(axis=1)
        share = np.exp(log_joint - most[:, None])
        mass = share.sum(axis=1)
        share /= mass[:, None]
        result.log_ratio[men] = most + np.log(mass)
        result.mean[men] = mean = share @ nodes.T
        squares = (nodes[:, None] * nodes).reshape(k * k, -1)
        result.covariance[men] = (share @ squares.T).reshape(-1, k, k) - mean[:, :, None] * mean[
            :, None
        ]
        for i, of_kinds in enumerate(read):
            for rows, likelihood in of_kinds:
                result.by_assays[men[rows], i] = likelihood.partials(share[rows])
    return result


def _likelihoods(
    draws: Draws, log_e2: Matrix, population: Population
) -> list[tuple[Integers, Likelihood]]:
    """Return the likelihoods of readings at levels (m, n), by kind of reading, with the rows of each kind."""
    found = []
    for exact, ms in ((True, False), (False, True), (False, False)):
        rows = np.flatnonzero((draws.is_exact == exact) & (draws.ms == ms))
        if not len(rows):
            continue
        low, high = draws.low_pg_ml[rows], draws.high_pg_ml[rows]
        if exact:
            likelihood = assay.exact_immunoassay(log_e2[rows], low, population.assays)
        elif ms:
            likelihood = assay.censored_ms(log_e2[rows], low, high, population.assays)
        else:
            likelihood = assay.censored_immunoassay(log_e2[rows], low, high, population.assays)
        found.append((rows, likelihood))
    return found


def _matched(root: Cube, covariance: Cube) -> tuple[Matrix, Cube, Flags]:
    """Return by how much more precise sites must be to give log E2 its variances, and their covariance.

    Both covariances are of the directions of ``root``. Last, whether such sites were found.
    """
    identity = np.eye(root.shape[1])
    wanted = np.einsum("bij,bjk,bik->bi", root, covariance, root)
    more, turned = np.zeros_like(wanted), root.transpose(0, 2, 1)

    def given() -> Cube:
        of_sites = identity + turned @ (more[:, :, None] * root)
        return np.asarray(np.linalg.inv(of_sites), np.float64)

    for _ in range(_MATCHING_STEPS):
        of_readings = root @ given() @ turned
        variance = np.diagonal(of_readings, axis1=1, axis2=2)
        left = 1 / wanted - 1 / variance
        if np.abs(left * wanted).max() < _NOTHING:
            break
        # Newton steps of the inverse variances by the sites' precisions; readings of one level share them.
        by_precision = (of_readings / variance[:, :, None]) ** 2 + _NOTHING * identity
        more = more + np.linalg.solve(by_precision, left[:, :, None])[:, :, 0]
    now = given()
    variance = np.einsum("bij,bjk,bik->bi", root, now, root)
    return more, now, np.asarray((np.abs(variance / wanted - 1) < _MATCHED).all(axis=1))
