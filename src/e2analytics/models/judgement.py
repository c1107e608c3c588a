"""Verdict of a fitted curve, and the limits that the verdict allows.

In    curves on a grid with their replicates, and which points are supported
Out   ``Judgement``: verdict, explanation, nadir and limits, each with a reason where it is null
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from e2analytics.models import intervals, shape, sweet_spot
from e2analytics.models.pspline import Array
from e2analytics.models.sandwich import Influence
from e2analytics.models.shape import Evidence, Verdict
from e2analytics.models.sweet_spot import Limit, SweetSpots

# A slope over a tenth of the supported men needs a few points; so does a window.
_LEAST_POINTS = 10

_HAS_LOWER = (Verdict.U_SHAPED, Verdict.LOW_SIDE_THRESHOLD)
_HAS_UPPER = (Verdict.U_SHAPED, Verdict.HIGH_SIDE_THRESHOLD)


@dataclass(frozen=True)
class Curves:
    """An estimated curve on g grid points, in the unit of the outcome, and what moves it.

    Attributes
    ----------
    estimate : array of shape (g,)
    replicates : array of shape (R, g)
        Of resampled cohorts.
    gradient : array of shape (g, p)
        Derivative of the estimate in the coefficients.
    influence : Influence
        Of each cluster of men on the coefficients.
    tested : array of shape (g,), optional
        The curve on the scale on which its slopes are tested, where that is not the outcome's.
    tested_replicates : array of shape (R, g), optional
    """

    estimate: Array
    replicates: Array
    gradient: Array
    influence: Influence
    tested: Array | None = None
    tested_replicates: Array | None = None


@dataclass(frozen=True)
class Judgement:
    """Verdict and limits, and the evidence that they rest on; None where too little is supported to test."""

    verdict: Verdict
    explanation: str
    nadir: Limit
    lower_limit: Limit
    upper_limit: Limit
    evidence: Evidence | None


@dataclass(frozen=True)
class _Benefit:
    """Curves on the supported points, turned so that larger is better."""

    log_e2: Array
    men: Array
    estimate: Array
    replicates: Array
    gradient: Array
    influence: Influence
    tested: Array | None
    tested_replicates: Array | None


def judge(
    grid: Array,
    men: NDArray[np.int64],
    supported: NDArray[np.bool_],
    curves: Curves,
    *,
    delta: float,
    window_ratio: float,
    higher_is_better: bool,
    evidence: Evidence | None = None,
) -> Judgement:
    """Name the shape, then derive the limits it allows.

    Parameters
    ----------
    grid, men, supported : array of shape (g,)
        Log pg/mL; men near each point; points that may be spoken about.
    curves : Curves
    delta, window_ratio, higher_is_better
        As in ``CurveSettings``.
    evidence : Evidence, optional
        By which to judge; by default that of the curves alone.
    """
    if supported.sum() < _LEAST_POINTS:
        return _nothing(len(curves.replicates))
    benefit = _turned(higher_is_better, grid, men, supported, curves)
    spot = sweet_spot.find(benefit.log_e2, benefit.estimate[None], delta, window_ratio)
    resampled = sweet_spot.find(benefit.log_e2, benefit.replicates, delta, window_ratio)
    evidence = evidence or shape.weigh(
        benefit.log_e2,
        benefit.men,
        benefit.estimate,
        benefit.replicates,
        delta,
        tested=benefit.tested,
        tested_replicates=benefit.tested_replicates,
    )
    in_window = np.abs(benefit.log_e2 - spot.nadir_log_e2[0]) <= np.log(window_ratio) / 2
    verdict = shape.decide(
        evidence,
        best_is_inside=not (in_window[0] or in_window[-1]),
        stays_within_delta=_stays_within(benefit, in_window, delta),
    )
    return Judgement(
        verdict=verdict,
        explanation=shape.explain(verdict, evidence, delta),
        nadir=_nadir(verdict, spot, resampled),
        lower_limit=_lower(verdict, benefit, spot, resampled, delta),
        upper_limit=_upper(verdict, benefit, spot, resampled, delta),
        evidence=evidence,
    )


def _turned(
    higher_is_better: bool,
    grid: Array,
    men: NDArray[np.int64],
    supported: NDArray[np.bool_],
    curves: Curves,
) -> _Benefit:
    sign = 1.0 if higher_is_better else -1.0
    return _Benefit(
        log_e2=grid[supported],
        men=men[supported].astype(np.float64),
        estimate=sign * curves.estimate[supported],
        replicates=sign * curves.replicates[:, supported],
        gradient=sign * curves.gradient[supported],
        influence=curves.influence,
        tested=None if curves.tested is None else sign * curves.tested[supported],
        tested_replicates=None
        if curves.tested_replicates is None
        else sign * curves.tested_replicates[:, supported],
    )


def _stays_within(benefit: _Benefit, in_window: NDArray[np.bool_], delta: float) -> bool:
    """Whether the simultaneous band of the difference from best lies within delta of zero."""
    contrast = np.eye(len(in_window)) - in_window / in_window.sum()
    everywhere = np.ones(len(in_window), dtype=np.bool_)
    difference = intervals.around(
        contrast @ benefit.estimate, benefit.influence, contrast @ benefit.gradient, everywhere
    )
    return bool(np.all(difference.band_low >= -delta) and np.all(difference.band_high <= delta))


def _nadir(verdict: Verdict, spot: SweetSpots, replicates: SweetSpots) -> Limit:
    levels = replicates.nadir_log_e2
    if verdict in (Verdict.FLAT, Verdict.INCONCLUSIVE):
        return sweet_spot.no_limit(levels, f"the verdict is {verdict}: no E2 is shown to be best")
    return sweet_spot.limit(float(spot.nadir_log_e2[0]), levels, beyond=np.nan)


def _lower(
    verdict: Verdict, benefit: _Benefit, spot: SweetSpots, replicates: SweetSpots, delta: float
) -> Limit:
    crossings = replicates.lower_log_e2
    if verdict not in _HAS_LOWER:
        return sweet_spot.no_limit(
            crossings, f"the verdict is {verdict}: no harm at low E2 with a bend is shown"
        )
    loss = spot.best[0] - benefit.estimate[0]
    losses = replicates.best - benefit.replicates[:, 0]
    if not sweet_spot.is_worse_by(loss, losses, delta):
        return sweet_spot.no_limit(crossings, _not_worse("lowest", benefit.log_e2[0], delta))
    return sweet_spot.limit(
        float(spot.lower_log_e2[0]),
        crossings,
        float(benefit.log_e2[0]),
        sweet_spot.chance_to_find_again(loss, losses, delta),
    )


def _upper(
    verdict: Verdict, benefit: _Benefit, spot: SweetSpots, replicates: SweetSpots, delta: float
) -> Limit:
    crossings = replicates.upper_log_e2
    if verdict not in _HAS_UPPER:
        return sweet_spot.no_limit(
            crossings, f"the verdict is {verdict}: no harm at high E2 with a bend is shown"
        )
    loss = spot.best[0] - benefit.estimate[-1]
    losses = replicates.best - benefit.replicates[:, -1]
    if not sweet_spot.is_worse_by(loss, losses, delta):
        return sweet_spot.no_limit(crossings, _not_worse("highest", benefit.log_e2[-1], delta))
    return sweet_spot.limit(
        float(spot.upper_log_e2[0]),
        crossings,
        float(benefit.log_e2[-1]),
        sweet_spot.chance_to_find_again(loss, losses, delta),
    )


def _not_worse(which: str, log_e2: float, delta: float) -> str:
    return (
        f"the {which} supported E2 ({np.exp(log_e2):.1f} pg/mL) is not shown to be worse than "
        f"the best by more than {delta:g}"
    )


def _nothing(n_replicates: int) -> Judgement:
    why_not = "too few men at any E2: nothing is supported"
    none = np.full(n_replicates, np.nan)
    nowhere = sweet_spot.no_limit(none, why_not)
    explanation = "Too few men at any E2 to speak about the shape."
    return Judgement(Verdict.INCONCLUSIVE, explanation, nowhere, nowhere, nowhere, None)
