"""The curve within and between men, against least squares written out and against a known truth."""

from collections.abc import Callable

import numpy as np
import pytest

from e2analytics.errors import TooLittleDataError
from e2analytics.models.contrast import contrast
from e2analytics.models.curve import CurveSettings, fit_curve, plan_curve
from e2analytics.models.rows import CurveData
from e2analytics.models.within import fit_between, fit_within, split

SETTINGS = CurveSettings(n_replicates=100)
TRUE_EFFECT = -2 * np.log(20 / 12)


def cohort(n_men: int, *, of_man: float, rows: int = 3) -> CurveData:
    """A threshold at 20 pg/mL, and men whose own level goes with their bone by ``of_man``."""
    rng = np.random.default_rng(1)
    man = np.repeat(np.arange(n_men), rows)
    own = rng.normal(np.log(26), 0.35, n_men)
    log_e2 = own[man] + rng.normal(0, 0.3, len(man))
    change = -2 * np.maximum(np.log(20) - log_e2, 0) + of_man * (own[man] - np.log(26))
    shared = rng.normal(0, 0.5, n_men)
    age = rng.normal(50, 10, n_men)[man]
    noise = shared[man] + 0.02 * age + rng.normal(0, 1.5, len(man))
    return CurveData.at_points(log_e2, change + noise, man, age[:, None])


def test_the_two_parts_of_a_mans_matrix_are_those_of_his_deviations_and_his_means():
    data = cohort(40, of_man=0.0)
    weight = np.random.default_rng(2).uniform(0.5, 2, len(data))
    plan = plan_curve([data], SETTINGS)

    within, between = split(data, weight, plan)

    rows = plan.columns(data)
    means = np.stack([np.average(rows[s], axis=0, weights=weight[s]) for s in _men(40)])
    deviations = (rows - np.repeat(means, 3, axis=0)) * np.sqrt(weight)[:, None]
    means *= np.sqrt(weight.reshape(40, 3).sum(axis=1))[:, None]
    varies = np.ones(plan.n_columns)
    varies[[0, 2]] = 0  # The constant, and age, which stays the same in a man.
    expected = deviations.T @ deviations * np.outer(varies, varies)
    np.testing.assert_allclose(within.whole()[0][0], expected, atol=1e-9)
    np.testing.assert_allclose(between.whole()[0][0], means.T @ means, atol=1e-8)
    assert (within.whole()[1][0], between.whole()[1][0]) == (80, 40)


def _men(n_men: int) -> list[slice]:
    return [slice(3 * man, 3 * man + 3) for man in range(n_men)]


def test_men_are_taken_apart_before_they_are_resampled_in_groups(monkeypatch: pytest.MonkeyPatch):
    data = cohort(40, of_man=0.0)
    plan = plan_curve([data], SETTINGS)
    one_by_one = split(data, np.ones(len(data)), plan)

    monkeypatch.setattr("e2analytics.models.plan.MAX_CLUSTERS", 20)
    monkeypatch.setattr("e2analytics.models.within.MAX_CLUSTERS", 20)
    in_pairs = split(data, np.ones(len(data)), plan)

    assert in_pairs[0].upper.shape[0] == 20
    for grouped, alone in zip(in_pairs, one_by_one, strict=True):
        paired = alone.upper.reshape(20, 2, -1).sum(axis=1)
        np.testing.assert_allclose(grouped.upper, paired, atol=1e-9)


def test_what_belongs_to_the_man_and_not_to_e2_cancels_within_him():
    data = cohort(2000, of_man=2.0)

    crude, within, between = (
        contrast(fit(data, SETTINGS), 12, 25) for fit in (fit_curve, fit_within, fit_between)
    )

    assert within is not None
    assert crude is not None
    assert between is not None
    assert within.ci_low[0] < TRUE_EFFECT < within.ci_high[0]
    assert crude.ci_high[0] < TRUE_EFFECT
    assert between.ci_high[0] < crude.estimate[0]


def test_without_such_men_all_three_agree_with_the_truth():
    data = cohort(2000, of_man=0.0)

    for fit in (fit_curve, fit_within, fit_between):
        found = contrast(fit(data, SETTINGS), 12, 25)
        assert found is not None
        assert found.ci_low[0] < TRUE_EFFECT < found.ci_high[0]


def test_men_with_one_interval_say_nothing_within_themselves():
    with pytest.raises(TooLittleDataError, match="at least 30 men"):
        fit_within(cohort(200, of_man=0.0, rows=1), SETTINGS)


def test_there_is_no_effect_where_one_of_the_levels_is_not_supported():
    fitted = fit_curve(cohort(300, of_man=0.0), SETTINGS)

    assert contrast(fitted, 3, 25) is None
    assert contrast(fitted, 20, 25) is not None


@pytest.mark.parametrize(
    ("moves", "n_changing"),
    [(0.0, 0), (1e-12, 0), (1e-6, 0), (1.0, 12)],
    ids=["not at all", "by rounding", "by less than an assay shows", "in twelve men"],
)
def test_men_whose_e2_stays_the_same_show_no_curve_within_men(moves: float, n_changing: int):
    data = cohort(40, of_man=0.0)
    own = np.repeat(np.random.default_rng(3).normal(3.3, 0.4, 40), 3)
    changing = data.patient < 12 if n_changing else np.full(120, True)
    log_e2 = own + np.where(changing, moves * np.tile([0.0, 0.3, 0.1], 40), 0.0)
    still = CurveData.at_points(log_e2, data.outcome, data.patient, data.covariates)

    with pytest.raises(
        TooLittleDataError, match=f"at least 30 men whose E2 differs .* {n_changing}\\."
    ):
        fit_within(still, SETTINGS)


@pytest.mark.parametrize("fit", [fit_curve, fit_between])
@pytest.mark.parametrize("spread", [0.0, 1e-12, 1e-4])
def test_one_e2_for_all_shows_no_curve(fit: Callable[..., object], spread: float):
    data = cohort(40, of_man=0.0)
    same = np.log(26) + spread * np.linspace(0, 1, len(data))
    alike = CurveData.at_points(same, data.outcome, data.patient, data.covariates)

    with pytest.raises(TooLittleDataError, match="intervals that differ in E2"):
        fit(alike, SETTINGS)
