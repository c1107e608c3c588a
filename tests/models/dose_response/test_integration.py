"""The likelihood of men's draws against the normal density, brute force and numerical derivatives."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from e2analytics.models.dose_response import assay, integration
from e2analytics.models.dose_response.blocks import blocks
from e2analytics.models.dose_response.integration import find_mode, integrate
from e2analytics.models.dose_response.types import Draws, Population
from e2analytics.simulate.dose_cohorts import TRUE, CohortDesign, simulate

VECTOR = np.array([3.58, 0.5, 1.4, -1.1, -1.56, 0.08, 4.0, -1.4, 1.6, -0.9, -0.1, -1.5])


def population(vector: np.ndarray = VECTOR) -> Population:
    return Population.from_vector(vector)


def man_of(*readings: tuple[float, float, str, float]) -> Draws:
    """One man; readings are (low, high, assay, dose)."""
    low, high, kind, dose = zip(*readings, strict=True)
    x = np.linspace(-0.2, 0.3, len(readings))
    return Draws(
        np.zeros(len(readings), int),
        np.array(low),
        np.array(high),
        np.array(kind) == "ms",
        np.array(dose),
        np.column_stack([np.ones(len(readings)), x]),
        1,
    )


MEN = {
    "mass spectrometry, on and off": man_of((30, 30, "ms", 0), (12, 12, "ms", 1), (9, 9, "ms", 1)),
    "never on the drug": man_of((30, 30, "ms", 0), (22, 22, "ms", 0)),
    "immunoassay": man_of((30, 30, "ia", 0), (14, 14, "ia", 1), (25, 25, "ia", 0.5)),
    "one <24": man_of((0, 24, "ia", 1)),
    "<5 and <24": man_of((0, 5, "ms", 2), (0, 24, "ia", 2), (0, 5, "ms", 2), (25, 25, "ia", 0)),
    "far out": man_of((0, 5, "ms", 0), (120, 120, "ia", 0)),
    ">60": man_of((60, np.inf, "ia", 0), (40, 40, "ms", 0)),
}


def brute_force(draws: Draws, points: int = 801, half_width: float = 3.5):
    """Integrate over a dense grid of (level, response): log-likelihood, mean, covariance."""
    at, one = population(), np.linspace(-half_width, half_width, points)
    u, s = np.meshgrid(one, one, indexing="ij")
    log_joint = -0.5 * (
        (u / np.exp(at.log_sd_level)) ** 2
        + ((s - at.response_per_level * u) / np.exp(at.log_sd_response)) ** 2
    ) - (np.log(2 * np.pi) + at.log_sd_level + at.log_sd_response)
    average = draws.covariates @ at.coefficients + at.effect(draws.dose_mg_per_week).log_ratio
    for j in range(len(draws.man)):
        level = (average[j] + u + (draws.dose_mg_per_week[j] > 0) * s).reshape(1, -1)
        one_draw = draws.low_pg_ml[[j]], draws.high_pg_ml[[j]]
        if draws.is_exact[j] and draws.ms[j]:
            error = (np.log(draws.low_pg_ml[j]) - level) / at.assays.sd_ms
            value = -0.5 * error**2 - np.log(at.assays.sd_ms) - 0.5 * np.log(2 * np.pi)
        elif draws.is_exact[j]:
            value = assay.exact_immunoassay(level, one_draw[0], at.assays).value
        elif draws.ms[j]:
            value = assay.censored_ms(level, *one_draw, at.assays).value
        else:
            value = assay.censored_immunoassay(level, *one_draw, at.assays).value
        log_joint = log_joint + value.reshape(u.shape)
    total = logsumexp(log_joint)
    share = np.exp(log_joint - total)
    mean = np.array([(share * u).sum(), (share * s).sum()])
    left = np.stack([u - mean[0], s - mean[1]])
    covariance = np.einsum("uv,iuv,juv->ij", share, left, left)
    return total + 2 * np.log(one[1] - one[0]), mean, covariance


def integrated(draws: Draws, vector: np.ndarray = VECTOR, around=None):
    (block,) = blocks(draws)
    at = population(vector)
    return integrate(block, at, around or find_mode(block, at))


@pytest.mark.parametrize("name", MEN)
def test_quadrature_gives_what_a_dense_grid_gives(name):
    found = integrated(MEN[name])

    log_likelihood, mean, covariance = brute_force(MEN[name])
    effects = found.posterior.mean.shape[1]
    assert found.log_likelihood[0] == pytest.approx(log_likelihood, abs=3e-3)
    np.testing.assert_allclose(found.posterior.mean[0], mean[:effects], atol=3e-3)
    np.testing.assert_allclose(
        found.posterior.covariance[0], covariance[:effects, :effects], rtol=0.03, atol=3e-4
    )


def test_men_of_exact_mass_spectrometry_have_the_normal_density():
    draws = MEN["mass spectrometry, on and off"]
    at = population()

    z = np.array([[1.0, 0], [1, 1], [1, 1]])
    level, slope = np.exp(2 * at.log_sd_level), at.response_per_level
    spread = np.array(
        [
            [level, slope * level],
            [slope * level, slope**2 * level + np.exp(2 * at.log_sd_response)],
        ]
    )
    mean = draws.covariates @ at.coefficients + at.effect(draws.dose_mg_per_week).log_ratio
    variance = z @ spread @ z.T + at.assays.sd_ms**2 * np.eye(3)
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
    exact = (draws.ms & draws.is_exact).all()
    # Fisher's identity holds for the integral; five nodes give it to the third digit.
    np.testing.assert_allclose(found.scores[0], numeric, atol=1e-6 if exact else 0.02, rtol=0.01)


def cohort(n_men: int = 60, seed: int = 0) -> Draws:
    return simulate(CohortDesign(n_men=n_men, seed=seed)).draws


def total(draws: Draws) -> np.ndarray:
    """Log-likelihood and scores of all men."""
    parts = [integrate(block, TRUE, find_mode(block, TRUE)) for block in blocks(draws)]
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

    np.testing.assert_allclose(parted, total(draws), rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(
        total(draws.take(np.array(shuffled))), total(draws), rtol=1e-9, atol=1e-8
    )


def test_exact_draws_by_mass_spectrometry_are_kept_as_sums_of_a_man_and_dose():
    (block,) = blocks(MEN["mass spectrometry, on and off"])

    assert block.cells.dose_mg_per_week.tolist() == [0.0, 1.0]
    assert block.cells.gram[:, 0, 0].tolist() == [1.0, 2.0]
    assert block.cells.gram[1, 0, -1] == pytest.approx(np.log(12) + np.log(9))
    assert len(block.exact_ia.man) == len(block.censored_ms.man) == 0


def test_a_bound_moves_a_man_by_what_it_says():
    def level(*reading):
        return float(integrated(man_of((*reading, 0.0))).posterior.mean[0, 0])

    assert -0.03 < level(0, 90, "ia") < 0  # nearly all men read so
    assert -0.6 < level(0, 24, "ia") < -0.2
    assert level(0, 5, "ms") < -1.0
    assert level(0, 24, "ms") == pytest.approx(
        level(1e-9, 24, "ms"), abs=1e-6
    )  # open, or from nearly nothing


def test_more_nodes_hardly_change_anything(monkeypatch):
    draws = cohort(n_men=300, seed=5)
    usual = total(draws)

    monkeypatch.setattr(integration, "NODES", 15)

    assert abs(total(draws)[-1] - usual[-1]) < 0.05  # of 300 men's log-likelihood


def test_a_man_without_a_draw_is_in_no_block():
    draws = dataclasses.replace(MEN["one <24"], man=np.array([1]), n_men=3)

    assert [block.men.tolist() for block in blocks(draws)] == [[1]]


@pytest.mark.parametrize("level_pg_ml", [6.0, 30.0, 150.0])
def test_a_man_far_from_the_others_has_the_posterior_of_his_draws(level_pg_ml):
    n = 12
    draws = man_of(*[(level_pg_ml, level_pg_ml, "ms", 0)] * n)

    posterior = integrated(draws).posterior

    # Normal prior, normal readings: precisions add.
    prior, reading = np.exp(-2 * population().log_sd_level), population().assays.sd_ms ** -2
    left = np.log(level_pg_ml) - (draws.covariates @ population().coefficients).mean()
    assert posterior.mean[0, 0] == pytest.approx(n * reading * left / (prior + n * reading))
    assert posterior.covariance[0, 0, 0] == pytest.approx(1 / (prior + n * reading))
