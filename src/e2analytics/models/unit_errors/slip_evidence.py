"""The evidence of one group of results for a unit mix-up: the Bayes factor of each possible factor.

In    deviations of n results from what was expected of each (log scale), how sure that was, the
      log factors that a slip of unit could have, and what else moves levels
Out   the best factor, its Bayes factor against everything that is no slip, the share of results
      that it moved, and each result's probability of being one of them

Against a slip stand three explanations, none of which may be mistaken for one. *Noise*: residuals
have heavy tails, so that a few odd results prove nothing. *The source*: another assay, another time
of the draw moves all results of a source by a little; that offset is integrated, so that no number
of results makes a shift of 20 % a slip. *The men*: anastrozole lowers E2 by two thirds, which is
nearly the factor 3.67 between pg/mL and pmol/L, and testosterone treatment raises testosterone
threefold, which is nearly the 3.47 between ng/mL and nmol/L. A slip moves every result by exactly
its factor, a drug each man by his own, so a group in which some or all men were moved by about as
much is one of the explanations, in whatever share and strength explains best; but men whose
treatment is known are unlikely to have been moved by it, and treatment raises only men who were
low and lowers only men who were not. A slip must beat that, and where it cannot, nothing is claimed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Integers = NDArray[np.int64]


_total = np.logaddexp.reduce


class _Density(Protocol):
    """Log density of every result around some offsets, with more scatter if asked."""

    def __call__(self, at: Vector, more_sd: float = 0.0) -> Vector: ...


# Our own rules: how residuals of log results look where nothing is wrong.
_DEGREES: Final = 8.0
_ODD_SD: Final = 1.3
_T_CONSTANT: Final = float(
    lgamma((_DEGREES + 1) / 2) - lgamma(_DEGREES / 2) - 0.5 * np.log(_DEGREES * np.pi)
)

_SHARES: Final = np.array([0.02, 0.03, 0.05, 0.08, 0.12, 0.18, 0.27, 0.4, 0.6, 0.8, 0.93, 0.995])
_SHARE_PRIOR: Final = np.array([0.5 / 11] * 11 + [0.5])
"""Half of all slips are of all results: an export's header; the others of any share."""

_CHANGES: Final = np.concatenate([-np.arange(0.5, 1.51, 0.1), np.arange(0.5, 1.51, 0.1)])
_CHANGE_SDS: Final = (0.0, 0.3)
"""What treatment does to a man's level: anastrozole -40 to -78 %, testosterone the inverse; as different
as doses are, or, which cannot be excluded, each man by the same."""

_CHANGE, _UNTOLD = 0.2, 0.005
"""How probable a change is beforehand; how probable one that the orders on file do not show."""

_OFFSETS: Final = np.linspace(-4.0, 4.0, 41)  # in SDs
_MOVED_PRIOR, _MOVED_SD = 0.01, 0.3
"""Seldom a source moves all its results by more: trough to peak, a new method, other men."""
_COARSE: Final = np.arange(-1.7, 1.71, 0.1)
_FINE: Final = np.arange(-0.1, 0.101, 0.01)
_BIN: Final = 0.04


@dataclass(frozen=True, slots=True)
class Group:
    """Results of one source and month.

    Attributes
    ----------
    deviation : ndarray, shape (n,)
        Log result less what was expected of it.
    sd : ndarray, shape (n,)
        Standard deviation of ``deviation`` where nothing is wrong.
    weight : ndarray, shape (n,)
        1 over the number of results of the same man in the group: a man is one witness.
    offset_sd : float
        Standard deviation of what moves all results of the source together.
    may_fall, may_rise : ndarray of bool, shape (n,)
        Whether an unrecorded change of treatment can have moved the man that way.
    """

    deviation: Vector
    sd: Vector
    weight: Vector
    offset_sd: float
    may_fall: NDArray[np.bool_]
    may_rise: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The evidence of a group for the factor that fits it best.

    Attributes
    ----------
    shift : int
        Index of the factor.
    log_bf : float
        Natural log of the Bayes factor against no slip.
    log_bf_untreated : float
        The same if no man's treatment had changed: what is claimed by this alone is unclear.
    share : float
        Posterior mean of the share of results that slipped.
    moved : ndarray, shape (n,)
        Probability of each result of having slipped.
    """

    shift: int
    log_bf: float
    log_bf_untreated: float
    share: float
    moved: Vector


def log_density(deviation: Vector, sd: Vector, odd: float) -> Vector:
    """Return the log density of a deviation where nothing is wrong.

    Student's t with 8 degrees of freedom, and a share ``odd`` of results that can lie anywhere.
    """
    z = deviation / sd
    usual = _T_CONSTANT - np.log(sd) - (_DEGREES + 1) / 2 * np.log1p(z**2 / _DEGREES)
    spread = np.hypot(sd, _ODD_SD)
    anywhere = -0.5 * (deviation / spread) ** 2 - np.log(spread) - 0.5 * np.log(2 * np.pi)
    mixed: Vector = np.logaddexp(np.log1p(-odd) + usual, np.log(odd) + anywhere)
    return mixed


def judge(group: Group, shifts: Vector, odd: float, enough: float) -> Verdict:
    """Weigh every factor against all that is no slip.

    Parameters
    ----------
    group : Group
    shifts : ndarray, shape (k,)
        Log factors.
    odd : float
        Share of results that can lie anywhere.
    enough : float
        Log Bayes factor below which nothing will be claimed: treatment is only asked above.
    """
    bins = _binned(group)
    offsets = _OFFSETS * group.offset_sd
    prior = -0.5 * _OFFSETS**2
    prior = prior - _total(prior)

    def density(at: Vector, more_sd: float = 0.0) -> Vector:
        return log_density(bins.deviation[:, None] - at, np.hypot(bins.sd, more_sd)[:, None], odd)

    base = density(offsets)
    nothing = np.logaddexp(
        np.log1p(-_MOVED_PRIOR) + _total(bins.weight @ base + prior),
        np.log(_MOVED_PRIOR) + _moved_together(density, bins.weight),
    )
    unmoved = np.exp(base)
    slips = [_mixed(unmoved, np.exp(density(offsets + by)), bins.weight, prior) for by in shifts]
    of_shift = np.array([_total(log_like + np.log(_SHARE_PRIOR)) for log_like in slips])
    best = int(np.argmax(of_shift))
    none = float(nothing)
    if of_shift[best] - nothing >= enough:
        none = float(np.logaddexp(nothing, _treated(bins, density, unmoved, offsets, prior)))
    posterior = np.exp(slips[best] + np.log(_SHARE_PRIOR) - of_shift[best])
    each = _each(base, density(offsets + shifts[best]), bins.weight, prior, posterior)
    return Verdict(
        shift=best,
        log_bf=float(of_shift[best] - none),
        log_bf_untreated=float(of_shift[best] - nothing),
        share=float(posterior @ _SHARES),
        moved=each[bins.back],
    )


class _Bins(NamedTuple):
    deviation: Vector
    sd: Vector
    weight: Vector
    may_fall: NDArray[np.bool_]
    may_rise: NDArray[np.bool_]
    back: Integers


def _binned(group: Group) -> _Bins:
    """Merge results that say the same: the cost does not grow with the size of a laboratory."""
    rounded = np.column_stack([group.deviation / _BIN, group.sd / _BIN]).round()
    kinds = np.column_stack([rounded, group.may_fall, group.may_rise])
    unique, back = np.unique(kinds, axis=0, return_inverse=True)
    back = back.ravel()
    count = np.bincount(back)
    return _Bins(
        deviation=np.bincount(back, group.deviation) / count,
        sd=np.bincount(back, group.sd) / count,
        weight=np.bincount(back, group.weight, len(unique)).astype(np.float64),
        may_fall=unique[:, 2] > 0,
        may_rise=unique[:, 3] > 0,
        back=back,
    )


def _treated(
    bins: _Bins, density: _Density, unmoved: Vector, offsets: Vector, prior: Vector
) -> float:
    """Log likelihood, with its prior, of the change of treatment that explains the group best."""
    best = -np.inf
    for by in _CHANGES:
        may = bins.may_fall if by < 0 else bins.may_rise
        untold = np.where(may, 1.0, _UNTOLD)[:, None]
        for more_sd in _CHANGE_SDS:
            moved = np.exp(density(offsets + by, more_sd))
            changed = untold * moved + (1 - untold) * unmoved
            best = max(best, float(_mixed(unmoved, changed, bins.weight, prior).max()))
    return float(np.log(_CHANGE)) + best


def _mixed(unmoved: Vector, moved: Vector, weight: Vector, prior: Vector) -> Vector:
    """Log likelihood of each share of moved results, the source's offset integrated.

    Densities, not their logs: as a result can lie anywhere, none is nil.
    """
    at_offsets = [weight @ np.log((1 - share) * unmoved + share * moved) for share in _SHARES]
    out: Vector = _total(np.array(at_offsets) + prior, axis=1)
    return out


def _moved_together(density: _Density, weight: Vector) -> float:
    """Log likelihood of all results moved by one offset of any size, integrated around its peak."""
    spread = -0.5 * np.log(2 * np.pi) - np.log(_MOVED_SD)

    def at(offsets: Vector) -> Vector:
        log_prior: Vector = spread - 0.5 * (offsets / _MOVED_SD) ** 2
        return weight @ density(offsets) + log_prior

    peak = _COARSE[np.argmax(at(_COARSE))]
    fine = peak + _FINE
    return float(_total(at(fine)) + np.log(fine[1] - fine[0]))


def _each(base: Vector, moved: Vector, weight: Vector, prior: Vector, posterior: Vector) -> Vector:
    """Probability of each result of being moved, at the share and offset that are most probable."""
    share = float(_SHARES[np.argmax(posterior)])
    mixed = np.logaddexp(np.log1p(-share) + base, np.log(share) + moved)
    at = int(np.argmax(weight @ mixed + prior))
    odds = np.log(share) - np.log1p(-share) + moved[:, at] - base[:, at]
    return np.asarray(1 / (1 + np.exp(-np.clip(odds, -700, 700))))
