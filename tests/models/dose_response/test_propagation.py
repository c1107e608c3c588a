"""The likelihood of men's draws against brute-force integration and numerical derivatives."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from e2analytics.models.dose_response import assay
from e2analytics.models.dose_response.batches import batches
from e2analytics.models.dose_response.propagation import Integrated, integrate
from e2analytics.models.dose_response.types import Draws, Population
from e2analytics.simulate.dose_cohorts import CohortDesign, simulate

# Movement SD 0.25 and 270 days, steps of SD 0.2.
VECTOR = np.array(
    [3.58, 0.5, 1.4, -1.1, -1.56, 0.08, 4.0, -1.4, 1.6, -0.9, -0.1, -1.5, -1.39, 5.6, -1.6]
)

CLOSE = 1e-3
STILL = np.concatenate([VECTOR[:-3], [np.log(1e-6), 5.6, np.log(1e-6)]])


def man_of(*readings: tuple[float, float, str, float]) -> Draws:
    """One man; readings are (low, high, assay, dose), 100 days from one to the next, a change each."""
    low, high, kind, dose = zip(*readings, strict=True)
    n = len(readings)
    return Draws(
        np.zeros(n, int),
        np.array(low),
        np.array(high),
        np.array(kind) == "ms",
        np.array(dose),
        np.column_stack([np.ones(n), np.linspace(-0.2, 0.3, n)]),
        100.0 * np.arange(n),
        np.arange(n),
        1,
    )


MEN = {
    "mass spectrometry, on and off": man_of((30, 30, "ms", 0), (12, 12, "ms", 1), (9, 9, "ms", 1)),
    "never on the drug": man_of((30, 30, "ms", 0), (22, 22, "ms", 0)),
    "immunoassay": man_of((30, 30, "ia", 0), (14, 14, "ia", 1), (25, 25, "ia", 0.5)),
    "one <24": man_of((0, 24, "ia", 1)),
    "<5 and <24": man_of((0, 5, "ms", 2), (0, 24, "ia", 2), (25, 25, "ia", 0)),
    "three <5": man_of((0, 5, "ms", 0.5), (0, 5, "ms", 0.5), (0, 5, "ms", 0.5)),
    "three <24": man_of((0, 24, "ia", 0), (0, 24, "ia", 0), (0, 24, "ia", 0)),
    "far out": man_of((0, 5, "ms", 0), (120, 120, "ia", 0)),
    "one far above": man_of((150, 150, "ia", 1)),
    "two <5 around mass spectrometry": man_of((0, 5, "ms", 1), (8, 8, "ms", 1), (0, 5, "ms", 1)),
    "at odds": man_of((0, 5, "ms", 1), (60, 60, "ia", 1), (0, 24, "ia", 1)),
    ">60": man_of((60, np.inf, "ia", 0), (40, 40, "ms", 0)),
    "between bounds": man_of((10, 20, "ms", 0), (15, 24, "ia", 1)),
}


def covariance_of(draws: Draws, population: Population) -> np.ndarray:
    """Return the covariance of log E2 at one man's draws, from its definition."""
    z = np.column_stack([np.ones(len(draws.man)), draws.dose_mg_per_week > 0])
    apart = np.abs(draws.day[:, None] - draws.day)
    forgets = np.exp(-apart / np.exp(population.log_days_movement))
    steps = np.minimum(draws.segment[:, None], draws.segment)
    return np.asarray(
        z @ population.spreads.of_effects @ z.T
        + np.exp(2 * population.log_sd_movement) * forgets
        + np.exp(2 * population.log_sd_jump) * steps
    )


def brute_force(draws: Draws, population: Population, step: float = 0.11, reach: float = 7.0):
    """Integrate over a grid of log E2 at up to three draws: log-likelihood, means, variances."""
    n = len(draws.man)
    average = draws.covariates @ population.coefficients
    average = average + population.effect(draws.dose_mg_per_week).log_ratio
    one = np.arange(-reach, reach + step / 2, step)
    x = np.stack([each.ravel() for each in np.meshgrid(*[one] * n, indexing="ij")])
    log_e2 = average[:, None] + np.linalg.cholesky(covariance_of(draws, population)) @ x
    log_joint = -0.5 * (x**2).sum(axis=0) + n * (np.log(step) - 0.5 * np.log(2 * np.pi))
    for j in range(n):
        low, high, assays = draws.low_pg_ml[[j]], draws.high_pg_ml[[j]], population.assays
        level = log_e2[j].reshape(1, -1)
        if draws.is_exact[j] and draws.ms[j]:
            error = (np.log(low) - log_e2[j]) / assays.sd_ms
            log_joint += -0.5 * error**2 - np.log(assays.sd_ms) - 0.5 * np.log(2 * np.pi)
        elif draws.is_exact[j]:
            log_joint += assay.exact_immunoassay(level, low, assays).value[0]
        elif draws.ms[j]:
            log_joint += assay.censored_ms(level, low, high, assays).value[0]
        else:
            log_joint += assay.censored_immunoassay(level, low, high, assays).value[0]
    total = logsumexp(log_joint)
    share = np.exp(log_joint - total)
    mean = log_e2 @ share
    return total, mean, (log_e2 - mean[:, None]) ** 2 @ share


def integrated(draws: Draws, vector: np.ndarray = VECTOR) -> Integrated:
    (batch,) = batches(draws)
    return integrate(batch, Population.from_vector(vector))


@pytest.mark.parametrize("name", MEN)
def test_propagation_gives_what_a_dense_grid_gives(name):
    found = integrated(MEN[name])

    log_likelihood, mean, variance = brute_force(MEN[name], Population.from_vector(VECTOR))
    assert found.log_likelihood[0] == pytest.approx(log_likelihood, abs=CLOSE)
    np.testing.assert_allclose(found.mean, mean, atol=CLOSE / 3)
    np.testing.assert_allclose(np.sqrt(found.variance), np.sqrt(variance), atol=CLOSE / 3)


@pytest.mark.parametrize("name", MEN)
def test_sites_alone_give_the_means_and_the_variances_at_readings_that_are_not_normal(name):
    (batch,) = batches(MEN[name])
    population = Population.from_vector(VECTOR)
    found = integrate(batch, population)

    prior, average = covariance_of(MEN[name], population), batch.average(population)
    left = np.linalg.inv(np.linalg.inv(prior) + np.diag(found.sites.precision))
    mean = left @ (np.linalg.solve(prior, average) + found.sites.shift)

    np.testing.assert_allclose(mean, found.mean, atol=1e-7)
    at = batch.special
    np.testing.assert_allclose(np.diag(left)[at], found.variance[at], rtol=1e-6)


def test_readings_of_one_and_the_same_level_are_integrated_over_that_level():
    """Nothing moves, so that both readings are of one number."""
    draws, population = man_of((14, 14, "ia", 1), (0, 24, "ia", 1)), Population.from_vector(STILL)
    found = integrated(draws, STILL)

    average = draws.covariates @ population.coefficients
    average = average + population.effect(draws.dose_mg_per_week).log_ratio
    step = 1e-3
    own = np.arange(-6, 6, step)
    spread = covariance_of(draws, population)[0, 0]
    log_joint = -0.5 * own**2 / spread - 0.5 * np.log(2 * np.pi * spread) + np.log(step)
    low, high, assays = draws.low_pg_ml, draws.high_pg_ml, population.assays
    exact = assay.exact_immunoassay(average[:1, None] + own, low[:1], assays)
    below = assay.censored_immunoassay(average[1:, None] + own, low[1:], high[1:], assays)
    log_joint += exact.value[0] + below.value[0]
    share = np.exp(log_joint - logsumexp(log_joint))
    mean = share @ own

    assert found.log_likelihood[0] == pytest.approx(logsumexp(log_joint), abs=CLOSE)
    np.testing.assert_allclose(found.mean, average + mean, atol=CLOSE / 3)
    np.testing.assert_allclose(
        np.sqrt(found.variance), np.sqrt(share @ (own - mean) ** 2), atol=CLOSE / 3
    )


def test_men_of_exact_mass_spectrometry_have_the_normal_density():
    draws, population = MEN["mass spectrometry, on and off"], Population.from_vector(VECTOR)
    mean = draws.covariates @ population.coefficients
    mean = mean + population.effect(draws.dose_mg_per_week).log_ratio
    variance = covariance_of(draws, population) + population.assays.sd_ms**2 * np.eye(3)

    expected = multivariate_normal.logpdf(np.log(draws.low_pg_ml), mean, variance)

    assert integrated(draws).log_likelihood[0] == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("name", MEN)
def test_scores_are_the_derivatives_of_the_log_likelihood(name):
    draws = MEN[name]
    found = integrated(draws)

    def value(vector):
        return integrated(draws, vector).log_likelihood[0]

    step = 1e-4
    numeric = [
        (value(VECTOR + step * one) - value(VECTOR - step * one)) / (2 * step)
        for one in np.eye(len(VECTOR))
    ]
    # What is left is the error of the quadrature over one reading.
    np.testing.assert_allclose(found.scores[0], numeric, atol=2e-3)


def cohort(n_men: int = 60, seed: int = 0) -> Draws:
    return simulate(CohortDesign(n_men=n_men, seed=seed, drift_sd=0.25, step_share=0.3)).draws


def total(draws: Draws) -> np.ndarray:
    """Log-likelihood and scores of all men."""
    parts = [integrate(batch, Population.from_vector(VECTOR)) for batch in batches(draws)]
    sums = [np.append(part.scores.sum(axis=0), part.log_likelihood.sum()) for part in parts]
    return np.sum(sums, axis=0)


@settings(max_examples=15)
@given(seed=st.integers(0, 10_000), order=st.randoms(use_true_random=False))
def test_sums_over_men_add_up_however_the_men_are_parted_and_the_rows_lie(seed, order):
    draws = cohort(seed=seed)
    group = np.array([order.randrange(3) for _ in range(draws.n_men)])
    shuffled = list(range(len(draws.man)))
    order.shuffle(shuffled)

    parted = sum(total(draws.take(group[draws.man] == part)) for part in range(3))

    np.testing.assert_allclose(parted, total(draws), rtol=1e-8, atol=1e-7)
    np.testing.assert_allclose(
        total(draws.take(np.array(shuffled))), total(draws), rtol=1e-8, atol=1e-7
    )


def test_a_bound_moves_a_man_by_what_it_says():
    average = float(VECTOR[0] - 0.2 * VECTOR[1])

    def level(*reading):
        return float(integrated(man_of((*reading, 0.0)), STILL).mean[0]) - average

    assert -0.03 < level(0, 90, "ia") < 0  # nearly all men read so
    assert -0.6 < level(0, 24, "ia") < -0.2
    assert level(0, 5, "ms") < -1.0
    assert level(0, 24, "ms") == pytest.approx(
        level(1e-9, 24, "ms"), abs=1e-6
    )  # open, or from nearly nothing


def test_a_man_without_a_draw_is_in_no_batch():
    draws = dataclasses.replace(MEN["one <24"], man=np.array([1]), n_men=3)

    assert [batch.men.tolist() for batch in batches(draws)] == [[1]]


@pytest.mark.parametrize("level_pg_ml", [6.0, 30.0, 150.0])
def test_a_man_far_from_the_others_has_the_posterior_of_his_draws(level_pg_ml):
    n = 12
    draws = man_of(*[(level_pg_ml, level_pg_ml, "ms", 0)] * n)
    draws = dataclasses.replace(draws, segment=np.zeros(n, int))

    found = integrated(draws, STILL)

    # Normal prior, normal readings: precisions add.
    population = Population.from_vector(STILL)
    prior, reading = np.exp(-2 * population.log_sd_level), population.assays.sd_ms**-2
    average = draws.covariates @ population.coefficients
    left = np.log(level_pg_ml) - average.mean()
    expected = average + n * reading * left / (prior + n * reading)
    np.testing.assert_allclose(found.mean, expected, rtol=1e-6)
    np.testing.assert_allclose(found.variance, 1 / (prior + n * reading), rtol=1e-6)


def test_a_run_of_censored_results_comes_to_rest():
    many = man_of(*[(0, 24, "ia", 0), (0, 5, "ms", 1)] * 20)

    found = integrated(many)

    assert np.isfinite(found.log_likelihood).all()
    again = integrate(next(batches(many)), Population.from_vector(VECTOR), found.sites, rounds=1)
    np.testing.assert_allclose(again.mean, found.mean, atol=1e-7)


@pytest.mark.parametrize(
    "ia_cv", [0.02, *(pytest.param(cv, marks=pytest.mark.slow) for cv in (0.05, 0.1)), 0.25]
)
def test_readings_at_odds_by_far_give_finite_numbers(ia_cv):
    far = [(1500, 1500, "ia", 0), (3, 3, "ia", 0), (0, 2, "ms", 1.5), (800, np.inf, "ia", 1)]
    vector = VECTOR.copy()
    vector[7] = np.log(ia_cv)
    for one in far:
        for other in far:
            for draws in (man_of(one, other), man_of(one, other, (0, 24, "ia", 0))):
                same_day = dataclasses.replace(draws, day=0 * draws.day, segment=0 * draws.segment)
                for each in (draws, same_day):
                    found = integrated(each, vector)
                    assert np.isfinite(found.log_likelihood).all()
                    assert np.isfinite(found.scores).all()
                    assert (found.variance > 0).all()
