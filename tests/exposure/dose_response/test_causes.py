"""How E2 comes about: the causes add up, and are those that the results were made by."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest

from e2analytics.exposure.dose_response import predict
from e2analytics.exposure.dose_response.causes import causes
from e2analytics.exposure.dose_response.covariates import COVARIATES
from e2analytics.exposure.dose_response.fit import DoseResponseResult
from e2analytics.exposure.episodes import find_episodes, present_dose
from e2analytics.models.dose_response.exceedance import Levels, probabilities
from e2analytics.tables.vocabulary import CAUSES
from tests.exposure.dose_response.men import (
    AS_OF,
    NO_CHANGES,
    ORDERS,
    STARTS,
    day,
    estimated,
    fitted,
    moving,
    present_and_off_drug,
    result,
    usual_results,
)

PRESENT = present_dose(find_episodes(ORDERS), AS_OF)


def of(found: DoseResponseResult, changes: pl.DataFrame = NO_CHANGES) -> pl.DataFrame:
    as_of = predict.AsOf(AS_OF, changes)
    return causes(found.response, found.own_levels, found.draws, PRESENT, as_of)


def with_results(
    before: DoseResponseResult | None = None,
    changes: pl.DataFrame = NO_CHANGES,
    **of_man: tuple[tuple[int, float], ...],
) -> DoseResponseResult:
    """Give named men other results, (day, E2); the others have their usual ones."""
    usual = (row for row in usual_results() if row["patient_id"] not in of_man)
    other = (
        result(int(name[1:]), when, e2) for name, results in of_man.items() for when, e2 in results
    )
    rows = sorted([*usual, *other], key=lambda row: (str(row["patient_id"]), row["collected_on"]))
    return estimated(tuple(rows), before=before or moving(), changes=changes)


def man(found: pl.DataFrame, name: str) -> dict[str, object]:
    return found.row(by_predicate=pl.col("patient_id") == name, named=True)


def test_the_causes_add_up_to_the_fall_of_every_man():
    for found in (fitted(), with_results(p05=((5, 30.0),))):
        table = of(found)

        fall = table["log_e2"] - table["reference_log_e2"]
        together = table.select(pl.sum_horizontal(*CAUSES)).to_series()
        now = present_and_off_drug(found)
        assert table["patient_id"].to_list() == now["patient_id"].to_list()
        assert (together - fall).abs().max() < 1e-12
        assert (table["log_e2"] - now["on_mean"]).abs().max() < 1e-12


def test_a_man_who_fell_with_the_drug_fell_by_the_drug():
    table = of(fitted())

    fall = table["log_e2"] - table["reference_log_e2"]
    assert (table["reference"] == "own_best_year").all()
    assert (table["reference_until"] < day(STARTS + 100)).mean() > 0.9
    assert (table["anastrozole"] / fall).median() == pytest.approx(1, abs=0.1)


FELL_ON = 600
LOW_SINCE = tuple((when, 30.0 if when < FELL_ON else 12.0) for when in range(405, 800, 40))
NOW = (AS_OF - day(0)).days


class Smoothed(NamedTuple):
    """What a man's own parts are expected to be at his draws, and on the day (last), by ordinary regression."""

    level: np.ndarray
    movement: np.ndarray


def smoothed(
    found: DoseResponseResult, draws: tuple[tuple[int, float], ...], steps_on: int = 10_000
) -> Smoothed:
    """Return E(own part | draws) = Cov(part, log E2) Cov(log E2)^-1 (log E2 - expected), of exact MS draws on 1 mg."""
    population = found.response.model.population
    spreads = population.spreads
    last = draws[-1][0]
    carried_to = last + 14 * ((NOW - last) // 14)
    days = np.array([when for when, _ in draws] + [carried_to], dtype=float)
    # His covariates are those of all: the same patients, no testosterone, no measured weight.
    covariates = predict.usual_covariates(found.own_levels.filter(pl.col("patient_id") == "p03"))
    expected = (covariates @ population.coefficients)[0] + population.effect(np.ones(1)).log_ratio
    stepped = days >= steps_on
    level = np.full((len(days), len(days)), spreads.of_effects[0, 0])
    level += np.exp(2 * spreads.log_sd_jump) * np.outer(stepped, stepped)
    apart = np.abs(days[:, None] - days) / np.exp(spreads.log_days_movement)
    movement = np.exp(2 * spreads.log_sd_movement) * np.exp(-apart)
    shared = spreads.of_effects
    of_log_e2 = level + movement + 2 * shared[0, 1] + shared[1, 1]
    drawn = slice(len(draws))
    readings = of_log_e2[drawn, drawn] + population.assays.sd_ms**2 * np.eye(len(draws))
    away = np.linalg.solve(readings, np.log([e2 for _, e2 in draws]) - expected)
    # The level falls together with the response, the movement with nothing.
    return Smoothed((level[:, drawn] + shared[0, 1]) @ away, movement[:, drawn] @ away)


def since_best_year(part: np.ndarray, his: dict[str, object]) -> float:
    days = np.array([when for when, _ in LOW_SINCE])
    first, last = ((his[name] - day(0)).days for name in ("reference_from", "reference_until"))
    return float(part[-1] - part[:-1][(first <= days) & (days <= last)].mean())


def test_a_fall_at_one_dose_is_movement():
    found = of(with_results(p03=LOW_SINCE))

    his = man(found, "p03")
    expected = smoothed(with_results(p03=LOW_SINCE), LOW_SINCE)
    assert his["reference_from"] == day(405)
    assert his["anastrozole"] == pytest.approx(0, abs=1e-12)
    assert his["own_level"] == pytest.approx(0, abs=1e-12)
    assert his["movement"] == pytest.approx(his["log_e2"] - his["reference_log_e2"])
    assert his["movement"] == pytest.approx(since_best_year(expected.movement, his), abs=1e-9)


def test_a_step_at_a_change_of_testosterone_is_testosterone():
    changes = pl.DataFrame({"patient_id": ["p03"], "changed_on": [day(FELL_ON)]})
    stepped = with_results(p03=LOW_SINCE, changes=changes)

    without, with_change = (
        man(of(with_results(p03=LOW_SINCE)), "p03"),
        man(of(stepped, changes), "p03"),
    )
    expected = smoothed(stepped, LOW_SINCE, FELL_ON)
    assert without["testosterone"] == pytest.approx(0, abs=1e-12)
    assert with_change["testosterone"] == pytest.approx(
        since_best_year(expected.level, with_change), abs=1e-9
    )
    assert with_change["movement"] == pytest.approx(
        since_best_year(expected.movement, with_change), abs=1e-9
    )
    assert without["movement"] < with_change["movement"] < 0


def test_lost_weight_is_a_cause_where_it_was_measured():
    model = fitted().response.model
    vector = model.vector.copy()
    vector[COVARIATES.index("bmi_kg_m2")] = 0.03
    heavier = replace(fitted().response, model=replace(model, vector=vector))
    e2 = [result(3, when, 15.0) for when in range(405, 800, 40)]
    bmi = [
        result(3, when, value, analyte="body_mass_index")
        for when, value in ((410, 38.0), (790, 28.0))
    ]
    others = [row for row in usual_results() if row["patient_id"] != "p03"]
    before = fitted()._replace(response=heavier, own_levels=fitted().own_levels.clear())

    his = man(of(estimated((*others, *e2, *bmi), before=before)), "p03")

    # His draws up to day 600 are nearest to the first weight, later ones to the second.
    assert his["reference_until"] < day(790)
    assert -0.3 <= his["weight"] < -0.1


def test_a_man_without_two_draws_in_a_year_is_compared_with_men_like_him():
    found = with_results(p05=((5, 30.0), (705, 9.0)))

    his = man(of(found), "p05")
    now = man(present_and_off_drug(found), "p05")
    assert (his["reference"], his["reference_from"]) == ("men_like_him", None)
    assert his["anastrozole"] == pytest.approx(now["on_mean"] - now["off_mean"], abs=1e-12)
    assert (his["testosterone"], his["weight"]) == (0, 0)


# Where men move, the results off the drug speak in flags/assess.py: the estimate alone does not suffice.
def test_where_nobody_moves_a_man_who_is_low_off_the_drug_is_not_low_by_the_drug():
    off = tuple(
        (when, e2) for when, e2 in zip(range(5, 330, 65), (13, 12, 13, 12, 13), strict=True)
    )
    still = fitted()._replace(own_levels=fitted().own_levels.clear())
    found = with_results(still, p05=(*off, (405, 11.5), (505, 11.0), (605, 11.5)))

    now = present_and_off_drug(found).filter(pl.col("patient_id") == "p05")
    names = ("off_mean", "off_sd", "on_mean", "on_sd", "covariance")
    p = probabilities(Levels(*(now[name].to_numpy() for name in names)), np.array([16.0]))
    assert p.below[0] > 0.9
    assert p.attributable[0] < 0.5
    his = man(of(found), "p05")
    # And the drug's part is what lies between his levels on and off it.
    assert his["reference_until"] < day(STARTS)
    assert his["anastrozole"] == pytest.approx(float((now["on_mean"] - now["off_mean"])[0]))


def test_without_a_dose_response_there_are_no_causes():
    nothing = of(fitted()._replace(response=None))

    assert nothing.is_empty()
    assert nothing.columns == of(fitted()).columns
