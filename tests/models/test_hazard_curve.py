"""The curve of a first event within a year: known truths, and a dense Newton's method as reference."""

from dataclasses import replace

import numpy as np
import pytest

from e2analytics.errors import TooLittleDataError
from e2analytics.models import risk
from e2analytics.models.curve import CurveSettings, plan_curve
from e2analytics.models.risk_curve import MIN_FIRST_EVENTS, fit_hazard
from e2analytics.models.rows import CurveData
from e2analytics.models.shape import ALPHA, Verdict

SETTINGS = CurveSettings(delta=0.05, higher_is_better=False, n_replicates=300)
N_INTERVALS = 12


def harm_above_35(log_e2):
    """At one year: 3 % up to 35 pg/mL, 8 times as much at 70."""
    return np.log(0.03) + 3.0 * np.clip(log_e2 - np.log(35), 0, None)


def no_harm(log_e2):
    return np.full_like(log_e2, np.log(0.06))


def first_events(n_men, log_rate_per_year, seed=0):
    """Quarters of men at risk until their first event, each of another length; age matters a little."""
    rng = np.random.default_rng(seed)
    man = np.repeat(np.arange(n_men), N_INTERVALS)
    log_e2 = rng.normal(np.log(26), 0.4, n_men)[man] + rng.normal(0, 0.2, len(man))
    years = rng.uniform(0.15, 0.25, len(man))
    age = rng.normal(50, 10, n_men)[man]
    hazard = years * np.exp(log_rate_per_year(log_e2) + 0.01 * (age - 50))
    came = rng.random(len(man)) < -np.expm1(-hazard)
    earlier = came.reshape(n_men, -1).cumsum(axis=1).ravel() - came
    at_risk = earlier == 0
    data = CurveData.at_points(log_e2, came.astype(float), man, age[:, None])
    return data.take(at_risk), years[at_risk]


@pytest.fixture(scope="module")
def fitted():
    return fit_hazard(*first_events(1500, harm_above_35), SETTINGS)


def test_recovers_the_probability_within_a_year_and_the_upper_limit(fitted):
    true = risk.probability(harm_above_35(np.log(fitted.e2_pg_ml)))[fitted.supported]

    assert np.all(fitted.band_low[fitted.supported] < true)
    assert np.all(true < fitted.band_high[fitted.supported])
    assert fitted.verdict is Verdict.HIGH_SIDE_THRESHOLD
    # 3 % within a year is a hazard of 0.03, a probability of 0.0296; 0.05 more is reached at
    # 35 * (0.0829 / 0.03) ** (1 / 3) pg/mL.
    assert fitted.upper_limit.ci_low < 49.1 < fitted.upper_limit.ci_high
    assert fitted.upper_limit.supported
    assert fitted.lower_limit.value_pg_ml is None


def test_longer_intervals_hold_more_events_and_say_the_same():
    """The length is an offset: to halve every interval and its hazard's time changes no yearly probability."""
    data, years = first_events(1500, harm_above_35)

    whole = fit_hazard(data, years, SETTINGS)
    in_months = fit_hazard(data, years / 12, SETTINGS)

    yearly = -np.log1p(-whole.estimate)
    np.testing.assert_allclose(-np.log1p(-in_months.estimate), 12 * yearly, rtol=0.02)


def test_where_e2_does_nothing_no_harm_is_shown():
    fit = fit_hazard(*first_events(600, no_harm, seed=5), SETTINGS)

    assert fit.verdict in (Verdict.INCONCLUSIVE, Verdict.FLAT)
    assert (fit.lower_limit.value_pg_ml, fit.upper_limit.value_pg_ml) == (None, None)


def test_a_clear_harm_is_found_among_eighteen_tests():
    """Replicates of a rare event's probability are skewed: tested on that scale p would be 0.005."""
    many = replace(SETTINGS, n_replicates=1000)

    fit = fit_hazard(*first_events(1500, harm_above_35), many)

    assert fit.evidence.p_high < 0.05 / 18
    assert fit.evidence.p_low > 0.05


@pytest.mark.slow
def test_where_e2_does_nothing_each_side_is_claimed_in_five_of_a_hundred_cohorts_at_most():
    fits = [fit_hazard(*first_events(500, no_harm, seed), SETTINGS) for seed in range(60)]

    for side in ("p_low", "p_high"):
        claimed = sum(getattr(fit.evidence, side) <= ALPHA for fit in fits)
        # The upper 99 % bound of 3 in 60.
        assert claimed <= 8


@pytest.mark.slow
def test_the_upper_limit_of_most_cohorts_covers_the_truth():
    fits = [fit_hazard(*first_events(1500, harm_above_35, seed), SETTINGS) for seed in range(30)]

    limits = [fit.upper_limit for fit in fits if fit.upper_limit.value_pg_ml is not None]
    held = [limit.ci_low < 49.1 < limit.ci_high for limit in limits]
    assert len(limits) >= 15
    assert np.mean(held) >= 0.85


def test_the_fit_with_an_offset_is_that_of_a_dense_newton():
    """Coefficients by Newton on numerical derivatives, smoothing by the likelihood's dense determinants."""
    data, years = first_events(900, harm_above_35)
    plan = replace(plan_curve([data], replace(SETTINGS, n_basis=8)), outcome_mean=0.0)
    columns, offset = plan.columns(data)[:, :-1], np.log(years)
    penalised = np.arange(columns.shape[1]) >= plan.n_fixed

    def score(beta, smoothing):
        hazard = np.exp(columns @ beta + offset)
        derivative = np.where(data.outcome > 0, hazard / np.expm1(hazard), -hazard)
        return columns.T @ derivative - smoothing * penalised * beta

    def information(beta, smoothing):
        return -np.stack(
            [
                (score(beta + step, smoothing) - score(beta - step, smoothing)) / 2e-5
                for step in 1e-5 * np.eye(len(beta))
            ]
        )

    def fitted_at(smoothing):
        beta = np.zeros(columns.shape[1])
        for _ in range(30):
            beta = beta + np.linalg.solve(information(beta, smoothing), score(beta, smoothing))
        return beta

    def restricted(log_smoothing):
        smoothing = np.exp(log_smoothing)
        beta = fitted_at(smoothing)
        hazard = np.exp(columns @ beta + offset)
        log_likelihood = np.where(data.outcome > 0, np.log(-np.expm1(-hazard)), -hazard).sum()
        determinant = np.linalg.slogdet(information(beta, smoothing))[1]
        roughness = smoothing * (penalised @ beta**2)
        return roughness - 2 * log_likelihood + determinant - penalised.sum() * log_smoothing

    ours = risk.fit(risk.Linear(columns, offset), data.outcome, plan.n_fixed)
    best = np.log(ours.smoothing)
    near = [restricted(best + step) for step in (-0.1, 0.0, 0.1)]

    np.testing.assert_allclose(ours.coefficients, fitted_at(ours.smoothing), rtol=0, atol=1e-6)
    np.testing.assert_allclose(ours.eta, columns @ ours.coefficients + offset)
    # The parabola through three points has its least value where ours is.
    off_by = 0.05 * (near[0] - near[2]) / (near[0] - 2 * near[1] + near[2])
    assert abs(off_by) < 1e-3


def test_too_few_first_events_are_refused():
    data, years = first_events(300, no_harm)
    few = np.zeros(len(data))
    few[: MIN_FIRST_EVENTS - 1] = 1

    with pytest.raises(TooLittleDataError) as refusal:
        fit_hazard(replace(data, outcome=few), years, SETTINGS)

    assert str(refusal.value) == (
        "a curve of first events needs at least 50 events; there are 49 events. Supply more men or a longer "
        "period."
    )
