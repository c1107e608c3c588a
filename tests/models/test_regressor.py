import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from e2analytics.errors import TooLittleDataError
from e2analytics.models.curve import CurveSettings, fit_curve
from e2analytics.models.regressor import SweetSpotRegressor
from e2analytics.models.rows import CurveData
from e2analytics.models.shape import Verdict

# A weight is a precision, not a frequency: doubling one is not the same as repeating its row.
PRECISION_WEIGHTS = {
    f"check_sample_weight_equivalence_on_{kind}_data": "weights are precisions"
    for kind in ("dense", "sparse")
}


@parametrize_with_checks(
    [SweetSpotRegressor(n_replicates=50)], expected_failed_checks=lambda _: PRECISION_WEIGHTS
)
def test_follows_scikit_learn_conventions(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    man = np.arange(3000) // 3
    log_e2 = rng.uniform(np.log(8), np.log(60), 3000)
    age = rng.normal(50, 10, 1000)[man]
    y = np.minimum(0, 3 * (log_e2 - np.log(20))) - 0.03 * age + rng.normal(0, 1, 3000)
    return np.column_stack([log_e2, age]), y, man


def test_is_the_curve_of_fit_curve(rows):
    X, y, man = rows

    fit = SweetSpotRegressor(n_replicates=200).fit(X, y, groups=man)
    curve = fit_curve(
        CurveData.at_points(X[:, 0], y, man, X[:, 1:]), CurveSettings(n_replicates=200)
    )
    at_mean_age = np.column_stack([np.log(curve.e2_pg_ml), np.full(100, X[:, 1].mean())])

    np.testing.assert_allclose(fit.predict(at_mean_age), curve.estimate, rtol=1e-9)
    assert fit.verdict_ is curve.verdict is Verdict.LOW_SIDE_THRESHOLD
    assert fit.lower_limit_ == curve.lower_limit.value_pg_ml
    assert fit.upper_limit_ is None


def test_recovers_covariates_and_threshold(rows):
    X, y, man = rows

    fit = SweetSpotRegressor(n_replicates=200).fit(X, y, groups=man)

    # After a constant and a straight line, the third column is the covariate.
    assert fit.coef_[2] == pytest.approx(-0.03, abs=0.006)
    assert fit.lower_limit_ == pytest.approx(20 * np.exp(-0.5 / 3), rel=0.1)


def test_groups_may_be_names_and_widen_the_intervals(rows):
    X, y, man = rows
    shared = y + np.random.default_rng(1).normal(0, 2, 1000)[man]
    names = np.array([f"man {code}" for code in man])

    alone = SweetSpotRegressor(n_replicates=200).fit(X, shared).curve_
    grouped = SweetSpotRegressor(n_replicates=200).fit(X, shared, groups=names).curve_

    assert grouped.n_patients == 1000
    assert np.median(grouped.ci_high - grouped.ci_low) > np.median(alone.ci_high - alone.ci_low)


def test_a_precise_row_counts_more_and_a_row_without_weight_not_at_all(rows):
    X, y, _ = rows
    spoilt = y.copy()
    spoilt[::2] += 100
    weight = np.ones(3000)
    weight[::2] = 0

    ignored = SweetSpotRegressor(n_replicates=50).fit(X, spoilt, sample_weight=weight)
    absent = SweetSpotRegressor(n_replicates=50).fit(X[1::2], y[1::2])

    np.testing.assert_allclose(ignored.predict(X), absent.predict(X), rtol=1e-9)


def test_weights_that_are_all_zero_are_refused(rows):
    X, y, _ = rows

    with pytest.raises(ValueError, match="non-zero"):
        SweetSpotRegressor().fit(X, y, sample_weight=np.zeros(3000))


def test_few_patients_get_a_prediction_and_no_claim(rows):
    X, y, _ = rows

    fit = SweetSpotRegressor().fit(X[:60], y[:60], groups=np.arange(60) // 3)

    assert np.isfinite(fit.predict(X)).all()
    assert fit.curve_ is None
    assert fit.verdict_ is Verdict.INCONCLUSIVE
    assert fit.lower_limit_ is None


def test_the_interval_at_the_mean_of_the_covariates_is_that_of_the_curve(rows):
    X, y, man = rows

    fit = SweetSpotRegressor(n_replicates=50).fit(X, y, groups=man)
    curve = fit.curve_
    at_mean_age = np.column_stack([np.log(curve.e2_pg_ml), np.full(100, X[:, 1].mean())])

    expected = np.column_stack([curve.ci_low, curve.ci_high])
    np.testing.assert_allclose(fit.predict_interval(at_mean_age), expected, rtol=1e-6)


def test_the_interval_widens_away_from_the_mean_of_a_covariate(rows):
    X, y, man = rows

    fit = SweetSpotRegressor(n_replicates=50).fit(X, y, groups=man)
    ages = X[:, 1].mean() + np.array([0.0, 60.0])
    low, high = fit.predict_interval(np.column_stack([np.log([20.0, 20.0]), ages])).T

    assert high[1] - low[1] > 1.5 * (high[0] - low[0])


def test_few_patients_have_no_interval_and_no_picture(rows):
    X, y, _ = rows
    fit = SweetSpotRegressor().fit(X[:60], y[:60], groups=np.arange(60) // 3)

    for asked in (lambda: fit.predict_interval(X[:60]), fit.plot):
        with pytest.raises(TooLittleDataError) as refusal:
            asked()
        assert str(refusal.value) == (
            "fewer than 30 patients were fitted: they carry a prediction, but no interval, verdict "
            "or limit. Supply more patients."
        )


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_frames_are_taken_with_their_names(rows, frame):
    X, y, man = rows
    named = frame({"log_e2": X[:, 0], "age_years": X[:, 1]})
    regressor = SweetSpotRegressor(n_replicates=20)

    fit = clone(regressor).fit(named, y, groups=man)

    assert fit.feature_names_in_.tolist() == ["log_e2", "age_years"]
    np.testing.assert_array_equal(
        fit.predict(named), clone(regressor).fit(X, y, groups=man).predict(X)
    )
    with pytest.raises(ValueError, match="feature names should match"):
        fit.predict(frame({"age_years": X[:, 1], "log_e2": X[:, 0]}))


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_names_come_through_a_pipeline_that_gives_frames(rows, kind):
    X, y, _ = rows
    scaled = make_pipeline(StandardScaler(), SweetSpotRegressor(n_replicates=20))

    scaled.set_output(transform=kind).fit(pd.DataFrame(X, columns=["log_e2", "age_years"]), y)

    assert scaled[-1].feature_names_in_.tolist() == ["log_e2", "age_years"]
    assert scaled.get_params()["sweetspotregressor__delta"] == 0.5


def test_the_picture_has_the_curve_and_the_limit_that_there_is(rows):
    X, y, man = rows

    fit = SweetSpotRegressor(n_replicates=50).fit(X, y, groups=man)
    picture = fit.plot("change, %/year").to_dict()
    of_points, of_limits = (
        picture["datasets"][picture["layer"][layer]["data"]["name"]] for layer in (0, -1)
    )

    assert picture["title"]["text"] == "low_side_threshold"
    assert len(of_points) == 100
    assert [(limit["limit"], limit["value"]) for limit in of_limits] == [
        ("lower limit", fit.lower_limit_)
    ]


def test_works_inside_cross_validation_by_patient(rows):
    X, y, man = rows

    scores = cross_val_score(
        SweetSpotRegressor(n_replicates=20), X, y, groups=man, cv=GroupKFold(3)
    )

    assert scores.min() > 0.3
