import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2analytics.models import plan as planning
from e2analytics.models.gram_matrices import collect, whole_gram
from e2analytics.models.plan import make_plan, summarise
from e2analytics.models.rows import CurveData


def rows_of(patient, n_covariates=2):
    rng = np.random.default_rng(0)
    n = len(patient)
    return CurveData.at_points(
        rng.uniform(2, 4, n), rng.normal(size=n), patient, rng.normal(50, 9, (n, n_covariates))
    )


def planned(parts):
    return make_plan(
        [summarise(part) for part in parts], n_basis=8, n_grid=10, central=(0.025, 0.975)
    )


@settings(deadline=None)
@given(patient=st.lists(st.integers(-5, 5), min_size=1, max_size=40))
def test_grams_of_men_add_up_to_the_gram_of_all_rows(patient):
    data = rows_of(np.array(patient))
    weight = np.linspace(0.5, 2, len(patient))
    plan = planned([data])
    columns = plan.columns(data)

    grams = collect(data, weight, plan)
    whole, n_rows = grams.whole()

    np.testing.assert_allclose(whole[0], (columns * weight[:, None]).T @ columns, atol=1e-9)
    np.testing.assert_allclose(whole_gram(data, weight, plan)[0], whole, atol=1e-9)
    assert n_rows == len(patient)
    assert len(grams.upper) == len(set(patient))


def test_the_gram_of_a_man_is_that_of_his_rows():
    data = rows_of(np.array([7, 2, 7, 2, 7]))
    plan = planned([data])
    his = plan.columns(data.take(data.patient == 7))

    grams = collect(data, np.ones(5), plan)

    np.testing.assert_allclose(grams.square(grams.upper)[1], his.T @ his, atol=1e-9)
    np.testing.assert_array_equal(grams.n_rows, [2, 3])


@pytest.mark.parametrize("weight", [np.ones(3000), np.linspace(0.5, 2, 3000)])
def test_rows_at_points_have_the_gram_of_the_same_rows_in_two_equal_episodes(weight):
    points = rows_of(np.arange(3000) // 10)
    twice = dataclasses.replace(
        points,
        log_e2_mean=points.log_e2_mean.repeat(2, axis=1),
        log_e2_sd=np.zeros((3000, 2)),
        episode_weight=np.full((3000, 2), 0.5),
    )
    plan = planned([points])

    of_points = whole_gram(points, weight, plan)[0]

    np.testing.assert_allclose(of_points, whole_gram(twice, weight, plan)[0], atol=1e-9)


@pytest.mark.parametrize("mean", [2026.0, 1e6])
def test_a_covariate_far_from_zero_loses_no_digits(mean):
    near = rows_of(np.arange(3000) // 10, n_covariates=1)
    near = dataclasses.replace(near, covariates=np.round(near.covariates, 3))
    far = dataclasses.replace(near, covariates=near.covariates + mean)
    weight = np.linspace(0.5, 2, 3000)

    gram = whole_gram(far, weight, planned([far]))[0]

    # What a sum of 1e6 and a thousandth itself leaves of the thousandth.
    expected = whole_gram(near, weight, planned([near]))[0]
    np.testing.assert_allclose(gram, expected, rtol=1e-10, atol=1e-10 * expected.max())


@pytest.mark.parametrize("n_parts", [2, 8, 64])
def test_parts_that_keep_each_man_whole_add_up_to_all(n_parts):
    data = rows_of(np.random.default_rng(1).integers(0, 300, 2000))
    weight = np.random.default_rng(2).uniform(0.5, 2, 2000)
    plan = planned([data])
    parts = dataclasses.replace(data, sampling_variance=weight).parts(n_parts)

    together = planned(parts)
    added = [collect(part, part.sampling_variance, together) for part in parts]
    whole = collect(data, weight, plan)

    assert sum(len(part) for part in parts) == 2000
    np.testing.assert_array_equal(together.basis.knots, plan.basis.knots)
    np.testing.assert_allclose(
        sum(added[1:], start=added[0]).upper, whole.upper, rtol=1e-9, atol=1e-10
    )


def test_very_many_men_are_resampled_in_groups_of_neighbours(monkeypatch):
    monkeypatch.setattr(planning, "MAX_CLUSTERS", 10)
    data = rows_of(np.arange(25).repeat(2))
    plan = planned([data])

    grams = collect(data, np.ones(50), plan)

    # 25 men in at most 10 groups: three men each, the last group one.
    np.testing.assert_array_equal(grams.n_rows, [6] * 8 + [2])
    np.testing.assert_allclose(grams.whole()[0], whole_gram(data, np.ones(50), plan)[0], atol=1e-10)
