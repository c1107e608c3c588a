"""Each man's E2 along time: between his draws, at any dose, and how it has changed.

In    draws, and days at which a man's E2 is asked for, in groups: a scan interval, a month, now and half a year ago
Out   log E2 at each of them, and the weighted sum over each group, with standard deviations

A man's draws are taken together by their dense covariance, with the sites of ``propagation``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from e2analytics.models.dose_response.batches import Batch, batches
from e2analytics.models.dose_response.fit import DoseResponse
from e2analytics.models.dose_response.predict import covariance_of_shifts, shifts
from e2analytics.models.dose_response.propagation import integrate
from e2analytics.models.dose_response.types import Draws, Population
from e2analytics.models.threads import one_blas_thread, side_by_side

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Cube = NDArray[np.float64]
Integers = NDArray[np.int64]

_GROUPS_AT_A_TIME: Final = 2_000
_LEAST_VARIANCE: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Wanted:
    """k days at which E2 is asked for, in g groups; each group is of one man.

    Attributes
    ----------
    group : ndarray of int, shape (k,)
        Which group, sorted.
    day, segment, dose_mg_per_week : ndarray, shape (k,)
        When, changes of the testosterone order until then, and the dose asked about.
    weight : ndarray, shape (k,)
        In the group's sum: shares of an interval's days, or -1 and 1 for a change.
    man : ndarray of int, shape (g,)
        Whose group it is.
    covariates : ndarray, shape (g, p)
        At which it is wanted.
    covariate_variance : ndarray, shape (g,)
        Variance of log E2 that comes from covariates known with error, the same on all days of a group.
    """

    group: Integers
    day: Vector
    segment: Integers
    dose_mg_per_week: Vector
    weight: Vector
    man: Integers
    covariates: Matrix
    covariate_variance: Vector


@dataclass(frozen=True, slots=True)
class Path:
    """Log E2 (log pg/mL) on k days (k,), and the weighted sums of g groups (g,)."""

    mean: Vector
    sd: Vector
    sum_mean: Vector
    sum_sd: Vector


@dataclass(frozen=True, slots=True)
class Changed:
    """By how much n men's E2 has changed, (n,): mean and SD of the log ratio, and the chance of more than a share."""

    log_ratio: Vector
    sd: Vector
    fell: Vector
    rose: Vector


@dataclass(frozen=True, slots=True)
class OwnParts:
    """What men add to the log E2 of men like them at their m draws (m,): means, given all their draws.

    Attributes
    ----------
    level : ndarray
        Own level, with the steps that changes of the testosterone order have brought until then.
    response : ndarray
        Own response to the drug; 0 off it.
    movement : ndarray
        Own slow movement.
    """

    level: Vector
    response: Vector
    movement: Vector


@dataclass(frozen=True, slots=True)
class _Laid:
    """Draws of b men, at most t each, laid out as (b, t); what lies behind a man's last has precision 0."""

    day: Matrix
    segment: Matrix  # since the first draw's
    on: Matrix
    first_segment: Integers  # (b,)
    towards: Matrix  # what each draw pulls: inverse covariance times residual
    inverse: Cube  # (b, t, t): of the covariance of readings
    fall_per_parameter: Cube  # (b, t, q): that times the shifts


def along(response: DoseResponse, draws: Draws, wanted: Wanted) -> Path:
    """Return log E2 at steady state under the doses asked about, day by day and in sum."""
    population, k, n_groups = response.population, len(wanted.group), len(wanted.man)
    result = Path(np.empty(k), np.empty(k), np.empty(n_groups), np.empty(n_groups))
    # A man without a draw is asked about by himself, with nothing said of him.
    asked = np.zeros(draws.n_men, bool)
    asked[wanted.man] = True
    drawn = np.zeros(draws.n_men, bool)
    drawn[draws.man] = True
    of_asked = list(batches(draws.take(asked[draws.man])))
    spread = covariance_of_shifts(response)

    def of_batch(batch: Batch) -> None:
        laid = _laid(batch, population)
        column = np.full(draws.n_men, -1)
        column[batch.men] = np.arange(len(batch.men))
        groups = np.flatnonzero(column[wanted.man] >= 0)
        for first in range(0, len(groups), _GROUPS_AT_A_TIME):
            some = groups[first : first + _GROUPS_AT_A_TIME]
            _put(result, wanted, some, _of_groups(population, spread, wanted, some, laid, column))

    with one_blas_thread():
        side_by_side(of_batch, of_asked)
        unseen = np.flatnonzero(~drawn[wanted.man])
        if len(unseen):
            none, no_draw = np.zeros((1, 1)), np.zeros((1, 1, 1))
            no_shift = np.zeros((1, 1, len(spread)))
            nothing = _Laid(none, none, none, np.zeros(1, np.int64), none, no_draw, no_shift)
            at_nothing = np.zeros(draws.n_men, np.int64)
            _put(
                result,
                wanted,
                unseen,
                _of_groups(population, spread, wanted, unseen, nothing, at_nothing),
            )
    return result


# Eight parameters: two days of one path, each with its dose and covariates.
def change(
    response: DoseResponse,
    draws: Draws,
    then: Vector,
    now: Vector,
    segments: Integers,
    dose_mg_per_week: Matrix,
    covariates: Matrix,
    share: float,
) -> Changed:
    """Return by how much each of n men's E2 has changed between two days.

    Parameters
    ----------
    then, now : ndarray, shape (n,)
        The days.
    segments, dose_mg_per_week : ndarray, shape (n, 2)
        Changes of the testosterone order until then, and doses, on both.
    covariates : ndarray, shape (n, p)
        Of the man; the same on both days.
    share
        A fall counts from 1 - share of E2 on, a rise from its inverse.
    """
    n = len(then)
    wanted = Wanted(
        np.repeat(np.arange(n), 2),
        np.column_stack([then, now]).ravel(),
        segments.ravel(),
        dose_mg_per_week.ravel(),
        np.tile([-1.0, 1.0], n),
        np.arange(n),
        covariates,
        np.zeros(n),
    )
    found = along(response, draws, wanted)
    limit = np.log1p(-share)
    return Changed(
        found.sum_mean,
        found.sum_sd,
        ndtr((limit - found.sum_mean) / found.sum_sd),
        ndtr((limit + found.sum_mean) / found.sum_sd),
    )


def own_parts(response: DoseResponse, draws: Draws) -> OwnParts:
    """Return what each man adds at each of his draws; with men like him it is log E2 of ``along``."""
    population = response.population
    own = population.spreads.of_effects
    sd_jump = np.exp(population.log_sd_jump)
    order = np.lexsort((draws.segment, draws.day, draws.man))
    sorted_man = draws.man[order]
    parts = OwnParts(*np.empty((3, len(draws.man))))

    def of_batch(batch: Batch) -> None:
        laid = _laid(batch, population)
        on, towards = laid.on, laid.towards
        pull, pull_on = towards.sum(axis=1), (towards * on).sum(axis=1)
        steps = np.einsum("bij,bj->bi", _steps_of_both(laid.segment, laid.segment), towards)
        moved = _movement_of_both(population, laid.day, laid.day)
        here = batch.column, batch.place
        rows = order[np.searchsorted(sorted_man, batch.men)[batch.column] + batch.place]
        level = own[0, 0] * pull + own[0, 1] * pull_on
        parts.level[rows] = (level[:, None] + sd_jump**2 * steps)[here]
        parts.response[rows] = (on * (own[0, 1] * pull + own[1, 1] * pull_on)[:, None])[here]
        parts.movement[rows] = np.einsum("bij,bj->bi", moved, towards)[here]

    with one_blas_thread():
        side_by_side(of_batch, list(batches(draws)))
    return parts


def turning_day(day: Matrix, log_e2: Matrix) -> Vector:
    """Return the middle of the steepest fall of paths (n, k) on rising days (n, k), shape (n,).

    >>> turning_day(np.array([[0.0, 30, 60, 90]]), np.array([[3.4, 3.4, 2.9, 2.8]]))
    array([45.])
    """
    steps = np.diff(log_e2, axis=1) / np.diff(day, axis=1)
    at = np.argmin(steps, axis=1)[:, None]
    middle = (day[:, 1:] + day[:, :-1]) / 2
    return np.asarray(np.take_along_axis(middle, at, axis=1)[:, 0])


def prior_covariance(
    population: Population, one: tuple[Matrix, Matrix, Matrix], other: tuple[Matrix, Matrix, Matrix]
) -> Cube:
    """Return the covariance of log E2 of the same b men at days, segments, on (b, s) and (b, t): (b, s, t)."""
    own = population.spreads.of_effects
    (day, segment, on), (day_2, segment_2, on_2) = one, other
    either = on[:, :, None] + on_2[:, None, :]
    both = on[:, :, None] * on_2[:, None, :]
    return np.asarray(
        own[0, 0]
        + own[0, 1] * either
        + own[1, 1] * both
        + _movement_of_both(population, day, day_2)
        + np.exp(2 * population.log_sd_jump) * _steps_of_both(segment, segment_2)
    )


def _movement_of_both(population: Population, day: Matrix, day_2: Matrix) -> Cube:
    apart = np.abs(day[:, :, None] - day_2[:, None, :])
    return np.asarray(
        np.exp(2 * population.log_sd_movement - apart / np.exp(population.log_days_movement))
    )


def _steps_of_both(segment: Matrix, segment_2: Matrix) -> Cube:
    """Return the steps away from the first draw's segment that both have taken, to the same side."""
    one_way, other_way = np.abs(segment)[:, :, None], np.abs(segment_2)[:, None, :]
    between = np.abs(segment[:, :, None] - segment_2[:, None, :])
    return (one_way + other_way - between) / 2


def _laid(batch: Batch, population: Population) -> _Laid:
    found = integrate(batch, population)
    draws, precision = batch.draws, batch.grid(found.sites.precision).T
    at = (
        batch.grid(draws.day).T,
        batch.grid(batch.changes).T,
        batch.grid((draws.dose_mg_per_week > 0).astype(float)).T,
    )
    covariance = prior_covariance(population, at, at)
    identity = np.eye(precision.shape[1])
    turned = np.asarray(np.linalg.inv(identity + precision[:, :, None] * covariance), np.float64)
    inverse = turned * precision[:, None, :]
    columns = shifts(batch, population, found.mean)
    laid_out = np.stack([batch.grid(column).T for column in columns.T], axis=-1)
    towards = found.sites.shift - found.sites.precision * found.mean
    first = draws.segment[batch.first]
    return _Laid(*at, first, batch.grid(towards).T, inverse, inverse @ laid_out)


@dataclass(frozen=True, slots=True)
class _Groups:
    """Of g groups of at most w days: what is asked for, and whether there is such a day, (g, w)."""

    mean: Matrix
    variance: Matrix
    sum_mean: Vector
    sum_variance: Vector
    there: NDArray[np.bool_]


def _put(result: Path, wanted: Wanted, groups: Integers, found: _Groups) -> None:
    rows, _ = _rows(wanted, groups)
    result.mean[rows[found.there]] = found.mean[found.there]
    result.sd[rows[found.there]] = np.sqrt(found.variance[found.there].clip(_LEAST_VARIANCE))
    result.sum_mean[groups] = found.sum_mean
    result.sum_sd[groups] = np.sqrt(found.sum_variance.clip(_LEAST_VARIANCE))


def _rows(wanted: Wanted, groups: Integers) -> tuple[Integers, NDArray[np.bool_]]:
    """Return the rows of groups laid out as (g, w), and which of them are there."""
    begins = np.searchsorted(wanted.group, groups)
    ends = np.searchsorted(wanted.group, groups + 1)
    place = np.arange(int((ends - begins).max()))
    there = place < (ends - begins)[:, None]
    return np.where(there, begins[:, None] + place, 0), there


def _of_groups(
    population: Population,
    spread: Matrix,
    wanted: Wanted,
    groups: Integers,
    laid: _Laid,
    column: Integers,
) -> _Groups:
    rows, there = _rows(wanted, groups)
    man = column[wanted.man[groups]]
    dose = population.effect(wanted.dose_mg_per_week[rows])
    on = (wanted.dose_mg_per_week[rows] > 0).astype(np.float64)
    since_first = wanted.segment[rows] - laid.first_segment[man][:, None]
    here = (wanted.day[rows], since_first.astype(np.float64), on)
    of_draws = (laid.day[man], laid.segment[man], laid.on[man])
    with_draws = prior_covariance(population, here, of_draws)
    covariates = wanted.covariates[groups]
    mean = (covariates @ population.coefficients)[:, None] + dose.log_ratio
    mean = mean + (with_draws @ laid.towards[man][:, :, None])[:, :, 0]
    moved = np.zeros((*rows.shape, len(spread)))
    p = covariates.shape[1]
    moved[:, :, :p] = covariates[:, None, :]
    moved[:, :, p], moved[:, :, p + 1] = dose.by_logit_emax, dose.by_log_ed50
    moved -= with_draws @ laid.fall_per_parameter[man]
    covariance = prior_covariance(population, here, here)
    covariance -= with_draws @ laid.inverse[man] @ with_draws.transpose(0, 2, 1)
    covariance += moved @ spread @ moved.transpose(0, 2, 1)
    covariance += wanted.covariate_variance[groups][:, None, None]
    weight = np.where(there, wanted.weight[rows], 0.0)
    return _Groups(
        mean,
        np.diagonal(covariance, axis1=1, axis2=2),
        (weight * mean).sum(axis=1),
        np.einsum("gi,gij,gj->g", weight, covariance, weight),
        there,
    )
