r"""A man's own level of E2 and his own response to the drug, given his draws and what men have in common.

For draw j of man i, with :math:`u_i` his level and :math:`s_i` his response beyond what his covariates and
his dose say,

.. math:: \eta_{ij} = x_{ij}'\beta + g(d_{ij}) + u_i + on_{ij} s_i,

and a reading of :math:`\eta_{ij}` by ``assay``. :math:`u` and :math:`s` are jointly normal over men.

Exact readings by mass spectrometry enter as sums over a man and dose (exact, and additive over
partitions). Where all of a man's draws are such, his posterior is normal and the two nodes per effect
used here integrate it exactly; the others take adaptive Gauss-Hermite quadrature around their mode. A man
who was never seen on the drug needs one effect only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from e2analytics.models.dose_response import assay
from e2analytics.models.dose_response.assay import Assays, Likelihood
from e2analytics.models.dose_response.dose_effect import Effect, effect

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

PARAMETERS = (
    "logit_emax",
    "log_ed50",
    *assay.PARAMETERS,
    "log_sd_level",
    "response_per_level",
    "log_sd_response",
)
"""What men have in common beside the coefficients, in the order of ``Integrated.scores``."""
NODES = 5
"""Quadrature nodes per effect for a man with a censored or an immunoassay draw."""
_NODES_NORMAL = 2
_MEN_PER_BLOCK = 4_000
# Eight rounds find a mode to 1e-5, which is far more than nodes need.
_FIRST_ROUNDS, _ROUNDS = 8, 1


@dataclass(frozen=True, slots=True)
class Draws:
    """m draws of E2 of n men.

    Attributes
    ----------
    man : ndarray of int, shape (m,)
        Which man, 0 ... n_men - 1.
    low_pg_ml, high_pg_ml : ndarray, shape (m,)
        The reading: equal unless censored, 0 and inf where open.
    ms : ndarray of bool, shape (m,)
        By mass spectrometry; all others count as immunoassay.
    dose_mg_per_week : ndarray, shape (m,)
        Anastrozole in force, at steady state; 0 off it.
    covariates : ndarray, shape (m, p)
        What else the level depends on, the constant included.
    n_men : int
        Number of men; one may have no draw.
    """

    man: Integers
    low_pg_ml: Vector
    high_pg_ml: Vector
    ms: Flags
    dose_mg_per_week: Vector
    covariates: Matrix
    n_men: int

    def taken(self, rows: Flags | Integers) -> Draws:
        """Return some of the draws, of the same men."""
        return Draws(
            self.man[rows],
            self.low_pg_ml[rows],
            self.high_pg_ml[rows],
            self.ms[rows],
            self.dose_mg_per_week[rows],
            self.covariates[rows],
            self.n_men,
        )

    @property
    def is_exact(self) -> Flags:
        """Which readings are numbers, not intervals."""
        return np.asarray(self.low_pg_ml == self.high_pg_ml)


@dataclass(frozen=True, slots=True)
class Common:
    """What men have in common, with p covariates.

    Attributes
    ----------
    coefficients : ndarray, shape (p,)
        Of the covariates, on log E2.
    logit_emax, log_ed50 : float
        Of the dose (``dose_effect``).
    log_sd_level, response_per_level, log_sd_response : float
        Men's own levels are normal with that SD; a response is normal around ``response_per_level`` times
        the level, with its own SD.
    assays : Assays
        How the assays read.
    """

    coefficients: Vector
    logit_emax: float
    log_ed50: float
    log_sd_level: float
    response_per_level: float
    log_sd_response: float
    assays: Assays

    @classmethod
    def from_vector(cls, vector: Vector) -> Common:
        """Return the parameters of a vector (p + 10,): coefficients, then ``PARAMETERS``."""
        rest = dict(zip(PARAMETERS, vector[-len(PARAMETERS) :].tolist(), strict=True))
        return cls(
            vector[: -len(PARAMETERS)],
            rest["logit_emax"],
            rest["log_ed50"],
            rest["log_sd_level"],
            rest["response_per_level"],
            rest["log_sd_response"],
            Assays(
                np.exp(rest["log_sd_ms"]),
                np.exp(rest["log_ia_slope"]),
                rest["ia_constant_pg_ml"],
                np.exp(rest["log_ia_cv"]),
                np.exp(rest["log_ia_sd_pg_ml"]),
            ),
        )

    @property
    def vector(self) -> Vector:
        """The parameters as a vector (p + 10,): coefficients, then ``PARAMETERS``."""
        assays = self.assays
        return np.array(
            [
                *self.coefficients,
                self.logit_emax,
                self.log_ed50,
                np.log(assays.sd_ms),
                np.log(assays.ia_slope),
                assays.ia_constant_pg_ml,
                np.log(assays.ia_cv),
                np.log(assays.ia_sd_pg_ml),
                self.log_sd_level,
                self.response_per_level,
                self.log_sd_response,
            ]
        )

    def effect(self, dose_mg_per_week: Vector) -> Effect:
        """Return what doses do to log E2 of the average man."""
        return effect(dose_mg_per_week, self.logit_emax, self.log_ed50)

    def precision(self, n_effects: int) -> Matrix:
        """Return the inverse covariance of the first ``n_effects`` of (level, response)."""
        level = np.exp(-2 * self.log_sd_level)
        if n_effects == 1:
            return np.array([[level]])
        slope, own = self.response_per_level, np.exp(-2 * self.log_sd_response)
        return np.array([[level + slope**2 * own, -slope * own], [-slope * own, own]])

    def log_determinant(self, n_effects: int) -> float:
        """Return the log determinant of that covariance."""
        return 2 * (self.log_sd_level + (self.log_sd_response if n_effects == 2 else 0.0))


@dataclass(frozen=True, slots=True)
class Rows:
    """Draws of one kind within a block, sorted by man; r of them."""

    man: Integers  # within the block
    draws: Draws
    on: Vector


@dataclass(frozen=True, slots=True)
class Cells:
    """Sums over the exact draws by mass spectrometry of a man at a dose; c of them, sorted by man.

    ``gram`` of shape (c, p + 1, p + 1) holds the sums of products of (covariates, log E2), whose first
    covariate is the constant: its first row are the counts and sums.
    """

    man: Integers
    dose_mg_per_week: Vector
    on: Vector
    gram: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Block:
    """Men of one kind, integrated over together.

    Attributes
    ----------
    men : ndarray of int, shape (b,)
        Which men.
    n_effects : int
        1 if none of them was seen on the drug.
    cells, exact_ia, censored_ms, censored_ia
        Their draws: exact by mass spectrometry, and the others.
    """

    men: Integers
    n_effects: int
    cells: Cells
    exact_ia: Rows
    censored_ms: Rows
    censored_ia: Rows

    @property
    def n_nodes(self) -> int:
        """Nodes per effect."""
        others = len(self.exact_ia.man) + len(self.censored_ms.man) + len(self.censored_ia.man)
        return NODES if others else _NODES_NORMAL


@dataclass(frozen=True, slots=True)
class Posterior:
    """Normal approximation of b men's own effects: mean (b, e), covariance (b, e, e)."""

    mean: Matrix
    covariance: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Integrated:
    """A block integrated over its men's effects.

    ``log_likelihood`` of shape (b,); ``scores`` of shape (b, p + 10), its derivatives by the p coefficients
    and ``PARAMETERS``; ``posterior``, the moments.
    """

    log_likelihood: Vector
    scores: Matrix
    posterior: Posterior


def blocks(draws: Draws) -> Iterator[Block]:
    """Yield the men with draws, in blocks of one kind: seen on the drug or not, all draws normal or not."""
    ever_on = np.zeros(draws.n_men, bool)
    ever_on[draws.man[draws.dose_mg_per_week > 0]] = True
    special = np.zeros(draws.n_men, bool)
    is_normal = draws.ms & draws.is_exact
    special[draws.man[~is_normal]] = True
    order = np.argsort(draws.man, kind="stable")
    ordered = draws.taken(order)
    drawn = np.unique(ordered.man)
    for kind in range(4):
        men = drawn[(2 * ever_on + special)[drawn] == kind]
        for first in range(0, len(men), _MEN_PER_BLOCK):
            yield _block(ordered, men[first : first + _MEN_PER_BLOCK], 2 if kind >= 2 else 1)


def _block(ordered: Draws, men: Integers, n_effects: int) -> Block:
    among = np.full(ordered.n_men, -1)
    among[men] = np.arange(len(men))
    first, last = np.searchsorted(ordered.man, [men[0], men[-1] + 1])
    near = ordered.taken(np.arange(first, last))
    here = near.taken(among[near.man] >= 0)
    within = among[here.man]
    exact, ms = here.is_exact, here.ms
    return Block(
        men,
        n_effects,
        _cells(here.taken(exact & ms), within[exact & ms]),
        *(
            _rows(here.taken(rows), within[rows])
            for rows in (exact & ~ms, ~exact & ms, ~exact & ~ms)
        ),
    )


def _rows(draws: Draws, within: Integers) -> Rows:
    return Rows(within, draws, (draws.dose_mg_per_week > 0).astype(float))


def _cells(draws: Draws, within: Integers) -> Cells:
    order = np.lexsort((draws.dose_mg_per_week, within))
    man, dose = within[order], draws.dose_mg_per_week[order]
    n_columns = draws.covariates.shape[1] + 1
    if not len(man):
        return Cells(man, dose, dose, np.zeros((0, n_columns, n_columns)))
    starts = np.flatnonzero(np.concatenate([[True], (np.diff(man) != 0) | (np.diff(dose) != 0)]))
    rows = np.column_stack([draws.covariates[order], np.log(draws.low_pg_ml[order])])
    gram = np.add.reduceat(rows[:, :, None] * rows[:, None, :], starts, axis=0)
    return Cells(man[starts], dose[starts], (dose[starts] > 0).astype(float), gram)


def find(block: Block, common: Common, start: Posterior | None = None) -> Posterior:
    """Return mode and curvature of the men's effects, by Newton steps from ``start``."""
    n, effects = len(block.men), block.n_effects
    mean = np.zeros((n, effects)) if start is None else start.mean
    rounds = _FIRST_ROUNDS if start is None else _ROUNDS
    prior = common.precision(effects)
    of_cells, towards = _of_cells(block, common)[:2]
    for _ in range(rounds if block.n_nodes == NODES else 1):
        information = prior + of_cells
        score = towards - np.einsum("bij,bj->bi", information, mean)
        for rows, _, likelihood in likelihoods(block, common, mean[:, None, :]):
            z = design(rows.on, effects)
            weighted = likelihood.information[:, :1] * z
            information = information + sums_by_effect(rows.man, z, weighted, n)
            score = score + _add_up(likelihood.slope[:, :1] * z, rows.man, n)
        covariance = _inverse(information)
        step = np.einsum("bij,bj->bi", covariance, score)
        if block.n_nodes == NODES:
            # A step longer than the men's spread comes from where the reading says nothing. Normal
            # posteriors are there in one step, however far a man lies from the others.
            step = np.clip(step, -1.0, 1.0)
        mean = mean + step
    return Posterior(mean, covariance)


def integrate(block: Block, common: Common, around: Posterior) -> Integrated:
    """Integrate over the effects of a block's men with nodes placed by ``around``.

    The derivatives are the posterior means of those of the complete likelihood (Fisher's identity).
    """
    n, effects = len(block.men), block.n_effects
    nodes, log_weight = _nodes(block, around)
    prior = common.precision(effects)
    information, towards, constant = _of_cells(block, common)
    log_joint = (
        log_weight
        + constant[:, None]
        + np.einsum("bi,bki->bk", towards, nodes)
        - 0.5 * np.einsum("bki,bij,bkj->bk", nodes, information + prior, nodes)
        - 0.5 * common.log_determinant(effects)
        - 0.5 * effects * np.log(2 * np.pi)
    )
    read = list(likelihoods(block, common, nodes))
    for rows, _, likelihood in read:
        log_joint += _add_up(likelihood.value, rows.man, n)
    log_likelihood = logsumexp(log_joint, axis=1)
    share = np.exp(log_joint - log_likelihood[:, None])
    mean = np.einsum("bk,bki->bi", share, nodes)
    second = np.einsum("bk,bki,bkj->bij", share, nodes, nodes)
    of_readings = _scores_of_cells(block, common, mean, second)
    for rows, _, likelihood in read:
        each = _scores_of_rows(rows, likelihood, share[rows.man], common)
        of_readings += _add_up(each, rows.man, n)
    scores = np.concatenate([of_readings, _scores_of_spread(common, second)], axis=1)
    covariance = second - mean[:, :, None] * mean[:, None, :]
    return Integrated(log_likelihood, scores, Posterior(mean, covariance))


def likelihoods(
    block: Block, common: Common, nodes: NDArray[np.float64]
) -> Iterator[tuple[Rows, Matrix, Likelihood]]:
    """Yield the draws that are no sums, their levels at nodes (b, k, e), and how likely they are there."""
    for rows in (block.exact_ia, block.censored_ms, block.censored_ia):
        if not len(rows.man):
            continue
        draws, assays = rows.draws, common.assays
        average = draws.covariates @ common.coefficients
        average = average + common.effect(draws.dose_mg_per_week).log_ratio
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


def _nodes(block: Block, around: Posterior) -> tuple[NDArray[np.float64], Matrix]:
    """Return nodes of shape (b, k, e) and the logs of their weights, (b, k)."""
    points, weights = np.polynomial.hermite.hermgauss(block.n_nodes)
    grids = np.meshgrid(*[points] * block.n_effects, indexing="ij")
    z = np.stack([grid.ravel() for grid in grids], axis=-1)
    log_w = sum(grid.ravel() for grid in np.meshgrid(*[np.log(weights)] * block.n_effects))
    root = np.linalg.cholesky(around.covariance)
    nodes = around.mean[:, None, :] + np.sqrt(2) * np.einsum("bij,kj->bki", root, z)
    log_volume = np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1)
    log_weight = log_w + (z**2).sum(axis=1) + 0.5 * block.n_effects * np.log(2)
    return nodes, log_weight + log_volume[:, None]


def _residuals(block: Block, common: Common) -> tuple[Vector, Vector, Vector]:
    """Return counts, sums and sums of squares of log E2 less covariates and dose, cell by cell."""
    cells = block.cells
    less = np.append(-common.coefficients, 1.0)
    count = cells.gram[:, 0, 0]
    shift = common.effect(cells.dose_mg_per_week).log_ratio
    sums = cells.gram[:, 0] @ less
    squares = np.einsum("i,cij,j->c", less, cells.gram, less)
    return count, sums - count * shift, squares - 2 * shift * sums + count * shift**2


def _of_cells(block: Block, common: Common) -> tuple[NDArray[np.float64], Matrix, Vector]:
    """Return the normal draws' log-likelihood as a quadratic in the effects: matrix, vector, constant."""
    n, effects, cells = len(block.men), block.n_effects, block.cells
    count, sums, squares = _residuals(block, common)
    variance = common.assays.sd_ms**2
    z = design(cells.on, effects)
    constant = -0.5 * squares / variance - 0.5 * count * np.log(2 * np.pi * variance)
    information = sums_by_effect(cells.man, z, z * (count / variance)[:, None], n)
    rest = _add_up(np.column_stack([z * (sums / variance)[:, None], constant]), cells.man, n)
    return information, rest[:, :-1], rest[:, -1]


def _scores_of_cells(
    block: Block, common: Common, mean: Matrix, second: NDArray[np.float64]
) -> Matrix:
    cells, variance = block.cells, common.assays.sd_ms**2
    dose = common.effect(cells.dose_mg_per_week)
    z = design(cells.on, block.n_effects)
    own = np.einsum("ci,ci->c", z, mean[cells.man])
    own_square = np.einsum("ci,cij,cj->c", z, second[cells.man], z)
    count, sums, squares = _residuals(block, common)
    left = (sums - count * own) / variance
    less = np.append(-common.coefficients, 1.0)
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


def _scores_of_spread(common: Common, second: NDArray[np.float64]) -> Matrix:
    level = second[:, 0, 0] * np.exp(-2 * common.log_sd_level) - 1
    if second.shape[1] == 1:
        nothing = np.zeros_like(level)
        return np.column_stack([level, nothing, nothing])
    slope, own = common.response_per_level, np.exp(-2 * common.log_sd_response)
    both = second[:, 0, 1] - slope * second[:, 0, 0]
    square = second[:, 1, 1] - 2 * slope * second[:, 0, 1] + slope**2 * second[:, 0, 0]
    return np.column_stack([level, both * own, square * own - 1])


def _scores_of_rows(rows: Rows, likelihood: Likelihood, share: Matrix, common: Common) -> Matrix:
    slope = np.einsum("rk,rk->r", share, likelihood.slope)
    dose = common.effect(rows.draws.dose_mg_per_week)
    return np.column_stack(
        [
            rows.draws.covariates * slope[:, None],
            slope * dose.by_logit_emax,
            slope * dose.by_log_ed50,
            likelihood.partials(share),
        ]
    )
