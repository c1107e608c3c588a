"""The complementary log-log model against mgcv (``tests/reference/curve_mgcv.R``)."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from e2analytics.models import risk
from e2analytics.models.plan import design
from e2analytics.models.pspline import Basis
from tests.models.weyl import rows_of

REFERENCE = Path(__file__).parents[1] / "reference" / "curve_mgcv.json"
MGCV = {
    name: {quantity: np.array(values) for quantity, values in case.items()}
    for name, case in json.loads(REFERENCE.read_text()).items()
    if name.startswith(("risk", "hazard"))
}
BASIS = Basis(np.log(5), np.log(90), n_basis=12)


def described(n, kind="risk"):
    """Our fit to the rows of a reference, described as R describes mgcv's.

    Log years are a covariate of a risk and an offset of a hazard.
    """
    rows = rows_of(n, "risk")
    covariates = np.column_stack([rows.z1, rows.z2, rows.log_years])
    offset = 0.0
    if kind == "hazard":
        covariates, offset = covariates[:, :2], rows.log_years
    n_covariates = covariates.shape[1]
    n_fixed = 2 + n_covariates

    def columns_at(log_e2):
        return design(BASIS, BASIS.evaluate(log_e2), np.zeros((len(log_e2), n_covariates)))

    columns = design(BASIS, BASIS.evaluate(rows.log_e2), covariates)
    fit = risk.fit(risk.Linear(columns, offset), rows.lost, n_fixed)
    information = risk.expected_information(columns, fit.eta)
    penalty = np.diag(fit.smoothing * (np.arange(columns.shape[1]) >= n_fixed))
    bayesian = np.linalg.inv(information + penalty)
    frequentist = bayesian @ information @ bayesian
    beside = columns_at(np.log([30.0]))
    contrast = columns_at(np.log([7, 10, 14, 20, 28, 40, 60])) - beside

    def error(covariance):
        return np.sqrt(np.einsum("ij,jk,ik->i", contrast, covariance, contrast))

    return {
        "contrast": contrast @ fit.coefficients,
        "bayesian_se": error(bayesian),
        "frequentist_se": error(frequentist),
        "level": beside @ fit.coefficients,
        "linear": fit.coefficients[2:n_fixed],
        "edf": np.trace(bayesian @ information),
        "smoothing": fit.smoothing,
    }


@pytest.mark.parametrize("kind", ["risk", "hazard"])
@pytest.mark.parametrize("n", [1000, 10_000])
def test_the_risk_is_that_of_mgcv_to_eleven_digits(n, kind):
    ours = described(n, kind)

    for quantity, value in ours.items():
        theirs = MGCV[f"{kind} {n}"][quantity]
        # Relative to the largest: a contrast that happens to be near zero has fewer digits.
        within = 1e-11 * np.abs(theirs).max()
        np.testing.assert_allclose(value, theirs, rtol=0, atol=within, err_msg=quantity)


def test_where_only_a_line_is_left_the_risk_is_that_of_mgcv_too():
    ours = described(200)

    # Both stop the search somewhere on the way to infinite smoothing.
    assert min(ours["smoothing"], MGCV["risk 200"]["smoothing"][0]) > 1e7
    for quantity in ("contrast", "bayesian_se", "level", "linear", "edf"):
        np.testing.assert_allclose(
            ours[quantity], MGCV["risk 200"][quantity], rtol=1e-9, err_msg=quantity
        )


@pytest.mark.parametrize("event", [0.0, 1.0])
@pytest.mark.parametrize("eta", [-12.0, -5.0, -4.6, -1.0, 0.0, 2.0])
def test_working_rows_expand_the_likelihood(eta, event):
    """Score and information are the derivatives of the log-likelihood."""

    def score(at):
        rows = risk.working(at, np.array([event]))
        return float((rows.weight * (rows.outcome - at))[0])

    rows = risk.working(np.array([eta]), np.array([event]))
    likelihood = approx_fprime(
        np.array([eta]), lambda at: risk.log_likelihood(at, np.array([event])), 1e-6
    )
    information = -approx_fprime(np.array([eta]), score, 1e-6)

    assert score(np.array([eta])) == pytest.approx(likelihood[0], rel=1e-4, abs=1e-8)
    assert rows.weight[0] == pytest.approx(information[0], rel=1e-3, abs=1e-8)
    change = approx_fprime(
        np.array([eta]), lambda at: risk.working(at, np.array([event])).weight[0], 1e-6
    )
    assert rows.slope[0] == pytest.approx(change[0], rel=1e-3, abs=1e-8)


def test_the_series_for_small_hazards_meets_the_formula():
    below, above = np.log([0.01 - 1e-12, 0.01 + 1e-12])

    weights = risk.working(np.array([below, above]), np.ones(2)).weight

    assert weights[0] == pytest.approx(weights[1], rel=1e-9)


def test_probabilities_keep_their_digits_at_either_end():
    np.testing.assert_allclose(
        risk.probability(np.array([-40.0, 0.0, 4.0])), [4.248354255e-18, 0.63212055883, 1.0]
    )
