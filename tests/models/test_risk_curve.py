import numpy as np
import pytest

from e2analytics.errors import TooLittleDataError
from e2analytics.models import risk
from e2analytics.models.curve import CurveSettings, plan_curve
from e2analytics.models.risk_curve import fit_risk
from e2analytics.models.rows import CurveData
from e2analytics.models.shape import Verdict

SETTINGS = CurveSettings(delta=0.05, higher_is_better=False, n_replicates=300)
SHARE_OF_YEARS = 0.4


def log_hazard(log_e2):
    """At two years: 10 % above 20 pg/mL, up to 50 % below."""
    low, high = (np.log(-np.log1p(-p)) for p in (0.5, 0.1))
    return high + (low - high) * np.clip((np.log(20) - log_e2) / np.log(2), 0, 1)


def cohort(n_men, seed=0):
    rng = np.random.default_rng(seed)
    man = np.repeat(np.arange(n_men), 3)
    log_e2 = rng.normal(np.log(26), 0.45, len(man))
    years = rng.uniform(1, 5, len(man))
    shared = rng.normal(0, 0.3, n_men)[man]
    age = rng.normal(50, 10, n_men)[man]
    eta = log_hazard(log_e2) + SHARE_OF_YEARS * np.log(years / 2) + shared + 0.01 * (age - 50)
    lost = (rng.random(len(man)) < risk.probability(eta)).astype(float)
    return CurveData.at_points(log_e2, lost, man, age[:, None]), years


@pytest.fixture(scope="module")
def fitted():
    data, years = cohort(3000)
    return fit_risk(data, years, SETTINGS)


def test_recovers_the_risk_at_two_years_and_the_limit(fitted):
    true = risk.probability(log_hazard(np.log(fitted.e2_pg_ml)))[fitted.supported]

    assert np.all(fitted.band_low[fitted.supported] < true)
    assert np.all(true < fitted.band_high[fitted.supported])
    assert fitted.verdict is Verdict.LOW_SIDE_THRESHOLD
    # The risk has risen by 0.05 at 20 * 2 ** -0.224 pg/mL.
    assert fitted.lower_limit.ci_low < 17.1 < fitted.lower_limit.ci_high


def test_intervals_of_a_risk_are_probabilities_around_it(fitted):
    for low, high in ((fitted.ci_low, fitted.ci_high), (fitted.band_low, fitted.band_high)):
        assert np.all((low > 0) & (low < fitted.estimate))
        assert np.all((fitted.estimate < high) & (high < 1))


def test_the_slope_is_the_derivative_of_the_risk(fitted):
    log_e2 = np.log(fitted.e2_pg_ml)
    middle = (log_e2[1:] + log_e2[:-1]) / 2
    rise = np.diff(fitted.estimate) / np.diff(log_e2)

    at_middle = np.interp(middle, log_e2, fitted.slope.estimate)

    np.testing.assert_allclose(at_middle, rise, atol=0.03)


def test_replicates_of_one_step_are_spread_as_full_refits_are():
    data, years = cohort(300)
    timed = CurveData.at_points(
        data.log_e2, data.outcome, data.patient, np.column_stack([data.covariates, np.log(years)])
    )
    plan = plan_curve([timed], SETTINGS)
    at_grid = plan.at(plan.basis.evaluate(np.log([15.0, 20.0, 30.0])))
    columns = plan.columns(timed)[:, :-1]
    rng = np.random.default_rng(1)

    full = []
    for _ in range(60):
        drawn = np.concatenate([np.arange(3) + 3 * man for man in rng.integers(0, 300, 300)])
        resampled = (risk.Linear(columns[drawn]), timed.outcome[drawn], plan.n_fixed)
        rough = risk.fit(*resampled)
        again = risk.refit(*resampled, rough, rough.smoothing / 20)
        full.append(at_grid @ again.coefficients)
    one_step = fit_risk(data, years, SETTINGS).replicates
    at_points = [np.argmin(np.abs(plan.grid - np.log(e2))) for e2 in (15.0, 20.0, 30.0)]
    spread = np.std(np.log(-np.log1p(-one_step[:, at_points])), axis=0)

    # Each replicate of one step chooses its own smoothing, which adds a little.
    np.testing.assert_allclose(spread, np.std(full, axis=0), rtol=0.35)


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        (
            9,
            "a risk needs at least 10 losses and 10 intervals without; there are 9 and 891. "
            "Supply more men or a longer period.",
        ),
    ],
)
def test_too_few_losses_are_refused(losses, message):
    data, years = cohort(300)
    few = np.zeros(900)
    few[:losses] = 1

    with pytest.raises(TooLittleDataError) as refusal:
        fit_risk(
            CurveData.at_points(data.log_e2, few, data.patient, data.covariates), years, SETTINGS
        )

    assert str(refusal.value) == message


def test_fewer_than_thirty_men_are_refused():
    data, years = cohort(29)

    with pytest.raises(TooLittleDataError, match="at least 30 men"):
        fit_risk(data, years, SETTINGS)


def test_intervals_of_one_length_do_not_show_the_risk_over_two_years():
    data, _ = cohort(100)

    with pytest.raises(TooLittleDataError, match="intervals of different lengths"):
        fit_risk(data, np.full(len(data), 1.2), SETTINGS)


def test_an_age_that_all_men_share_changes_nothing():
    data, years = cohort(100)
    of_one_age = CurveData.at_points(
        data.log_e2, data.outcome, data.patient, np.full((len(data), 1), 56.3)
    )
    without = CurveData.at_points(data.log_e2, data.outcome, data.patient, np.empty((len(data), 0)))

    fitted, plain = (fit_risk(each, years, SETTINGS) for each in (of_one_age, without))

    np.testing.assert_allclose(fitted.estimate, plain.estimate)


def test_a_covariate_that_stands_there_twice_gives_no_curve():
    data, years = cohort(100)
    twice = CurveData.at_points(
        data.log_e2,
        data.outcome,
        data.patient,
        np.column_stack([data.covariates, 2 * data.covariates]),
    )

    with pytest.raises(TooLittleDataError, match="do not determine a curve"):
        fit_risk(twice, years, SETTINGS)
