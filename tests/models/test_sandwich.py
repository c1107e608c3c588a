import numpy as np
import pytest

from e2analytics.models.gram_matrices import ClusterGrams
from e2analytics.models.sandwich import influence

N_MEN, ROWS_EACH = 60, 4


@pytest.fixture
def regression():
    """Sixty men with four rows each, a straight line, and an error that each man shares."""
    rng = np.random.default_rng(0)
    man = np.repeat(np.arange(N_MEN), ROWS_EACH)
    x = np.column_stack([np.ones(len(man)), rng.normal(size=len(man))])
    y = x @ [1.0, 2.0] + rng.normal(size=N_MEN)[man] + rng.normal(size=len(man))
    return man, x, y


def grams_of(man, rows):
    each = [rows[man == one].T @ rows[man == one] for one in np.unique(man)]
    upper = np.stack([gram[np.triu_indices(rows.shape[1])] for gram in each])
    return ClusterGrams(upper, np.bincount(man).astype(float), rows.shape[1])


def test_errors_are_those_of_leaving_out_one_man_at_a_time(regression):
    man, x, y = regression
    coefficients = np.linalg.lstsq(x, y)[0]
    without = np.stack([np.linalg.lstsq(x[man != one], y[man != one])[0] for one in range(N_MEN)])
    jackknife = (N_MEN - 1) / N_MEN * ((without - coefficients) ** 2).sum(axis=0)

    found = influence(grams_of(man, np.column_stack([x, y])), coefficients, np.linalg.inv(x.T @ x))

    np.testing.assert_allclose((found.of_coefficients**2).sum(axis=0), jackknife, rtol=1e-3)


def test_degrees_of_freedom_count_the_men_that_a_contrast_rests_on(regression):
    man, x, y = regression
    bread = np.linalg.inv(x.T @ x)
    share = np.array(
        [[(x[man == one] @ bread)[:, 0] @ (x[man == one] @ bread)[:, 0]] for one in range(N_MEN)]
    )

    found = influence(grams_of(man, np.column_stack([x, y])), np.zeros(2), bread)

    # Of the intercept; nearly all sixty men tell it alike.
    expected = share.sum() ** 2 / (share**2).sum()
    assert found.dof(np.array([[1.0, 0.0]]))[0] == pytest.approx(expected)
    assert 50 < expected < 60
