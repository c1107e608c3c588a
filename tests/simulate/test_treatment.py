from datetime import date

import numpy as np
import polars as pl
import pytest

from e2analytics.simulate import parameters as world
from e2analytics.simulate.treatment import LETROZOLE, Spells

LAST_DAY = date(2026, 9, 30)
PER_WEEK = {regime.sig: regime.doses_per_week for regime in world.REGIMES}


def spells_of(*regimes: int) -> Spells:
    number = np.arange(len(regimes))
    return Spells.open_ended(number, np.zeros_like(number), np.array(regimes))


@pytest.mark.parametrize(
    ("sig", "left", "source"),
    [
        ("0.5 mg three times weekly", 0.34, "Punjani 2021: -66 %"),
        ("0.25 mg once weekly", 0.65, "the least dose still takes a third"),
        ("1 mg daily", 0.23, "the largest dose is short of -80 %"),
    ],
)
def test_the_average_man_keeps_the_share_of_his_e2_that_the_dose_response_says(sig, left, source):
    regime = [regime.sig for regime in world.REGIMES].index(sig)

    effect = spells_of(regime).log_effect(np.zeros(1))

    assert np.exp(effect) == pytest.approx([left], abs=0.01), source


def test_letrozole_takes_86_percent_whatever_the_response_to_anastrozole():
    effect = spells_of(LETROZOLE).log_effect(np.array([0.5]))

    assert np.exp(effect) == pytest.approx([0.14])


def test_shares_of_regimes_and_laboratories_add_up():
    assert sum(regime.share for regime in world.REGIMES) == pytest.approx(1)
    assert sum(regime.share for regime in world.TESTOSTERONE_REGIMES) == pytest.approx(1)
    assert [sum(shares) for shares in world.LABORATORY_SHARES] == pytest.approx([1, 1, 1, 1])


def test_the_orders_in_force_on_the_last_day_give_the_true_weekly_dose(clean, men):
    orders = clean["medications.csv"].with_columns(
        pl.col("started_on", "stopped_on").str.to_date(),
        pl.col("dose_mg", "doses_per_week").cast(pl.Float64),
    )
    in_force = orders.filter(
        pl.col("drug") == "anastrozole",
        pl.col("started_on") <= LAST_DAY,
        pl.col("stopped_on").is_null() | (pl.col("stopped_on") > LAST_DAY),
    )
    per_week = pl.coalesce("doses_per_week", pl.col("sig").replace_strict(PER_WEEK, default=None))
    doses = in_force.select("patient_id", mg_week=pl.col("dose_mg") * per_week)

    in_care = men.filter("in_care")
    beside = in_care.join(doses, on="patient_id", how="left", validate="1:1")

    assert beside.filter("on_drug", pl.col("dose_on_file"), pl.col("mg_week").is_null()).is_empty()
    assert beside.filter("on_drug", ~pl.col("dose_on_file"))["mg_week"].null_count() > 5
    known = beside.filter("dose_on_file")
    expected = known["weekly_anastrozole_mg"]
    np.testing.assert_allclose(known["mg_week"].fill_null(0), expected)


def test_one_order_follows_another_of_the_same_man_and_drug_without_overlap(clean):
    orders = clean["medications.csv"].filter(pl.col("drug") == "anastrozole")
    following = pl.col("started_on").shift(-1).over("patient_id", order_by="started_on")

    gaps = orders.select("stopped_on", following=following).filter(
        pl.col("following").is_not_null()
    )

    assert gaps.filter(pl.col("stopped_on").is_null()).is_empty()
    assert gaps.filter(pl.col("stopped_on") > pl.col("following")).is_empty()
    assert 0.02 < gaps.select((pl.col("stopped_on") < pl.col("following")).mean()).item() < 0.3


def test_most_doses_are_between_half_a_milligram_and_three_a_week(men):
    weekly = men.filter("on_drug")["weekly_anastrozole_mg"]

    assert weekly.is_between(0.5, 3).mean() > 0.7
    assert (weekly.min(), weekly.max()) == (0.25, 7.0)
