"""Fits the curves of outcomes beyond bone: how likely a first event is within a year, against E2.

In    intervals at risk, and E2 over them where there are enough events to fit a curve
Out   rows of ``curve`` and ``curve_summary`` with ``whole_man`` for a site, one outcome each

A verdict is earned only if it survives the number of outcomes (Holm). An outcome that no feed supplies has no row.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import polars as pl

from e2analytics.curve import tables
from e2analytics.curve.rows import NAMES, CurveRows, used_covariates
from e2analytics.errors import TooLittleDataError
from e2analytics.models.curve import CurveFit, CurveSettings
from e2analytics.models.risk_curve import MIN_FIRST_EVENTS, fit_hazard, refuse_too_few_events
from e2analytics.models.several_curves import judge_together
from e2analytics.settings import FitSettings
from e2analytics.tables.registry import schema_of
from e2analytics.tables.vocabulary import (
    CURVE_COVARIATES,
    HAEMATOCRIT_HAZARD,
    HAZARDS,
    INTERVAL_AT_RISK,
    WHOLE_MAN,
)

_LEAST_REPLICATES: Final = 1_000
"""A p value of R replicates is 1 / (R + 1) at least, and that of the clearest of 18 tests is multiplied by 18."""
_TESTOSTERONE: Final = "log_testosterone"


class FollowedUp(NamedTuple):
    """What hazards are fitted to.

    Attributes
    ----------
    at_risk
        ``exposure.first_events.intervals_at_risk``.
    intervals, episodes
        ``exposure.e2_at_risk.E2AtRisk``, of outcomes with enough events.
    """

    at_risk: pl.DataFrame
    intervals: pl.DataFrame
    episodes: pl.DataFrame


class Hazards(NamedTuple):
    """The curves of outcomes beyond bone."""

    curve: pl.DataFrame
    summary: pl.DataFrame


def with_enough_events(at_risk: pl.DataFrame) -> pl.DataFrame:
    """Return the intervals of outcomes of which a curve may be fitted."""
    return at_risk.filter(pl.col("event").sum().over("outcome") >= MIN_FIRST_EVENTS)


def fit(followed: FollowedUp, settings: FitSettings, *, model_id: str) -> Hazards:
    """Fit every outcome that a feed supplies, and judge all of them together."""
    how = CurveSettings(
        delta=settings.delta_risk,
        higher_is_better=False,
        seed=settings.seed,
        n_basis=settings.n_basis,
        n_replicates=max(settings.n_replicates, _LEAST_REPLICATES),
    )
    fits: list[tuple[CurveRows, CurveFit]] = []
    summaries: list[dict[str, object]] = []
    for outcome in HAZARDS:
        of_outcome = followed.at_risk.filter(pl.col("outcome") == outcome)
        if of_outcome.is_empty():
            continue
        # Of an outcome with too few events E2 is not asked for.
        rows = CurveRows(WHOLE_MAN, outcome, of_outcome, followed.episodes, (), ())
        try:
            refuse_too_few_events(int(of_outcome["event"].sum()))
            rows = _rows(outcome, of_outcome, followed, settings)
            fits.append((rows, fit_hazard(rows.data(), rows.years, how)))
        except TooLittleDataError as error:
            summaries.append(tables.not_fitted(str(error), rows, how.delta, model_id))
    judged = judge_together([fitted for _, fitted in fits], how)
    points = [pl.DataFrame(schema=schema_of("curve"))]
    for (rows, _), fitted in zip(fits, judged, strict=True):
        points.append(tables.points(fitted, rows, model_id))
        summaries.append(tables.summary(fitted, rows, how.delta, model_id))
    return Hazards(pl.concat(points), pl.DataFrame(summaries, schema=schema_of("curve_summary")))


def _rows(
    outcome: str, of_outcome: pl.DataFrame, followed: FollowedUp, settings: FitSettings
) -> CurveRows:
    """Return the rows of an outcome with its E2 and every covariate in use.

    Raises
    ------
    TooLittleDataError
        If a curve of haematocrit cannot be adjusted for testosterone, which raises both.
    """
    rows = of_outcome.join(
        followed.intervals, on=INTERVAL_AT_RISK, maintain_order="left"
    ).drop_nulls("log_e2")
    used, left_out = used_covariates(rows, CURVE_COVARIATES, settings)
    if outcome == HAEMATOCRIT_HAZARD and _TESTOSTERONE not in used:
        raise TooLittleDataError(
            f"testosterone raises haematocrit and E2, and {NAMES[_TESTOSTERONE]} is known of too few "
            "intervals. Supply testosterone results."
        )
    return CurveRows(
        WHOLE_MAN, outcome, rows.drop_nulls(list(used)), followed.episodes, used, left_out
    )
