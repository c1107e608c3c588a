"""A man's E2 along time, against what is predicted from his last draw, and against movements that were made."""

import dataclasses

import numpy as np
import pytest
from scipy.stats import norm

from e2analytics.models.dose_response.draw_check import inliers
from e2analytics.models.dose_response.fit import DoseResponse
from e2analytics.models.dose_response.path import (
    Wanted,
    along,
    change,
    own_parts,
    turning_day,
)
from e2analytics.models.dose_response.predict import ahead, predict, random_effects
from e2analytics.models.dose_response.types import PARAMETERS, Draws
from e2analytics.simulate.dose_cohorts import COVARIATES, TRUE, CohortDesign, simulate

PLAN = CohortDesign(n_men=60, drift_sd=0.25, step_share=0.5, seed=3)
N_PARAMETERS = len(TRUE.vector)
ROOT = np.random.default_rng(0).normal(0, 0.02, (N_PARAMETERS, N_PARAMETERS))
MOVES = DoseResponse(
    (*COVARIATES, *PARAMETERS), PLAN.truth.vector, ROOT @ ROOT.T, 0.0, 100, 1000, 0
)


def test_after_the_last_draw_a_path_is_what_is_predicted():
    men = simulate(PLAN)
    n = PLAN.n_men
    draws = men.draws.take(men.draws.man != 5)  # one of them without a draw
    dose = np.column_stack([men.dose_mg_per_week, np.zeros(n)])
    variance = np.full(n, 0.01)

    now = ahead(MOVES, random_effects(MOVES, draws), men.day, men.segment)
    expected = predict(MOVES, now, men.usual, dose, variance)
    wanted = Wanted(
        np.repeat(np.arange(n), 2),
        np.repeat(men.day, 2),
        np.repeat(men.segment, 2),
        dose.ravel(),
        np.tile([1.0, -1.0], n),
        np.arange(n),
        men.usual,
        variance,
    )
    found = along(MOVES, draws, wanted)

    np.testing.assert_allclose(found.mean, expected.mean.ravel(), atol=1e-9)
    np.testing.assert_allclose(found.sd, expected.sd.ravel(), atol=1e-9)
    both = expected.covariance
    difference = both[:, 0, 0] + both[:, 1, 1] - 2 * both[:, 0, 1]
    np.testing.assert_allclose(found.sum_sd**2, difference, atol=1e-9)


def test_what_a_man_adds_at_his_draws_is_the_path_less_that_of_men_like_him():
    draws = simulate(PLAN).draws
    shuffled = draws.take(np.random.default_rng(1).permutation(len(draws.man)))

    parts = own_parts(MOVES, shuffled)
    k = len(shuffled.man)
    each = np.arange(k)
    wanted = Wanted(
        each,
        shuffled.day,
        shuffled.segment,
        shuffled.dose_mg_per_week,
        np.ones(k),
        shuffled.man,
        shuffled.covariates,
        np.zeros(k),
    )

    population = MOVES.population
    like_him = shuffled.covariates @ population.coefficients
    like_him = like_him + population.effect(shuffled.dose_mg_per_week).log_ratio
    own = parts.level + parts.response + parts.movement
    np.testing.assert_allclose(like_him + own, along(MOVES, shuffled, wanted).mean, atol=1e-12)
    assert (parts.response[shuffled.dose_mg_per_week == 0] == 0).all()


def test_what_a_man_adds_at_his_last_draw_is_his_state_then():
    draws = simulate(PLAN).draws
    last = np.flatnonzero(np.append(np.diff(draws.man) != 0, True))

    parts, state = own_parts(MOVES, draws), random_effects(MOVES, draws)

    np.testing.assert_allclose(parts.level[last], state.mean[:, 0], atol=1e-9)
    np.testing.assert_allclose(parts.movement[last], state.mean[:, 2], atol=1e-9)


def fallen() -> Draws:
    """A man with six results near 30 and three near 12 in the last eight months, all at one dose."""
    e2 = np.array([31.0, 29.0, 30.0, 28.0, 32.0, 30.0, 12.5, 11.8, 11.0])
    day = np.array([0.0, 120, 240, 360, 480, 600, 700, 800, 920])
    n = len(e2)
    return Draws(
        np.zeros(n, int),
        e2,
        e2,
        np.ones(n, bool),
        np.zeros(n),
        np.column_stack([np.ones(n), np.zeros(n)]),
        day,
        np.zeros(n, int),
        1,
    )


def test_a_late_run_of_low_results_is_movement():
    draws, still = fallen(), dataclasses.replace(MOVES, vector=TRUE.vector)
    usual = np.array([[1.0, 0.0]])

    assert inliers(MOVES, draws).all()
    moved, static = (
        predict(model, random_effects(model, draws), usual, np.zeros((1, 1)))
        for model in (MOVES, still)
    )

    # Without movement he is in the middle of all his results, and sure of it.
    assert 21 < np.exp(static.mean[0, 0]) < 24
    assert 11 < np.exp(moved.mean[0, 0]) < 15
    assert moved.mean[0, 0] + 1.96 * moved.sd[0, 0] < np.log(20)


def test_a_fall_is_seen_and_dated():
    draws, one = fallen(), np.ones((1, 1))
    still = np.array([[1.0, 0.0]])

    year = change(
        MOVES,
        draws,
        np.array([920.0 - 365]),
        np.array([920.0]),
        np.zeros((1, 2), int),
        0 * np.hstack([one, one]),
        still,
        0.25,
    )
    days = np.arange(200.0, 921.0, 30.0)
    k = len(days)
    path = along(
        MOVES,
        draws,
        Wanted(
            np.zeros(k, int),
            days,
            np.zeros(k, int),
            np.zeros(k),
            np.full(k, 1 / k),
            np.zeros(1, int),
            still,
            np.zeros(1),
        ),
    )

    # By dense algebra of the same two days and nine results; the parameters are known all but exactly.
    population, at = MOVES.population, np.concatenate([draws.day, [920.0 - 365, 920.0]])
    forgets = np.exp(-np.abs(at[:, None] - at) / np.exp(population.log_days_movement))
    prior = np.exp(2 * population.log_sd_level) + np.exp(2 * population.log_sd_movement) * forgets
    readings = prior[:9, :9] + population.assays.sd_ms**2 * np.eye(9)
    gain = np.array([-1.0, 1.0]) @ prior[9:, :9] @ np.linalg.inv(readings)
    mean = gain @ (np.log(draws.low_pg_ml) - population.coefficients[0])
    sd = np.sqrt(2 * (prior[9, 9] - prior[9, 10]) - gain @ readings @ gain)
    assert year.log_ratio[0] == pytest.approx(mean, abs=1e-9)
    assert year.fell[0] == pytest.approx(norm.cdf((np.log(0.75) - mean) / sd), abs=1e-4)
    assert year.rose[0] < 1e-3
    assert np.exp(year.log_ratio[0]) < 0.6
    assert 600 < turning_day(days[None], path.mean[None])[0] < 700


@pytest.mark.parametrize("days_ago", [182.0, 365.0])
def test_probabilities_of_a_fall_are_calibrated(days_ago):
    plan = CohortDesign(n_men=4000, drift_sd=0.35, seed=8, n_draws=(4, 8))
    men = simulate(plan)
    model = dataclasses.replace(MOVES, vector=plan.truth.vector, covariance=0 * MOVES.covariance)
    # The truth that is known: the last draw, less one of the earlier ones.
    draws = men.draws
    last = np.cumsum(men.n_draws) - 1
    now, then = draws.day[last], draws.day[last] - days_ago

    found = change(
        model,
        draws,
        then,
        now,
        np.zeros((plan.n_men, 2), int),
        np.zeros((plan.n_men, 2)),
        men.usual,
        0.25,
    )

    # Fall and rise are as likely over all men as the process has it.
    spread = 0.35 * np.sqrt(2 * (1 - np.exp(-days_ago / 270)))
    total = np.sqrt(np.mean(found.log_ratio**2 + found.sd**2))
    assert total == pytest.approx(spread, rel=0.03)
    assert found.fell.mean() == pytest.approx(found.rose.mean(), abs=0.02)


def test_before_a_change_of_testosterone_a_man_is_less_surely_what_he_was_drawn_at():
    draws = dataclasses.replace(fallen(), segment=np.full(9, 1))
    still = np.array([[1.0, 0.0]])

    def sd(segment: int) -> float:
        wanted = Wanted(
            np.zeros(1, int),
            np.array([-30.0]),
            np.array([segment]),
            np.zeros(1),
            np.ones(1),
            np.zeros(1, int),
            still,
            np.zeros(1),
        )
        return float(along(MOVES, draws, wanted).sd[0])

    # His draws are of one order; before it was another one, a step of SD 0.2 away.
    assert sd(0) ** 2 - sd(1) ** 2 == pytest.approx(0.04)
    assert sd(0) == pytest.approx(sd(2))
