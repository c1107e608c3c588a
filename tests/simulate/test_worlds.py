"""Worlds in which men's E2 moves: what is on file and in truth is what was made to happen."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from e2analytics.cli.simulate import World
from e2analytics.simulate import WORLDS, SimulationSettings
from e2analytics.simulate import parameters as world
from e2analytics.simulate.generate import generate, streams

NO_DRUG = pl.col("on_drug").not_() & pl.col("other_inhibitor").not_()


def made(name: str, patients: int = 400, seed: int = 5):
    settings = SimulationSettings(patients=patients, seed=seed, world=name)
    return generate(settings, streams(settings))


def exact(labs: pl.DataFrame, name: str) -> pl.DataFrame:
    return labs.filter(
        pl.col("test_name").str.starts_with(name) & ~pl.col("value").str.contains("[<>]")
    ).with_columns(pl.col("value").cast(pl.Float64), on=pl.col("collected_at").dt.date())


def test_the_verb_knows_every_world():
    assert tuple(each.value for each in World) == WORLDS
    with pytest.raises(ValueError, match=r"^world must be one of static, drift,"):
        SimulationSettings(world="upside_down")


def test_a_world_is_said_and_the_static_one_is_as_before():
    assert "world" not in SimulationSettings().as_json()
    assert SimulationSettings(world="drift").as_json()["world"] == "drift"
    static = made("static")
    assert set(static.truth) == {"curve.csv", "men.csv", "intervals.csv"}


@pytest.mark.parametrize("name", WORLDS[1:])
def test_a_world_has_the_same_men_and_says_how_their_e2_went(name):
    static, moving = made("static"), made(name)

    same = ["patient_id", "clinic_id", "birth_date", "height_cm", "trt_started_on"]
    assert moving.drop["patients.csv"].select(same).equals(static.drop["patients.csv"].select(same))
    assert {"moves.csv", "path.csv"} <= set(moving.truth)
    last = moving.truth["path.csv"].filter(pl.col("on") == date(2026, 9, 30))
    now = moving.truth["men.csv"]["e2_now_pg_ml"]
    assert (last["e2_pg_ml"].to_numpy() == now.to_numpy()).all()
    assert moving.drop["labs.csv"].columns == static.drop["labs.csv"].columns


def test_drift_has_its_spread_and_forgets_in_its_time():
    static, moving = (made(name).truth["men.csv"] for name in ("static", "drift"))
    path = made("drift").truth["path.csv"]

    moved = (moving["e2_off_drug_pg_ml"] / static["e2_off_drug_pg_ml"]).log()
    assert moved.std() == pytest.approx(world.DRIFT_SD, rel=0.1)
    still = moving.filter(NO_DRUG)["patient_id"].implode()
    off = path.filter(pl.col("patient_id").is_in(still)).with_columns(pl.col("e2_pg_ml").log())
    day = date(2026, 9, 30)
    late, early = (
        off.filter(pl.col("on") == each).sort("patient_id")["e2_pg_ml"].to_numpy()
        for each in (day, day - timedelta(days=270))
    )
    # A man's own level is common to both days; what has moved since is sqrt(2 (1 - 1/e)) SD.
    moved_since = np.sqrt(2 * (1 - np.exp(-1))) * world.DRIFT_SD
    assert np.median(np.abs(late - early)) / 0.6745 == pytest.approx(moved_since, rel=0.25)


def test_testosterone_steps_are_on_file_and_e2_follows():
    made_ = made("testosterone_steps")
    steps = made_.truth["moves.csv"].filter(pl.col("what") == "ramp")
    orders = made_.drop["medications.csv"].filter(pl.col("drug").str.contains("testosterone"))

    of_man = orders.group_by("patient_id").agg(
        n=pl.len(), stopped=pl.col("stopped_on").is_not_null().any()
    )
    changed = of_man.filter((pl.col("n") > 1) | "stopped")["patient_id"]
    share = world.STEP_SHARE
    # A change after he left is in truth and not on file.
    assert set(changed) <= set(steps["patient_id"]) | set(
        orders.filter(pl.col("drug") == world.PELLETS[0])["patient_id"]
    )
    assert len(changed) / len(of_man) == pytest.approx(share, abs=0.08)
    t = exact(made_.drop["labs.csv"], "Testosterone").filter(pl.col("unit") == "ng/dL")
    down = steps.filter(pl.col("log_testosterone") == round(np.log(0.5), 5))
    both = t.join(down, on="patient_id")
    before = both.filter(pl.col("on") < pl.col("started_on"))["value"].median()
    after = both.filter(pl.col("on") > pl.col("ended_on"))["value"].median()
    assert after / before == pytest.approx(0.5, abs=0.08)
    assert down["log_e2"].mean() == pytest.approx(
        world.E2_PER_LOG_TESTOSTERONE * np.log(0.5), abs=0.06
    )


def test_lost_weight_is_measured_and_the_record_has_the_last():
    made_ = made("weight_loss")
    lost = made_.truth["moves.csv"]
    bmi = exact(made_.drop["labs.csv"], "Body mass index").join(lost, on="patient_id")

    first = bmi.filter(pl.col("on") <= pl.col("started_on")).group_by("patient_id")
    last = bmi.filter(pl.col("on") >= pl.col("ended_on")).group_by("patient_id")
    men = first.agg(pl.col("value").last(), pl.col("bmi_kg_m2").first()).join(
        last.agg(later=pl.col("value").last()), on="patient_id"
    )
    assert len(men) > 20
    assert (men["later"] - men["value"] - men["bmi_kg_m2"]).abs().max() < 0.11
    assert (lost["log_e2"] / lost["bmi_kg_m2"]).round(3).unique().to_list() == [
        world.E2_PER_BMI_LOST
    ]
    record = (
        made_.drop["patients.csv"]
        .join(last.agg(later=pl.col("value").last()), on="patient_id")
        .drop_nulls(["height_cm", "weight_kg"])
    )
    of_record = record["weight_kg"] / (record["height_cm"] / 100) ** 2
    assert (of_record - record["later"]).abs().max() < 0.5


def test_lapses_are_not_on_file_and_e2_rises_in_them():
    static, moving = made("static"), made("lapses")
    lapses = moving.truth["moves.csv"].filter(pl.col("what") == "not_taken")

    assert moving.drop["medications.csv"].equals(static.drop["medications.csv"])
    days = (lapses["ended_on"] - lapses["started_on"]).dt.total_days()
    assert days.min() >= world.LAPSE_DAYS[0]
    assert days.max() < world.LAPSE_DAYS[1]
    within = (
        moving.truth["path.csv"]
        .join(lapses, on="patient_id")
        .filter(
            (pl.col("on") > pl.col("started_on") + timedelta(days=14))
            & (pl.col("on") < pl.col("ended_on"))
        )
        .join(moving.truth["men.csv"], on="patient_id")
    )
    ratio = within["e2_pg_ml"] / within["e2_off_drug_pg_ml"]
    assert len(within) > 20
    assert ratio.median() == pytest.approx(1, abs=0.02)


def test_a_clinic_that_changes_its_assay_does_so_from_one_day_on():
    labs = made("assay_change").drop["labs.csv"]
    static = made("static").drop["labs.csv"]

    assert labs["collected_at"].equals(static["collected_at"])
    moved = labs["performing_lab"] != static["performing_lab"]
    assert 0.25 < moved.mean() < 0.65
    clinics = made("static").drop["patients.csv"].select("patient_id", "clinic_id")
    per = labs.with_columns(moved=moved).join(clinics, on="patient_id")
    spans = per.group_by("clinic_id", "moved").agg(
        first=pl.col("collected_at").min().dt.date(), last=pl.col("collected_at").max().dt.date()
    )
    until = spans.filter(~pl.col("moved")).sort("clinic_id")["last"]
    since = spans.filter("moved").sort("clinic_id")["first"]
    assert (since > until).all()


def test_draws_at_peak_or_trough_swing_more():
    spread = {
        name: exact(made(name).drop["labs.csv"], "Testosterone")
        .filter(pl.col("unit") == "ng/dL")
        .with_columns(log=pl.col("value").log())
        .group_by("patient_id")
        .agg(pl.col("log").var())["log"]
        .mean()
        for name in ("static", "peak_or_trough")
    }

    added = spread["peak_or_trough"] - spread["static"]
    assert added == pytest.approx(world.PEAK_LOG_TESTOSTERONE**2, rel=0.15)
