"""Several outcomes judged together."""

from dataclasses import replace

import numpy as np
import pytest

from e2analytics.models.risk_curve import fit_hazard
from e2analytics.models.several_curves import holm, judge_together
from e2analytics.models.shape import Verdict
from tests.models.test_hazard_curve import SETTINGS, first_events, harm_above_35


def test_holm_multiplies_the_smallest_by_all_and_never_falls_behind():
    np.testing.assert_allclose(holm(np.array([0.04, 0.001, 0.03, 0.5])), [0.09, 0.004, 0.09, 0.5])
    np.testing.assert_allclose(holm(np.array([0.6, 0.9])), [1.0, 1.0])


@pytest.fixture(scope="module")
def harmed():
    return fit_hazard(*first_events(1500, harm_above_35), SETTINGS)


def test_one_curve_has_two_tests_and_keeps_a_clear_verdict(harmed):
    (again,) = judge_together([harmed], SETTINGS)

    assert again.evidence.p_high == pytest.approx(2 * harmed.evidence.p_high)
    assert again.verdict is Verdict.HIGH_SIDE_THRESHOLD
    assert again.upper_limit == harmed.upper_limit
    assert again.explanation.endswith("The p values of harm are corrected for 2 tests (Holm).")


def test_a_harm_that_only_its_own_test_shows_is_not_claimed_among_many(harmed):
    doubtful = replace(harmed, evidence=replace(harmed.evidence, p_high=0.04, p_low=0.9))

    alone = judge_together([doubtful], SETTINGS)[0]
    among = judge_together([doubtful, harmed, doubtful], SETTINGS)

    # 0.04 is not small enough for two tests, nor is it beside others.
    assert (alone.verdict, alone.upper_limit.value_pg_ml) == (Verdict.INCONCLUSIVE, None)
    assert [each.verdict for each in among] == [
        Verdict.INCONCLUSIVE, Verdict.HIGH_SIDE_THRESHOLD, Verdict.INCONCLUSIVE,
    ]  # fmt: skip


def test_a_curve_on_which_nothing_is_supported_is_no_test(harmed):
    untested = replace(harmed, evidence=None, verdict=Verdict.INCONCLUSIVE)

    judged = judge_together([untested, harmed], SETTINGS)

    assert judged[0] is untested
    assert judged[1].evidence.p_high == pytest.approx(2 * harmed.evidence.p_high)
