"""The shape of the curve: harm at low E2, harm at high E2, a bend, flat, or inconclusive.

In    benefit (larger is better) on supported grid points, undersmoothed, with replicates
Out   one of seven verdicts, the p values behind it and a sentence for a clinician

No term of a fitted polynomial decides anything: a quadratic finds a U in every threshold. A
smoother can do the same, as a smoothed threshold overshoots its plateau and comes down again;
the curves are therefore undersmoothed (see ``smooth``), which keeps that bias below the noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from e2analytics.models.pspline import Array

ALPHA = 0.05

# Where the stretch of E2 ends that a slope is taken over, as shares of the supported men. Every
# stretch keeps a tenth of the men, enough for a slope.
_SPLITS = np.linspace(0.1, 0.9, 17)


class Verdict(StrEnum):
    """Shape of benefit against E2."""

    U_SHAPED = "u_shaped"
    LOW_SIDE_THRESHOLD = "low_side_threshold"
    RISING = "rising"
    HIGH_SIDE_THRESHOLD = "high_side_threshold"
    FALLING = "falling"
    FLAT = "flat"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Evidence:
    """One-sided p values, each corrected for the choice of where a stretch ends.

    Attributes
    ----------
    p_low : float
        Of no harm at low E2: benefit does not rise with E2 over any stretch from the low end.
    p_high : float
        Of no harm at high E2.
    p_bend : float
        Of no bend: benefit does not rise less, or fall more, above any E2 than below it.
    p_gain_above, p_gain_below : float
        Of no gain of ``delta`` or more from the bend to the upper (lower) end: is the plateau one?
    bend_log_e2 : float
        Where the bend is most marked, log pg/mL.
    """

    p_low: float
    p_high: float
    p_bend: float
    p_gain_above: float
    p_gain_below: float
    bend_log_e2: float


# Seven parameters: the curve twice, as the outcome has it and as its slopes are tested.
def weigh(
    log_e2: Array,
    men: Array,
    benefit: Array,
    replicates: Array,
    delta: float,
    *,
    tested: Array | None = None,
    tested_replicates: Array | None = None,
) -> Evidence:
    """Test the slopes of the two sides, the bend between them and what is gained beyond it.

    Parameters
    ----------
    log_e2 : array of shape (g,)
        Supported grid points, log pg/mL.
    men : array of shape (g,)
        Men near each point; the weight of the point in a slope.
    benefit : array of shape (g,)
        The estimated curve.
    replicates : array of shape (r, g)
        Its patient-cluster bootstrap replicates.
    delta : float
        Loss that matters, unit of ``benefit``.
    tested, tested_replicates : array of shape (g,) and (r, g), optional
        The same curve on the scale on which its slopes and its bend are tested, if not that of benefit: of a
        probability the linear predictor. Replicates of a small probability are skewed towards harm, and with them
        the largest of their t values: on that scale hardly any harm is found.

    Notes
    -----
    The two lines of Simonsohn, Adv Methods Pract Psychol Sci 2018;1:538, without choosing one
    breakpoint: the largest t value over all breakpoints, against its bootstrap distribution. So
    looking for the best breakpoint costs what it should.

    A plateau cannot be proved level. It counts as one unless a gain that matters is shown beyond
    the bend, as a limit is claimed only where a loss that matters is shown (``judgement``).
    """
    if tested is None or tested_replicates is None:
        tested, tested_replicates = benefit, replicates
    splits = _split_points(log_e2, men)
    below = np.stack([_slope(log_e2, men * (log_e2 <= split)) for split in splits])
    above = np.stack([_slope(log_e2, men * (log_e2 >= split)) for split in splits])
    bends = _t_values(below - above, tested, tested_replicates)
    bend = int(np.argmax(bends[0]))
    return Evidence(
        p_low=_p_of_largest(*_t_values(below, tested, tested_replicates)),
        p_high=_p_of_largest(*_t_values(-above, tested, tested_replicates)),
        p_bend=_p_of_largest(*bends),
        p_gain_above=_p_of_largest(
            *_t_values(_gain(above, splits, bend, log_e2[-1]), benefit, replicates, delta)
        ),
        p_gain_below=_p_of_largest(
            *_t_values(_gain(below, splits, bend, log_e2[0]), benefit, replicates, delta)
        ),
        bend_log_e2=float(splits[bend]),
    )


def decide(evidence: Evidence, *, best_is_inside: bool, stays_within_delta: bool) -> Verdict:
    """Name the shape.

    Parameters
    ----------
    evidence : Evidence
    best_is_inside : bool
        Whether the best window lies clear of both ends of the supported range.
    stays_within_delta : bool
        Whether the simultaneous band shows that no E2 differs from the best by delta.
    """
    low, high = evidence.p_low <= ALPHA, evidence.p_high <= ALPHA
    if stays_within_delta:
        return Verdict.FLAT
    if low and high:
        return Verdict.U_SHAPED if best_is_inside else Verdict.INCONCLUSIVE
    bent = evidence.p_bend <= ALPHA
    if low:
        levels_off = bent and evidence.p_gain_above > ALPHA
        return Verdict.LOW_SIDE_THRESHOLD if levels_off else Verdict.RISING
    if high:
        levels_off = bent and evidence.p_gain_below > ALPHA
        return Verdict.HIGH_SIDE_THRESHOLD if levels_off else Verdict.FALLING
    return Verdict.INCONCLUSIVE


def _split_points(log_e2: Array, men: Array) -> Array:
    share = np.cumsum(men) / np.sum(men)
    return np.unique(log_e2[np.searchsorted(share, _SPLITS)])


def _slope(log_e2: Array, weight: Array) -> Array:
    """Weights that turn a curve on the grid into its least-squares slope, shape (g,)."""
    centred = log_e2 - np.average(log_e2, weights=weight)
    spread = float(np.sum(weight * centred**2))
    return weight * centred / spread if spread > 0 else np.zeros_like(log_e2)


def _gain(slopes: Array, splits: Array, bend: int, end: float) -> Array:
    """Gain from the bend to ``end``, at the slope of the half that is farther from the bend.

    The bend is known roughly; close to it a plateau still carries a little of the slope.
    """
    half = int(np.argmin(np.abs(splits - (splits[bend] + end) / 2)))
    gain: Array = (end - splits[bend]) * slopes[half : half + 1]
    return gain


def _t_values(
    contrasts: Array, benefit: Array, replicates: Array, beyond: float = 0.0
) -> tuple[Array, Array]:
    """Give t of each contrast (m, g) exceeding ``beyond``, shape (m,), and under none, (r, m)."""
    drawn = replicates @ contrasts.T
    spread = drawn.std(axis=0)
    spread = np.where(spread > 0, spread, np.inf)
    return (contrasts @ benefit - beyond) / spread, (drawn - drawn.mean(axis=0)) / spread


def _p_of_largest(t: Array, under_none: Array) -> float:
    # One is added to both counts: a p value from replicates is never zero.
    exceeding = int(np.sum(under_none.max(axis=1) >= t.max()))
    return (1 + exceeding) / (1 + len(under_none))


def explain(verdict: Verdict, evidence: Evidence, delta: float) -> str:
    """Describe what the verdict means and what it rests on."""
    low, high = f"p = {evidence.p_low:.2g}", f"p = {evidence.p_high:.2g}"
    near = f"near {np.exp(evidence.bend_log_e2):.0f} pg/mL"
    bent = (
        f"bend most marked {near}, p = {evidence.p_bend:.2g}; beyond it no further gain of "
        f"{delta:g} is shown"
    )
    steady = f"they bend {near} but go on" if evidence.p_bend <= ALPHA else "no bend is shown"
    at_edge = max(evidence.p_low, evidence.p_high) <= ALPHA
    match verdict:
        case Verdict.U_SHAPED:
            return f"Outcomes are worse at low E2 ({low}) and at high E2 ({high}) than between."
        case Verdict.LOW_SIDE_THRESHOLD:
            return (
                f"Outcomes worsen towards low E2 ({low}) and level off above ({bent}); "
                f"harm at high E2 is not shown ({high})."
            )
        case Verdict.RISING:
            return (
                f"Outcomes improve with E2 throughout ({low}); {steady}, so no E2 is named as "
                f"enough; harm at high E2 is not shown ({high})."
            )
        case Verdict.HIGH_SIDE_THRESHOLD:
            return (
                f"Outcomes worsen towards high E2 ({high}) and are level below ({bent}); "
                f"harm at low E2 is not shown ({low})."
            )
        case Verdict.FALLING:
            return (
                f"Outcomes worsen with E2 throughout ({high}); {steady}, so no E2 is named as "
                f"low enough; harm at low E2 is not shown ({low})."
            )
        case Verdict.FLAT:
            return f"No E2 in the supported range differs from the best by {delta:g} or more."
        case Verdict.INCONCLUSIVE if at_edge:
            return (
                f"Outcomes seem worse at low ({low}) and at high E2 ({high}), but the best E2 "
                "lies at the edge of the data: no shape is claimed."
            )
        case Verdict.INCONCLUSIVE:
            return (
                f"Neither harm at low E2 ({low}) nor at high E2 ({high}) is shown, and neither "
                "can be ruled out."
            )
