"""The story of the network: what three members do wrong is in the drop, and nothing else is."""

from __future__ import annotations

import polars as pl
import pytest

from e2analytics.simulate.generate import World, generate, streams
from e2analytics.simulate.network import Story, month_name
from e2analytics.simulate.settings import SimulationSettings

SETTINGS = SimulationSettings(patients=1_200, clinics=12, years=3)
STORY = Story(overdosing_clinic="C05", not_scanning_clinic="C10")


@pytest.fixture(scope="module")
def told() -> World:
    return generate(SETTINGS, streams(SETTINGS), STORY)


@pytest.fixture(scope="module")
def quiet() -> World:
    return generate(SETTINGS, streams(SETTINGS))


def of_clinic(world: World, file: str, clinic: str) -> pl.DataFrame:
    men = world.drop["patients.csv"].filter(pl.col("clinic_id") == clinic)
    return world.drop[file].join(men, on="patient_id", how="semi")


def test_months_count_from_the_first_whole_one():
    # The record opens on 30 September 2023.
    assert [month_name(SETTINGS, month) for month in (1, 20, 36)] == [
        "2023-10",
        "2025-05",
        "2026-09",
    ]


def test_every_order_of_the_clinic_is_high_once_the_month_is_over(told: World):
    orders = of_clinic(told, "medications.csv", "C05").filter(
        pl.col("drug") == "anastrozole", pl.col("started_on") >= pl.date(2025, 6, 1)
    )

    assert len(orders) > 10
    assert orders["dose_mg"].unique().to_list() == [1.0]
    said = orders["sig"].drop_nulls().unique().to_list()
    assert set(said) <= {"1 mg daily", "as directed"}


def test_what_was_ordered_before_the_month_is_as_it_was(told: World, quiet: World):
    before = pl.col("started_on") < pl.date(2024, 6, 1)
    orders = [
        of_clinic(world, "medications.csv", "C05")
        .filter(before, pl.col("drug") == "anastrozole")
        .select("patient_id", "dose_mg", "started_on")
        for world in (told, quiet)
    ]

    share = len(orders[0].join(orders[1], on=orders[0].columns)) / len(orders[0])
    # Renewals are drawn anew, at other days.
    assert share > 0.5


def test_men_of_the_clinic_are_lower_and_others_are_as_they_were(told: World, quiet: World):
    def low(world: World, clinic: pl.Expr) -> float:
        men = world.truth["men.csv"].filter("on_drug", clinic)
        return float(men["below_red_line"].mean())  # type: ignore[arg-type]

    here = pl.col("clinic_id") == "C05"
    assert low(told, here) > low(quiet, here) + 0.2
    assert low(told, ~here) == low(quiet, ~here)


def test_the_clinic_makes_no_scan_from_that_month_on(told: World):
    days = of_clinic(told, "dxa.csv", "C10")["scanned_on"]

    assert len(days) > 20
    assert days.max() < pl.Series(["2024-10-01"]).str.to_date()[0]  # type: ignore[operator]


def test_the_laboratory_labels_its_e2_wrongly_in_two_months_alone(told: World):
    e2 = told.drop["labs.csv"].filter(
        pl.col("performing_lab") == "LAB-B", pl.col("test_name").str.contains("Estradiol")
    )
    months = e2.filter(pl.col("unit") == "pg/mL")["collected_at"].dt.strftime("%Y-%m")

    assert sorted(months.unique()) == ["2026-03", "2026-04"]
    others = told.drop["labs.csv"].filter(pl.col("performing_lab") != "LAB-B")
    assert "pmol/L" not in others["unit"].to_list()
