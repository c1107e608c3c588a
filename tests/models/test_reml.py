"""REML against mgcv (``tests/reference/curve_mgcv.R``) and against itself written out."""

import json
from pathlib import Path

import numpy as np
import pytest

from e2analytics.models.pspline import Basis
from e2analytics.models.reml import decompose
from e2analytics.models.smooth import design

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.fixture(scope="module")
def mgcv():
    numbers = json.loads((REFERENCE / "curve_mgcv.json").read_text())
    return {name: np.array(values) for name, values in numbers.items()}


@pytest.fixture(scope="module")
def basis(mgcv):
    return Basis(float(mgcv["lower"][0]), float(mgcv["upper"][0]), int(mgcv["n_basis"][0]))


@pytest.fixture(scope="module")
def fit(basis):
    x, z1, z2, weight, y = np.loadtxt(
        REFERENCE / "curve_mgcv_data.csv", delimiter=",", skiprows=1, unpack=True
    )
    columns = design(basis, basis.evaluate(x), np.column_stack([z1, z2]))
    rows = np.column_stack([columns, y])
    gram = (rows * weight[:, None]).T @ rows
    return decompose(gram[None], np.array([float(len(y))]), n_fixed=4)


def columns_at(basis, log_e2):
    return design(basis, basis.evaluate(log_e2), np.zeros((len(log_e2), 2)))


def test_the_curve_is_that_of_mgcv_to_ten_digits(fit, basis, mgcv):
    coefficients = fit.coefficients(fit.smoothing())[0]
    reference = columns_at(basis, mgcv["reference_log_e2"])
    contrast = columns_at(basis, mgcv["at_log_e2"]) - reference

    np.testing.assert_allclose(contrast @ coefficients, mgcv["contrast"], rtol=1e-10)
    np.testing.assert_allclose(reference @ coefficients, mgcv["level"], rtol=1e-10)
    np.testing.assert_allclose(coefficients[2:4], mgcv["covariates"], rtol=1e-10)


def test_standard_errors_edf_scale_and_smoothing_are_those_of_mgcv(fit, basis, mgcv):
    smoothing = fit.smoothing()
    covariance = fit.covariance(smoothing)[0] * fit.scale(smoothing)
    contrast = columns_at(basis, mgcv["at_log_e2"]) - columns_at(basis, mgcv["reference_log_e2"])
    errors = np.sqrt(np.einsum("ij,jk,ik->i", contrast, covariance, contrast))

    np.testing.assert_allclose(errors, mgcv["contrast_se"], rtol=1e-10)
    np.testing.assert_allclose(4 + fit.penalised_edf(smoothing), mgcv["edf"], rtol=1e-10)
    np.testing.assert_allclose(fit.scale(smoothing), mgcv["scale"], rtol=1e-10)
    np.testing.assert_allclose(smoothing, mgcv["smoothing"], rtol=1e-8)


def test_coefficients_solve_the_penalised_normal_equations():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 8))
    gram = rows.T @ rows
    smoothing = np.array([3.0])
    stiff = gram[:7, :7] + np.diag([0.0] * 3 + [3.0] * 4)

    fit = decompose(gram[None], np.array([50.0]), n_fixed=3)

    np.testing.assert_allclose(
        fit.coefficients(smoothing)[0], np.linalg.solve(stiff, gram[:7, 7]), rtol=1e-10
    )
    np.testing.assert_allclose(fit.covariance(smoothing)[0], np.linalg.inv(stiff), rtol=1e-9)
    residual = rows[:, 7] - rows[:, :7] @ fit.coefficients(smoothing)[0]
    np.testing.assert_allclose(fit.residual_squares(smoothing), residual @ residual, rtol=1e-10)


def test_smoothing_is_where_the_restricted_likelihood_peaks():
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(80, 9))
    rows[:, -1] += rows[:, 3:8] @ rng.normal(0, 0.3, 5)
    fit = decompose((rows.T @ rows)[None], np.array([80.0]), n_fixed=3)

    def likelihood(smoothing):
        """Written out: y is normal with variance scale (I + Z Z' / smoothing), scale profiled."""
        fixed, random, y = rows[:, :3], rows[:, 3:8], rows[:, 8]
        variance = np.eye(80) + random @ random.T / smoothing
        inverse = np.linalg.inv(variance)
        information = fixed.T @ inverse @ fixed
        beta = np.linalg.solve(information, fixed.T @ inverse @ y)
        left = y - fixed @ beta
        logs = np.linalg.slogdet(variance)[1] + np.linalg.slogdet(information)[1]
        return -77 / 2 * np.log(left @ inverse @ left) - logs / 2

    best = fit.smoothing()[0]
    around = [likelihood(best * factor) for factor in (0.99, 1.0, 1.01)]

    assert np.argmax(around) == 1


def test_many_data_sets_at_once_give_what_each_gives_alone():
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(20, 40, 9))
    grams, n_rows = rows.swapaxes(1, 2) @ rows, np.full(20, 40.0)

    together = decompose(grams, n_rows, 3)

    for i in range(20):
        alone = decompose(grams[i : i + 1], n_rows[:1], 3)
        np.testing.assert_allclose(
            together.coefficients(together.smoothing())[i],
            alone.coefficients(alone.smoothing())[0],
            rtol=1e-8,
            atol=1e-10,
        )


def test_a_collinear_covariate_is_left_out_and_changes_no_prediction():
    rng = np.random.default_rng(3)
    fixed, penalised, y = rng.normal(size=(60, 2)), rng.normal(size=(60, 4)), rng.normal(size=60)
    doubled = np.column_stack([fixed, fixed[:, 0] + fixed[:, 1], penalised, y])
    plain = np.column_stack([fixed, penalised, y])
    n_rows = np.array([60.0])

    one = decompose((plain.T @ plain)[None], n_rows, 2)
    two = decompose((doubled.T @ doubled)[None], n_rows, 3)

    assert two.fixed_rank == 2
    np.testing.assert_allclose(
        doubled[:, :-1] @ two.coefficients(two.smoothing())[0],
        plain[:, :-1] @ one.coefficients(one.smoothing())[0],
        atol=1e-7,
    )


def test_a_spline_without_data_is_filled_in_by_the_penalty():
    basis = Basis(0.0, 1.0)
    x = np.linspace(0, 0.5, 200)
    columns = design(basis, basis.evaluate(x), np.empty((200, 0)))
    rows = np.column_stack([columns, np.sin(4 * x) + np.random.default_rng(4).normal(0, 0.1, 200)])

    fit = decompose((rows.T @ rows)[None], np.array([200.0]), n_fixed=2)
    at_end = design(basis, basis.evaluate(np.array([1.0])), np.empty((1, 0)))

    assert np.isfinite(at_end @ fit.coefficients(fit.smoothing())[0]).all()


def test_an_outcome_that_is_a_straight_line_has_no_wiggle():
    basis = Basis(0.0, 1.0)
    x = np.linspace(0, 1, 100)
    noise = np.random.default_rng(5).normal(0, 0.01, 100)
    rows = np.column_stack([design(basis, basis.evaluate(x), np.empty((100, 0))), x + noise])

    fit = decompose((rows.T @ rows)[None], np.array([100.0]), n_fixed=2)

    assert fit.penalised_edf(fit.smoothing())[0] < 0.5
