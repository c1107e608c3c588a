"""Likelihoods of readings against their definition: densities, probabilities, numerical derivatives."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from e2analytics.models.dose_response import assay
from e2analytics.models.dose_response.assay import Assays

ASSAYS = Assays(sd_ms=0.21, ia_slope=1.08, ia_constant_pg_ml=4.0, ia_cv=0.24, ia_sd_pg_ml=5.0)
LEVELS = np.log([[3.0, 8.0, 15.0, 22.0, 36.0, 70.0]])
LOGS = {  # parameter -> (field, is on the log scale)
    "log_sd_ms": ("sd_ms", True),
    "log_ia_slope": ("ia_slope", True),
    "ia_constant_pg_ml": ("ia_constant_pg_ml", False),
    "log_ia_cv": ("ia_cv", True),
    "log_ia_sd_pg_ml": ("ia_sd_pg_ml", True),
}
KINDS = {
    "exact immunoassay": lambda at, assays: assay.exact_immunoassay(at, np.array([18.0]), assays),
    "exact immunoassay near nothing": lambda at, assays: assay.exact_immunoassay(
        at, np.array([0.5]), assays
    ),
    "<5 by MS": lambda at, assays: assay.censored_ms(at, np.zeros(1), np.array([5.0]), assays),
    "10-20 by MS": lambda at, assays: assay.censored_ms(
        at, np.array([10.0]), np.array([20.0]), assays
    ),
    ">60 by MS": lambda at, assays: assay.censored_ms(
        at, np.array([60.0]), np.array([np.inf]), assays
    ),
    "<24 by immunoassay": lambda at, assays: assay.censored_immunoassay(
        at, np.zeros(1), np.array([24.0]), assays
    ),
    "10-24 by immunoassay": lambda at, assays: assay.censored_immunoassay(
        at, np.array([10.0]), np.array([24.0]), assays
    ),
    ">60 by immunoassay": lambda at, assays: assay.censored_immunoassay(
        at, np.array([60.0]), np.array([np.inf]), assays
    ),
}


def moved(parameter: str, by: float) -> Assays:
    field, is_log = LOGS[parameter]
    value = getattr(ASSAYS, field)
    return dataclasses.replace(ASSAYS, **{field: value * np.exp(by) if is_log else value + by})


@pytest.mark.parametrize("kind", KINDS)
def test_the_slope_is_the_derivative_by_the_level(kind):
    def value(at):
        return KINDS[kind](at, ASSAYS).value

    numeric = (value(LEVELS + 1e-5) - value(LEVELS - 1e-5)) / 2e-5

    np.testing.assert_allclose(KINDS[kind](LEVELS, ASSAYS).slope, numeric, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parameter", assay.PARAMETERS)
def test_partials_are_the_weighted_derivatives_by_the_assays_parameters(kind, parameter):
    weight = np.array([[0.1, 0.2, 0.3, 0.2, 0.15, 0.05]])

    def value(by):
        return float((weight * KINDS[kind](LEVELS, moved(parameter, by)).value).sum())

    numeric = (value(1e-5) - value(-1e-5)) / 2e-5
    analytic = KINDS[kind](LEVELS, ASSAYS).partials(weight)

    at = assay.PARAMETERS.index(parameter)
    assert analytic[0, at] == pytest.approx(numeric, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("e2", [1.0, 10.0, 40.0])
def test_the_density_of_an_immunoassay_integrates_to_one(e2):
    def density(reading):
        found = assay.exact_immunoassay(np.log([[e2]]), np.array([reading]), ASSAYS)
        return float(np.exp(found.value[0, 0]))

    assert quad(density, -60, 400, points=[e2], limit=200)[0] == pytest.approx(1, abs=1e-6)


def test_an_immunoassay_scatters_by_its_floor_at_the_low_end_and_by_its_cv_at_the_high_end():
    z = np.random.default_rng(0).standard_normal(200_000)

    def readings(e2):
        at, _ = assay.expected(np.array([np.log(e2)]), np.zeros(1, bool), ASSAYS)
        q = np.sinh(at + ASSAYS.ia_cv * z)
        return ASSAYS.ia_constant_pg_ml + q * ASSAYS.ia_sd_pg_ml / ASSAYS.ia_cv

    assert readings(0.01).std() == pytest.approx(5.0, rel=0.05)
    assert np.log(readings(1e4)).std() == pytest.approx(0.24, rel=0.01)
    assert np.median(readings(30.0)) == pytest.approx(4 + 1.08 * 30, rel=0.01)


@pytest.mark.parametrize("censored", [assay.censored_ms, assay.censored_immunoassay])
def test_the_probabilities_of_all_intervals_add_up_to_one(censored):
    bounds = [0.0, 5.0, 24.0, 60.0, np.inf]

    parts = [
        np.exp(censored(LEVELS, np.array([low]), np.array([high]), ASSAYS).value)
        for low, high in itertools.pairwise(bounds)
    ]

    np.testing.assert_allclose(sum(parts), 1, atol=1e-12)


def test_an_interval_is_the_integral_of_the_density_over_it():
    def density(reading):
        found = assay.exact_immunoassay(np.log([[15.0]]), np.array([reading]), ASSAYS)
        return float(np.exp(found.value[0, 0]))

    found = assay.censored_immunoassay(np.log([[15.0]]), np.array([10.0]), np.array([24.0]), ASSAYS)

    assert np.exp(found.value[0, 0]) == pytest.approx(quad(density, 10, 24)[0], rel=1e-8)


def test_a_bound_weighs_what_it_tells():
    at = np.log([[15.0]])

    below_24 = assay.censored_immunoassay(at, np.zeros(1), np.array([24.0]), ASSAYS)
    below_5 = assay.censored_ms(at, np.zeros(1), np.array([5.0]), ASSAYS)
    read = assay.exact_immunoassay(at, np.array([15.0]), ASSAYS)

    # A man at 15 reads below 24 most days; below 5 he never does.
    assert abs(below_24.slope[0, 0]) < 0.2 * abs(below_5.slope[0, 0])
    assert below_24.information[0, 0] < 0.5 * read.information[0, 0]


def test_a_level_falls_with_the_constant_as_a_reading_held_still_says():
    reading = np.array([18.0])

    def level(constant):
        assays = dataclasses.replace(ASSAYS, ia_constant_pg_ml=constant)
        steep = np.sinh(assay.on_scale(reading, np.zeros(1, bool), assays))
        return np.log(steep * assays.ia_sd_pg_ml / assays.ia_cv / assays.ia_slope)

    numeric = (level(4 - 1e-5) - level(4 + 1e-5)) / 2e-5

    found = assay.level_per_constant(level(4.0), reading, ASSAYS)
    np.testing.assert_allclose(found, numeric, rtol=1e-6)


@given(low=st.floats(-9, 9), width=st.floats(0.01, 9))
def test_a_normal_variable_between_bounds_has_the_moments_that_scipy_gives(low, width):
    found = assay.interval(np.array([low]), np.array([low + width]))

    known = stats.truncnorm(low, low + width)
    mass = stats.norm.cdf(-low) - stats.norm.cdf(-low - width)  # the right tail, mirrored
    if low < 0:
        mass = stats.norm.cdf(low + width) - stats.norm.cdf(low)
    assert np.exp(found.log_mass[0]) == pytest.approx(mass, rel=1e-6)
    assert found.mean[0] == pytest.approx(known.mean(), abs=1e-6)
    assert found.variance[0] == pytest.approx(known.var(), abs=1e-5)
    assert low <= found.mean[0] <= low + width


@pytest.mark.parametrize(
    ("low", "high"), [(-np.inf, -1e9), (1e9, np.inf), (-np.inf, -1e12), (-2e9, -1e9)]
)
def test_a_bound_far_beyond_all_men_gives_finite_numbers(low: float, high: float):
    found = assay.interval(np.array([low]), np.array([high]))

    assert np.isfinite(found.log_mass).all()
    assert np.isfinite(found.mean).all()
    assert (found.variance >= 0).all()
