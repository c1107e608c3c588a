"""Time to flag: how many draws after a true fall below the limit a flag opens, and after recovery closes.

In    cohorts of ``e2analytics.simulate.dose_cohorts`` whose levels drift, drawn again and again at one dose
Out   draws until the flag opens and closes, false openings, by the model and by rules that have none

Each draw is judged by what is known on its day: the dose response's probability of being below the limit
opens at one half and closes below 0.4, as a run's flags do. The last value opens below the limit and closes above.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from scipy.special import ndtr

from bench.validation.moving_men import STILL
from bench.validation.section import Section, in_parallel
from e2analytics.models.dose_response.fit import DoseResponse, fit
from e2analytics.models.dose_response.predict import predict, random_effects
from e2analytics.settings import FlagSettings
from e2analytics.simulate import parameters as world
from e2analytics.simulate.dose_cohorts import (
    COVARIATES,
    TRUE,
    CohortDesign,
    DoseCohort,
    simulate,
)

NAME: Final = "time_to_flag"
TITLE: Final = "Time to flag"
REPLICATES: Final = 20
DESIGN: Final = CohortDesign(2_000, n_draws=(24,), drift_sd=0.25, drift_days=270.0)
"""Twelve draws off the drug, then twelve at the man's dose, every three to six months."""
MODELS: Final = ("model", "static model", "oracle")
RULES: Final = (*MODELS, "last value")
CLEAR: Final = float(np.log(1.15))
"""A fall or recovery is clear if the first draw after it finds true E2 15 % or more beyond the limit."""
_ASSAYS: Final = {"ms": "mass spectrometry", "ia": "immunoassay"}
_SETTINGS: Final = FlagSettings()
_OPENS_AT: Final = 0.5
_MOST_DRAWS: Final = 12
_DAYS_PER_MONTH: Final = world.DAYS_PER_YEAR / 12
_SEEDS_OF_A_RUN: Final = 100_000


class Waits(NamedTuple):
    """Draws until something happens, (most,) each: how many still waited for it at each draw, and for how many it came."""

    waited: np.ndarray
    came: np.ndarray

    def share_by(self, draws: int) -> float:
        """Return the share for whom it has come by a draw (Kaplan and Meier)."""
        left = 1 - self.came / np.maximum(self.waited, 1)
        return float(1 - np.prod(left[:draws]))

    @property
    def median(self) -> float:
        """The draw by which it has come for half; infinite if it never does."""
        by = [self.share_by(draws) for draws in range(1, len(self.waited) + 1)]
        return next((float(n) for n, share in enumerate(by, 1) if share >= 0.5), np.inf)


class Timed(NamedTuple):
    """How one rule did in one cohort, of men by one assay."""

    rule: str
    assay: str
    opens: Waits
    opens_if_clear: Waits
    closes: Waits
    closes_if_clear: Waits
    false_openings: int
    of_them_near: int
    months_in_range: float


def time_rules(seed: int) -> list[Timed]:
    """Simulate a cohort and let every rule judge its men draw by draw."""
    plan = replace(DESIGN, seed=seed)
    men = simulate(plan)
    n = len(TRUE.vector)
    fitted = fit(men.draws, COVARIATES)
    models = {
        "model": fitted,
        "static model": fit(men.draws, COVARIATES, priors=STILL),
        "oracle": replace(fitted, vector=plan.truth.vector, covariance=np.zeros((n, n))),
    }
    takes = men.dose_mg_per_week > 0
    log_limit = np.log(world.RANGE_LIMIT_PG_ML)
    first = int(men.n_draws[0]) // 2
    shape = (len(takes), -1)
    away = men.level_at_draws.reshape(shape)[:, first:] - log_limit
    day = men.draws.day.reshape(shape)[:, first:]
    flags = {
        name: held_open(_below(model, men, first), _OPENS_AT, _SETTINGS.closing_probability)
        for name, model in models.items()
    }
    last_value_below = men.draws.high_pg_ml.reshape(shape)[:, first:] < world.RANGE_LIMIT_PG_ML
    flags["last value"] = last_value_below
    return [
        timed(rule, assay, flag[of], away[of], day[of])
        for rule, flag in flags.items()
        for assay, of in (("ms", takes & men.is_ms), ("ia", takes & ~men.is_ms))
    ]


def _below(model: DoseResponse, men: DoseCohort, first: int) -> np.ndarray:
    """Return the probability of being below the limit at each draw from a place on, given those until then."""
    draws = men.draws
    place = np.arange(len(draws.man)) - (np.cumsum(men.n_draws) - men.n_draws)[draws.man]
    dose = men.dose_mg_per_week[:, None]
    columns = []
    for last in range(first, int(men.n_draws[0])):
        effects = random_effects(model, draws.take(place <= last))
        found = predict(model, effects, men.usual, dose)
        columns.append(ndtr((np.log(world.RANGE_LIMIT_PG_ML) - found.mean) / found.sd)[:, 0])
    return np.stack(columns, axis=1)


def held_open(p: np.ndarray, opens_at: float, closes_below: float) -> np.ndarray:
    """Return whether flags are open after each of k probabilities, shape (n, k).

    >>> held_open(np.array([[0.3, 0.6, 0.45, 0.39, 0.45]]), 0.5, 0.4).astype(int).tolist()
    [[0, 1, 1, 0, 0]]
    """
    is_open = np.zeros(p.shape, bool)
    for j in range(p.shape[1]):
        was = is_open[:, j - 1] if j else np.zeros(len(p), bool)
        is_open[:, j] = (p[:, j] >= opens_at) | (was & (p[:, j] >= closes_below))
    return is_open


def timed(rule: str, assay: str, flag: np.ndarray, away: np.ndarray, day: np.ndarray) -> Timed:
    """Time one rule: ``flag`` open, log E2 ``away`` from the limit and ``day`` of each draw, (n, k) each."""
    below = away < 0
    fell = waits(flag, below)
    recovered = waits(~flag, ~below)
    was_closed = ~flag[:, :-1]
    opened_in_range = flag[:, 1:] & was_closed & ~below[:, 1:]
    in_range = ~below[:, 1:]
    return Timed(
        rule,
        assay,
        fell,
        waits(flag, below, away < -CLEAR),
        recovered,
        waits(~flag, ~below, away > CLEAR),
        int(opened_in_range.sum()),
        int((opened_in_range & (away[:, 1:] < CLEAR)).sum()),
        float(np.diff(day, axis=1)[in_range].sum() / _DAYS_PER_MONTH),
    )


def waits(does: np.ndarray, should: np.ndarray, counts: np.ndarray | None = None) -> Waits:
    """Count draws from the first at which a flag ``should`` until it ``does``, shape (n, k) each.

    A wait begins where it should, should not before, and did not before; the first draw is number 1. Nobody is
    known to have waited longer than it should, or than his record lasts.

    Parameters
    ----------
    does, should : ndarray of bool, shape (n, k)
        What the flag does and should do.
    counts : ndarray of bool, shape (n, k), optional
        At which draws a wait may begin; by default at all.
    """
    k = should.shape[1]
    waited, came = np.zeros((2, _MOST_DRAWS))
    begins = should[:, 1:] & ~should[:, :-1] & ~does[:, :-1]
    if counts is not None:
        begins &= counts[:, 1:]
    for man, before in zip(*np.nonzero(begins), strict=True):
        for number, j in enumerate(range(before + 1, k)):
            if not should[man, j]:
                break
            waited[number] += 1
            if does[man, j]:
                came[number] += 1
                break
    return Waits(waited, came)


def run(replicates: int, seed: int) -> Section:
    """Time every rule in cohorts whose levels drift."""
    first = seed * _SEEDS_OF_A_RUN
    found = in_parallel(time_rules, range(first, first + replicates), "time to flag")
    rows = [row for rows in found for row in rows]
    return Section((_WORLD, table(rows), in_words(rows)))


def table(rows: list[Timed]) -> pl.DataFrame:
    """Lay out waits and false openings of each rule and assay, with the error over cohorts."""
    lines = []
    for assay in _ASSAYS:
        for rule in RULES:
            own = [row for row in rows if (row.rule, row.assay) == (rule, assay)]
            rates = [1000 * row.false_openings / row.months_in_range for row in own]
            near = sum(row.of_them_near for row in own) / max(1, sum(r.false_openings for r in own))
            lines.append(
                {
                    "assay": assay,
                    "rule": rule,
                    **_wait("opens", [row.opens for row in own]),
                    **_wait("opens, clear fall", [row.opens_if_clear for row in own]),
                    "false openings per 1,000 man-months": _with_error(rates, 2),
                    "of them within 15 % of the limit": f"{100 * near:.0f} %",
                    **_wait("closes", [row.closes for row in own]),
                    **_wait("closes, clear rise", [row.closes_if_clear for row in own]),
                }
            )
    return pl.DataFrame(lines)


def _wait(what: str, own: list[Waits]) -> dict[str, str | float]:
    return {
        f"{what}: n": int(sum(each.waited[0] for each in own)),
        f"{what}: median draws": pooled(own).median,
        f"{what}: by 2 draws, %": _with_error([100 * each.share_by(2) for each in own], 1),
    }


def pooled(own: list[Waits]) -> Waits:
    """Return the waits of several cohorts together."""
    return Waits(sum(each.waited for each in own), sum(each.came for each in own))


def in_words(rows: list[Timed]) -> str:
    """Say of each assay whether the model is as fast as is asked for."""
    return " ".join(
        _verdict(name, [row for row in rows if (row.rule, row.assay) == ("model", assay)])
        for assay, name in _ASSAYS.items()
    )


def _verdict(assay: str, own: list[Timed]) -> str:
    opens, closes = pooled([row.opens for row in own]), pooled([row.closes for row in own])
    met = "met" if max(opens.median, closes.median) <= 2 else "not met"
    return (
        f"With results by {assay} the flag opens after {opens.median:g} draws in the median and closes after "
        f"{closes.median:g}: at most 2 are asked for, which is {met}."
    )


def _with_error(values: list[float], digits: int) -> str:
    error = np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{np.mean(values):.{digits}f} ± {error:.{digits}f}"


_WORLD: Final = f"""\
Cohorts of {DESIGN.n_men:,} men whose levels drift (SD {DESIGN.drift_sd:g} on the log scale, {DESIGN.drift_days:g} days), drawn
24 times, three to six months apart, and in the second half at one dose of the drug: half of them by mass spectrometry, half
by immunoassay. Each draw is judged by what is known on its day. Counted is from the first draw at which true E2
lies below the limit ({world.RANGE_LIMIT_PG_ML:g} pg/mL) while the flag is closed; that draw is number 1. A man who recovers first, or
whose record ends, has waited until then (Kaplan and Meier). A fall or rise is clear if that draw finds true E2 15 % or
more beyond the limit. The population is fitted once, on all draws of a cohort. Mean ± standard error over cohorts.
"""
