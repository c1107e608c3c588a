r"""What normal readings leave open of b men's levels over time, all men at once.

The state of a man is :math:`(u, s, z)`: his own level (with the steps that changes of his testosterone
order have brought since his first draw), his own response to the drug, his own slow movement. At draw j his log E2 lies
:math:`u_j + on_j s + z_j` above the mean of men like him; from one draw to the next u takes the variance of
the changes between them and z forgets and moves as an Ornstein-Uhlenbeck process does.

A reading enters as a site: a normal factor :math:`\exp(\nu\eta - \pi\eta^2/2)` of precision
:math:`\pi`, that may be 0. The filter runs forwards, the disturbance smoother (de Jong and
Koopman) backwards; cost is linear in the draws of a man, and derivatives come with it (Koopman and
Shephard, Biometrika 1992;79:823) without a division by a variance, so that a spread may be 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Cube = NDArray[np.float64]

SPREADS = (
    "log_sd_level",
    "response_per_level",
    "log_sd_response",
    "log_sd_movement",
    "log_days_movement",
    "log_sd_jump",
)
"""How men differ and move, in the order of ``Smoothed.scores``."""
_LEAST = 1e-3


@dataclass(frozen=True, slots=True)
class Spreads:
    """How men differ and how a man moves, on the log scale of E2 (the names are those of ``types.Population``)."""

    log_sd_level: float
    response_per_level: float
    log_sd_response: float
    log_sd_movement: float
    log_days_movement: float
    log_sd_jump: float

    @property
    def of_effects(self) -> Matrix:
        """Covariance of (level at the first draw, response), shape (2, 2)."""
        level, slope = np.exp(2 * self.log_sd_level), self.response_per_level
        own = np.exp(2 * self.log_sd_response)
        return np.array([[level, slope * level], [slope * level, slope**2 * level + own]])


@dataclass(frozen=True, slots=True)
class Times:
    """When b men were drawn, at most t times each, in order.

    Attributes
    ----------
    on : ndarray, shape (t, b)
        1 on the drug, 0 off it.
    days, changes : ndarray, shape (t - 1, b)
        From a draw to the next: days, and changes of the testosterone order.
    """

    on: Matrix
    days: Matrix
    changes: Matrix


@dataclass(frozen=True, slots=True)
class Smoothed:
    """Log E2 at b men's draws, less the mean of men like them, given all of a man's sites.

    Attributes
    ----------
    mean, variance : ndarray, shape (t, b)
        Of each draw's log E2.
    log_mass : ndarray, shape (b,)
        Log of the integral of the prior times the sites.
    scores : ndarray, shape (b, 6)
        Its derivatives by ``SPREADS``.
    """

    mean: Matrix
    variance: Matrix
    log_mass: Vector
    scores: Matrix


@dataclass(frozen=True, slots=True)
class _Filtered:
    """The forward pass: what is expected before each draw, and what the draw says against it."""

    mean: Cube  # (t, 3, b)
    covariance: Cube  # (t, 3, 3, b)
    expected: Matrix  # (t, b): of log E2
    variance: Matrix
    carries: Cube  # (t, 3, b): covariance of the state with log E2
    gain: Matrix  # (t, b): precision of the reading as seen against the expectation
    surprise: Matrix
    log_mass: Vector


def smooth(
    times: Times,
    spreads: Spreads,
    precision: Matrix,
    shift: Matrix,
    *,
    with_scores: bool = True,
) -> Smoothed:
    """Return what sites of (t, b) precisions and shifts (precision times place) leave open.

    Without scores, these are 0.
    """
    forgets = np.exp(-times.days / np.exp(spreads.log_days_movement))
    forward = _filter(times, spreads, forgets, precision, shift)
    return _backwards(times, spreads, forgets, forward, with_scores=with_scores)


@dataclass(frozen=True, slots=True)
class LastState:
    """The state (level, response, movement) of b men just after their last draw.

    Attributes
    ----------
    mean : ndarray, shape (3, b)
    covariance : ndarray, shape (3, 3, b)
    fall_per_parameter : ndarray, shape (3, q, b)
        How far the mean falls when log E2 of men like him is put higher, by each of q columns.
    """

    mean: Matrix
    covariance: Cube
    fall_per_parameter: Cube


def last_state(
    times: Times, spreads: Spreads, precision: Matrix, shift: Matrix, columns: Cube
) -> LastState:
    """Return where men stand after all their sites; ``columns`` of shape (t, q, b) are put higher."""
    forgets = np.exp(-times.days / np.exp(spreads.log_days_movement))
    forward = _filter(times, spreads, forgets, precision, shift)
    carried = np.zeros((3, *columns.shape[1:]))
    for j, on in enumerate(times.on):
        left = columns[j] - carried[0] - on * carried[1] - carried[2]
        carried += forward.carries[j][:, None] * (forward.gain[j] * left)
        if j < len(times.on) - 1:
            carried[2] *= forgets[j]
    last, carries = forward.covariance[-1], forward.carries[-1]
    return LastState(
        forward.mean[-1] + carries * forward.surprise[-1],
        last - forward.gain[-1] * carries * carries[:, None],
        carried,
    )


def _filter(
    times: Times, spreads: Spreads, forgets: Matrix, precision: Matrix, shift: Matrix
) -> _Filtered:
    t, b = times.on.shape
    sd_movement, sd_jump = np.exp(spreads.log_sd_movement), np.exp(spreads.log_sd_jump)
    of_movement = sd_movement**2 * -np.expm1(2 * _log(forgets))
    of_changes = sd_jump**2 * times.changes
    means, covariances = np.empty((t, 3, b)), np.empty((t, 3, 3, b))
    carries = np.empty((t, 3, b))
    expected, variances, gains, surprises = np.empty((4, t, b))
    mean, covariance = np.zeros((3, b)), np.zeros((3, 3, b))
    covariance[:2, :2] = spreads.of_effects[:, :, None]
    covariance[2, 2] = sd_movement**2
    log_mass = np.zeros(b)
    for j in range(t):
        means[j], covariances[j] = mean, covariance
        on = times.on[j]
        carried = carries[j]
        np.multiply(covariance[1], on, out=carried)
        carried += covariance[0]
        carried += covariance[2]
        at = mean[0] + on * mean[1] + mean[2]
        variance = carried[0] + on * carried[1] + carried[2]
        # A site of negative precision must not undo all that is known so far.
        shrinks = np.maximum(1 + precision[j] * variance, _LEAST)
        gain, surprise = precision[j] / shrinks, (shift[j] - precision[j] * at) / shrinks
        log_mass += 0.5 * (
            (2 * shift[j] * at + shift[j] ** 2 * variance - precision[j] * at**2) / shrinks
            - np.log(shrinks)
        )
        expected[j], variances[j], gains[j], surprises[j] = at, variance, gain, surprise
        if j == t - 1:
            break
        mean = mean + carried * surprise
        covariance = covariance - (gain * carried) * carried[:, None]
        mean[2] *= forgets[j]
        covariance[2] *= forgets[j]
        covariance[:, 2] *= forgets[j]
        covariance[2, 2] += of_movement[j]
        covariance[0, 0] += of_changes[j]
    return _Filtered(means, covariances, expected, variances, carries, gains, surprises, log_mass)


def _backwards(
    times: Times,
    spreads: Spreads,
    forgets: Matrix,
    forward: _Filtered,
    *,
    with_scores: bool,
) -> Smoothed:
    t, b = times.on.shape
    movement = np.exp(2 * spreads.log_sd_movement)
    mean, variance = np.empty((2, t, b))
    score = np.zeros((6, b))
    r, n = np.zeros((3, b)), np.zeros((3, 3, b))
    for j in range(t - 1, -1, -1):
        carried, gain, surprise = forward.carries[j], forward.gain[j], forward.surprise[j]
        on = times.on[j]
        if j < t - 1:
            if with_scores:
                score[3:] += _of_a_step(times, spreads, forgets, forward, j, r, n)
            r[2] *= forgets[j]
            n[:, 2] *= forgets[j]
            n[2] *= forgets[j]
        towards = (carried * r).sum(axis=0)
        n_carried = (n * carried).sum(axis=1)
        squared = (n_carried * carried).sum(axis=0)
        shrinks = 1 - gain * forward.variance[j]
        mean[j] = forward.expected[j] + forward.variance[j] * surprise + shrinks * towards
        variance[j] = forward.variance[j] * shrinks - squared * shrinks**2
        told = surprise - gain * towards
        n_carried *= gain
        weight = gain + gain**2 * squared
        r[0] += told
        r[1] += on * told
        r[2] += told
        # N - h c' - c h' + w h h' with h = (1, on, 1), c = gain x N carried.
        half = n_carried.copy()
        half[0] -= 0.5 * weight
        half[1] -= 0.5 * weight * on
        half[2] -= 0.5 * weight
        n[0] -= half
        n[1] -= on * half
        n[2] -= half
        n[:, 0] -= half
        n[:, 1] -= on * half
        n[:, 2] -= half
    left = r[:, None] * r - n
    level, slope = np.exp(2 * spreads.log_sd_level), spreads.response_per_level
    score[0] = level * (left[0, 0] + 2 * slope * left[0, 1] + slope**2 * left[1, 1])
    score[1] = level * (left[0, 1] + slope * left[1, 1])
    score[2] = np.exp(2 * spreads.log_sd_response) * left[1, 1]
    score[3] += movement * left[2, 2]
    return Smoothed(mean, variance, forward.log_mass, score.T)


def _of_a_step(
    times: Times,
    spreads: Spreads,
    forgets: Matrix,
    forward: _Filtered,
    j: int,
    r: Matrix,
    n: Cube,
) -> Matrix:
    """Return what the step from draw j to the next adds to the scores of movement, its days, and jumps, (3, b)."""
    movement, jump = np.exp(2 * spreads.log_sd_movement), np.exp(2 * spreads.log_sd_jump)
    kept, carried = forgets[j], forward.carries[j]
    by_movement, by_jump = r[2] ** 2 - n[2, 2], r[0] ** 2 - n[0, 0]
    # The movement just after draw j, which is carried on.
    after = forward.covariance[j, :, 2] - forward.gain[j] * carried[2] * carried
    moved = forward.mean[j, 2] + carried[2] * forward.surprise[j]
    moved += after[0] * r[0] + after[1] * r[1] + kept * after[2] * r[2]
    by_kept = r[2] * moved - (n[2, 0] * after[0] + n[2, 1] * after[1] + kept * n[2, 2] * after[2])
    # A longer memory forgets less, and moves less in between.
    slower = kept * times.days[j] / np.exp(spreads.log_days_movement)
    return np.stack(
        [
            by_movement * movement * -np.expm1(2 * _log(kept)),
            slower * (by_kept - movement * kept * by_movement),
            by_jump * jump * times.changes[j],
        ]
    )


def scores_between(times: Times, spreads: Spreads, one: Matrix, other: Matrix) -> Matrix:
    """Return one' (dK) other by each of ``SPREADS``, shape (b, 6); K is the prior covariance at the draws.

    ``one`` and ``other`` weigh the draws, (t, b); behind a man's last they are 0.
    """
    level, slope = np.exp(2 * spreads.log_sd_level), spreads.response_per_level
    response, jump = np.exp(2 * spreads.log_sd_response), np.exp(2 * spreads.log_sd_jump)
    movement, days = np.exp(2 * spreads.log_sd_movement), np.exp(spreads.log_days_movement)
    pair = np.stack([one, other])
    on = (pair * times.on).sum(axis=1)
    both = pair.sum(axis=1) + slope * on
    # What earlier draws weigh, seen from each draw: as it fades, and its derivative by the log of the days.
    faded, slower = np.zeros_like(pair[:, 0]), np.zeros_like(pair[:, 0])
    moved, by_days = (one * other).sum(axis=0), np.zeros(one.shape[1])
    for j, apart in enumerate(times.days / days):
        kept = np.exp(-apart)
        faded = kept * (faded + pair[:, j])
        slower = kept * slower + apart * faded
        moved += (pair[::-1, j + 1] * faded).sum(axis=0)
        by_days += (pair[::-1, j + 1] * slower).sum(axis=0)
    later = np.cumsum(pair[:, :0:-1], axis=1)[:, ::-1]
    stepped = (times.changes * later[0] * later[1]).sum(axis=0)
    return np.stack(
        [
            2 * level * both[0] * both[1],
            level * (on[0] * both[1] + both[0] * on[1]),
            2 * response * on[0] * on[1],
            2 * movement * moved,
            movement * by_days,
            2 * jump * stepped,
        ],
        axis=1,
    )


def _log(forgets: Matrix) -> Matrix:
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(forgets))
