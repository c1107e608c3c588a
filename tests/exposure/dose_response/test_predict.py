"""E2 at the present dose, off the drug, at other doses and over scan intervals."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm

from e2analytics.exposure.dose_response import predict
from e2analytics.models.dose_response.types import Population
from e2analytics.tables.check import check
from e2analytics.tables.registry import TABLES
from tests.exposure.dose_response.men import (
    AS_OF,
    HELD,
    N_MEN,
    NO_CHANGES,
    ZERO,
    day,
    estimated,
    fitted,
    moving,
    present_and_off_drug,
    result,
    true_levels,
    usual_results,
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


def test_along_an_interval_of_long_ago_it_is_the_path_of_that_time():
    fell = tuple(
        result(4, when, 36.0 if when < 400 else 12.0) if row["patient_id"] == "p04" else row
        for row in usual_results()
        for when in [(row["collected_on"] - ZERO).days]
    )
    moves = moving()
    found = estimated(fell, before=moves)
    of_man = pl.DataFrame({"pair": [0, 1], "patient_id": ["p04"] * 2, "site": ["total_hip"] * 2})
    held = of_man.with_columns(
        pl.col("pair").cast(pl.UInt32),
        scan_id=pl.Series(["s1", "s2"]),
        weekly_dose_mg=pl.lit(0.0),
        share=pl.lit(1.0),
        on=pl.Series([day(200), day(750)]),
    )

    exposure = predict.interval_exposure(
        found.response, found.own_levels, found.draws, NO_CHANGES, held
    )

    then, now = exposure.pairs["log_e2"].to_list()
    assert then - now > 0.15
    assert exposure.pairs["log_e2_sd"].min() > 0


def probability_of_a_fall(population: Population) -> float:
    """Return it for five results of 40 and three of 9 pg/mL, by dense algebra at these parameters."""
    drawn = np.arange(8) * 100.0 + 5
    # Day 800 is the day; from the last draw it is 6 whole steps of 14 days.
    now = drawn[-1] + 6 * 14
    log_e2 = np.log(np.where(drawn < 500, 40.0, 9.0)) - population.coefficients[0]
    at = np.append(drawn, [now - 365, now])
    forgets = np.exp(-np.abs(at[:, None] - at) / np.exp(population.log_days_movement))
    prior = np.exp(2 * population.log_sd_level) + np.exp(2 * population.log_sd_movement) * forgets
    readings = prior[:8, :8] + population.assays.sd_ms**2 * np.eye(8)
    gain = np.array([-1.0, 1.0]) @ prior[8:, :8] @ np.linalg.inv(readings)
    sd = np.sqrt(2 * (prior[8, 8] - prior[8, 9]) - gain @ readings @ gain)
    return float(norm.cdf((np.log(0.75) - gain @ log_e2) / sd))


def test_a_fall_is_told_with_its_date():
    fell = tuple(
        result(4, when, 40.0 if when < 500 else 9.0) if row["patient_id"] == "p04" else row
        for row in usual_results()
        for when in [(row["collected_on"] - ZERO).days]
    )
    found = estimated(fell, before=moving())
    present = pl.DataFrame({"patient_id": ["p04", "p06"], "present_mg_per_week": [0.0, 0.0]})

    table = predict.recent_changes(
        found.response, found.own_levels, found.draws, present, predict.AsOf(AS_OF, NO_CHANGES)
    )

    his, other = table.iter_rows(named=True)
    assert his["p_fell_12m"] == pytest.approx(
        probability_of_a_fall(found.response.model.population), abs=0.01
    )
    assert other["p_fell_12m"] < 0.3
    assert his["p_rose_12m"] < 0.01
    assert his["p_fell_6m"] < his["p_fell_12m"]
    assert day(435) <= his["changed_on"] <= day(570)
    assert other["changed_on"] is None


def test_a_rise_is_told_with_its_date_and_the_last_change_of_testosterone_too():
    rose = tuple(
        result(4, when, 12.0 if when < 500 else 45.0) if row["patient_id"] == "p04" else row
        for row in usual_results()
        for when in [(row["collected_on"] - ZERO).days]
    )
    found = estimated(rose, before=moving())
    present = pl.DataFrame({"patient_id": ["p04", "p06"], "present_mg_per_week": [0.0, 0.0]})
    changes = pl.DataFrame({"patient_id": ["p04", "p04"], "changed_on": [day(1), day(9)]})

    table = predict.recent_changes(
        found.response, found.own_levels, found.draws, present, predict.AsOf(AS_OF, changes)
    )

    his, other = table.iter_rows(named=True)
    assert his["p_rose_12m"] > 0.8
    assert his["p_fell_12m"] < 0.01
    assert day(435) <= his["changed_on"] <= day(570)
    assert (his["testosterone_since"], other["testosterone_since"]) == (day(9), None)


def test_a_change_of_testosterone_makes_what_is_known_less_sure():
    found = moving()
    change = pl.DataFrame({"patient_id": ["p01"], "changed_on": [day(790)]})

    before = present_and_off_drug(found)
    after = present_and_off_drug(found, changes=change)

    wider = after["on_sd"] > before["on_sd"]
    assert wider.to_list() == [name == "p01" for name in after["patient_id"]]
