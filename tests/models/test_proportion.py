import numpy as np
import pytest
from scipy import stats

from e2analytics.models.proportion import wilson


@pytest.mark.parametrize(
    ("numerator", "denominator", "low", "high"),
    [
        # Newcombe, Stat Med 1998;17:857, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_intervals_are_those_that_newcombe_printed(numerator, denominator, low, high):
    found = wilson([numerator], [denominator])

    assert found.ci_low[0] == pytest.approx(low, abs=5e-5)
    assert found.ci_high[0] == pytest.approx(high, abs=5e-5)


def test_an_end_lies_where_the_score_test_just_rejects():
    found = wilson([7], [40])

    for end in (found.ci_low[0], found.ci_high[0]):
        score = (7 / 40 - end) / np.sqrt(end * (1 - end) / 40)
        assert 2 * stats.norm.sf(abs(score)) == pytest.approx(0.05)


def test_none_and_all_end_at_zero_and_one_exactly():
    found = wilson([0, 12], [12, 12])

    assert (found.value[0], found.ci_low[0]) == (0.0, 0.0)
    assert (found.value[1], found.ci_high[1]) == (1.0, 1.0)
    assert found.ci_high[0] == pytest.approx(1 - found.ci_low[1])


def test_nobody_of_nobody_is_no_number():
    found = wilson([0], [0])

    assert np.isnan([found.value[0], found.ci_low[0], found.ci_high[0]]).all()


@pytest.mark.parametrize(("share", "n"), [(0.05, 30), (0.2, 15), (0.5, 50)])
def test_the_interval_holds_the_truth_about_95_times_in_100(share, n):
    counts = np.arange(n + 1)
    found = wilson(counts, np.full(n + 1, n))
    holds = (found.ci_low <= share) & (share <= found.ci_high)

    # Summed over all counts, not simulated: the score interval keeps 95 % on average, not at each point.
    assert 0.93 < stats.binom.pmf(counts, n, share)[holds].sum() < 0.985
