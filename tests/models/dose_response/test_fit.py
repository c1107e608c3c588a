"""What men have in common: against nlme and lme4, and against truths that made the data."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from e2analytics.errors import TooLittleDataError
from e2analytics.models.dose_response import fit as dose_response
from e2analytics.models.dose_response.fit import PRIORS, DoseResponse, Prior, fit
from e2analytics.models.dose_response.predict import random_effects
from e2analytics.models.dose_response.types import PARAMETERS, Draws
from e2analytics.simulate.dose_cohorts import COVARIATES, TRUE, CohortDesign, simulate
from tests.models.weyl import bell, weyl

REFERENCE, MOVEMENT = (
    json.loads((Path(__file__).parents[2] / "reference" / f"dose_response_{name}.json").read_text())
    for name in ("lme", "movement")
)
# With one dose for all, Emax alone says what it does; ED50 is held where it is. Immunoassay has no draw here:
# its priors stand by themselves. All else is flat.
HELD = {
    "log_ed50": Prior(-3.0, 1e-6, "held"),
    "log_sd_movement": Prior(np.log(1e-6), 1e-6, "nothing moves"),
    "log_days_movement": PRIORS["log_days_movement"],
    "log_sd_jump": Prior(np.log(1e-6), 1e-6, "nothing moves"),
    **{name: prior for name, prior in PRIORS.items() if "_ia_" in name or name.startswith("ia_")},
}
FOUR_DIGITS = 1e-4
# All parameters but those of movement and jumps, which stand last.
STILL = slice(-3)


@pytest.fixture(scope="module")
def of_4000_men() -> DoseResponse:
    """The fit to men in whom nothing moves, on the drug and off it."""
    return fit(simulate(CohortDesign(n_men=4000, seed=1)).draws, COVARIATES)


def linear_case(n_men: int) -> Draws:
    """Make the draws of ``reference/dose_response_lme.R``."""
    count = 2 + np.floor(7 * weyl(n_men, 1)).astype(int)
    man = np.repeat(np.arange(n_men), count)
    place = np.arange(len(man)) - np.repeat(np.cumsum(count) - count, count) + 1
    on = ((man + 1) % 3 != 0) & (place > count[man] / 3)
    level = 0.4 * bell(n_men, 2)
    response = -0.3 * level + 0.25 * bell(n_men, 14)
    x = bell(len(man), 2)
    log_e2 = 3.5 + 0.3 * x - 0.9 * on + level[man] + on * response[man] + 0.22 * bell(len(man), 26)
    e2 = np.exp(log_e2)
    return Draws(
        man,
        e2,
        e2,
        np.ones(len(man), bool),
        on.astype(float),
        np.column_stack([np.ones(len(man)), x]),
        90.0 * place,
        np.zeros(len(man), int),
        n_men,
    )


def moving_case(n_men: int) -> Draws:
    """Make the draws of ``reference/dose_response_movement.R``."""
    count = 4 + np.floor(7 * weyl(n_men, 1)).astype(int)
    man = np.repeat(np.arange(n_men), count)
    n = len(man)
    place = np.arange(n) - np.repeat(np.cumsum(count) - count, count) + 1
    on = ((man + 1) % 3 != 0) & (place > count[man] / 3)
    gap = 40 + 160 * weyl(n, 38)
    day = np.cumsum(gap)
    day -= (day - gap)[np.cumsum(count) - count][man]
    level = 0.4 * bell(n_men, 2)
    response = -0.3 * level + 0.25 * bell(n_men, 14)
    x, step = bell(n, 2), 0.25 * bell(2 * n, 14)[n:]
    moved, kept = step.copy(), np.exp(-gap / 270)
    for j in np.flatnonzero(place > 1):
        moved[j] = kept[j] * moved[j - 1] + np.sqrt(1 - kept[j] ** 2) * step[j]
    log_e2 = 3.5 + 0.3 * x - 0.9 * on + level[man] + on * response[man] + moved
    e2 = np.exp(log_e2 + 0.22 * bell(n, 26))
    return Draws(
        man,
        e2,
        e2,
        np.ones(n, bool),
        on.astype(float),
        np.column_stack([np.ones(n), x]),
        day,
        np.zeros(n, int),
        n_men,
    )


def as_nlme_has_it(model: DoseResponse) -> tuple[np.ndarray, np.ndarray]:
    """Return (constant, x, effect of the drug, SD of level, SD of response, correlation, residual SD).

    And the Jacobian of (the same, spreads as log SD, log SD, atanh correlation, log SD) by our parameters.
    """
    at = model.population
    level, residual = np.exp(at.log_sd_level), at.assays.sd_ms
    through_level, by_itself = at.response_per_level * level, np.exp(at.log_sd_response)
    response = np.hypot(through_level, by_itself)
    correlation = through_level / response
    dose = at.effect(np.array([1.0]))
    jacobian = np.zeros((7, len(model.vector)))
    place = {name: model.names.index(name) for name in model.names}
    jacobian[0, 0] = jacobian[1, 1] = 1
    jacobian[2, place["logit_emax"]] = dose.by_logit_emax[0]
    jacobian[3, place["log_sd_level"]] = 1
    through, itself = (
        correlation**2,
        by_itself**2 / response**2,
    )  # shares of the response's variance
    jacobian[4, place["log_sd_level"]] = through
    jacobian[4, place["log_sd_response"]] = itself
    jacobian[4, place["response_per_level"]] = level * correlation / response
    # atanh r = asinh(through level / by itself).
    jacobian[5, place["log_sd_level"]] = correlation
    jacobian[5, place["log_sd_response"]] = -correlation
    jacobian[5, place["response_per_level"]] = level / response
    jacobian[6, place["log_sd_ms"]] = 1
    values = [*model.vector[:2], dose.log_ratio[0], level, response, correlation, residual]
    return np.array(values), jacobian


@pytest.mark.parametrize("n_men", [200, 2000])
def test_the_linear_special_case_is_that_of_nlme_and_lme4(n_men):
    known = REFERENCE[f"{n_men} men"]
    draws = linear_case(n_men)

    model = fit(draws, COVARIATES, priors=HELD)
    values, jacobian = as_nlme_has_it(model)
    free = [i for i, name in enumerate(model.names) if name not in HELD]
    information = np.linalg.inv(model.covariance[np.ix_(free, free)])
    at_known_spreads = np.linalg.inv(information[:3, :3])  # constant, x, Emax
    to_effect = np.diag([1, 1, jacobian[2, model.names.index("logit_emax")]])
    se_of_fixed = np.sqrt(np.diag(to_effect @ at_known_spreads @ to_effect.T))
    se_of_all = np.sqrt(np.diag(jacobian @ model.covariance @ jacobian.T))

    n_draws = known["n_draws"][0]
    assert model.n_draws == n_draws
    # The density is that of log E2, as theirs.
    assert model.log_likelihood == pytest.approx(known["log_likelihood_nlme"][0], abs=1e-5)
    for by in ("nlme", "lme4"):
        np.testing.assert_allclose(values[:3], known[f"fixed_{by}"], rtol=FOUR_DIGITS)
        np.testing.assert_allclose(se_of_fixed, known[f"fixed_se_{by}"], rtol=FOUR_DIGITS)
    np.testing.assert_allclose(values[3:], known["spread_lme4"], rtol=FOUR_DIGITS)
    # nlme prints three digits of the correlation.
    np.testing.assert_allclose(values[3:], known["spread_nlme"], rtol=1e-3)
    np.testing.assert_allclose(se_of_all, known["se_of_all"], rtol=FOUR_DIGITS)


def test_movement_is_that_of_nlme():
    known = MOVEMENT["300 men"]
    free = ("log_sd_movement", "log_days_movement")

    model = fit(
        moving_case(300),
        COVARIATES,
        priors={name: prior for name, prior in HELD.items() if name not in free},
    )
    values, jacobian = as_nlme_has_it(model)
    found = model.population
    movement = [np.exp(found.log_sd_movement), np.exp(found.log_days_movement)]
    spreads = [*values[3:6], *movement, values[6]]
    place = {name: model.names.index(name) for name in model.names}
    by_movement = np.eye(len(model.names))[[place[name] for name in free]]
    jacobian = np.vstack([jacobian[:6], by_movement, jacobian[6:]])
    covariance = jacobian @ model.covariance @ jacobian.T
    # nlme gives the error of fixed effects at known spreads.
    at_known_spreads = np.linalg.inv(np.linalg.inv(covariance)[:3, :3])

    assert model.n_draws == known["n_draws"][0]
    assert model.log_likelihood == pytest.approx(known["log_likelihood_nlme"][0], abs=1e-4)
    np.testing.assert_allclose(values[:3], known["fixed_nlme"], rtol=FOUR_DIGITS)
    np.testing.assert_allclose(spreads, known["spread_nlme"], rtol=FOUR_DIGITS)
    np.testing.assert_allclose(
        np.sqrt(np.diag(at_known_spreads)), known["fixed_se_nlme"], rtol=FOUR_DIGITS
    )
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), known["se_of_all"], rtol=FOUR_DIGITS)


def test_men_s_own_effects_are_those_of_lme4():
    known = REFERENCE["2000 men"]
    draws = linear_case(2000)

    found = random_effects(fit(draws, COVARIATES, priors=HELD), draws)

    np.testing.assert_allclose(found.mean[:6, 0], known["level_lme4"], rtol=1e-3)
    np.testing.assert_allclose(found.mean[:6, 1], known["response_lme4"], rtol=1e-3)


def test_recovers_the_parameters_that_made_the_data(of_4000_men: DoseResponse):
    model = of_4000_men

    away = (model.vector - TRUE.vector)[STILL] / model.standard_error[STILL]
    # 12 parameters: one in 60 cohorts has one farther than 3.4 standard errors out.
    assert np.abs(away).max() < 3.4, dict(zip(model.names, away.round(1), strict=False))
    assert model.n_censored > 1000
    # Where nothing moves, next to nothing is found that does.
    assert np.exp(model.population.log_sd_movement) < 0.06


def test_recovers_the_movement_that_made_the_data():
    plan = CohortDesign(n_men=4000, seed=1, drift_sd=0.25, step_share=0.2)
    draws = simulate(plan).draws

    model = fit(draws, COVARIATES)

    away = (model.vector - plan.truth.vector) / model.standard_error
    assert np.abs(away).max() < 3.4, dict(zip(model.names, away.round(1), strict=True))
    shares = model.prior_share()
    assert shares["log_sd_movement"] < 0.02
    assert shares["log_sd_jump"] < 0.1
    # nlme's error of the log of the days, for as many draws as those by mass spectrometry: immunoassay only adds.
    n_ms = int(np.sum(draws.ms & draws.is_exact))
    known = MOVEMENT["300 men"]
    at_most = known["se_of_all"][7] * np.sqrt(known["n_draws"][0] / n_ms)
    assert model.standard_error[model.names.index("log_days_movement")] < at_most


@pytest.mark.slow
def test_standard_errors_cover_the_truth_in_95_of_100_cohorts():
    inside = []
    for seed in range(25):
        model = fit(
            simulate(CohortDesign(n_men=300, n_draws=(2, 4, 8), seed=seed)).draws, COVARIATES
        )
        inside.append((np.abs(model.vector - TRUE.vector) < 1.96 * model.standard_error)[STILL])

    # 25 cohorts x 12 parameters, nearly independent: 0.95 - 3 x 0.0126.
    assert np.mean(inside) > 0.912


@pytest.mark.slow
def test_every_parameter_is_covered_in_95_of_100_cohorts():
    inside = []
    for seed in range(300):
        model = fit(simulate(CohortDesign(n_men=800, seed=1000 + seed)).draws, COVARIATES)
        inside.append((np.abs(model.vector - TRUE.vector) < 1.96 * model.standard_error)[STILL])

    coverage = dict(zip(model.names, np.mean(inside, axis=0).tolist(), strict=False))
    # Three binomial standard errors; weak priors may make an interval a little too wide.
    assert min(coverage.values()) > 0.95 - 3 * np.sqrt(0.95 * 0.05 / 300), coverage


def test_what_the_data_cannot_carry_stays_at_its_prior_and_says_so(of_4000_men: DoseResponse):
    never_on = simulate(CohortDesign(n_men=200, seed=3)).draws
    never_on = never_on.take(never_on.dose_mg_per_week == 0)

    alone, together = fit(never_on, COVARIATES), of_4000_men

    assert alone.population.logit_emax == pytest.approx(PRIORS["logit_emax"].mean, abs=1e-6)
    assert alone.population.log_ed50 == pytest.approx(PRIORS["log_ed50"].mean, abs=1e-6)
    assert alone.prior_share()["log_ed50"] == pytest.approx(1)
    assert together.prior_share()["log_ed50"] < 0.01
    assert together.prior_share()["logit_emax"] < 0.01


def test_all_results_censored_still_give_an_answer():
    draws = simulate(CohortDesign(n_men=100, ms_share=0.0, seed=4)).draws
    below = Draws(
        draws.man,
        np.zeros(len(draws.man)),
        np.full(len(draws.man), 24.0),
        draws.ms,
        draws.dose_mg_per_week,
        draws.covariates,
        draws.day,
        draws.segment,
        draws.n_men,
    )

    model = fit(below, COVARIATES, priors={**PRIORS, "constant": Prior(np.log(30), 1.0, "test")})

    assert np.isfinite(model.standard_error).all()
    assert model.n_censored == model.n_draws


def test_the_order_of_rows_and_men_does_not_matter():
    draws = simulate(CohortDesign(n_men=120, seed=5)).draws
    rng = np.random.default_rng(0)
    shuffled = draws.take(rng.permutation(len(draws.man)))
    renamed = Draws(
        rng.permutation(draws.n_men)[shuffled.man],
        shuffled.low_pg_ml,
        shuffled.high_pg_ml,
        shuffled.ms,
        shuffled.dose_mg_per_week,
        shuffled.covariates,
        shuffled.day,
        shuffled.segment,
        draws.n_men,
    )

    usual, other = fit(draws, COVARIATES), fit(renamed, COVARIATES)

    np.testing.assert_allclose(other.vector, usual.vector, atol=1e-4)
    np.testing.assert_allclose(other.standard_error, usual.standard_error, rtol=1e-3)


def test_the_same_draws_give_the_same_last_digit():
    draws = simulate(CohortDesign(n_men=120, seed=6)).draws

    assert fit(draws, COVARIATES).vector.tobytes() == fit(draws, COVARIATES).vector.tobytes()


def test_fewer_than_thirty_men_are_refused():
    with pytest.raises(ValueError, match="29 men have an E2 draw; 30 are needed"):
        fit(simulate(CohortDesign(n_men=29)).draws, COVARIATES)


def test_every_prior_is_of_a_parameter_and_says_where_it_is_from():
    assert set(PRIORS) == set(PARAMETERS)
    assert all(prior.source for prior in dose_response.PRIORS.values())


def test_where_it_starts_does_not_matter():
    draws = simulate(CohortDesign(n_men=200, seed=7)).draws
    other = fit(simulate(CohortDesign(n_men=200, seed=8)).draws, COVARIATES)

    usual, from_other = fit(draws, COVARIATES), fit(draws, COVARIATES, start=other)

    np.testing.assert_allclose(from_other.vector, usual.vector, atol=1e-5)
    np.testing.assert_allclose(from_other.standard_error, usual.standard_error, rtol=1e-4)


def test_a_rough_fit_lies_near_the_exact_one():
    draws = simulate(CohortDesign(n_men=400, seed=9)).draws

    exact, rough = fit(draws, COVARIATES), fit(draws, COVARIATES, approximate=True)

    away = (rough.vector - exact.vector) / exact.standard_error
    assert np.abs(away).max() < 1.5
    assert rough.log_likelihood == pytest.approx(exact.log_likelihood, abs=2)
    # Nothing moves here, so that the data say next to nothing of how.
    np.testing.assert_allclose(rough.standard_error[STILL], exact.standard_error[STILL], rtol=0.5)


def test_of_many_men_a_sample_says_how_the_top_bends_and_touches_no_estimate(monkeypatch):
    draws = simulate(CohortDesign(n_men=900, seed=10, drift_sd=0.25, step_share=0.2)).draws
    of_all = fit(draws, COVARIATES)
    monkeypatch.setattr(dose_response, "_MEN_FOR_CURVATURE", 450)

    of_sample = fit(draws, COVARIATES)

    np.testing.assert_allclose(of_sample.vector, of_all.vector, atol=1e-5)
    assert not np.array_equal(of_sample.covariance, of_all.covariance)
    # Half of 900 men; half of 40,000 says it seven times as closely.
    np.testing.assert_allclose(of_sample.standard_error, of_all.standard_error, rtol=0.3)


def readings(*values: float, ms: bool = True) -> Draws:
    """Give each of 40 men these readings, half a year apart, off the drug."""
    count = 40 * len(values)
    low = np.tile(np.array(values), 40)
    return Draws(
        np.repeat(np.arange(40), len(values)),
        low,
        low,
        np.full(count, ms),
        np.zeros(count),
        np.ones((count, 1)),
        np.tile(180.0 * np.arange(len(values)), 40),
        np.zeros(count, int),
        40,
    )


@pytest.mark.parametrize("values", [(25.0, 25.0, 25.0), (25.0, 25.01), (25.0, 25.1, 25.3, 24.9)])
@pytest.mark.parametrize("ms", [True, False])
def test_readings_that_hardly_differ_are_refused(values: tuple[float, ...], ms: bool):
    with pytest.raises(TooLittleDataError, match="hardly differ from man to man"):
        fit(readings(*values, ms=ms), ["constant"])


def test_a_variance_is_never_negative_where_men_differ_by_whole_numbers_alone():
    rng = np.random.default_rng(1)
    few_levels = readings(20.0, 30.0)
    values = rng.choice([20.0, 25.0, 30.0], 80)
    model = fit(replace(few_levels, low_pg_ml=values, high_pg_ml=values), ["constant"])

    assert (np.diag(model.covariance) > 0).all()
    assert np.linalg.eigvalsh(model.covariance)[0] > 0


def test_immunoassay_at_odds_with_itself_does_not_determine_where_men_lie():
    # Below 5 and at 25-44 by turns, as no man is: additive error alone would explain it, with E2 at 0.0001.
    rng = np.random.default_rng(1)
    low = np.where(np.arange(240) % 3 == 2, rng.uniform(25, 44, 240), 0.0)
    high = np.where(low > 0, low, 5.0)
    by_turns = replace(readings(*range(6), ms=False), low_pg_ml=low, high_pg_ml=high)

    with pytest.raises(TooLittleDataError):
        fit(by_turns, ["constant"])
