"""How E2 comes about: the causes add up, and are those that the results were made by."""

from dataclasses import replace

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


def test_a_fall_at_one_dose_is_movement():
    results = tuple((when, 30.0 if when < 600 else 12.0) for when in range(405, 800, 40))
    found = of(with_results(p03=results))

    his = man(found, "p03")
    assert his["reference_from"] == day(405)
    assert his["anastrozole"] == pytest.approx(0, abs=1e-12)
    assert his["own_level"] == 0
    assert his["movement"] == pytest.approx(his["log_e2"] - his["reference_log_e2"])
    assert his["movement"] < -0.3


def test_a_step_at_a_change_of_testosterone_is_testosterone():
    results = tuple((when, 30.0 if when < 600 else 15.0) for when in range(405, 800, 40))
    changes = pl.DataFrame({"patient_id": ["p03"], "changed_on": [day(600)]})
    found, stepped = with_results(p03=results), with_results(p03=results, changes=changes)

    without, with_change = man(of(found), "p03"), man(of(stepped, changes), "p03")
    assert without["testosterone"] == pytest.approx(0, abs=1e-12)
    assert with_change["testosterone"] < -0.1
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
