"""Whether two groups have one curve: how often a difference is found where there is none, and is one."""

import numpy as np
import pytest

from e2analytics.errors import TooLittleDataError
from e2analytics.models.curve import CurveSettings
from e2analytics.models.curve_comparison import p_of_same_shape
from e2analytics.models.rows import CurveData

SETTINGS = CurveSettings(n_replicates=1)


def cohort(n_men: int, seed: int, *, other_slope: float = 2.0, higher: float = 0.0):
    """Rows of which half the men, and one in three of the others' rows, are in the group."""
    rng = np.random.default_rng(seed)
    man = np.repeat(np.arange(n_men), 3)
    log_e2 = rng.normal(np.log(26), 0.45, len(man))
    member = (np.arange(len(man)) % 3 == 0) | (man % 2 == 0)
    slope = np.where(member, 2.0, other_slope)
    harm = -slope * np.maximum(np.log(20) - log_e2, 0)
    noise = rng.normal(0, 0.7, n_men)[man] + rng.normal(0, 1.5, len(man))
    return CurveData.at_points(log_e2, harm + higher * member + noise, man), member


@pytest.mark.slow
def test_one_shape_is_taken_for_two_in_one_of_twenty_cohorts():
    p = np.array([p_of_same_shape(*cohort(400, seed), SETTINGS) for seed in range(200)])

    # The 99 % binomial interval around 0.05.
    assert 0.015 <= np.mean(p <= 0.05) <= 0.095


def test_a_quick_look_at_the_same():
    p = np.array([p_of_same_shape(*cohort(300, seed), SETTINGS) for seed in range(40)])

    assert np.mean(p <= 0.05) <= 0.2
    assert 0.25 < np.mean(p) < 0.75


def test_two_shapes_are_found():
    assert p_of_same_shape(*cohort(1500, 1, other_slope=5.0), SETTINGS) < 0.001


def test_a_curve_that_only_lies_higher_has_the_same_shape():
    level = p_of_same_shape(*cohort(600, 1), SETTINGS)

    assert p_of_same_shape(*cohort(600, 1, higher=5.0), SETTINGS) == pytest.approx(level, abs=0.2)
    assert p_of_same_shape(*cohort(600, 1, higher=5.0), SETTINGS) > 0.05


def test_groups_that_hardly_overlap_are_not_compared():
    data, _ = cohort(600, 1)

    assert p_of_same_shape(data, data.log_e2 < np.log(25), SETTINGS) is None


def test_a_group_of_few_men_is_refused():
    data, _ = cohort(300, 1)

    with pytest.raises(TooLittleDataError, match="at least 30 men"):
        p_of_same_shape(data, data.patient < 20, SETTINGS)
