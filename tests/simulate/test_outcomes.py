"""Outcomes beyond bone: what happens follows each man's true E2 (or testosterone) by the known curves."""

from datetime import date

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from e2analytics.cli.simulate import Shape as VerbShape
from e2analytics.simulate import SHAPES, SimulationSettings
from e2analytics.simulate import parameters as world
from e2analytics.simulate.cohort import recruit
from e2analytics.simulate.generate import World, generate, streams
from e2analytics.simulate.settings import SHAPES_WITH_OUTCOMES, Shape
from e2analytics.simulate.truth import events_per_year, outcome_rates

MEN, SEED, ENDS_ON = 1500, 11, date(2026, 9, 30)
E2_PG_ML = np.array([5.0, 10.0, np.sqrt(10 * 20), 20.0, 45.0, np.sqrt(45 * 90), 90.0, 150.0])
RATES = {each.name: each for each in outcome_rates()}
STRETCHES = [14.0, 20.0, 45.0, 60.0]


def settings(shape: Shape, patients: int = MEN, **others) -> SimulationSettings:
    return SimulationSettings(patients=patients, seed=SEED, shape=shape, **others)


def made(shape: Shape, **others) -> World:
    chosen = settings(shape, **others)
    return generate(chosen, streams(chosen))


@pytest.fixture(scope="module")
def drifting() -> dict[str, World]:
    """Cohorts whose E2 moves by drug and drift, one of each shape that has outcomes."""
    return {shape: made(shape, world="drift") for shape in SHAPES_WITH_OUTCOMES}


def test_the_verb_knows_every_shape():
    assert tuple(each.value for each in VerbShape) == SHAPES


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("low_libido", [0.58, 0.58, 0.33, 0.08, 0.08, 0.08, 0.08, 0.08]),
        ("breast_tenderness", [0.04, 0.04, 0.04, 0.04, 0.04, 0.22, 0.40, 0.40]),
        ("mood", [0.48, 0.48, 0.28, 0.08, 0.08, 0.23, 0.38, 0.38]),
        ("haematocrit_above_54", [0.08] * 8),
    ],
)
def test_low_and_high_e2_add_what_the_parameters_say(name, expected):
    rate = events_per_year(np.log(E2_PG_ML), RATES[name], settings("two_sides"))

    assert rate == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shape", [each for each in SHAPES if each != "two_sides"])
def test_in_every_other_shape_e2_adds_nothing(shape):
    for outcome in outcome_rates():
        assert np.all(events_per_year(np.log(E2_PG_ML), outcome, settings(shape)) == outcome.rate)


def test_the_truth_is_a_probability_within_a_year_on_the_grid_of_the_curve(drifting):
    truth = drifting["two_sides"].truth["outcomes.csv"]

    assert truth.columns == ["outcome", "e2_pg_ml", "probability_1y"]
    assert truth["outcome"].unique().sort().to_list() == sorted(
        f"hazard_{name}_1y" for name in RATES
    )
    curve = drifting["two_sides"].truth["curve.csv"].filter(site="total_hip")
    libido = truth.filter(outcome="hazard_low_libido_1y")
    assert libido["e2_pg_ml"].to_list() == curve["e2_pg_ml"].to_list()
    # 1 - exp(-0.58) at the low end, 1 - exp(-0.08) on the plateau.
    assert libido["probability_1y"][0] == pytest.approx(0.440102, abs=1e-6)
    assert libido["probability_1y"][-1] == pytest.approx(0.076884, abs=1e-6)


def test_limits_lie_where_the_risk_is_five_points_above_the_least(drifting):
    limits = drifting["two_sides"].truth["outcome_limits.csv"]

    found = {
        outcome: (lower, upper)
        for outcome, lower, upper in limits.select(
            pl.col("outcome").str.extract("hazard_(.*)_1y"),
            "lower_limit_pg_ml",
            "upper_limit_pg_ml",
        ).rows()
    }
    # Breast tenderness: 1 - exp(-0.04) + 0.05 = 0.0892, a rate of 0.09344, 0.1484 of what high E2 adds;
    # 45 x 2^0.1484. Libido: a rate of 0.13569, 0.1114 of what low E2 adds; 20 / 2^0.1114. Mood has both.
    assert found["breast_tenderness"] == (None, pytest.approx(49.877, abs=0.01))
    assert found["low_libido"] == (pytest.approx(18.514, abs=0.01), None)
    assert found["mood"] == (pytest.approx(18.160, abs=0.01), pytest.approx(51.179, abs=0.01))
    assert found["fracture"] == found["haematocrit_above_54"] == (None, None)
    none = drifting["bone_only"].truth["outcome_limits.csv"]
    assert none["lower_limit_pg_ml"].null_count() == none["upper_limit_pg_ml"].null_count() == 9


@pytest.mark.parametrize("shape", SHAPES_WITH_OUTCOMES)
def test_what_happens_is_what_the_true_e2_of_each_month_makes_expect(drifting, shape):
    cohort = drifting[shape]
    months = in_care(cohort)
    log_e2 = months["e2_pg_ml"].log().to_numpy()
    happened = (
        cohort.drop["events.csv"]
        .filter(pl.col("kind").is_in(["symptom", "fracture"]))
        .with_columns(name=pl.coalesce("detail", "kind"))
        .sort("occurred_on")
        .join_asof(
            months.select("patient_id", "on", "e2_pg_ml").sort("on"),
            left_on="occurred_on",
            right_on="on",
            by="patient_id",
            strategy="nearest",
        )
    )

    for outcome in outcome_rates()[:-1]:
        rate = events_per_year(log_e2, outcome, settings(shape))
        at = np.digitize(months["e2_pg_ml"], STRETCHES)
        expected = np.bincount(at, rate * months["years"].to_numpy())
        e2 = happened.filter(name=outcome.name)["e2_pg_ml"].to_numpy()
        found = np.bincount(np.digitize(e2, STRETCHES), minlength=len(expected))
        assert len(expected) == len(STRETCHES) + 1
        assert np.all(np.abs(found - expected) < 4 * np.sqrt(expected) + 1), outcome.name
        assert abs(found.sum() - expected.sum()) < 3.5 * np.sqrt(expected.sum())


def in_care(cohort: World) -> pl.DataFrame:
    """Months of men in care with their true E2; the first and the last one are as long as they are."""
    left = cohort.drop["events.csv"].filter(pl.col("kind").is_in(["left_clinic", "died"]))
    men = cohort.drop["patients.csv"].join(
        left.select("patient_id", left_on="occurred_on"), on="patient_id", how="left"
    )
    until = pl.min_horizontal(pl.col("on").dt.offset_by("15d"), "left_on", pl.lit(ENDS_ON))
    since = pl.max_horizontal(pl.col("on").dt.offset_by("-15d"), "trt_started_on")
    return (
        cohort.truth["path.csv"]
        .join(men.select("patient_id", "trt_started_on", "left_on"), on="patient_id")
        .with_columns(years=(until - since).dt.total_days() / 365.25)
        .filter(pl.col("years") > 0)
    )


def test_a_haematocrit_above_the_line_follows_testosterone_alone(drifting):
    cohort, chosen = drifting["two_sides"], settings("two_sides", world="drift")
    men = recruit(chosen, streams(chosen)["men"])
    haematocrit = cohort.drop["labs.csv"].filter(test_name="Hematocrit")
    above = haematocrit.filter(pl.col("value").cast(pl.Float64) > 54)

    years = (men.exit_day - men.entry_day) / 365.25
    by_testosterone = np.exp(2.0 * (men.log_testosterone - np.log(600.0)))
    expected = np.minimum(0.08 * by_testosterone, 1.0) * years
    man = above["patient_id"].str.slice(1).cast(pl.Int64).to_numpy() - 1
    found = np.bincount(man, minlength=MEN)
    third = np.digitize(men.log_testosterone, np.quantile(men.log_testosterone, [1 / 3, 2 / 3]))
    for which in range(3):
        here = third == which
        assert abs(found[here].sum() - expected[here].sum()) < 3.5 * np.sqrt(expected[here].sum())
    assert found[third == 2].sum() > 2 * found[third == 0].sum()


def test_every_draw_has_a_haematocrit_and_a_day_has_one(drifting):
    labs = drifting["two_sides"].drop["labs.csv"].with_columns(on=pl.col("collected_at").dt.date())
    haematocrit = labs.filter(pl.col("test_name") == "Hematocrit")

    days = ["patient_id", "on"]
    assert haematocrit.select(days).is_duplicated().sum() == 0
    assert len(labs.select(days).join(haematocrit, on=days, how="anti")) == 0
    assert labs["result_id"].is_duplicated().sum() == 0
    assert labs.columns[:-1] == made("threshold", patients=100).drop["labs.csv"].columns


@pytest.mark.parametrize("shape", SHAPES)
def test_only_shapes_with_outcomes_say_details_and_have_their_truth(shape):
    cohort = made(shape, patients=100)

    events = cohort.drop["events.csv"]
    has_outcomes = shape in SHAPES_WITH_OUTCOMES
    assert ("detail" in events.columns) == has_outcomes
    assert ({"outcomes.csv", "outcome_limits.csv"} <= set(cohort.truth)) == has_outcomes
    if has_outcomes:
        symptoms = events.filter(kind="symptom")["detail"]
        assert set(symptoms) == {each.name for each in world.SYMPTOM_RATES}
        assert events.filter(pl.col("kind") != "symptom")["detail"].null_count() == len(
            events.filter(pl.col("kind") != "symptom")
        )


def test_men_treatment_and_bone_are_those_of_a_threshold_and_come_again_with_the_seed():
    threshold, one, again = (
        made(shape, patients=200) for shape in ("threshold", "two_sides", "two_sides")
    )

    for name in ("patients.csv", "dxa.csv", "medications.csv"):
        assert_frame_equal(one.drop[name], threshold.drop[name])
    for name in one.drop:
        assert_frame_equal(one.drop[name], again.drop[name])
