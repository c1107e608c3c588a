"""E2 at the present dose, off the drug, at other doses and over scan intervals."""

import numpy as np
import polars as pl
import pytest

from e2analytics.exposure.dose_response import predict
from e2analytics.tables.check import check
from e2analytics.tables.registry import TABLES
from tests.exposure.dose_response.men import (
    AS_OF,
    HELD,
    N_MEN,
    NO_CHANGES,
    fitted,
    present_and_off_drug,
    true_levels,
)


def test_every_man_gets_his_own_level_off_the_drug_and_on_it():
    found = present_and_off_drug(fitted())

    level, response = (values[1::2] for values in true_levels())
    off = (found["off_mean"].to_numpy() - level) / found["off_sd"].to_numpy()
    on = (found["on_mean"].to_numpy() - level - response) / found["on_sd"].to_numpy()
    assert len(found) == N_MEN // 2
    assert np.mean(np.abs(off) < 1.96) > 0.85
    assert np.mean(np.abs(on) < 1.96) > 0.85
    assert np.abs(found["on_mean"].to_numpy() - level - response).mean() < 0.1
    assert (found["covariance"] > 0).all()


def test_what_is_expected_along_an_interval_is_the_mean_over_its_doses():
    along = predict.interval_exposure(
        fitted().response, fitted().own_levels, fitted().draws, NO_CHANGES, HELD
    )

    man = present_and_off_drug(fitted()).row(0, named=True)
    mean = 0.25 * man["off_mean"] + 0.75 * man["on_mean"]
    variance = (
        0.25**2 * man["off_sd"] ** 2
        + 0.75**2 * man["on_sd"] ** 2
        + 2 * 0.25 * 0.75 * man["covariance"]
    )
    assert along.pairs["log_e2"][0] == pytest.approx(mean)
    assert along.pairs["log_e2_sd"][0] == pytest.approx(np.sqrt(variance))
    assert along.episodes["log_e2_mean"].to_list()[:2] == pytest.approx(
        [man["off_mean"], man["on_mean"]]
    )
    check(along.episodes, TABLES["exposure_episodes"], table="exposure_episodes", stage="run")


def test_projections_fall_with_the_dose_and_meet_what_is_expected_now():
    men = pl.DataFrame({"patient_id": ["p01"]})

    found = predict.projections(
        fitted().response, fitted().own_levels, men, predict.AsOf(AS_OF, NO_CHANGES)
    )

    e2 = found["e2_pg_ml"].to_list()
    man = present_and_off_drug(fitted()).row(0, named=True)
    assert found["weekly_anastrozole_mg"].to_list() == list(predict.PROJECTED_MG_PER_WEEK)
    assert e2 == sorted(e2, reverse=True)
    assert np.log(e2[0]) == pytest.approx(man["off_mean"])
    assert np.log(e2[3]) == pytest.approx(man["on_mean"])  # 1 mg a week
    width = (found["e2_ci_high_pg_ml"] / found["e2_ci_low_pg_ml"]).log().to_list()
    assert width[3] < width[6]  # nobody took 7 mg
