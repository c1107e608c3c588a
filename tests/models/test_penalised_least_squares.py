"""REML and GCV against mgcv (``tests/reference/curve_mgcv.R``) and against themselves written out."""

import json
from pathlib import Path

import numpy as np
import pytest

from e2analytics.models.penalised_least_squares import decompose
from e2analytics.models.plan import design
from e2analytics.models.pspline import Basis
from tests.models.weyl import rows_of

REFERENCE = Path(__file__).parents[1] / "reference" / "curve_mgcv.json"
MGCV = {
    name: {quantity: np.array(values) for quantity, values in case.items()}
    for name, case in json.loads(REFERENCE.read_text()).items()
}
LAST_DIGITS = 8 * np.finfo(np.float64).eps
BASIS = Basis(np.log(5), np.log(90), n_basis=12)
AT, BESIDE = np.log([7, 10, 14, 20, 28, 40, 60]), np.log([30.0])


class Fitted:
    """Our fit to the rows of a reference, described as R describes mgcv's."""

    def __init__(self, n, kind):
        rows = rows_of(n, kind)
        covariates = np.column_stack([rows.z1, rows.z2])
        self.means = np.append(covariates.mean(axis=0), rows.change.mean())
        columns = np.column_stack(
            [
                design(BASIS, BASIS.evaluate(rows.log_e2), covariates - self.means[:2]),
                rows.change - self.means[2],
            ]
        )
        gram = (columns * rows.weight[:, None]).T @ columns
        self.fit = decompose(gram[None], np.array([float(n)]), n_fixed=4)
        self.n = n

    def describe(self, smoothing):
        coefficients = self.fit.coefficients(smoothing)[0]
        contrast = columns_at(AT) - columns_at(BESIDE)
        scale = self.fit.scale(smoothing)

        def error(covariance):
            return np.sqrt(np.einsum("ij,jk,ik->i", contrast, covariance[0] * scale, contrast))

        at_zero = self.means[2] - self.means[:2] @ coefficients[2:4]
        edf = 4 + self.fit.spectrum.edf(smoothing)
        squares = self.fit.spectrum.residual_squares(smoothing)
        return {
            "contrast": contrast @ coefficients,
            "bayesian_se": error(self.fit.covariance(smoothing)),
            "frequentist_se": error(self.fit.sampling_covariance(smoothing)),
            "level": at_zero + columns_at(BESIDE) @ coefficients,
            "linear": coefficients[2:4],
            "edf": edf,
            "scale": scale,
            "gcv": self.n * squares / (self.n - edf) ** 2,
        }


def columns_at(log_e2):
    return design(BASIS, BASIS.evaluate(log_e2), np.zeros((len(log_e2), 2)))


def assert_alike(ours, theirs, digits, linear_digits=None):
    for quantity in ("contrast", "bayesian_se", "frequentist_se", "level", "linear"):
        allowed = linear_digits or digits if quantity == "linear" else digits
        # Relative to the largest: a contrast that happens to be near zero has fewer digits.
        within = 10.0**-allowed * np.abs(theirs[quantity]).max()
        if quantity == "level":
            # In one cohort it is 0.0001, a difference of what is as large as the curve: no arithmetic
            # has more digits of it than the curve's last ones.
            within = max(within, LAST_DIGITS * np.abs(theirs["contrast"]).max())
        np.testing.assert_allclose(
            ours[quantity], theirs[quantity], rtol=0, atol=within, err_msg=quantity
        )
    for quantity in ("edf", "scale"):
        np.testing.assert_allclose(ours[quantity], theirs[quantity], rtol=10.0**-digits)


@pytest.mark.parametrize("name", [name for name in MGCV if name.startswith("reml")])
def test_curve_errors_edf_and_scale_by_reml_are_those_of_mgcv(name):
    _, n, kind = name.split()
    fitted = Fitted(int(n), kind)

    ours = fitted.describe(fitted.fit.spectrum.reml())

    # Two nearly collinear covariates share their effect, and what each has of it is rounding beyond
    # the ninth digit; the curve does not notice.
    assert_alike(ours, MGCV[name], digits=11, linear_digits=9 if kind == "collinear" else 11)


@pytest.mark.parametrize("name", [name for name in MGCV if name.startswith("gcv")])
def test_curve_errors_edf_and_scale_by_gcv_are_those_of_mgcv(name):
    _, n, kind = name.split()
    fitted = Fitted(int(n), kind)

    at_theirs = fitted.describe(MGCV[name]["smoothing"])
    ours = fitted.describe(fitted.fit.spectrum.gcv())

    digits, linear_digits = (11, 9) if kind == "collinear" else (12, 12)
    assert_alike(at_theirs, MGCV[name], digits, linear_digits)
    np.testing.assert_allclose(at_theirs["gcv"], MGCV[name]["score"], rtol=1e-12)
    # The criterion is flat and mgcv stops short of its bottom: ours is never above it.
    assert ours["gcv"] <= MGCV[name]["score"] * (1 + 1e-12)
    assert_alike(ours, MGCV[name], digits=6)


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
    np.testing.assert_allclose(
        fit.spectrum.residual_squares(smoothing), residual @ residual, rtol=1e-10
    )


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

    best = fit.spectrum.reml()[0]
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
            together.coefficients(together.spectrum.reml())[i],
            alone.coefficients(alone.spectrum.reml())[0],
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
        doubled[:, :-1] @ two.coefficients(two.spectrum.reml())[0],
        plain[:, :-1] @ one.coefficients(one.spectrum.reml())[0],
        atol=1e-7,
    )


def test_a_spline_without_data_is_filled_in_by_the_penalty():
    basis = Basis(0.0, 1.0)
    x = np.linspace(0, 0.5, 200)
    columns = design(basis, basis.evaluate(x), np.empty((200, 0)))
    rows = np.column_stack([columns, np.sin(4 * x) + np.random.default_rng(4).normal(0, 0.1, 200)])

    fit = decompose((rows.T @ rows)[None], np.array([200.0]), n_fixed=2)
    at_end = design(basis, basis.evaluate(np.array([1.0])), np.empty((1, 0)))

    assert np.isfinite(at_end @ fit.coefficients(fit.spectrum.reml())[0]).all()


def test_an_outcome_that_is_a_straight_line_has_no_wiggle():
    basis = Basis(0.0, 1.0)
    x = np.linspace(0, 1, 100)
    noise = np.random.default_rng(5).normal(0, 0.01, 100)
    rows = np.column_stack([design(basis, basis.evaluate(x), np.empty((100, 0))), x + noise])

    fit = decompose((rows.T @ rows)[None], np.array([100.0]), n_fixed=2)

    assert fit.spectrum.edf(fit.spectrum.reml())[0] < 0.5
