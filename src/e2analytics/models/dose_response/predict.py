"""Predicts the E2 of each man at any dose, jointly over doses and with its uncertainty.

The uncertainty has three parts: that of his own level and response given his draws, that of the
population parameters (less what his own draws make up for: a man drawn at his dose hardly needs the dose
curve), and that of his covariates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.dose_response import assay
from e2analytics.models.dose_response.blocks import blocks
from e2analytics.models.dose_response.fit import DoseResponse
from e2analytics.models.dose_response.integration import (
    design,
    find_mode,
    integrate,
    likelihoods,
    sums_by_effect,
)
from e2analytics.models.dose_response.types import Block, Draws, Population, Posterior
from e2analytics.models.normal import Z95
from e2analytics.models.threads import one_blas_thread, side_by_side

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

_SHIFTING = 4
"""Parameters other than the coefficients that shift levels: Emax, ED50, slope and constant of immunoassay."""


@dataclass(frozen=True, slots=True)
class RandomEffects:
    """Own level and response of n men (log pg/mL, log ratio), given their draws.

    Attributes
    ----------
    mean : ndarray, shape (n, 2)
        Posterior mean; that of all men, 0, for a man without a draw.
    covariance : ndarray, shape (n, 2, 2)
        Posterior covariance at the estimated parameters.
    fall_per_parameter : ndarray, shape (n, 2, p + 4)
        How far the mean falls when a parameter rises: coefficients, Emax, ED50, and immunoassay's slope
        and constant.
    """

    mean: Matrix
    covariance: NDArray[np.float64]
    fall_per_parameter: NDArray[np.float64]


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
    """Return the own level and response of every man at fixed parameters.

    Parameters
    ----------
    response
        Population parameters.
    draws
        Their draws, with the covariates of the fit. A man's result does not depend on the others.
    """
    population = response.population
    n, n_covariates = draws.n_men, draws.covariates.shape[1]
    result = RandomEffects(
        np.zeros((n, 2)),
        np.broadcast_to(np.linalg.inv(population.precision(2)), (n, 2, 2)).copy(),
        np.zeros((n, 2, n_covariates + _SHIFTING)),
    )
    of_one_kind = list(blocks(draws))

    def one(block: Block) -> tuple[Posterior, NDArray[np.float64]]:
        mode = find_mode(block, population)
        fall_per_parameter = np.einsum(
            "bij,bjq->biq", mode.covariance, _shift_information(block, population, mode.mean)
        )
        return integrate(block, population, mode).posterior, fall_per_parameter

    with one_blas_thread():
        found = side_by_side(one, of_one_kind)
    for block, (posterior, fall_per_parameter) in zip(of_one_kind, found, strict=True):
        men = block.men
        if block.n_effects == 2:
            result.mean[men], result.covariance[men] = posterior.mean, posterior.covariance
            result.fall_per_parameter[men] = fall_per_parameter
        else:
            # Never seen on the drug, a man responds as men of his level do.
            follows = np.array([1.0, population.response_per_level])
            result.mean[men] = posterior.mean * follows
            result.covariance[men] = posterior.covariance * np.outer(follows, follows)
            result.covariance[men, 1, 1] += np.exp(2 * population.log_sd_response)
            result.fall_per_parameter[men] = fall_per_parameter * follows[:, None]
    return result


def predict(
    response: DoseResponse,
    effects: RandomEffects,
    covariates: Matrix,
    dose_mg_per_week: Matrix,
    covariate_variance: Vector | None = None,
) -> Predicted:
    """Return log E2 at steady state under doses.

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
    population = response.population
    dose = population.effect(dose_mg_per_week)
    n_covariates = covariates.shape[1]
    z = np.stack([np.ones_like(dose_mg_per_week), dose_mg_per_week > 0], axis=-1)
    mean = (covariates @ population.coefficients)[:, None] + dose.log_ratio
    mean = mean + np.einsum("nki,ni->nk", z, effects.mean)
    moved = np.zeros((*dose_mg_per_week.shape, n_covariates + _SHIFTING))
    moved[..., :n_covariates] = covariates[:, None, :]
    moved[..., n_covariates] = dose.by_logit_emax
    moved[..., n_covariates + 1] = dose.by_log_ed50
    moved -= np.einsum("nki,niq->nkq", z, effects.fall_per_parameter)
    covariance = np.einsum("nki,nij,nlj->nkl", z, effects.covariance, z)
    covariance += np.einsum("nkq,qr,nlr->nkl", moved, _covariance(response), moved)
    if covariate_variance is not None:
        covariance += covariate_variance[:, None, None]
    return Predicted(mean, covariance)


def suppression(response: DoseResponse, dose_mg_per_week: Vector) -> tuple[Vector, Vector, Vector]:
    """Return the share of the average man's E2 that doses take away: low, middle, high of 95 %, (k,) each."""
    dose = response.population.effect(dose_mg_per_week)
    at = [response.names.index(name) for name in ("logit_emax", "log_ed50")]
    by = np.stack([dose.by_logit_emax, dose.by_log_ed50], axis=-1)
    sd = np.sqrt(np.einsum("ki,ij,kj->k", by, response.covariance[np.ix_(at, at)], by))
    low, high = (1 - np.exp(dose.log_ratio + way * Z95 * sd) for way in (1, -1))
    return low, 1 - np.exp(dose.log_ratio), high


def _covariance(response: DoseResponse) -> Matrix:
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


def _shift_information(block: Block, population: Population, mode: Matrix) -> NDArray[np.float64]:
    """Return the sums over a man's draws of information x design x shift by parameter, (b, e, p + 4)."""
    n, effects, assays = len(block.men), block.n_effects, population.assays
    cells = block.cells
    dose = population.effect(cells.dose_mg_per_week)
    count = cells.gram[:, 0, 0]
    shift = np.column_stack(
        [
            cells.gram[:, 0, :-1],
            count * dose.by_logit_emax,
            count * dose.by_log_ed50,
            np.zeros((len(count), 2)),
        ]
    )
    z = design(cells.on, effects)
    total = sums_by_effect(cells.man, z, shift / assays.sd_ms**2, n)
    for rows, level, likelihood in likelihoods(block, population, mode[:, None, :]):
        draws = rows.draws
        dose = population.effect(draws.dose_mg_per_week)
        bound = np.where(np.isfinite(draws.high_pg_ml), draws.high_pg_ml, draws.low_pg_ml)
        by_constant = assay.level_per_constant(level[:, 0], bound, assays)
        shift = np.column_stack(
            [
                draws.covariates,
                dose.by_logit_emax,
                dose.by_log_ed50,
                ~draws.ms,
                np.where(draws.ms, 0.0, by_constant),
            ]
        )
        z = design(rows.on, effects)
        total += sums_by_effect(rows.man, z, shift * likelihood.information[:, :1], n)
    return total
