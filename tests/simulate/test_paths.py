import numpy as np
import pytest

from e2analytics.simulate import SimulationSettings
from e2analytics.simulate.cohort import recruit
from e2analytics.simulate.paths import Spans, trace
from e2analytics.simulate.treatment import Spells
from e2analytics.simulate.truth import spine_change_pct

SETTINGS = SimulationSettings(patients=100)
MEN = recruit(SETTINGS, np.random.default_rng(1))
MAN = 3
# He takes regime 5 (0.5 mg three times a week) from day 400 to day 800.
SPELLS = Spells(np.array([MAN]), np.array([400]), np.array([800]), np.array([5]), np.array([False]))


def traced(days: list[int], spans: list[tuple[int, int]]):
    first, last = np.array(spans).T
    man = np.full(len(days), MAN)
    return trace(
        MEN, SPELLS, man, np.array(days), Spans(np.full(len(spans), MAN), first, last), SETTINGS
    )


def test_e2_moves_with_the_half_life_and_is_steady_and_washed_out_after_14_days():
    off = MEN.log_e2_off[MAN]
    effect = SPELLS.log_effect(MEN.response)[0]

    moved = (traced([399, 401, 413, 700, 799, 813, 1826], [(0, 1)]).draw_log_e2 - off) / effect

    # Day 401 ends the second day at the dose, just over one half-life of 1.95 days.
    assert moved == pytest.approx([0, 0.51, 0.993, 1, 1, 0.007, 0], abs=0.005)


def test_an_interval_averages_the_curve_over_the_path_not_at_the_average():
    result = traced([0], [(0, 400), (430, 800), (300, 500)])

    off, on, mixed = result.interval_change_pct
    at_mean = spine_change_pct(result.interval_log_e2, SETTINGS)
    assert (off, on) == pytest.approx(at_mean[:2])
    assert mixed == pytest.approx((off + on) / 2, abs=0.05)
    assert mixed < at_mean[2] - 0.05


def test_men_without_a_drug_stay_at_their_own_level():
    now = traced([0], [(0, 1)]).now_log_e2

    np.testing.assert_allclose(np.delete(now, MAN), np.delete(MEN.log_e2_off, MAN))
