import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2analytics.models.dose_response.dose_effect import effect

DOSES = np.array([0.0, 0.25, 0.5, 1.0, 2.0, 3.5, 7.0])


@pytest.mark.parametrize(
    ("dose", "left"),
    [(0.0, 1.0), (0.32, 0.6), (1.5, 1 - 0.8 * 1.5 / 1.82), (1e9, 0.2)],  # Emax 0.8, ED50 0.32
)
def test_what_a_dose_leaves_of_e2(dose, left):
    found = effect(np.array([dose]), float(np.log(4)), float(np.log(0.32)))

    assert np.exp(found.log_ratio[0]) == pytest.approx(left)


@given(logit_emax=st.floats(-3, 4), log_ed50=st.floats(-3, 2))
def test_derivatives_are_those_of_the_curve_and_more_drug_leaves_less(logit_emax, log_ed50):
    found = effect(DOSES, logit_emax, log_ed50)

    step = 1e-6
    by_emax = (effect(DOSES, logit_emax + step, log_ed50).log_ratio - found.log_ratio) / step
    by_ed50 = (effect(DOSES, logit_emax, log_ed50 + step).log_ratio - found.log_ratio) / step
    np.testing.assert_allclose(found.by_logit_emax, by_emax, atol=1e-4)
    np.testing.assert_allclose(found.by_log_ed50, by_ed50, atol=1e-4)
    assert np.all(np.diff(found.log_ratio) < 0)
