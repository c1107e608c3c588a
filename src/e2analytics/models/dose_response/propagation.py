r"""The likelihood of men's draws, whatever their readings: expectation propagation man by man.

An exact reading by mass spectrometry is normal given log E2, and its site is that normal factor. Every other
reading (immunoassay, censored) is stood for by a normal site that gives its draw's log E2 the mean and variance
that the reading itself gives it beside all the man's other sites (Minka, UAI 2001; Rasmussen and
Williams, Gaussian Processes for Machine Learning, 3.6). Those moments are integrals over one
dimension: in closed form for censored mass spectrometry, by quadrature around the present
marginal for immunoassay. All sites of a man move at once, and each man goes on until his own stand still.

There the evidence does not depend on the sites, so that its derivatives are those at fixed sites: of the
normal part by ``state_space``, of a reading's parameters their mean under the tilted density.

Where a man has two or three such readings, an integral over them takes the place of what the sites leave out
(``quadrature``); his sites then give him the moments of that integral. Its derivatives are the means of those of
the joint density under it (Fisher's identity).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.dose_response import assay, quadrature, state_space
from e2analytics.models.dose_response.assay import Likelihood
from e2analytics.models.dose_response.batches import Batch
from e2analytics.models.dose_response.quadrature import Corrected, Few
from e2analytics.models.dose_response.state_space import Smoothed
from e2analytics.models.dose_response.types import Population

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Integers = NDArray[np.int64]

NODES = 9
"""Of the quadrature over one reading's log E2."""
_LOG_2PI = float(np.log(2 * np.pi))
_POINTS, _WEIGHTS = np.polynomial.hermite_e.hermegauss(NODES)
_LOG_WEIGHTS = np.log(_WEIGHTS) + 0.5 * _POINTS**2
# Readings whose nodes are worked on at a time: what a processor's cache holds.
_READINGS_AT_A_TIME = 2_000
STANDS_STILL = 1e-9
# Men of many censored results may swing from round to round; then smaller steps end it.
_WHOLE_STEPS, _MOST_ROUNDS, _PART = 12, 60, 0.5
# A reading far above what is expected may make a level less sure; by no more than this share of what men have.
_MOST_LOST = 0.25
_LEAST_PRECISION = 1e-10
_LEAST_LEFT = 0.2


@dataclass(frozen=True, slots=True)
class Sites:
    """Normal stand-ins of m readings: precision, and precision times place on log E2; shape (m,)."""

    precision: Vector
    shift: Vector


@dataclass(frozen=True, slots=True)
class Integrated:
    """b men integrated over levels, responses and movements.

    Attributes
    ----------
    log_likelihood : ndarray, shape (b,)
        Of each man's readings.
    scores : ndarray, shape (b, p + 13)
        Its derivatives by the coefficients and ``PARAMETERS``.
    sites : Sites
        Of the batch's readings.
    stood : Sites
        Where these stood by propagation alone: the next start.
    mean, variance : ndarray, shape (m,)
        Of each draw's log E2, given all of the man's readings.
    """

    log_likelihood: Vector
    scores: Matrix
    sites: Sites
    stood: Sites
    mean: Vector
    variance: Vector


@dataclass(frozen=True, slots=True)
class _Tilted:
    """What k readings themselves say beside all others: log mass, mean, variance, (k,); by the assays (k, 5)."""

    log_mass: Vector
    mean: Vector
    variance: Vector
    by_assays: Matrix


def integrate(
    batch: Batch,
    population: Population,
    start: Sites | None = None,
    *,
    until: float = STANDS_STILL,
    rounds: int = _MOST_ROUNDS,
) -> Integrated:
    """Integrate over a batch's men.

    Parameters
    ----------
    batch, population
        The men, and the population parameters.
    start
        Where sites start; without, they say nothing.
    until, rounds
        They move until the largest change, in standard deviations, is less; and no longer than these rounds.
    """
    stood = _known(batch, population, start)
    average = batch.average(population)
    corrections: list[tuple[Few, Corrected]] = []
    if len(batch.special):
        stood = _propagated(batch, population, stood, until, rounds)
        for few in quadrature.men_of_few(batch):
            of_few = stood.precision[few.rows], stood.shift[few.rows]
            corrections.append((few, quadrature.correct(few, population, *of_few)))
    sites = _with(stood, corrections)
    smoothed = state_space.smooth(batch.times, population.spreads, *_on_grid(batch, average, sites))
    mean, variance = _at_draws(batch, average, smoothed)
    special = batch.special
    for few, corrected in corrections:
        variance[few.rows] += corrected.variance(few)
        special = special[~np.isin(special, few.rows)]
    of_readings, by_assays = _of_readings(batch, population, sites, (mean, variance), special)
    log_mass, by_spreads = smoothed.log_mass, smoothed.scores
    for few, corrected in corrections:
        log_mass[few.columns] = corrected.log_mass
        by_assays[few.rows[few.readings]] = corrected.by_assays
        by_spreads[few.columns] += corrected.scores(few, population)
    towards = sites.shift - sites.precision * mean
    dose = population.effect(batch.draws.dose_mg_per_week)
    each = np.column_stack(
        [
            of_readings,
            batch.draws.covariates * towards[:, None],
            towards * dose.by_logit_emax,
            towards * dose.by_log_ed50,
            by_assays,
        ]
    )
    total = np.add.reduceat(each, batch.first, axis=0)
    return Integrated(
        log_mass + total[:, 0],
        np.concatenate([total[:, 1:], by_spreads], axis=1),
        sites,
        stood,
        mean,
        variance,
    )


def _of_readings(
    batch: Batch,
    population: Population,
    sites: Sites,
    at: tuple[Vector, Vector],
    special: Integers,
) -> tuple[Vector, Matrix]:
    """Return what readings add to the log mass, (m,), and their derivatives by the assays, (m, 5).

    ``at`` holds means and variances of log E2; ``special`` the rows that propagation alone answers for.
    """
    (mean, variance), average = at, batch.average(population)
    error, residual = batch.log_reading - mean, batch.log_reading - average
    of_readings, by_assays = np.zeros(len(mean)), np.zeros((len(mean), len(assay.PARAMETERS)))
    sd, normal = population.assays.sd_ms, batch.is_normal
    of_readings[normal] = -0.5 * (residual[normal] / sd) ** 2 - np.log(sd) - 0.5 * _LOG_2PI
    by_assays[normal, 0] = (error[normal] ** 2 + variance[normal]) / sd**2 - 1
    if len(special):
        cavity = _cavity(sites, average, mean, variance, special)
        tilted = _tilted(batch, population, special, mean, variance, cavity, with_assays=True)
        # The site itself, beside the others: what it stands for has to be taken out again.
        of_readings[special] = tilted.log_mass - cavity.log_mass_of_site
        by_assays[special] = tilted.by_assays
    return of_readings, by_assays


def _with(stood: Sites, corrections: list[tuple[Few, Corrected]]) -> Sites:
    """Put the sites of quadrature in place of those of propagation."""
    precision, shift = stood.precision.copy(), stood.shift.copy()
    for few, corrected in corrections:
        at = few.rows[few.readings]
        precision[at], shift[at] = corrected.precision, corrected.shift
    return Sites(precision, shift)


def _known(batch: Batch, population: Population, start: Sites | None) -> Sites:
    """Return the sites of normal readings, and where the others start from: saying nothing."""
    m, exact = len(batch.column), population.assays.sd_ms**-2
    precision = np.zeros(m) if start is None else start.precision
    shift = np.zeros(m) if start is None else start.shift
    return Sites(
        np.where(batch.is_normal, exact, precision),
        np.where(batch.is_normal, exact * batch.log_reading, shift),
    )


def _on_grid(batch: Batch, average: Vector, sites: Sites) -> tuple[Matrix, Matrix]:
    """Lay sites out by man and draw, less the mean of men like him."""
    # Normal readings are constants of the evidence and enter with their residual's square elsewhere.
    return batch.grid(sites.precision), batch.grid(sites.shift - sites.precision * average)


def _at_draws(batch: Batch, average: Vector, smoothed: Smoothed) -> tuple[Vector, Vector]:
    at = batch.place, batch.column
    return average + smoothed.mean[at], smoothed.variance[at]


def _propagated(
    batch: Batch, population: Population, sites: Sites, until: float, rounds: int
) -> Sites:
    """Move the sites of special readings until they stand still, each man by himself."""
    precision, shift = sites.precision.copy(), sites.shift.copy()
    columns, rows, part = np.arange(len(batch.men)), np.arange(len(batch.column)), batch
    times, average, special = part.times, part.average(population), part.special
    for round_ in range(rounds):
        now = Sites(precision[rows], shift[rows])
        smoothed = state_space.smooth(
            times, population.spreads, *_on_grid(part, average, now), with_scores=False
        )
        mean, variance = _at_draws(part, average, smoothed)
        cavity = _cavity(now, average, mean, variance, special)
        tilted = _tilted(part, population, special, mean, variance, cavity)
        # Where all nodes but one are out of reach, they show too little of the spread: the next ones lie nearer.
        left_open = np.maximum(tilted.variance, _LEAST_LEFT * variance[special])
        least = -_MOST_LOST / _prior_variance(part, population)[special]
        new = np.maximum(1 / left_open - cavity.precision, least)
        new_shift = tilted.mean * (new + cavity.precision) - cavity.shift
        share = 1.0 if round_ < _WHOLE_STEPS else _PART
        at = rows[special]
        precision[at] += share * (new - precision[at])
        shift[at] += share * (new_shift - shift[at])
        moved = np.maximum(
            np.abs(tilted.mean - mean[special]) / np.sqrt(variance[special]),
            np.abs(tilted.variance / variance[special] - 1),
        )
        # Where the least precision holds a site back, what counts is the site.
        moved = np.where(
            now.precision[special] <= least, np.abs(new - now.precision[special]), moved
        )
        goes_on = np.zeros(len(columns), bool)
        goes_on[part.column[special[moved > until]]] = True
        if not goes_on.any():
            break
        if goes_on.mean() < 0.5:
            kept = np.flatnonzero(goes_on)
            rows = rows[goes_on[part.column]]
            columns, part = columns[kept], part.of_men(kept)
            times, average, special = part.times, part.average(population), part.special
    return Sites(precision, shift)


def _prior_variance(batch: Batch, population: Population) -> Vector:
    """Return the variance of log E2 at each draw before any reading, shape (m,)."""
    spreads = population.spreads
    own, on = spreads.of_effects, batch.draws.dose_mg_per_week > 0
    level = own[0, 0] + np.where(on, 2 * own[0, 1] + own[1, 1], 0.0)
    moved = np.exp(2 * spreads.log_sd_movement)
    return np.asarray(level + moved + np.exp(2 * spreads.log_sd_jump) * batch.changes)


@dataclass(frozen=True, slots=True)
class _Cavity:
    """Log E2 at k draws without their own readings: normal, (k,) each."""

    precision: Vector
    shift: Vector
    log_mass_of_site: Vector

    @property
    def mean(self) -> Vector:
        return self.shift / self.precision

    @property
    def variance(self) -> Vector:
        return 1 / self.precision


def _cavity(
    sites: Sites, average: Vector, mean: Vector, variance: Vector, special: Integers
) -> _Cavity:
    own, of_site = sites.precision[special], sites.shift[special]
    precision = np.maximum(1 / variance[special] - own, _LEAST_PRECISION)
    shift = mean[special] / variance[special] - of_site
    # Less the mean of men like him, so that large terms do not cancel.
    centre, spread = shift / precision - average[special], 1 / precision
    pulls, shrinks = of_site - own * average[special], 1 + own * spread
    log_mass = (2 * pulls * centre + pulls**2 * spread - own * centre**2) / shrinks
    return _Cavity(precision, shift, 0.5 * (log_mass - np.log(shrinks)))


def _kinds(batch: Batch, rows: Integers) -> Iterator[tuple[str, Integers]]:
    """Yield the kinds of reading among rows, as positions in ``rows``."""
    ms, exact = batch.draws.ms[rows], batch.draws.is_exact[rows]
    for kind, those in (
        ("exact_ia", exact & ~ms),
        ("censored_ms", ~exact & ms),
        ("censored_ia", ~exact & ~ms),
    ):
        if those.any():
            yield kind, np.flatnonzero(those)


def _tilted(
    batch: Batch,
    population: Population,
    special: Integers,
    mean: Vector,
    variance: Vector,
    cavity: _Cavity,
    *,
    with_assays: bool = False,
) -> _Tilted:
    """Return the moments that special readings themselves give their log E2 beside all others."""
    k = len(special)
    result = _Tilted(np.empty(k), np.empty(k), np.empty(k), np.zeros((k, len(assay.PARAMETERS))))
    for kind, those in _kinds(batch, special):
        rows = special[those]
        low, high = batch.draws.low_pg_ml[rows], batch.draws.high_pg_ml[rows]
        centre, spread = cavity.mean[those], cavity.variance[those]
        if kind == "censored_ms":
            _put(result, those, _truncated(low, high, centre, spread, population))
            continue
        for first in range(0, len(rows), _READINGS_AT_A_TIME):
            some = slice(first, first + _READINGS_AT_A_TIME)
            sd = np.sqrt(variance[rows[some]])
            nodes = mean[rows[some], None] + sd[:, None] * _POINTS
            if kind == "exact_ia":
                read = assay.exact_immunoassay(nodes, low[some], population.assays)
            else:
                read = assay.censored_immunoassay(nodes, low[some], high[some], population.assays)
            found = _by_nodes(nodes, sd, centre[some], spread[some], read, with_assays=with_assays)
            _put(result, those[some], found)
    return result


def _put(result: _Tilted, those: Integers, found: _Tilted) -> None:
    result.log_mass[those], result.mean[those] = found.log_mass, found.mean
    result.variance[those], result.by_assays[those] = found.variance, found.by_assays


def _truncated(
    low_pg_ml: Vector, high_pg_ml: Vector, centre: Vector, spread: Vector, population: Population
) -> _Tilted:
    """Return the moments that censored results of mass spectrometry give; exact."""
    sd = population.assays.sd_ms
    total = spread + sd**2
    with np.errstate(divide="ignore"):
        low, high = ((np.log(bound) - centre) / np.sqrt(total) for bound in (low_pg_ml, high_pg_ml))
    inside = assay.interval(low, high)
    by_sd = np.where(np.isfinite(low), low, 0.0) * inside.at_low
    by_sd = by_sd - np.where(np.isfinite(high), high, 0.0) * inside.at_high
    by_assays = np.zeros((len(centre), len(assay.PARAMETERS)))
    by_assays[:, 0] = by_sd * sd**2 / total
    return _Tilted(
        inside.log_mass,
        centre + spread / np.sqrt(total) * inside.mean,
        spread - spread**2 / total * (1 - inside.variance),
        by_assays,
    )


def _by_nodes(
    nodes: Matrix,
    sd: Vector,
    centre: Vector,
    spread: Vector,
    read: Likelihood,
    *,
    with_assays: bool,
) -> _Tilted:
    """Return the moments by quadrature; nodes (k, n) are those of marginals with standard deviations ``sd``."""
    away = nodes - centre[:, None]
    log_joint = away * away
    log_joint *= (-0.5 / spread)[:, None]
    log_joint += read.value
    log_joint += _LOG_WEIGHTS
    # Column by column: numpy reduces short rows slowly.
    most = log_joint[:, 0].copy()
    for column in log_joint.T[1:]:
        np.maximum(most, column, out=most)
    log_joint -= most[:, None]
    share = np.exp(log_joint, out=log_joint)
    mass = np.einsum("kn->k", share)
    share /= mass[:, None]
    from_centre = np.einsum("kn,kn->k", share, away)
    away -= from_centre[:, None]
    variance = np.einsum("kn,kn,kn->k", share, away, away)
    log_mass = most + np.log(mass * sd / np.sqrt(spread)) - 0.5 * _LOG_2PI
    nothing = np.zeros((len(mass), len(assay.PARAMETERS)))
    by_assays = read.partials(share) if with_assays else nothing
    return _Tilted(log_mass, centre + from_centre, variance, by_assays)
