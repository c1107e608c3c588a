"""E2 of men at any dose, against Henderson's equations, and how often intervals hold the truth."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pytest

from e2analytics.models.dose_response.fit import PRIORS, DoseResponse, Prior, fit
from e2analytics.models.dose_response.predict import (
    ahead,
    predict,
    random_effects,
    sample,
    sample_shifts,
    suppression,
)
from e2analytics.models.dose_response.types import PARAMETERS
from e2analytics.simulate.dose_cohorts import COVARIATES, TRUE, CohortDesign, DoseCohort, simulate

NAMES = (*COVARIATES, *PARAMETERS)
DOSES = np.array([0.0, 0.25, 0.5, 1.0, 2.0, 3.5, 7.0])


def with_covariance(covariance: np.ndarray) -> DoseResponse:
    return DoseResponse(NAMES, TRUE.vector, covariance, 0.0, 100, 1000, 0)


KNOWN = with_covariance(np.zeros((len(NAMES), len(NAMES))))


def normal_draws() -> DoseCohort:
    """Exact results by mass spectrometry alone: all is linear in coefficients and the dose's two parameters."""
    men = simulate(CohortDesign(n_men=25, n_draws=(1, 3, 5), ms_share=1.0, seed=2))
    return dataclasses.replace(men, draws=men.draws.take(men.draws.is_exact))


def henderson(men: DoseCohort, man: int) -> tuple[np.ndarray, np.ndarray]:
    """Solve the mixed model equations of all men at once; return covariances.

    Of (coefficients, Emax, ED50), and of the level off the drug and on 1 mg of one man.
    """
    draws = men.draws
    n, m = draws.n_men, len(draws.man)
    dose = TRUE.effect(draws.dose_mg_per_week)
    fixed = np.column_stack([draws.covariates, dose.by_logit_emax, dose.by_log_ed50])
    own_part = np.zeros((m, 2 * n))
    own_part[np.arange(m), 2 * draws.man] = 1
    own_part[np.arange(m), 2 * draws.man + 1] = draws.dose_mg_per_week > 0
    design = np.hstack([fixed, own_part])
    information = design.T @ design / TRUE.assays.sd_ms**2
    p = fixed.shape[1]
    information[p:, p:] += np.kron(np.eye(n), np.linalg.inv(TRUE.spreads.of_effects))
    covariance = np.linalg.inv(information)
    one_mg = TRUE.effect(np.array([0.0, 1.0]))
    wanted = np.zeros((2, p + 2 * n))
    wanted[:, :2] = men.usual[man]
    wanted[:, 2], wanted[:, 3] = one_mg.by_logit_emax, one_mg.by_log_ed50
    wanted[:, p + 2 * man] = 1
    wanted[1, p + 2 * man + 1] = 1
    return covariance[:p, :p], wanted @ covariance @ wanted.T


@pytest.mark.parametrize("kind", ["on the drug", "never on it"])
def test_uncertainty_is_that_of_henderson_s_equations(kind):
    men = normal_draws()
    takes = men.dose_mg_per_week > 0
    man = int(np.flatnonzero(takes if kind == "on the drug" else ~takes)[0])
    of_fixed, expected = henderson(men, man)
    covariance = np.zeros((len(NAMES), len(NAMES)))
    covariance[:4, :4] = of_fixed
    response = with_covariance(covariance)

    found = predict(
        response, random_effects(response, men.draws), men.usual, np.tile([0.0, 1.0], (25, 1))
    )

    np.testing.assert_allclose(found.covariance[man], expected, rtol=1e-8)


def test_a_man_without_a_draw_is_as_all_men_are():
    men = normal_draws()
    nobody = dataclasses.replace(
        men, draws=dataclasses.replace(men.draws.take(men.draws.man != 3), n_men=26)
    )

    found = predict(
        KNOWN, random_effects(KNOWN, nobody.draws), np.tile([1.0, 0.0], (26, 1)), np.zeros((26, 1))
    )

    for man in (3, 25):
        assert found.mean[man, 0] == pytest.approx(np.log(36))
        assert found.sd[man, 0] == pytest.approx(0.4)


def test_a_man_s_result_does_not_depend_on_the_others():
    men = simulate(CohortDesign(n_men=40, seed=4))
    alone = men.draws.take(men.draws.man == 7)

    together, by_himself = random_effects(KNOWN, men.draws), random_effects(KNOWN, alone)

    np.testing.assert_allclose(by_himself.mean[7], together.mean[7], atol=1e-10)
    np.testing.assert_allclose(by_himself.covariance[7], together.covariance[7], atol=1e-10)
    np.testing.assert_allclose(
        by_himself.fall_per_parameter[7], together.fall_per_parameter[7], atol=1e-10
    )


def test_levels_at_all_doses_fall_together_and_are_joint():
    men = simulate(CohortDesign(n_men=400, seed=5))
    model = fit(men.draws, COVARIATES)

    found = predict(model, random_effects(model, men.draws), men.usual, np.tile(DOSES, (400, 1)))

    assert np.all(np.diff(found.mean[:, 1:], axis=1) < 0)
    eigenvalues = np.linalg.eigvalsh(found.covariance)
    assert eigenvalues.min() > -1e-10
    correlation = found.covariance[:, 3, 4] / found.sd[:, 3] / found.sd[:, 4]
    assert correlation.min() > 0.8  # 1 and 2 mg share level and response
    # Of a man drawn at his dose the dose curve hardly matters; of one never on the drug it is all there is.
    many = men.n_draws >= 8
    at = np.arange(400), np.searchsorted(DOSES, men.dose_mg_per_week.clip(0, 2))
    takes = men.dose_mg_per_week > 0
    assert np.median(found.sd[at][takes & many]) < 0.13
    assert np.median(found.sd[~takes & many][:, 3]) > 0.2


def test_doubt_about_covariates_adds_to_every_dose():
    men = normal_draws()
    dose = np.tile([0.0, 1.0], (25, 1))

    sure = predict(KNOWN, random_effects(KNOWN, men.draws), men.usual, dose)
    unsure = predict(KNOWN, random_effects(KNOWN, men.draws), men.usual, dose, np.full(25, 0.04))

    np.testing.assert_allclose(unsure.covariance - sure.covariance, 0.04, atol=1e-12)


def test_suppression_is_the_average_man_s():
    low, middle, high = suppression(KNOWN, np.array([0.32, 1.5]))

    np.testing.assert_allclose(middle, [0.4, 0.8 * 1.5 / 1.82])
    np.testing.assert_allclose(low, high)  # nothing is left open


def held(
    n_men: int, seeds: range, *, priors: Mapping[str, Prior] = PRIORS, **world: float
) -> dict[str, np.ndarray]:
    """Return whether the men's intervals hold the truth, 50 and 95 %, off the drug and now, by number of draws."""
    inside: dict[str, list[np.ndarray]] = {"off": [], "now": [], "draws": []}
    for seed in seeds:
        men = simulate(CohortDesign(n_men=n_men, seed=seed, **world))
        model = fit(men.draws, COVARIATES, priors=priors)
        doses = np.column_stack([np.zeros(n_men), men.dose_mg_per_week])
        now = ahead(model, random_effects(model, men.draws), men.day, men.segment)
        found = predict(model, now, men.usual, doses)
        truth = np.column_stack([men.off_log_e2, men.now_log_e2])
        away = np.abs(truth - found.mean) / found.sd
        for i, name in enumerate(("off", "now")):
            inside[name].append(away[:, [i]] < [0.674, 1.960])
        inside["draws"].append(men.n_draws)
    return {name: np.concatenate(values) for name, values in inside.items()}


def check(found: dict[str, np.ndarray]) -> None:
    for when in ("off", "now"):
        for count in (1, 2, 4, 8, 16):
            own_part = found[when][found["draws"] == count]
            error = 3.5 * np.sqrt(np.array([0.25, 0.0475]) / len(own_part))
            # And half a per cent for the shape of a posterior that is not quite normal.
            assert np.all(np.abs(own_part.mean(axis=0) - [0.5, 0.95]) < error + 0.005), (
                when,
                count,
            )


def test_men_s_intervals_hold_the_truth_as_often_as_they_say():
    check(held(3000, range(1)))


def test_men_s_intervals_hold_the_truth_where_men_move():
    check(held(3000, range(1, 2), drift_sd=0.25, step_share=0.2))


def test_later_on_a_man_is_as_sure_as_he_was_but_for_his_movement():
    plan = CohortDesign(n_men=30, drift_sd=0.3, step_share=0.5, seed=6)
    men, moves = simulate(plan), dataclasses.replace(KNOWN, vector=plan.truth.vector)
    effects = random_effects(moves, men.draws)
    after = effects.day + 10_000.0

    later = ahead(moves, effects, after, effects.segment)
    changed = ahead(moves, effects, after, effects.segment + 2)

    np.testing.assert_allclose(later.mean[:, :2], effects.mean[:, :2])
    np.testing.assert_allclose(later.mean[:, 2], 0, atol=1e-12)
    np.testing.assert_allclose(later.covariance[:, 2, 2], 0.09)
    wider = changed.covariance - later.covariance
    np.testing.assert_allclose(wider[:, 0, 0], 2 * 0.04)
    assert np.count_nonzero(wider) == 30


@pytest.mark.slow
def test_men_s_intervals_hold_the_truth_over_many_cohorts_where_men_are_known_not_to_move():
    still = {**PRIORS, "log_sd_movement": Prior(float(np.log(1e-3)), 0.01, "known")}
    check(held(1000, range(100, 140), priors=still))


@pytest.mark.slow
def test_men_s_intervals_hold_the_truth_over_many_cohorts_that_do_not_move_but_might():
    # An SD is never estimated below 0, so that the fewer the men, the wider their intervals where it is 0: of cohorts
    # of 1,000, 95 % intervals of men with 16 draws hold 95.8 %.
    check(held(4000, range(200, 210)))


@pytest.mark.slow
@pytest.mark.xfail(
    reason="An SD is never estimated below 0: of 1,000 men of 8 draws, 53 and 96 % lie in 50 and 95 % intervals.",
    strict=True,
)
def test_men_s_intervals_hold_the_truth_over_many_cohorts():
    check(held(1000, range(100, 140)))


def test_samples_are_of_what_is_predicted():
    men = normal_draws()
    covariance = np.zeros((len(NAMES), len(NAMES)))
    covariance[:4, :4] = henderson(men, 0)[0]
    response = with_covariance(covariance)
    effects, doses = random_effects(response, men.draws), np.tile([0.5, 1.0], (25, 1))
    of_testosterone = np.full(25, 0.01)
    rng = np.random.default_rng(1)
    n = 20_000

    sampled = sample(
        response,
        effects,
        men.usual,
        doses,
        of_testosterone,
        sample_shifts(response, n, rng),
        rng,
    )

    said = predict(response, effects, men.usual, doses, of_testosterone)
    assert sampled.shape == (n, 25, 2)
    z = (sampled.mean(axis=0) - said.mean) / (said.sd / np.sqrt(n))
    assert np.abs(z).max() < 4.5
    found = np.array([np.cov(sampled[:, man].T) for man in range(25)])
    # A sample variance of n normal numbers has a relative standard error of sqrt(2 / n), 1 % here.
    np.testing.assert_allclose(found, said.covariance, rtol=0.045)


def expected_at_half_the_dose(seed: int) -> tuple[int, np.ndarray]:
    """Men truly below 16 pg/mL at half their dose, and samples of their number."""
    plan = CohortDesign(n_men=500, seed=seed)
    men = simulate(plan)
    takes = np.flatnonzero(men.dose_mg_per_week > 0)
    dose = men.dose_mg_per_week[takes]
    shallower = TRUE.effect(dose / 2).log_ratio - TRUE.effect(dose).log_ratio
    truly = int(np.sum(men.now_log_e2[takes] + shallower < np.log(16)))
    response = fit(men.draws, COVARIATES)
    effects = ahead(response, random_effects(response, men.draws), men.day, men.segment).take(takes)
    rng = np.random.default_rng(seed)
    sampled = sample(
        response,
        effects,
        men.usual[takes],
        dose[:, None] / 2,
        np.zeros(len(takes)),
        sample_shifts(response, 1_000, rng),
        rng,
    )
    return truly, (sampled[..., 0] < np.log(16)).sum(axis=1)


@pytest.mark.slow
def test_intervals_of_a_count_at_half_the_dose_hold_the_truth_as_often_as_they_say():
    cohorts = 60
    held, apart = 0, []
    for seed in range(cohorts):
        truly, counts = expected_at_half_the_dose(seed)
        low, high = np.quantile(counts, [0.025, 0.975])
        held += low <= truly <= high
        apart.append(truly - counts.mean())
    # Of 60 cohorts 95 % is 57; 52 or fewer has a chance of 3 %.
    assert held > 52
    assert abs(np.mean(apart)) < 3 * np.std(apart) / np.sqrt(cohorts)
