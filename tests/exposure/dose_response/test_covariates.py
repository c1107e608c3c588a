"""Covariates of a draw are those of its day: testosterone under the order in force, weight the nearest."""

from math import exp, log

import polars as pl
import pytest

from e2analytics.exposure.dose_response.covariates import usable_draws, with_covariates
from e2analytics.exposure.draws import link_draws
from e2analytics.exposure.episodes import find_episodes
from e2analytics.settings import FlagSettings
from tests.exposure.dose_response.men import AS_OF, LABS, ORDERS, PATIENTS, day, result

CHANGED = pl.DataFrame({"patient_id": ["p01"], "changed_on": [day(250)]})


def covered(*more: dict[str, object]) -> pl.DataFrame:
    """Four draws of a man whose testosterone order changed after the second."""
    drawn = [result(1, when, 30.0) for when in (100, 200, 300, 400)]
    labs = pl.DataFrame([*drawn, *more], schema_overrides=LABS)
    spells = find_episodes(ORDERS)
    e2 = labs.filter(pl.col("analyte") == "estradiol")
    used = usable_draws(link_draws(e2, spells, FlagSettings()))
    return with_covariates(used, PATIENTS, labs, spells, CHANGED, AS_OF)


def test_what_is_usual_is_so_under_one_order():
    values = {50: 900.0, 200: 1000.0, 310: 380.0, 390: 370.0}

    table = covered(
        *(result(1, when, t, analyte="testosterone_total") for when, t in values.items())
    )

    usual = [exp(mean) for mean in table["t_mean"]]
    assert usual == pytest.approx([(900 * 1000) ** 0.5] * 2 + [(380 * 370) ** 0.5] * 2)
    assert table["t_count"].to_list() == [2, 2, 2, 2]
    # A result of the same day counts as measured.
    assert table["same_day"].to_list() == [None, pytest.approx(log(1000)), None, None]


def test_weight_is_that_of_the_nearest_day():
    measured = ((90, 36.0), (310, 27.0), (410, 25.0))

    table = covered(*(result(1, when, bmi, analyte="body_mass_index") for when, bmi in measured))

    assert table["bmi_kg_m2"].to_list() == [36.0, 27.0, 27.0, 25.0]


def test_without_a_measured_weight_that_of_the_record_counts():
    assert covered()["bmi_kg_m2"].to_list() == [pytest.approx(90 / 1.8**2)] * 4
