"""The provisional dose response: what is known is recovered."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import multivariate_normal, truncnorm

from e2analytics.models import shrinkage
from e2analytics.models.below import probabilities
from e2analytics.models.shrinkage import Draws, Levels

MEAN = np.array([3.5, -0.9])
BETWEEN = np.array([[0.16, -0.03], [-0.03, 0.09]])
SD_MS, SD_IA, OFFSET_IA = 0.25, 0.4, 0.15


def cohort(
    seed: int, n_men: int = 3000, *, limits: bool = True
) -> tuple[Draws, NDArray[np.float64]]:
    """Simulate draws and return them with the men's own levels off and on the drug."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 12, n_men)
    man = np.repeat(np.arange(n_men), counts)
    own = rng.multivariate_normal(MEAN, BETWEEN, n_men)
    on = (rng.random(len(man)) < 0.4).astype(float)
    ms = rng.random(len(man)) < 0.6
    noise = rng.normal(size=len(man)) * np.where(ms, SD_MS, SD_IA)
    log_e2 = own[man, 0] + on * own[man, 1] + np.where(ms, 0, OFFSET_IA) + noise
    low, high = log_e2.copy(), log_e2.copy()
    if limits:
        detection = np.where(ms, np.log(5.0), np.log(24.0))
        below = log_e2 < detection
        low[below], high[below] = -np.inf, detection[below]
    truth = np.column_stack([own[:, 0], own.sum(axis=1)])
    return Draws(man, low, high, on, ms, n_men), truth


def test_recovers_the_parameters_that_made_the_draws():
    draws, _ = cohort(1)

    found = shrinkage.fit(draws)

    assert found.mean == pytest.approx(MEAN, abs=0.03)
    assert found.covariance == pytest.approx((0.16, -0.03, 0.09), abs=0.02)
    assert found.variance_ms == pytest.approx(SD_MS**2, abs=0.005)
    # A sixth of the draws is censored: the normal approximation costs a little.
    assert found.variance_ia == pytest.approx(SD_IA**2, rel=0.2)
    assert found.offset_ia == pytest.approx(OFFSET_IA, abs=0.02)


def test_intervals_of_men_cover_their_own_levels():
    inside: list[float] = []
    for seed in range(3):
        draws, truth = cohort(seed)
        found = shrinkage.levels(shrinkage.fit(draws), draws)
        for mean, sd, true in zip(
            (found.off_mean, found.on_mean), (found.off_sd, found.on_sd), truth.T, strict=True
        ):
            inside.append(float(np.mean(np.abs(true - mean) < 1.96 * sd)))

    # 18,000 men: the binomial error is 0.0016; twice that for the correlation of off and on.
    assert np.mean(inside) == pytest.approx(0.95, abs=0.006)


def test_the_posterior_is_the_textbook_one_where_nothing_is_censored():
    draws, _ = cohort(4, n_men=40, limits=False)
    shared = shrinkage.fit(draws)

    found = shrinkage.levels(shared, draws)

    prior = np.array(
        [[shared.covariance[0], shared.covariance[1]], [shared.covariance[1], shared.covariance[2]]]
    )
    for man in range(5):
        his = draws.man == man
        z = np.column_stack([np.ones(his.sum()), draws.on[his]])
        variance = np.where(draws.ms[his], shared.variance_ms, shared.variance_ia)
        y = draws.low[his] - np.where(draws.ms[his], 0, shared.offset_ia)
        gain = prior @ z.T @ np.linalg.inv(z @ prior @ z.T + np.diag(variance))
        mean = np.array(shared.mean) + gain @ (y - z @ np.array(shared.mean))
        covariance = prior - gain @ z @ prior
        assert found.off_mean[man] == pytest.approx(mean[0], abs=1e-10)
        assert found.on_mean[man] == pytest.approx(mean.sum(), abs=1e-10)
        assert found.on_sd[man] == pytest.approx(np.sqrt(covariance.sum()), abs=1e-10)
        assert found.covariance[man] == pytest.approx(covariance[0].sum(), abs=1e-10)


def test_a_censored_draw_moves_a_man_by_what_it_tells():
    shared = shrinkage.Shrinkage((3.5, -0.9), (0.16, 0.0, 0.09), 0.06, 0.16, 0.0, 99, 999, 9)

    def off(low: float, high: float) -> float:
        one = Draws(
            np.array([0]), np.array([low]), np.array([high]), np.zeros(1), np.ones(1, bool), 1
        )
        return float(shrinkage.levels(shared, one).off_mean[0])

    exact, below_5, below_200 = (
        off(np.log(5), np.log(5)),
        off(-np.inf, np.log(5)),
        off(-np.inf, np.log(200)),
    )

    assert below_5 < exact < 3.5
    assert below_200 == pytest.approx(3.5, abs=0.001)


def test_the_men_of_a_partition_have_the_same_posterior_alone():
    draws, _ = cohort(5, n_men=60)
    shared = shrinkage.fit(draws)
    first = draws.man < 20
    alone = Draws(
        draws.man[first], draws.low[first], draws.high[first], draws.on[first], draws.ms[first], 20
    )

    assert shrinkage.levels(shared, alone).on_mean == pytest.approx(
        shrinkage.levels(shared, draws).on_mean[:20], abs=1e-12
    )


def test_too_few_men_are_refused():
    draws, _ = cohort(6, n_men=29)

    with pytest.raises(ValueError, match="29 men have an E2 draw; 30 are needed"):
        shrinkage.fit(draws)


@pytest.mark.parametrize(
    ("low", "high"), [(-np.inf, 0.3), (-1.0, 2.0), (3.0, 4.0), (9.0, np.inf), (-np.inf, -12.0)]
)
def test_moments_of_a_truncated_normal_agree_with_scipy(low: float, high: float):
    mean, variance = shrinkage.truncated_normal(np.array([low]), np.array([high]))

    assert mean[0] == pytest.approx(truncnorm.mean(low, high), rel=1e-6)
    assert variance[0] == pytest.approx(truncnorm.var(low, high), rel=1e-4, abs=1e-6)


def test_probabilities_agree_with_the_bivariate_normal():
    off, on, sd_off, sd_on, rho, limit = 3.2, 2.7, 0.3, 0.35, 0.6, np.log(16)
    covariance = rho * sd_off * sd_on
    man = Levels(*(np.array([value]) for value in (off, sd_off, on, sd_on, covariance)))

    found = probabilities(man, np.array([16.0]))

    both = multivariate_normal([on, off], [[sd_on**2, covariance], [covariance, sd_off**2]])
    below = multivariate_normal(on, sd_on**2).cdf(limit)
    assert found.below[0] == pytest.approx(below, abs=1e-10)
    assert found.attributable[0] == pytest.approx(below - both.cdf([limit, limit]), abs=1e-4)


def test_the_uncertainty_of_the_limit_is_integrated():
    man = Levels(*(np.array([value]) for value in (3.5, 0.2, 2.7, 0.2, 0.0)))

    sure = probabilities(man, np.array([16.0])).below[0]
    unsure = probabilities(man, np.array([13.0, 16.0, 19.0])).below[0]

    each = [probabilities(man, np.array([limit])).below[0] for limit in (13.0, 16.0, 19.0)]
    assert unsure == pytest.approx(np.mean(each))
    assert abs(unsure - 0.5) < abs(sure - 0.5)
