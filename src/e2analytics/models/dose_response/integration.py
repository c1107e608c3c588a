"""Integrates over the men's own levels and responses: mode, log-likelihood, scores, moments.

In    blocks of men (``blocks``), and the parameters common to all men
Out   ``Integrated``: log-likelihood, scores and posterior of each man

Where all of a man's draws are exact readings by mass spectrometry, his posterior is normal and two nodes
per effect integrate it exactly; the others take adaptive Gauss-Hermite quadrature around their mode.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from e2analytics.models.dose_response import assay
from e2analytics.models.dose_response.assay import Likelihood
from e2analytics.models.dose_response.types import (
    Block,
    Integers,
    Integrated,
    Matrix,
    Population,
    Posterior,
    Rows,
    Vector,
)

NODES = 5
"""Quadrature nodes per effect for a man with a censored or an immunoassay draw."""
_NODES_NORMAL = 2
# Eight rounds find a mode to 1e-5, which is far more than nodes need.
_FIRST_ROUNDS, _ROUNDS = 8, 1


def find_mode(block: Block, population: Population, start: Posterior | None = None) -> Posterior:
    """Return mode and curvature of the men's effects, by Newton steps from ``start``."""
    n, effects = len(block.men), block.n_effects
    mean = np.zeros((n, effects)) if start is None else start.mean
    rounds = _FIRST_ROUNDS if start is None else _ROUNDS
    prior = population.precision(effects)
    of_cells, towards = _of_cells(block, population)[:2]
    for _ in range(1 if block.is_normal else rounds):
        information = prior + of_cells
        score = towards - np.einsum("bij,bj->bi", information, mean)
        for rows, _, likelihood in likelihoods(block, population, mean[:, None, :]):
            z = design(rows.on, effects)
            weighted = likelihood.information[:, :1] * z
            information = information + sums_by_effect(rows.man, z, weighted, n)
            score = score + _add_up(likelihood.slope[:, :1] * z, rows.man, n)
        covariance = _inverse(information)
        step = np.einsum("bij,bj->bi", covariance, score)
        if not block.is_normal:
            # A step longer than the men's spread comes from where the reading says nothing. Normal
            # posteriors are there in one step, however far a man lies from the others.
            step = np.clip(step, -1.0, 1.0)
        mean = mean + step
    return Posterior(mean, covariance)


def integrate(block: Block, population: Population, around: Posterior) -> Integrated:
    """Integrate over the effects of a block's men with nodes placed by ``around``.

    The derivatives are the posterior means of those of the complete likelihood (Fisher's identity).
    """
    n, effects = len(block.men), block.n_effects
    nodes, log_weight = _nodes(block, around)
    prior = population.precision(effects)
    information, towards, constant = _of_cells(block, population)
    log_joint = (
        log_weight
        + constant[:, None]
        + np.einsum("bi,bki->bk", towards, nodes)
        - 0.5 * np.einsum("bki,bij,bkj->bk", nodes, information + prior, nodes)
        - 0.5 * population.log_determinant(effects)
        - 0.5 * effects * np.log(2 * np.pi)
    )
    read = list(likelihoods(block, population, nodes))
    for rows, _, likelihood in read:
        log_joint += _add_up(likelihood.value, rows.man, n)
    log_likelihood = logsumexp(log_joint, axis=1)
    share = np.exp(log_joint - log_likelihood[:, None])
    mean = np.einsum("bk,bki->bi", share, nodes)
    second = np.einsum("bk,bki,bkj->bij", share, nodes, nodes)
    of_readings = _scores_of_cells(block, population, mean, second)
    for rows, _, likelihood in read:
        each = _scores_of_rows(rows, likelihood, share[rows.man], population)
        of_readings += _add_up(each, rows.man, n)
    scores = np.concatenate([of_readings, _scores_of_spread(population, second)], axis=1)
    covariance = second - mean[:, :, None] * mean[:, None, :]
    return Integrated(log_likelihood, scores, Posterior(mean, covariance))


def likelihoods(
    block: Block, population: Population, nodes: NDArray[np.float64]
) -> Iterator[tuple[Rows, Matrix, Likelihood]]:
    """Yield the draws that are no sums, their levels at nodes (b, k, e), and how likely they are there."""
    for rows in (block.exact_ia, block.censored_ms, block.censored_ia):
        if not len(rows.man):
            continue
        draws, assays = rows.draws, population.assays
        average = draws.covariates @ population.coefficients
        average = average + population.effect(draws.dose_mg_per_week).log_ratio
        own = np.einsum("ri,rki->rk", design(rows.on, block.n_effects), nodes[rows.man])
        level = average[:, None] + own
        if rows is block.exact_ia:
            yield rows, level, assay.exact_immunoassay(level, draws.low_pg_ml, assays)
        elif rows is block.censored_ms:
            bounds = (draws.low_pg_ml, draws.high_pg_ml)
            yield rows, level, assay.censored_ms(level, *bounds, assays)
        else:
            bounds = (draws.low_pg_ml, draws.high_pg_ml)
            yield rows, level, assay.censored_immunoassay(level, *bounds, assays)


def _add_up(values: NDArray[np.float64], man: Integers, n_men: int) -> NDArray[np.float64]:
    """Add up values of shape (r, ...), sorted by man, over each man's rows."""
    total = np.zeros((n_men, *values.shape[1:]))
    if len(man):
        starts = np.flatnonzero(np.concatenate([[True], np.diff(man) != 0]))
        total[man[starts]] = np.add.reduceat(values, starts, axis=0)
    return total


def sums_by_effect(man: Integers, z: Matrix, values: Matrix, n_men: int) -> NDArray[np.float64]:
    """Return the sums over each man's rows of z (r, e) times values (r, q), shape (n_men, e, q)."""
    return _add_up(z[:, :, None] * values[:, None, :], man, n_men)


def design(on: Vector, effects: int) -> Matrix:
    """Return how much of each effect a draw carries, shape (r, e)."""
    return np.column_stack([np.ones_like(on), on])[:, :effects]


def _inverse(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    if matrices.shape[-1] == 1:
        return 1 / matrices
    a, b, d = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 1]
    turned = np.stack([np.stack([d, -b], axis=-1), np.stack([-b, a], axis=-1)], axis=-2)
    return np.asarray(turned / (a * d - b * b)[:, None, None])


def _n_nodes(block: Block) -> int:
    return _NODES_NORMAL if block.is_normal else NODES


def _nodes(block: Block, around: Posterior) -> tuple[NDArray[np.float64], Matrix]:
    """Return nodes of shape (b, k, e) and the logs of their weights, (b, k)."""
    points, weights = np.polynomial.hermite.hermgauss(_n_nodes(block))
    grids = np.meshgrid(*[points] * block.n_effects, indexing="ij")
    z = np.stack([grid.ravel() for grid in grids], axis=-1)
    log_w = sum(grid.ravel() for grid in np.meshgrid(*[np.log(weights)] * block.n_effects))
    root = np.linalg.cholesky(around.covariance)
    nodes = around.mean[:, None, :] + np.sqrt(2) * np.einsum("bij,kj->bki", root, z)
    log_volume = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    log_weight = log_w + (z**2).sum(axis=1) + 0.5 * block.n_effects * np.log(2)
    return nodes, log_weight + log_volume[:, None]


def _residuals(block: Block, population: Population) -> tuple[Vector, Vector, Vector]:
    """Return counts, sums and sums of squares of log E2 less covariates and dose, cell by cell."""
    cells = block.cells
    less = np.append(-population.coefficients, 1.0)
    count = cells.gram[:, 0, 0]
    shift = population.effect(cells.dose_mg_per_week).log_ratio
    sums = cells.gram[:, 0] @ less
    squares = np.einsum("i,cij,j->c", less, cells.gram, less)
    return count, sums - count * shift, squares - 2 * shift * sums + count * shift**2


def _of_cells(block: Block, population: Population) -> tuple[NDArray[np.float64], Matrix, Vector]:
    """Return the normal draws' log-likelihood as a quadratic in the effects: matrix, vector, constant."""
    n, effects, cells = len(block.men), block.n_effects, block.cells
    count, sums, squares = _residuals(block, population)
    variance = population.assays.sd_ms**2
    z = design(cells.on, effects)
    constant = -0.5 * squares / variance - 0.5 * count * np.log(2 * np.pi * variance)
    information = sums_by_effect(cells.man, z, z * (count / variance)[:, None], n)
    rest = _add_up(np.column_stack([z * (sums / variance)[:, None], constant]), cells.man, n)
    return information, rest[:, :-1], rest[:, -1]


def _scores_of_cells(
    block: Block, population: Population, mean: Matrix, second: NDArray[np.float64]
) -> Matrix:
    cells, variance = block.cells, population.assays.sd_ms**2
    dose = population.effect(cells.dose_mg_per_week)
    z = design(cells.on, block.n_effects)
    own = np.einsum("ci,ci->c", z, mean[cells.man])
    own_square = np.einsum("ci,cij,cj->c", z, second[cells.man], z)
    count, sums, squares = _residuals(block, population)
    left = (sums - count * own) / variance
    less = np.append(-population.coefficients, 1.0)
    of_covariates = cells.gram[:, :-1, :] @ less
    of_covariates -= cells.gram[:, 0, :-1] * (dose.log_ratio + own)[:, None]
    of_sd = (squares - 2 * own * sums + count * own_square) / variance - count
    each = np.column_stack(
        [
            of_covariates / variance,
            left * dose.by_logit_emax,
            left * dose.by_log_ed50,
            of_sd,
            np.zeros((len(left), len(assay.PARAMETERS) - 1)),
        ]
    )
    return _add_up(each, cells.man, len(block.men))


def _scores_of_spread(population: Population, second: NDArray[np.float64]) -> Matrix:
    level = second[:, 0, 0] * np.exp(-2 * population.log_sd_level) - 1
    if second.shape[1] == 1:
        nothing = np.zeros_like(level)
        return np.column_stack([level, nothing, nothing])
    slope, own = population.response_per_level, np.exp(-2 * population.log_sd_response)
    both = second[:, 0, 1] - slope * second[:, 0, 0]
    square = second[:, 1, 1] - 2 * slope * second[:, 0, 1] + slope**2 * second[:, 0, 0]
    return np.column_stack([level, both * own, square * own - 1])


def _scores_of_rows(
    rows: Rows, likelihood: Likelihood, share: Matrix, population: Population
) -> Matrix:
    slope = np.einsum("rk,rk->r", share, likelihood.slope)
    dose = population.effect(rows.draws.dose_mg_per_week)
    return np.column_stack(
        [
            rows.draws.covariates * slope[:, None],
            slope * dose.by_logit_emax,
            slope * dose.by_log_ed50,
            likelihood.partials(share),
        ]
    )
