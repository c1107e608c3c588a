import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from e2analytics.models.dose_response.exceedance import Levels, probabilities

LIMIT = 16.0


def man(off, off_sd, on, on_sd, correlation):
    return Levels(
        *(np.array([value]) for value in (np.log(off), off_sd, np.log(on), on_sd)),
        np.array([correlation * off_sd * on_sd]),
    )


def integrated(on_limit: float, off_limit: float, correlation: float) -> float:
    """P(x < on_limit, y > off_limit), by adaptive quadrature over x: scipy's own has five digits."""
    left = math.sqrt(1 - correlation**2)

    def density(x: float) -> float:
        above = math.erfc((off_limit - correlation * x) / left / math.sqrt(2)) / 2
        return math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi) * above

    end = min(on_limit, 9.0)
    bends = (
        [x for x in (off_limit / correlation, 0.0) if -9 < x < end]
        if abs(correlation) > 1e-6
        else None
    )
    return quad(density, -9.0, end, points=bends, epsabs=1e-12, limit=200)[0] if end > -9 else 0.0


@given(
    off=st.floats(8, 80),
    on=st.floats(4, 60),
    off_sd=st.floats(0.02, 0.6),
    on_sd=st.floats(0.02, 0.6),
    correlation=st.floats(-0.99, 0.99),
)
def test_the_joint_probability_is_that_of_two_normal_variables(off, on, off_sd, on_sd, correlation):
    found = probabilities(man(off, off_sd, on, on_sd, correlation), np.array([LIMIT]))

    on_limit, off_limit = np.log(LIMIT / on) / on_sd, np.log(LIMIT / off) / off_sd
    assert found.below[0] == pytest.approx(norm.cdf(on_limit), abs=1e-12)
    assert found.attributable[0] == pytest.approx(
        integrated(on_limit, off_limit, correlation), abs=1e-9
    )
    assert 0 <= found.attributable[0] <= found.below[0] <= 1


def test_what_is_low_without_the_drug_is_not_its_doing():
    low_anyway = probabilities(man(12, 0.1, 8, 0.1, 0.9), np.array([LIMIT]))
    by_the_drug = probabilities(man(36, 0.1, 8, 0.1, 0.9), np.array([LIMIT]))

    assert (round(low_anyway.below[0], 3), round(low_anyway.attributable[0], 3)) == (1.0, 0.002)
    assert (round(by_the_drug.below[0], 3), round(by_the_drug.attributable[0], 3)) == (1.0, 1.0)


def test_an_uncertain_limit_is_averaged_over():
    levels = man(36, 0.2, 15, 0.2, 0.5)

    each = [probabilities(levels, np.array([limit])) for limit in (12.0, 16.0, 22.0)]
    found = probabilities(levels, np.array([12.0, 16.0, 22.0]))

    assert found.below[0] == pytest.approx(np.mean([one.below[0] for one in each]))
    assert found.attributable[0] == pytest.approx(np.mean([one.attributable[0] for one in each]))
