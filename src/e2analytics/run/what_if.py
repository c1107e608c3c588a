"""What if all men of a store had another dose: how many would be expected below a limit, and what of their bone.

In    a store, the limit asked about, a rule for the dose
Out   ``WhatIf``; nothing is published

Expected by the model of the month, of men in care now, with everything else as it is. Information for a
committee that thinks about a rule; never an order for one man.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from e2analytics.curve import frozen_model
from e2analytics.curve import what_if as of_curve
from e2analytics.curve.fit import fit_rows, how_to_fit
from e2analytics.curve.rows import CHANGE, complete_rows
from e2analytics.errors import TooLittleDataError
from e2analytics.exposure.dose_response import what_if as of_doses
from e2analytics.exposure.dose_response.fit import DoseResponseResult
from e2analytics.exposure.dose_response.predict import AsOf
from e2analytics.exposure.testosterone_orders import find_changes
from e2analytics.flags import cohort
from e2analytics.ingest.read_drop import Sources
from e2analytics.models.curve import CurveFit
from e2analytics.models.pspline import Array
from e2analytics.run import steps
from e2analytics.run.frames import Run
from e2analytics.tables.limit_in_use import limit_in_use
from e2analytics.tables.patient_data import PatientData
from e2analytics.tables.snapshot import Snapshot

# Where no curve says where E2 matters, any grid does: only the counts are told then.
_ANY_GRID_PG_ML: Final = np.array([1.0, 100.0])


class DoseRule(NamedTuple):
    """What becomes of every man's weekly dose of anastrozole.

    Attributes
    ----------
    times
        It is multiplied by this.
    at_most_mg_per_week
        Then it is cut to this; None cuts nothing.
    """

    times: float = 1.0
    at_most_mg_per_week: float | None = None

    def then(self, now_mg_per_week: pl.Expr) -> pl.Expr:
        """Return the dose under the rule."""
        changed = now_mg_per_week * self.times
        cap = self.at_most_mg_per_week
        return changed if cap is None else pl.min_horizontal(changed, pl.lit(cap))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Count:
    """How many men are expected, now and then, and how many more then."""

    now: Estimate
    then: Estimate
    more: Estimate


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What is expected of the men on anastrozole of a store.

    Attributes
    ----------
    limit_pg_ml, red_line_pg_ml
        Below which men are counted.
    n_men, n_changed
        Men whose E2 is estimated, and those of them whose dose the rule changes.
    n_not_estimated
        Men on the drug whose dose or E2 is not known; they are in no count.
    below, below_red_line, at_or_above
        Counts of men.
    bone_pct_per_year
        The mean yearly change of bone then, less that now, on the primary curve; None if there is no curve.
    no_curve
        Why there is none.
    beyond
        Share of the men's E2, now and then, that lies where the curve has too few men; it is counted at the
        curve's end.
    """

    limit_pg_ml: float
    red_line_pg_ml: float
    n_men: int
    n_changed: int
    n_not_estimated: int
    below: Count
    below_red_line: Count
    at_or_above: Count
    bone_pct_per_year: Estimate | None
    no_curve: str | None
    beyond: tuple[float, float]


def what_if(before: Snapshot, run: Run, rule: DoseRule, limit_pg_ml: float | None) -> WhatIf:
    """Say what is expected under a dose rule.

    Parameters
    ----------
    before
        The tables of the store.
    run
        The day and the settings.
    rule
        What becomes of the doses.
    limit_pg_ml
        Below which men are counted; None for the limit in use.

    Raises
    ------
    TooLittleDataError
        If no man's E2 could be estimated.
    """
    frozen = frozen_model.in_force(
        before.table("models"), before.table("curve_summary"), run.settings, run.as_of
    )
    intake = steps.take_in(Sources(), before, run)
    data = steps.link_all(intake, run)
    response = steps.respond_to_dose(data, before, frozen, run)
    on_drug = cohort.present_men(data, run.settings.flag, run.as_of).filter("takes_anastrozole")
    men = _under(rule, on_drug, response.own_levels)
    if response.response is None or men.is_empty():
        raise TooLittleDataError(
            "there is no man on anastrozole whose E2 could be estimated; nothing can be expected of other doses"
        )
    fitted, no_curve = _primary_curve(data, response, run)
    flag = run.settings.flag
    in_use = limit_in_use(before.table("limits"), flag, as_of=run.as_of).lower_limit_pg_ml
    limit = in_use if limit_pg_ml is None else limit_pg_ml
    found = of_doses.expect(
        response.response,
        men,
        AsOf(run.as_of, find_changes(data.medications)),
        np.array([limit, flag.red_line_pg_ml]),
        _ANY_GRID_PG_ML if fitted is None else of_curve.supported_points(fitted),
        run.settings.fit.seed,
    )
    below, below_red_line = found.below
    return WhatIf(
        limit_pg_ml=limit,
        red_line_pg_ml=flag.red_line_pg_ml,
        n_men=len(men),
        n_changed=len(men.filter(pl.col("now_mg_per_week") != pl.col("then_mg_per_week"))),
        n_not_estimated=len(on_drug) - len(men),
        below=_count(below),
        below_red_line=_count(below_red_line),
        at_or_above=_count(len(men) - below),
        bone_pct_per_year=_bone(fitted, found.share_at),
        no_curve=no_curve,
        beyond=(float(found.beyond[0]), float(found.beyond[1])),
    )


def _under(rule: DoseRule, on_drug: pl.DataFrame, own_levels: pl.DataFrame) -> pl.DataFrame:
    """Return the men whose dose and E2 are known, with their dose now and under the rule."""
    now = pl.col("weekly_anastrozole_mg")
    doses = on_drug.filter(~pl.col("unknown_dose")).select(
        "patient_id", now_mg_per_week=now, then_mg_per_week=rule.then(now)
    )
    return own_levels.join(doses, on="patient_id").sort("patient_id")


def _primary_curve(
    data: PatientData, response: DoseResponseResult, run: Run
) -> tuple[CurveFit | None, str | None]:
    """Return the curve of the primary site, or why there is none."""
    exposure = steps.measure_exposure(data, response, run)
    measured = steps.measure_for_curves(data, response, exposure, run)
    rows = complete_rows(measured, run.settings.fit.primary_site, CHANGE, run.settings.fit)
    try:
        return fit_rows(rows, how_to_fit(CHANGE, run.settings.fit)), None
    except TooLittleDataError as error:
        return None, str(error)


def _count(sampled: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> Count:
    """Describe samples of a count now and then, shape (s, 2)."""
    now, then = sampled.T
    return Count(_estimate(now), _estimate(then), _estimate(then - now))


def _estimate(sampled: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Estimate:
    low, high = np.quantile(sampled, [0.025, 0.975])
    return Estimate(float(sampled.mean()), float(low), float(high))


def _bone(fitted: CurveFit | None, share_at: Array) -> Estimate | None:
    if fitted is None:
        return None
    found = of_curve.mean_difference(fitted, *share_at)
    return Estimate(float(found.estimate[0]), float(found.ci_low[0]), float(found.ci_high[0]))
