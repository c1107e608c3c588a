"""The dose response's validation in small: its measures, and the rates that `make validate` shows at length."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from bench.validation import dose_flags, dose_recovery, moving_men
from bench.validation.dose_flags import SCENARIOS, score_rules
from bench.validation.dose_recovery import average_precision, calibration

RNG = np.random.default_rng(0)
P = RNG.uniform(0.02, 0.98, 20_000)
IS_SO = RNG.random(len(P)) < P


def test_average_precision_is_that_of_scikit_learn():
    assert average_precision(P, IS_SO) == pytest.approx(average_precision_score(IS_SO, P))


@pytest.mark.parametrize(("power", "shift"), [(1.0, 0.0), (2.0, 0.0), (1.0, 0.7)])
def test_calibration_finds_how_probabilities_were_bent(power, shift):
    said = 1 / (1 + np.exp(-(power * np.log(P / (1 - P)) - shift)))

    slope, intercept = calibration(said, IS_SO)

    assert slope == pytest.approx(1 / power, abs=0.03)
    if power == 1.0:
        assert intercept == pytest.approx(shift, abs=0.06)


def scores(scenario: str, seed: int) -> dict[str, dose_flags.RuleScore]:
    return {each.rule: each for each in score_rules((scenario, seed)).scores}


def test_the_model_tells_whom_the_drug_pushes_below_better_than_single_values(monkeypatch):
    monkeypatch.setattr(dose_flags, "N_MEN", 1_000)

    found = scores(SCENARIOS[1], 3)

    assert found["model"].average_precision > 0.9
    assert found["model"].average_precision > found["last value"].average_precision + 0.08
    assert found["model"].average_precision > found["oracle"].average_precision - 0.02
    assert found["model"].brier < found["mean on the drug"].brier - 0.03
    # Some eighty men pushed below bend a slope upwards by themselves: the oracle's shows how much.
    assert found["model"].slope == pytest.approx(found["oracle"].slope, abs=0.2)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_model_is_nearly_as_good_as_one_who_knows_the_parameters(scenario):
    cohorts = [scores(scenario, seed) for seed in range(500, 505)]

    def mean(rule: str, measure: str) -> float:
        return float(np.mean([getattr(each[rule], measure) for each in cohorts]))

    ranked = {rule: mean(rule, "average_precision") for rule in dose_flags.RULES}
    assert ranked["model"] > ranked["oracle"] - 0.025
    assert ranked["model"] > max(ranked["last value"], ranked["mean on the drug"])
    if scenario != "20 % of spells not taken" and scenario != "immunoassay only":
        assert mean("model", "slope") == pytest.approx(mean("oracle", "slope"), abs=0.2)


def test_one_draw_in_transition_stands_for_the_dose_that_has_its_effect():
    model = dose_recovery.fit(
        dose_recovery.simulate(dose_recovery.CohortDesign(200)).draws, dose_recovery.COVARIATES
    )

    found = dose_recovery.same_effect(model, np.array([1.0, 1.0]), np.array([0.5, 1.0]))

    effect = model.population.effect
    np.testing.assert_allclose(
        effect(found).log_ratio, [0.5, 1.0] * effect(np.array([1.0])).log_ratio
    )


def test_where_men_move_the_model_is_right_and_the_static_one_is_not(monkeypatch):
    name = "SD 0.25, 270 days, one man in five steps"
    small = replace(moving_men.MOVING_WORLDS[name], n_men=1_500)
    monkeypatch.setitem(moving_men.MOVING_WORLDS, name, small)

    found = {each.rule: each for each in moving_men.score((name, 3))}

    model, static, oracle = (found[rule] for rule in moving_men.MODELS)
    assert 0.93 < model.now_in_95 < 0.97
    assert 0.93 < model.off_in_95 < 0.97
    assert static.now_in_95 < 0.85
    assert model.average_precision > static.average_precision + 0.02
    assert model.average_precision > found["last value"].average_precision + 0.05
    assert model.average_precision > oracle.average_precision - 0.02
    assert model.slope == pytest.approx(1, abs=0.25)


# That next to nothing is found to move is told by the fit alone as well: tests/models/dose_response/test_fit.py.
@pytest.mark.slow
def test_where_nothing_moves_the_model_is_the_static_one(monkeypatch):
    name = "nothing moves"
    small = replace(moving_men.MOVING_WORLDS[name], n_men=1_500)
    monkeypatch.setitem(moving_men.MOVING_WORLDS, name, small)

    found = {each.rule: each for each in moving_men.score((name, 4))}

    model, static = found["model"], found["static model"]
    assert model.average_precision == pytest.approx(static.average_precision, abs=0.005)
    assert model.now_in_95 == pytest.approx(static.now_in_95, abs=0.015)
    assert model.sd_movement < 0.08


def test_a_missed_target_is_named_with_its_world_and_by_how_much():
    def scores(world: str, now: float, slope: float) -> list[moving_men.Score]:
        rules = (("model", 0.0), ("static model", 0.002))
        return [
            moving_men.Score(world, rule, 100, now - less, 0.95, 0.9 + less, slope, 0.1)
            for rule, less in rules
            for _ in range(2)
        ]

    said = moving_men.missed(
        [
            row
            for world in moving_men.MOVING_WORLDS
            for row in scores(world, *((0.9, 1.1) if world == "SD 0.15, 90 days" else (0.94, 1)))
        ]
    )

    assert said.splitlines()[2:4] == [
        "- *SD 0.15, 90 days*: intervals that hold E2 now, 0.900 ± 0.000, 0.93 to 0.97 is asked for",
        "- *SD 0.15, 90 days*: calibration slope 1.100 ± 0.000, 0.95 to 1.05 is asked for",
    ]
    assert said.endswith("static model: now +0.002, off +0.000, average precision -0.002.")
