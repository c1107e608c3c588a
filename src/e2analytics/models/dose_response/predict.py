"""Predicts the E2 of each man at any dose, jointly over doses and with its uncertainty.

The uncertainty has three parts: that of his own level and response given his draws, that of the
population parameters (less what his own draws make up for: a man drawn at his dose hardly needs the dose
curve), and that of his covariates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.dose_response import assay, state_space
from e2analytics.models.dose_response.batches import Batch, batches
from e2analytics.models.dose_response.fit import DoseResponse
from e2analytics.models.dose_response.propagation import integrate
from e2analytics.models.dose_response.state_space import LastState
from e2analytics.models.dose_response.types import Draws, Population
from e2analytics.models.normal import Z95
from e2analytics.models.threads import one_blas_thread, side_by_side

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Integers = NDArray[np.int64]

_SHIFTING = 4
"""Parameters other than the coefficients that shift levels: Emax, ED50, slope and constant of immunoassay."""


@dataclass(frozen=True, slots=True)
class RandomEffects:
    """The own level, response and movement of n men, given their draws, as of a day of each man's effects.

    Attributes
    ----------
    mean : ndarray, shape (n, 3)
        Posterior mean of level (log pg/mL), response (log ratio) and movement (log ratio); that of all men, 0,
        for a man without a draw.
    covariance : ndarray, shape (n, 3, 3)
        Posterior covariance at the estimated parameters.
    fall_per_parameter : ndarray, shape (n, 3, p + 4)
        How far the mean falls when a parameter rises: coefficients, Emax, ED50, and immunoassay's slope
        and constant.
    day : ndarray, shape (n,)
        As of when: his last draw; minus infinity without one.
    segment : ndarray of int, shape (n,)
        Changes of the testosterone order until then.
    """

    mean: Matrix
    covariance: NDArray[np.float64]
    fall_per_parameter: NDArray[np.float64]
    day: Vector
    segment: Integers

    def take(self, men: Integers) -> RandomEffects:
        """Return some of the men, in the order asked for."""
        return RandomEffects(
            self.mean[men],
            self.covariance[men],
            self.fall_per_parameter[men],
            self.day[men],
            self.segment[men],
        )


@dataclass(frozen=True, slots=True)
class Predicted:
    """Log E2 (log pg/mL) of n men at k doses: ``mean`` (n, k) and ``covariance`` (n, k, k)."""

    mean: Matrix
    covariance: NDArray[np.float64]

    @property
    def sd(self) -> Matrix:
        """Standard deviations, shape (n, k)."""
        return np.sqrt(np.diagonal(self.covariance, axis1=1, axis2=2))


def random_effects(response: DoseResponse, draws: Draws) -> RandomEffects:
    """Return every man's own level, response and movement after his last draw, at fixed parameters.

    Parameters
    ----------
    response
        Population parameters.
    draws
        Their draws, with the covariates of the fit. A man's result does not depend on the others.
    """
    population = response.population
    n, n_columns = draws.n_men, draws.covariates.shape[1] + _SHIFTING
    unseen = np.zeros((3, 3))
    unseen[:2, :2] = population.spreads.of_effects
    unseen[2, 2] = np.exp(2 * population.log_sd_movement)
    result = RandomEffects(
        np.zeros((n, 3)),
        np.broadcast_to(unseen, (n, 3, 3)).copy(),
        np.zeros((n, 3, n_columns)),
        np.full(n, -np.inf),
        np.zeros(n, np.int64),
    )
    of_one_kind = list(batches(draws))

    def one(batch: Batch) -> LastState:
        found = integrate(batch, population)
        columns = shifts(batch, population, found.mean)
        sites, average = found.sites, batch.average(population)
        return state_space.last_state(
            batch.times,
            population.spreads,
            batch.grid(sites.precision),
            batch.grid(sites.shift - sites.precision * average),
            np.stack([batch.grid(column) for column in columns.T], axis=1),
        )

    with one_blas_thread():
        found = side_by_side(one, of_one_kind)
    for batch, last in zip(of_one_kind, found, strict=True):
        men, rows = batch.men, np.append(batch.first[1:], len(batch.place)) - 1
        result.mean[men] = last.mean.T
        result.covariance[men] = last.covariance.transpose(2, 0, 1)
        result.fall_per_parameter[men] = last.fall_per_parameter.transpose(2, 0, 1)
        result.day[men], result.segment[men] = batch.draws.day[rows], batch.draws.segment[rows]
    return result


def ahead(
    response: DoseResponse, effects: RandomEffects, day: Vector, segment: Integers
) -> RandomEffects:
    """Return the same men on later days (n,), after as many changes of the testosterone order (n,)."""
    population = response.population
    kept = np.exp(-np.maximum(day - effects.day, 0.0) / np.exp(population.log_days_movement))
    of_state = np.stack([np.ones_like(kept), np.ones_like(kept), kept], axis=1)
    covariance = effects.covariance * of_state[:, :, None] * of_state[:, None, :]
    covariance[:, 2, 2] += np.exp(2 * population.log_sd_movement) * (1 - kept**2)
    changes = np.maximum(segment - effects.segment, 0)
    covariance[:, 0, 0] += np.exp(2 * population.log_sd_jump) * changes
    return RandomEffects(
        effects.mean * of_state,
        covariance,
        effects.fall_per_parameter * of_state[:, :, None],
        day,
        segment,
    )


def predict(
    response: DoseResponse,
    effects: RandomEffects,
    covariates: Matrix,
    dose_mg_per_week: Matrix,
    covariate_variance: Vector | None = None,
) -> Predicted:
    """Return log E2 at steady state under doses, on the day of ``effects`` (``ahead`` gives later ones).

    Parameters
    ----------
    response, effects
        Population parameters, and the random effects of n men.
    covariates : ndarray, shape (n, p)
        At which it is wanted.
    dose_mg_per_week : ndarray, shape (n, k)
        0 is off the drug.
    covariate_variance : ndarray, shape (n,), optional
        Variance of log E2 that comes from covariates known with error, the same at every dose.
    """
    parts = _parts(response, effects, covariates, dose_mg_per_week, covariate_variance)
    shared = np.einsum("nkq,qr,nlr->nkl", parts.moved, covariance_of_shifts(response), parts.moved)
    return Predicted(parts.mean, parts.own + shared)


def sample(
    response: DoseResponse,
    effects: RandomEffects,
    covariates: Matrix,
    dose_mg_per_week: Matrix,
    covariate_variance: Vector,
    shifts: Matrix,
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Return samples of what ``predict`` says: log E2 (log pg/mL), shape (s, n, k).

    All men of a sample share its population parameters, so that sums over men are as uncertain as they are.

    Parameters
    ----------
    response, effects, covariates, dose_mg_per_week, covariate_variance
        As ``predict`` takes them.
    shifts : ndarray, shape (s, p + 4)
        Of ``sample_shifts``; the same for all men.
    rng
        Of what is the man's own.
    """
    parts = _parts(response, effects, covariates, dose_mg_per_week, covariate_variance)
    values, directions = np.linalg.eigh(parts.own)
    roots = directions * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    own = rng.standard_normal((len(shifts), *dose_mg_per_week.shape))
    return np.asarray(
        parts.mean
        + np.einsum("nkq,sq->snk", parts.moved, shifts)
        + np.einsum("nkj,snj->snk", roots, own)
    )


def sample_shifts(response: DoseResponse, n_samples: int, rng: np.random.Generator) -> Matrix:
    """Return samples of how far the parameters that shift levels lie from their estimates, (s, p + 4)."""
    covariance = covariance_of_shifts(response)
    return rng.multivariate_normal(np.zeros(len(covariance)), covariance, n_samples)


class _Parts(NamedTuple):
    """Log E2 of n men at k doses, and where its uncertainty comes from.

    ``mean`` (n, k), ``own`` covariance of what is the man's own (n, k, k), ``moved``: by how much each shifting
    parameter moves it (n, k, p + 4).
    """

    mean: Matrix
    own: NDArray[np.float64]
    moved: NDArray[np.float64]


def _parts(
    response: DoseResponse,
    effects: RandomEffects,
    covariates: Matrix,
    dose_mg_per_week: Matrix,
    covariate_variance: Vector | None,
) -> _Parts:
    population = response.population
    dose = population.effect(dose_mg_per_week)
    n_covariates = covariates.shape[1]
    ones = np.ones_like(dose_mg_per_week)
    z = np.stack([ones, dose_mg_per_week > 0, ones], axis=-1)
    mean = (covariates @ population.coefficients)[:, None] + dose.log_ratio
    mean = mean + np.einsum("nki,ni->nk", z, effects.mean)
    moved = np.zeros((*dose_mg_per_week.shape, n_covariates + _SHIFTING))
    moved[..., :n_covariates] = covariates[:, None, :]
    moved[..., n_covariates] = dose.by_logit_emax
    moved[..., n_covariates + 1] = dose.by_log_ed50
    moved -= np.einsum("nki,niq->nkq", z, effects.fall_per_parameter)
    own = np.einsum("nki,nij,nlj->nkl", z, effects.covariance, z)
    if covariate_variance is not None:
        own += covariate_variance[:, None, None]
    return _Parts(mean, own, moved)


def suppression(response: DoseResponse, dose_mg_per_week: Vector) -> tuple[Vector, Vector, Vector]:
    """Return the share of the average man's E2 that doses take away: low, middle, high of 95 %, (k,) each."""
    dose = response.population.effect(dose_mg_per_week)
    at = [response.names.index(name) for name in ("logit_emax", "log_ed50")]
    by = np.stack([dose.by_logit_emax, dose.by_log_ed50], axis=-1)
    sd = np.sqrt(np.einsum("ki,ij,kj->k", by, response.covariance[np.ix_(at, at)], by))
    low, high = (1 - np.exp(dose.log_ratio + way * Z95 * sd) for way in (1, -1))
    return low, 1 - np.exp(dose.log_ratio), high


def covariance_of_shifts(response: DoseResponse) -> Matrix:
    """Return the covariance of the parameters that shift levels."""
    shifting = [
        *response.names[: response.n_covariates],
        "logit_emax",
        "log_ed50",
        "log_ia_slope",
        "ia_constant_pg_ml",
    ]
    at = [response.names.index(name) for name in shifting]
    return response.covariance[np.ix_(at, at)]


def shifts(batch: Batch, population: Population, log_e2: Vector) -> Matrix:
    """Return by how much parameters move what is expected at each draw, shape (m, p + 4)."""
    draws = batch.draws
    dose = population.effect(draws.dose_mg_per_week)
    bound = np.where(np.isfinite(draws.high_pg_ml), draws.high_pg_ml, draws.low_pg_ml)
    by_constant = assay.level_per_constant(log_e2, bound, population.assays)
    return np.column_stack(
        [
            draws.covariates,
            dose.by_logit_emax,
            dose.by_log_ed50,
            ~draws.ms,
            np.where(draws.ms, 0.0, by_constant),
        ]
    )
