"""Funnel plots: limits by hand and by print, over-dispersion against another implementation."""

import numpy as np
import pytest
from scipy import stats

from e2analytics.models import funnel
from e2analytics.models.funnel import ALARM, WARNING, Funnel

ONLY_CHANCE = Funnel(centre=0.5, tau=0.0, dispersion=1.0)


def test_exact_limits_by_hand():
    # Of 8 at one half, F(0) = 1/256 and F(1) = 9/256: the 2.5 % point lies (9/256 - 0.025)/(8/256) below 1.
    low, high = ONLY_CHANCE.limits([8], WARNING)

    assert low[0] == pytest.approx((1 - 0.325) / 8)
    assert high[0] == pytest.approx(1 - low[0])


def test_a_clinic_is_beyond_only_if_chance_seldom_puts_one_there():
    of = np.arange(1, 60)
    low, high = Funnel(0.2, 0.0, 1.0).limits(of, WARNING)

    assert np.all(stats.binom.cdf(np.ceil(low * of) - 1, of, 0.2) <= 0.025)
    assert np.all(stats.binom.sf(np.floor(high * of), of, 0.2) <= 0.025)


def test_a_limit_that_would_lie_beyond_none_or_all_ends_there():
    # All 4 of 4 at one half is 6 in 100 and no wonder.
    low, high = ONLY_CHANCE.limits([4], WARNING)

    assert (low[0], high[0]) == (0.0, 1.0)
    assert ONLY_CHANCE.beyond([4], [4], WARNING).tolist() == [0]


def test_exact_limits_close_in_as_the_normal_ones_do():
    low, high = Funnel(0.3, 0.0, 1.0).limits([100_000], WARNING)

    reach = stats.norm.ppf(0.975) * np.sqrt(0.3 * 0.7 / 100_000)
    assert high[0] == pytest.approx(0.3 + reach, abs=1e-5)
    assert low[0] == pytest.approx(0.3 - reach, abs=1e-5)


def test_limits_with_a_variance_between_clinics_by_hand():
    # arcsine of the root of one half is pi/4; 1/(4 x 100) + 0.05^2 = 0.005.
    low, high = Funnel(0.5, 0.05, 2.0).limits([100], WARNING)

    reach = 1.959964 * np.sqrt(0.005)
    assert low[0] == pytest.approx(np.sin(np.pi / 4 - reach) ** 2, abs=1e-6)
    assert high[0] == pytest.approx(np.sin(np.pi / 4 + reach) ** 2, abs=1e-6)


def test_limits_with_a_variance_between_clinics_are_never_narrower_than_those_of_chance():
    # At 70 % none of 3 is 27 in 1,000; the arcsine alone would put it beyond the 99.8 % limit.
    spread, chance = Funnel(0.7, 0.02, 1.5), Funnel(0.7, 0.0, 1.0)
    of = np.arange(1, 200)

    for level in (WARNING, ALARM):
        low, high = spread.limits(of, level)
        low_by_chance, high_by_chance = chance.limits(of, level)
        assert np.all(low <= low_by_chance)
        assert np.all(high >= high_by_chance)
    assert spread.beyond([0, 9], [3, 9], ALARM).tolist() == [0, 0]


def test_bristol_stands_out_of_the_children_s_heart_surgery_of_1991_to_1995():
    # Deaths under one year of age in twelve centres, Bristol first: the data of the public inquiry,
    # in which Bristol alone was an outlier (Aylin et al., Lancet 2001;358:181).
    operations = [143, 187, 323, 122, 164, 405, 239, 482, 195, 177, 581, 301]
    deaths = [41, 25, 24, 23, 25, 42, 24, 53, 26, 25, 58, 31]

    beyond = funnel.fit(deaths, operations).beyond(deaths, operations, ALARM)

    assert beyond.tolist() == [1] + [0] * 11


def test_the_variance_between_clinics_is_that_of_dersimonian_and_laird():
    # metafor 3.8-1: rma(c(0.1, 0.5, 0.9), c(0.01, 0.02, 0.04), method = "DL")$tau2 is 0.1285714.
    value, variance = np.array([0.1, 0.5, 0.9]), np.array([0.01, 0.02, 0.04])
    mean = np.average(value, weights=1 / variance)

    found = funnel.between_variance((value - mean) / np.sqrt(variance), variance)

    assert found == pytest.approx(0.1285714, abs=1e-7)


def test_clinics_that_differ_less_than_chance_have_none_between_them():
    fitted = funnel.fit([10, 10, 10, 10], [100, 100, 100, 100])

    assert (fitted.tau, fitted.dispersion) == (0.0, 0.0)


def test_the_outermost_tenth_at_each_end_is_pulled_in():
    z = np.array([-9.0, -2, -1, 0, 0, 0, 0, 1, 2, 3, 9])

    np.testing.assert_array_equal(funnel.winsorised(z), [-2, -2, -1, 0, 0, 0, 0, 1, 2, 3, 3])


def test_over_dispersion_is_recovered():
    rng = np.random.default_rng(5)
    of = rng.integers(100, 400, 2000)
    angle = np.arcsin(np.sqrt(0.3)) + 0.1 * rng.normal(size=2000)
    met = rng.binomial(of, np.sin(angle) ** 2)

    fitted = funnel.fit(met, of)

    # Pulling in the tails of a normal takes 18 % of its variance, of chance and of what is between.
    assert 0.075 < fitted.tau < 0.1
    assert fitted.beyond(met, of, WARNING).astype(bool).mean() == pytest.approx(0.08, abs=0.03)


def test_by_chance_alone_few_clinics_are_beyond():
    rng = np.random.default_rng(6)
    of = rng.integers(20, 400, 4000)
    met = rng.binomial(of, 0.1)

    fitted = funnel.fit(met, of)

    assert fitted.tau < 0.01
    assert 0.02 < np.abs(fitted.beyond(met, of, WARNING)).mean() < 0.06
    assert np.abs(fitted.beyond(met, of, ALARM)).mean() < 0.006


def test_one_clinic_out_of_forty_is_found_and_does_not_hide_itself():
    of = np.full(40, 150)
    met = np.random.default_rng(7).binomial(150, 0.08, 40)
    met[17] = 45

    fitted = funnel.fit(met, of)

    assert np.flatnonzero(fitted.beyond(met, of, ALARM)).tolist() == [17]
    assert fitted.beyond(met, of, ALARM)[17] == 1


def test_one_clinic_out_of_three_does_not_hide_itself():
    fitted = funnel.fit([10, 12, 50], [100, 100, 100])

    assert fitted.tau == 0
    assert fitted.beyond([10, 12, 50], [100, 100, 100], ALARM)[2] == 1


def test_a_clinic_without_men_counts_for_nothing():
    fitted = funnel.fit([3, 0, 30], [30, 0, 300])

    assert fitted.centre == pytest.approx(0.1)
    assert np.isnan(fitted.limits([0], WARNING)[0]).all()
    assert fitted.beyond([3, 0, 30], [30, 0, 300], WARNING).tolist() == [0, 0, 0]


@pytest.mark.parametrize("met", [0, 25])
def test_where_none_or_all_meet_the_measure_nobody_is_beyond(met):
    fitted = funnel.fit([met] * 5, [25] * 5)

    assert not fitted.beyond([met] * 5, [25] * 5, WARNING).any()


def test_one_clinic_is_compared_with_itself_and_lies_on_the_centre():
    fitted = funnel.fit([4], [20])

    assert (fitted.centre, fitted.tau) == (0.2, 0.0)
    assert fitted.beyond([4], [20], WARNING).tolist() == [0]


def test_no_clinic_at_all_has_no_centre():
    fitted = funnel.fit([], [])

    assert np.isnan(fitted.centre)
    assert np.isnan(fitted.limits([10], WARNING)[0]).all()
