import dataclasses

import numpy as np
import pytest

from e2analytics.models.gram_matrices import whole_gram
from e2analytics.models.plan import make_plan, summarise
from e2analytics.models.rows import CurveData


def rows_of(n, n_covariates=3):
    rng = np.random.default_rng(n)
    return CurveData.at_points(
        rng.normal(3, 0.5, n),
        rng.normal(size=n),
        np.arange(n) // 10,
        rng.normal(2026, 9, (n, n_covariates)),
    )


def planned(*parts):
    return make_plan(
        [summarise(part) for part in parts], n_basis=8, n_grid=10, central=(0.025, 0.975)
    )


@pytest.mark.parametrize("n", [1, 2, 40, 1023, 5000])
def test_the_range_of_e2_lies_between_quantiles_whatever_the_order_of_rows(n):
    data = rows_of(n)
    lower, upper = np.quantile(data.log_e2, [0.025, 0.975])

    assert planned(data).central == pytest.approx((lower, upper), rel=1e-14)
    assert planned(data.take(np.arange(n)[::-1])).central == planned(data).central


@pytest.mark.parametrize("n", [1, 1023, 1024, 5000])
@pytest.mark.parametrize("n_covariates", [0, 1, 3])
def test_columns_are_centred_by_their_means(n, n_covariates):
    data = rows_of(n, n_covariates)

    means = planned(data).covariate_means

    np.testing.assert_allclose(means, data.covariates.mean(axis=0), rtol=1e-14)


def test_the_layout_of_covariates_in_memory_changes_no_byte():
    data = rows_of(5000)
    by_column = dataclasses.replace(data, covariates=np.asfortranarray(data.covariates))
    weight = np.linspace(0.5, 2, 5000)

    means = planned(data).covariate_means
    gram = whole_gram(data, weight, planned(data))[0]

    assert planned(by_column).covariate_means.tobytes() == means.tobytes()
    assert whole_gram(by_column, weight, planned(by_column))[0].tobytes() == gram.tobytes()
