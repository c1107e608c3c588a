import numpy as np
import pytest

from e2analytics.models import shape
from e2analytics.models.shape import Evidence, Verdict
from e2analytics.tables.vocabulary import VERDICTS

LOG_E2 = np.linspace(np.log(10), np.log(60), 60)
MEN = np.full(60, 200.0)
NONE, SOME = 0.6, 0.01
DELTA = 0.5


def evidence(**p_values):
    p = dict.fromkeys(("p_low", "p_high", "p_bend", "p_gain_above", "p_gain_below"), NONE)
    return Evidence(**(p | p_values), bend_log_e2=np.log(20))


def replicates(benefit, spread=0.1, seed=0):
    """Replicates whose curves differ by a random straight line and a random arch."""
    rng = np.random.default_rng(seed)
    centred = LOG_E2 - LOG_E2.mean()
    errors = rng.normal(0, spread, (500, 3)) @ np.stack([np.ones(60), centred, centred**2])
    return benefit + errors


@pytest.mark.parametrize(
    ("found", "inside", "verdict"),
    [
        (evidence(p_low=SOME, p_high=SOME), True, Verdict.U_SHAPED),
        (evidence(p_low=SOME, p_high=SOME), False, Verdict.INCONCLUSIVE),
        (evidence(p_low=SOME, p_bend=SOME), False, Verdict.LOW_SIDE_THRESHOLD),
        (evidence(p_low=SOME), False, Verdict.RISING),
        # A bend beyond which there is more to gain is no plateau.
        (evidence(p_low=SOME, p_bend=SOME, p_gain_above=SOME), False, Verdict.RISING),
        (evidence(p_high=SOME, p_bend=SOME), False, Verdict.HIGH_SIDE_THRESHOLD),
        (evidence(p_high=SOME), False, Verdict.FALLING),
        (evidence(p_high=SOME, p_bend=SOME, p_gain_below=SOME), False, Verdict.FALLING),
        # A bend without harm on either side is not spoken about.
        (evidence(p_bend=SOME), True, Verdict.INCONCLUSIVE),
    ],
)
def test_the_verdict_is_earned_by_harm_on_each_side_and_a_bend(found, inside, verdict):
    assert shape.decide(found, best_is_inside=inside, stays_within_delta=False) is verdict


def test_what_stays_within_delta_is_flat_however_certain_its_slope():
    found = evidence(p_low=SOME, p_high=SOME)

    verdict = shape.decide(found, best_is_inside=True, stays_within_delta=True)

    assert verdict is Verdict.FLAT


def test_harm_at_low_e2_is_found_on_the_low_side_only():
    benefit = np.minimum(0, 3 * (LOG_E2 - np.log(20)))

    found = shape.weigh(LOG_E2, MEN, benefit, replicates(benefit), DELTA)

    assert found.p_low < 0.01
    assert found.p_bend < 0.01
    assert found.p_high > 0.05
    assert np.exp(found.bend_log_e2) == pytest.approx(20, rel=0.25)


@pytest.mark.parametrize(
    ("above", "gains"),
    [
        (0.0, False),
        # From 20 to 60 pg/mL a slope of 0.3 gains 0.33: less than what matters.
        (0.3, False),
        (1.5, True),
    ],
)
def test_a_plateau_is_one_unless_a_gain_that_matters_is_shown_beyond_the_bend(above, gains):
    beyond = LOG_E2 - np.log(20)
    benefit = np.where(beyond < 0, 3, above) * beyond

    found = shape.weigh(LOG_E2, MEN, benefit, replicates(benefit), DELTA)
    turned = shape.weigh(-LOG_E2[::-1], MEN, benefit[::-1], replicates(benefit)[:, ::-1], DELTA)

    assert found.p_bend < 0.01
    assert (found.p_gain_above <= 0.05) is gains
    assert (turned.p_gain_below <= 0.05) is gains


def test_turning_the_scale_round_swaps_the_sides():
    benefit = np.minimum(0, 3 * (LOG_E2 - np.log(20)))
    drawn = replicates(benefit)

    ahead = shape.weigh(LOG_E2, MEN, benefit, drawn, DELTA)
    back = shape.weigh(-LOG_E2[::-1], MEN[::-1], benefit[::-1], drawn[:, ::-1], DELTA)

    assert back.p_high == pytest.approx(ahead.p_low, abs=0.02)
    assert back.p_low == pytest.approx(ahead.p_high, abs=0.1)


def test_a_significant_quadratic_over_a_threshold_is_no_u():
    benefit = np.minimum(0, 3 * (LOG_E2 - np.log(20)))
    curvature, slope, _ = np.polyfit(LOG_E2, benefit, 2)
    assert curvature < 0
    assert LOG_E2[0] < -slope / (2 * curvature) < LOG_E2[-1]

    found = shape.weigh(LOG_E2, MEN, benefit, replicates(benefit, spread=0.05), DELTA)

    assert found.p_high > 0.05


def test_looking_for_the_best_breakpoint_costs_what_it_should():
    flat = np.zeros(60)
    curves, drawn = replicates(flat, seed=1), replicates(flat, seed=2)

    p_low = np.array([shape.weigh(LOG_E2, MEN, curve, drawn, DELTA).p_low for curve in curves])

    assert np.mean(p_low <= 0.05) == pytest.approx(0.05, abs=0.03)


def test_slopes_are_tested_on_the_scale_that_is_given_and_gains_on_that_of_benefit():
    threshold, line = np.minimum(0, 3 * (LOG_E2 - np.log(20))), LOG_E2 - np.log(20)

    found = shape.weigh(
        LOG_E2,
        MEN,
        line,
        replicates(line),
        DELTA,
        tested=threshold,
        tested_replicates=replicates(threshold),
    )
    alone = shape.weigh(LOG_E2, MEN, threshold, replicates(threshold), DELTA)

    assert (found.p_low, found.p_high, found.p_bend) == (alone.p_low, alone.p_high, alone.p_bend)
    # The line gains 1.1 from 20 to 60 pg/mL, the threshold nothing.
    assert found.p_gain_above < 0.01 < alone.p_gain_above


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_is_explained_in_a_sentence(verdict):
    sentence = shape.explain(verdict, evidence(), delta=0.5)

    assert sentence.endswith(".")
    assert sentence[0].isupper()


def test_the_explanation_names_both_tests_and_the_bend():
    found = evidence(p_low=SOME, p_bend=0.02)

    assert shape.explain(Verdict.LOW_SIDE_THRESHOLD, found, 0.5) == (
        "Outcomes worsen towards low E2 (p = 0.01) and level off above (bend most marked near "
        "20 pg/mL, p = 0.02; beyond it no further gain of 0.5 is shown); harm at high E2 is not shown (p = 0.6)."
    )


def test_a_table_may_hold_every_verdict_and_no_other():
    assert tuple(Verdict) == VERDICTS
