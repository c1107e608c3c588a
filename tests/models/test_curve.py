import dataclasses
from collections import Counter

import numpy as np
import pytest

from e2analytics.errors import TooLittleDataError
from e2analytics.models import sweet_spot
from e2analytics.models.curve import CurveSettings, fit_curve
from e2analytics.models.rows import CurveData
from e2analytics.models.shape import Verdict

QUICK = CurveSettings(n_replicates=300)


def true_on_grid(fit, data, curve):
    """Truth at the mean age, as ``estimate`` is."""
    return curve(np.log(fit.e2_pg_ml)) - 0.02 * (data.covariates.mean() - 50)


@pytest.mark.parametrize(
    "shape", ["u_shaped", "low_side_threshold", "rising", "high_side_threshold", "falling"]
)
def test_recovers_the_shape_that_made_the_data(cohort, shape):
    assert fit_curve(cohort(shape, n_men=4000), QUICK).verdict == shape


def test_a_level_that_does_not_matter_is_flat_where_there_are_enough_men_to_say_so(cohort):
    assert fit_curve(cohort("flat", n_men=12_000), QUICK).verdict is Verdict.FLAT


def test_recovers_the_limits_that_made_the_data(cohort, truth):
    data = cohort("u_shaped", n_men=4000)

    fit = fit_curve(data, QUICK)
    grid = np.log(fit.e2_pg_ml)[fit.supported]
    true = sweet_spot.find(
        grid, true_on_grid(fit, data, truth("u_shaped"))[None, fit.supported], 0.5
    )

    for limit, level in (
        (fit.lower_limit, np.exp(true.lower_log_e2[0])),
        (fit.upper_limit, np.exp(true.upper_log_e2[0])),
    ):
        assert limit.ci_low < level < limit.ci_high
        assert limit.value_pg_ml == pytest.approx(level, rel=0.1)
        assert limit.supported
    assert fit.lower_limit.value_pg_ml < fit.nadir.value_pg_ml < fit.upper_limit.value_pg_ml


def test_averaging_over_doubt_undoes_the_blur_that_it_makes():
    rng = np.random.default_rng(0)
    believed = rng.uniform(np.log(8), np.log(80), 12_000)
    doubt = 0.3 * np.ones((12_000, 1))
    true = believed + 0.3 * rng.normal(size=12_000)
    change = np.sin(2 * true) + rng.normal(0, 0.1, 12_000)
    naive = CurveData.at_points(believed, change, np.arange(12_000) // 3)
    calibrated = dataclasses.replace(naive, log_e2_sd=doubt)

    def error(data):
        fit = fit_curve(data, QUICK)
        wrong = fit.estimate - np.sin(2 * np.log(fit.e2_pg_ml))
        return np.abs(wrong[fit.supported]).mean()

    # Blur by 0.3 takes a sixth off a sine of this period: 1 - exp(-2 * 0.3**2).
    assert error(calibrated) < error(naive) / 2


def test_the_band_holds_the_truth_and_is_wider_than_the_pointwise_intervals(cohort, truth):
    data = cohort("low_side_threshold", n_men=2000, seed=3)

    fit = fit_curve(data, QUICK)
    true = true_on_grid(fit, data, truth("low_side_threshold"))
    held = (fit.band_low <= true) & (true <= fit.band_high)

    assert held[fit.supported].all()
    assert np.all(fit.band_low < fit.ci_low)
    assert np.all(fit.ci_high < fit.band_high)


def test_a_risk_is_better_when_smaller(cohort):
    change = cohort("low_side_threshold", n_men=2000)
    risk = dataclasses.replace(change, outcome=-change.outcome)

    by_change = fit_curve(change, QUICK)
    by_risk = fit_curve(risk, dataclasses.replace(QUICK, higher_is_better=False))

    assert by_risk.verdict is by_change.verdict
    assert by_risk.lower_limit.value_pg_ml == pytest.approx(by_change.lower_limit.value_pg_ml)
    np.testing.assert_allclose(by_risk.estimate, -by_change.estimate, atol=1e-8)


def test_repeating_every_man_s_rows_narrows_nothing(cohort):
    once = cohort("low_side_threshold", n_men=400)
    twice = CurveData(
        **{
            field.name: np.concatenate([getattr(once, field.name)] * 2)
            for field in dataclasses.fields(CurveData)
        }
    )

    narrow, same = fit_curve(once, QUICK), fit_curve(twice, QUICK)
    ratio = (same.ci_high - same.ci_low) / (narrow.ci_high - narrow.ci_low)

    # A little wider: doubled rows look like less noise, and are smoothed less.
    assert np.median(ratio[narrow.supported]) > 0.95


def test_the_order_of_rows_does_not_matter(cohort):
    data = cohort("u_shaped", n_men=300)
    order = np.random.default_rng(0).permutation(len(data.outcome))
    shuffled = CurveData(
        **{field.name: getattr(data, field.name)[order] for field in dataclasses.fields(CurveData)}
    )

    fit, again = fit_curve(data, QUICK), fit_curve(shuffled, QUICK)

    np.testing.assert_allclose(again.estimate, fit.estimate, atol=1e-8)
    np.testing.assert_allclose(again.replicates, fit.replicates, atol=1e-6)


def test_the_same_seed_gives_the_same_bytes(cohort):
    data = cohort("u_shaped", n_men=300)

    first, again = fit_curve(data, QUICK), fit_curve(data, QUICK)
    other = fit_curve(data, dataclasses.replace(QUICK, seed=1))

    assert first.replicates.tobytes() == again.replicates.tobytes()
    assert first.lower_limit == again.lower_limit
    np.testing.assert_array_equal(first.estimate, other.estimate)
    assert first.lower_limit != other.lower_limit


def test_recovers_the_spread_between_intervals(cohort):
    fit = fit_curve(cohort("rising", n_men=4000), QUICK)

    # 2 %/year between intervals and 0.5 between men.
    assert fit.tau == pytest.approx(np.hypot(2, 0.5), rel=0.05)
    assert fit.scale == pytest.approx(1, rel=0.05)


def test_without_harm_there_is_no_limit_but_a_reason(cohort):
    fit = fit_curve(cohort("flat", n_men=400), QUICK)

    for limit in (fit.nadir, fit.lower_limit, fit.upper_limit):
        assert limit.value_pg_ml is None
        assert limit.ci_low is None
        assert not limit.supported
        assert "verdict" in limit.why_not


def test_nothing_is_supported_outside_the_central_range_or_with_too_few_men(cohort):
    data = cohort("u_shaped", n_men=300)

    fit = fit_curve(data, QUICK)
    low, high = np.exp(np.quantile(data.log_e2, [0.025, 0.975]))
    supported = fit.e2_pg_ml[fit.supported]

    assert low <= supported.min() < supported.max() <= high
    assert fit.n_effective[fit.supported].min() >= 30
    assert fit.n_patients == 300
    assert fit.n_intervals == len(data.outcome)


def test_men_too_thinly_spread_get_a_curve_and_no_claim(cohort):
    fit = fit_curve(cohort("u_shaped", n_men=35), QUICK)

    assert np.isfinite(fit.estimate).all()
    assert fit.supported.sum() < 10
    assert fit.verdict is Verdict.INCONCLUSIVE
    assert fit.lower_limit.why_not == "too few men at any E2: nothing is supported"
    assert fit.lower_limit.quantiles_pg_ml == ()


def test_fewer_than_thirty_men_are_refused(cohort):
    with pytest.raises(TooLittleDataError) as refusal:
        fit_curve(cohort("u_shaped", n_men=29), QUICK)

    assert str(refusal.value) == (
        "a curve needs at least 30 men with a usable interval; there are 29. "
        "Supply more men or a longer period."
    )


@pytest.mark.slow
@pytest.mark.parametrize(("shape", "n_men"), [("low_side_threshold", 4000), ("flat", 800)])
def test_false_claims_stay_below_five_in_a_hundred(cohort, shape, n_men):
    verdicts = Counter(
        fit_curve(cohort(shape, n_men, seed), QUICK).verdict for seed in range(1000, 1300)
    )
    low_side_harm = (Verdict.U_SHAPED, Verdict.LOW_SIDE_THRESHOLD, Verdict.RISING)

    # 5 % of 300, and two standard errors of a share.
    assert verdicts[Verdict.U_SHAPED] <= 15 + 8
    if shape == "flat":
        assert sum(verdicts[verdict] for verdict in low_side_harm) <= 15 + 8
    else:
        assert verdicts[Verdict.LOW_SIDE_THRESHOLD] >= 0.9 * 300


@pytest.mark.slow
def test_intervals_cover_the_truth_in_95_of_100_cohorts(cohort, truth):
    points, of_band, of_limit = [], [], []
    for seed in range(2000, 2600):
        data = cohort("low_side_threshold", 4000, seed)
        fit = fit_curve(data, QUICK)
        true = true_on_grid(fit, data, truth("low_side_threshold"))
        inside = (fit.ci_low <= true) & (true <= fit.ci_high)
        points.append(inside[fit.supported].mean())
        of_band.append(np.all((fit.band_low <= true) & (true <= fit.band_high) | ~fit.supported))
        if fit.lower_limit.value_pg_ml is not None:
            spot = sweet_spot.find(
                np.log(fit.e2_pg_ml)[fit.supported], true[None, fit.supported], QUICK.delta
            )
            level = np.exp(spot.lower_log_e2[0])
            of_limit.append(fit.lower_limit.ci_low <= level <= fit.lower_limit.ci_high)

    # Three standard errors of 0.95 in 600 cohorts are 0.03.
    assert np.mean(points) > 0.92
    assert np.mean(of_band) > 0.92
    assert np.mean(of_limit) > 0.92
