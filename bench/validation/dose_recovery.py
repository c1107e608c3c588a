"""Simulate and recover the dose response by arrays: parameters, men's intervals, worlds it does not know.

In    cohorts of ``e2analytics.simulate.dose_cohorts``
Out   one dictionary of sums per cohort, to be added up over cohorts
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from scipy.special import expit, logit

from e2analytics.models.dose_response.draw_check import inliers
from e2analytics.models.dose_response.exceedance import Levels, probabilities
from e2analytics.models.dose_response.fit import DoseResponse, fit
from e2analytics.models.dose_response.predict import ahead, predict, random_effects
from e2analytics.models.dose_response.types import Draws
from e2analytics.models.normal import Z95
from e2analytics.simulate import parameters as world
from e2analytics.simulate.dose_cohorts import (
    COVARIATES,
    TRUE,
    CohortDesign,
    DoseCohort,
    fall,
    read,
    simulate,
)

N_MEN: Final = 800
WITHIN_50, WITHIN_95 = 0.6744897501960817, Z95
WORLDS: Final = {
    "as the model has it": CohortDesign(N_MEN),
    "log-linear dose": CohortDesign(N_MEN, dose_law="log_linear"),
    "heavy tails (t with 3 degrees of freedom)": CohortDesign(N_MEN, tails="heavy"),
    "2 % of results in a wrong unit": CohortDesign(N_MEN, wrong_unit_share=0.02),
}
PROJECTED: Final = (0.25, 1.0, 3.5, 7.0)
TRANSITION_DAYS: Final = 14


class Recovered(NamedTuple):
    """Estimates and standard errors of one cohort, and its men, a row each."""

    vector: np.ndarray
    standard_error: np.ndarray
    men: pl.DataFrame


def recover(plan: CohortDesign) -> Recovered:
    """Fit a cohort and compare its men's E2 with the truth."""
    drawn = simulate(plan)
    model = fit(drawn.draws, COVARIATES)
    men = judged(model, drawn, drawn.draws)
    return Recovered(model.vector, model.standard_error, summed(men))


def judged(model: DoseResponse, drawn: DoseCohort, draws: Draws) -> pl.DataFrame:
    """Return every man's E2 off the drug and now, estimated from ``draws``, with the truth."""
    dose = drawn.dose_mg_per_week
    now = ahead(model, random_effects(model, draws), drawn.day, drawn.segment)
    found = predict(model, now, drawn.usual, np.column_stack([np.zeros(len(dose)), dose]))
    levels = Levels(
        found.mean[:, 0],
        found.sd[:, 0],
        found.mean[:, 1],
        found.sd[:, 1],
        found.covariance[:, 0, 1],
    )
    limit = np.array([world.RANGE_LIMIT_PG_ML])
    log_limit = np.log(limit[0])
    return pl.DataFrame(
        {
            "draws": drawn.n_draws,
            "assay": np.where(drawn.is_ms, "ms", "ia"),
            "dose": dose,
            "off_error": found.mean[:, 0] - drawn.off_log_e2,
            "now_error": found.mean[:, 1] - drawn.now_log_e2,
            "off_sd": found.sd[:, 0],
            "now_sd": found.sd[:, 1],
            "p": probabilities(levels, limit).attributable,
            "is_so": (drawn.now_log_e2 < log_limit) & (drawn.off_log_e2 >= log_limit),
        }
    )


def summed(men: pl.DataFrame) -> pl.DataFrame:
    """Add up men by number of draws, assay and dose: what can be added up over cohorts."""
    of_each = []
    for when in ("off", "now"):
        error, sd = pl.col(f"{when}_error"), pl.col(f"{when}_sd")
        of_each += [
            error.sum().alias(f"{when}_error"),
            error.pow(2).sum().alias(f"{when}_square"),
            (error.abs() < WITHIN_50 * sd).sum().alias(f"{when}_in_50"),
            (error.abs() < WITHIN_95 * sd).sum().alias(f"{when}_in_95"),
        ]
    keys = ["draws", "assay", "dose"]
    return men.group_by(keys).agg(pl.len().alias("men"), *of_each).sort(keys)


class Bent(NamedTuple):
    """One cohort of a world, fitted as if it were the model's.

    Sums over men, what doses are said to do, how well probabilities tell; and the mean squared errors of the
    levels of men with at least four draws, with all of these and without outliers.
    """

    world: str
    men: pl.DataFrame
    bias_log_e2: list[float]
    average_precision: float
    slope: float
    kept_all: float
    without_outliers: float
    share_outliers: float


def bend(job: tuple[str, int]) -> Bent:
    """Fit a world that may not be the model's, with all draws and as a run does it."""
    name, seed = job
    plan = replace(WORLDS[name], seed=seed)
    drawn = simulate(plan)
    first = fit(drawn.draws, COVARIATES)
    men = judged(first, drawn, drawn.draws)
    doses = np.array(PROJECTED)
    bias = first.population.effect(doses).log_ratio - fall(doses, plan)
    takes = men.filter(pl.col("dose") > 0)
    p, is_so = takes["p"].to_numpy(), takes["is_so"].to_numpy()
    kept = inliers(first, drawn.draws)
    again = first if kept.all() else fit(drawn.draws.take(kept), COVARIATES, start=first)
    # As a night does: every draw is judged once more by the final parameters.
    rest = judged(again, drawn, drawn.draws.take(inliers(again, drawn.draws)))
    often = pl.col("draws") >= 4
    return Bent(
        name,
        summed(men),
        bias.tolist(),
        average_precision(p, is_so),
        calibration(p, is_so)[0],
        squared_error(men.filter(often)),
        squared_error(rest.filter(often)),
        float(1 - kept.mean()),
    )


def squared_error(men: pl.DataFrame) -> float:
    """Return the mean squared error of log E2, off the drug and now."""
    both = men.select(pl.col("off_error").pow(2).mean(), pl.col("now_error").pow(2).mean())
    return sum(both.row(0)) / 2


class Settled(NamedTuple):
    """Mean squared errors of E2 now and off, of men on the drug, by what is done with a draw in transition."""

    starts: str
    draws: str
    left_out: float
    partial: float
    full: float
    men: int


STARTS: Final = {"on the day of the order": 0.0, "up to a week after the order": 7.0}


def settle(job: tuple[str, int]) -> list[Settled]:
    """Give every man on the drug one more draw, 0-14 days after his order, and use it in three ways."""
    starts, seed = job
    rng = np.random.default_rng(seed)
    drawn = simulate(CohortDesign(N_MEN, seed=seed))
    more, days = early_draws(drawn, STARTS[starts], rng)
    left_out = fit(drawn.draws, COVARIATES)
    ways = {"left_out": judged(left_out, drawn, drawn.draws)}
    felt = 1 - 0.5 ** (days / world.HALF_LIFE_DAYS)
    for way, dose in (
        ("partial", same_effect(left_out, more.dose_mg_per_week, felt)),
        ("full", more.dose_mg_per_week),
    ):
        both = joined(drawn.draws, replace(more, dose_mg_per_week=dose))
        ways[way] = judged(fit(both, COVARIATES, start=left_out), drawn, both)
    rows = []
    for name, condition in (("1-2", pl.col("draws") <= 2), ("4-16", pl.col("draws") >= 4)):
        of_way = {way: men.filter(condition & (pl.col("dose") > 0)) for way, men in ways.items()}
        squares = {way: squared_error(men) for way, men in of_way.items()}
        rows.append(Settled(starts, name, **squares, men=len(of_way["partial"])))
    return rows


def early_draws(
    drawn: DoseCohort, longest_wait: float, rng: np.random.Generator
) -> tuple[Draws, np.ndarray]:
    """Draw every man on the drug once within the days to steady state; return days since the order."""
    man = np.flatnonzero(drawn.dose_mg_per_week > 0)
    days = rng.uniform(0, TRANSITION_DAYS, len(man))
    taken = np.maximum(days - rng.uniform(0, longest_wait, len(man)), 0)
    felt = 1 - 0.5 ** (taken / world.HALF_LIFE_DAYS)
    off, now = drawn.off_log_e2[man], drawn.now_log_e2[man]
    swing = rng.normal(0, world.TESTOSTERONE_WITHIN_SD, len(man))
    log_e2 = off + felt * (now - off) + TRUE.coefficients[1] * swing
    reading = read(log_e2, drawn.is_ms[man], CohortDesign(), rng)
    limit = np.where(drawn.is_ms[man], 5.0, 24.0)
    below = reading < limit
    return (
        Draws(
            man,
            np.where(below, 0.0, reading),
            np.where(below, limit, reading),
            drawn.is_ms[man],
            drawn.dose_mg_per_week[man],
            drawn.usual[man] + np.column_stack([np.zeros(len(man)), swing]),
            drawn.day[man],
            drawn.segment[man],
            drawn.draws.n_men,
        ),
        days,
    )


def same_effect(model: DoseResponse, dose: np.ndarray, felt: np.ndarray) -> np.ndarray:
    """Return the dose whose full effect is the share of a dose's effect that is felt."""
    share = (1 - np.exp(felt * model.population.effect(dose).log_ratio)) / expit(
        model.population.logit_emax
    )
    return np.maximum(np.exp(model.population.log_ed50) * share / (1 - share), 1e-6)


def joined(one: Draws, more: Draws) -> Draws:
    """Return the draws of both."""
    columns = [each.name for each in fields(Draws) if each.name != "n_men"]
    return Draws(
        *(np.concatenate([getattr(one, name), getattr(more, name)]) for name in columns), one.n_men
    )


def average_precision(score: np.ndarray, is_so: np.ndarray) -> float:
    """Return the mean precision over the men who are so, in the order of the score."""
    order = np.argsort(-score, kind="stable")
    so = is_so[order]
    return float((np.cumsum(so) / np.arange(1, len(so) + 1))[so].mean())


def calibration(p: np.ndarray, is_so: np.ndarray) -> tuple[float, float]:
    """Return slope (1 is right) and intercept at slope 1 (0 is right) of what is so on logit p."""
    x = logit(np.clip(p, 1e-6, 1 - 1e-6))
    slope_and_all = _logistic(np.column_stack([np.ones_like(x), x]), np.zeros_like(x), is_so)
    alone = _logistic(np.ones((len(x), 1)), x, is_so)
    return float(slope_and_all[1]), float(alone[0])


def _logistic(design: np.ndarray, offset: np.ndarray, is_so: np.ndarray) -> np.ndarray:
    beta = np.zeros(design.shape[1])
    for _ in range(30):
        p = expit(offset + design @ beta)
        information = (design * (p * (1 - p))[:, None]).T @ design
        beta += np.clip(np.linalg.solve(information, design.T @ (is_so - p)), -1, 1)
    return beta


def with_error(values: np.ndarray, digits: int = 3) -> str:
    """Say the mean of cohorts and its standard error."""
    if np.isnan(values).any():
        return "–"
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    return f"{values.mean():.{digits}f} ± {error:.{digits}f}"
