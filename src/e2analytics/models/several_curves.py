"""Several outcomes judged together: their harms' tests corrected for how many there are.

In    fitted curves of different outcomes of the same men
Out   the same curves; what each is called, and its limits, rest on p values corrected by Holm

Of many outcomes one is bound to look harmed. The family is every test of a harm: two sides of each curve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from e2analytics.models.curve import CurveFit, CurveSettings, judge_again
from e2analytics.models.pspline import Array


def holm(p: Array) -> Array:
    """Correct p values of shape (m,) for their number.

    Notes
    -----
    Holm, Scand J Stat 1979;6:65: the chance of any false claim stays below the level, however the tests
    depend on each other.

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03])).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p, kind="stable")
    times = np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(times * p[order]), 1.0)
    return corrected


def judge_together(fits: Sequence[CurveFit], settings: CurveSettings) -> list[CurveFit]:
    """Judge curves by p values corrected over all of them.

    Parameters
    ----------
    fits : sequence of CurveFit
        Each of another outcome. One on which nothing is supported was not tested, and stays as it is.
    settings : CurveSettings
        As they were fitted with.
    """
    tested = [fit.evidence for fit in fits if fit.evidence is not None]
    sides = np.array([[evidence.p_low, evidence.p_high] for evidence in tested])
    pairs = iter(holm(sides.ravel()).reshape(-1, 2).tolist())
    note = f" The p values of harm are corrected for {sides.size} tests (Holm)."
    judged = []
    for fit in fits:
        if fit.evidence is None:
            judged.append(fit)
            continue
        p_low, p_high = next(pairs)
        again = judge_again(fit, settings, replace(fit.evidence, p_low=p_low, p_high=p_high))
        judged.append(replace(again, explanation=again.explanation + note))
    return judged
