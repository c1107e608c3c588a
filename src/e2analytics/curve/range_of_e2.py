"""The upper end of the sweet spot: from the lowest E2 at which an outcome beyond bone shows harm.

In    ``curve_summary`` of one model
Out   ``UpperEnd``: an E2 with its interval and the outcome that it comes from, or why there is none

The lower end comes from bone: the limit in use. Nothing is invented: with bone alone there is no upper end. It is
information; no flag rests on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from e2analytics.curve.limit import is_settled
from e2analytics.models.shape import Verdict
from e2analytics.settings import FlagSettings
from e2analytics.tables.vocabulary import HAZARDS

HARM_AT_HIGH_E2: Final = (Verdict.U_SHAPED, Verdict.HIGH_SIDE_THRESHOLD, Verdict.FALLING)
_NOT_SUPPLIED: Final = "no feed supplies symptoms by kind, fractures or haematocrit"
_NOT_FITTED: Final = "no outcome beyond bone has enough first events"
_NO_HARM: Final = "no outcome beyond bone shows harm at high E2"
_NO_PLACE: Final = "harm at high E2 is shown, but these data do not say from which E2 on"


@dataclass(frozen=True, slots=True)
class UpperEnd:
    """Upper end of the sweet spot.

    Attributes
    ----------
    e2_pg_ml, ci_low, ci_high : float, optional
        Pg/mL, with a 95 % interval; None where there is none.
    outcome : str
        Which outcome it comes from; empty where there is none.
    why_not : str
        Why there is none, in a clause; empty where there is one.
    settled : bool
        Whether its interval is narrow enough to act on, as that of a lower limit must be.
    """

    e2_pg_ml: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    outcome: str = ""
    why_not: str = ""
    settled: bool = False


def upper_end(summary: pl.DataFrame, settings: FlagSettings) -> UpperEnd:
    """Return the lowest supported upper limit of the outcomes whose verdict is earned.

    Parameters
    ----------
    summary
        ``curve_summary`` of one model; its verdicts beyond bone are corrected for their number.
    settings
        How wide the interval of a limit may be.
    """
    beyond = summary.filter(pl.col("outcome").is_in(HAZARDS))
    harmful = beyond.filter(pl.col("verdict").is_in(HARM_AT_HIGH_E2))
    limits = harmful.filter("upper_limit_supported").sort("upper_limit_pg_ml")
    if limits.height:
        first = limits.row(0, named=True)
        low, high = first["upper_limit_ci_low"], first["upper_limit_ci_high"]
        return UpperEnd(
            e2_pg_ml=first["upper_limit_pg_ml"],
            ci_low=low,
            ci_high=high,
            outcome=first["outcome"],
            settled=is_settled(low, high, settings),
        )
    reasons = (
        (beyond.is_empty(), _NOT_SUPPLIED),
        (beyond["verdict"].is_null().all(), _NOT_FITTED),
        (harmful.is_empty(), _NO_HARM),
        (True, _NO_PLACE),
    )
    return UpperEnd(why_not=next(why for holds, why in reasons if holds))
