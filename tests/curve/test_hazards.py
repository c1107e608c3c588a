"""Curves of outcomes beyond bone as rows of the curve tables."""

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from e2analytics.curve import hazards
from e2analytics.curve.hazards import FollowedUp, Hazards, with_enough_events
from e2analytics.settings import FitSettings
from tests.models.test_hazard_curve import first_events, harm_above_35

TENDER, MOOD = "hazard_breast_tenderness_1y", "hazard_mood_1y"
HAEMATOCRIT = "hazard_haematocrit_above_54_1y"
SETTINGS = FitSettings(n_replicates=100)
ZERO = date(2024, 1, 1)


def followed(**outcomes: float) -> FollowedUp:
    """Men whose events come above 35 pg/mL, under the named outcomes; of each only a share of the events."""
    data, years = first_events(2500, harm_above_35)
    place = np.arange(len(data))
    started = [ZERO + timedelta(days=int(each)) for each in place]
    intervals = pl.DataFrame(
        {
            "patient_id": [f"p{man}" for man in data.patient],
            "started_on": started,
            "ended_on": [each + timedelta(days=60) for each in started],
            "interval": [f"i{each}" for each in place],
            "log_e2": data.log_e2,
            "e2_pg_ml": np.exp(data.log_e2),
            "age_years": data.covariates[:, 0],
            "bmi_kg_m2": 28.0 + place % 5,
            "log_testosterone": np.log(500.0 + place % 7),
            "years_on_trt": place % 3 / 1.0,
        }
    )
    episodes = intervals.select(
        "interval", weekly_anastrozole_mg=0.0, share=1.0, log_e2_mean="log_e2", log_e2_sd=0.0
    )
    came = np.flatnonzero(data.outcome)
    parts = [
        intervals.select("patient_id", "started_on", "ended_on").with_columns(
            outcome=pl.lit(name),
            event=pl.Series(np.isin(place, came[: int(share * len(came))])),
            years=pl.Series(years),
        )
        for name, share in outcomes.items()
    ]
    return FollowedUp(pl.concat(parts), intervals, episodes)


@pytest.fixture(scope="module")
def fitted() -> Hazards:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hazards, "_LEAST_REPLICATES", 300)
        return hazards.fit(followed(**{TENDER: 1.0, MOOD: 0.1}), SETTINGS, model_id="m")


def test_an_outcome_is_a_curve_of_the_whole_man(fitted: Hazards):
    curve = fitted.curve

    assert curve.select("site", "outcome").unique().rows() == [("whole_man", TENDER)]
    assert curve["estimate"].is_between(0, 1).all()
    near = curve.sort((pl.col("e2_pg_ml") / 25).log().abs()).row(0, named=True)
    # A hazard of 0.03 a year; the band holds at all E2 together.
    assert near["band_low"] < -np.expm1(-0.03) < near["band_high"]


def test_its_upper_limit_is_supported_or_says_why_not(fitted: Hazards):
    row = fitted.summary.filter(pl.col("outcome") == TENDER).row(0, named=True)

    assert (row["verdict"], row["upper_limit_supported"]) == ("high_side_threshold", True)
    assert row["upper_limit_ci_low"] < 49.1 < row["upper_limit_ci_high"]
    assert (row["upper_limit_why_not"], row["lower_limit_pg_ml"]) == (None, None)
    assert row["why_not"].startswith("the verdict is high_side_threshold: no harm at low E2")
    assert row["explanation"].endswith("corrected for 2 tests (Holm).")
    assert row["covariates"] == "age, BMI, log testosterone, years on TRT"
    assert (row["delta"], row["n_patients"]) == (0.05, 2500)
    assert row["n_events"] > 100


def test_an_outcome_with_too_few_events_says_so(fitted: Hazards):
    row = fitted.summary.filter(pl.col("outcome") == MOOD).row(0, named=True)

    assert row["verdict"] is None
    assert row["why_not"] == (
        f"a curve of first events needs at least 50 events; there are {row['n_events']} events. "
        "Supply more men or a longer period."
    )
    assert with_enough_events(followed(**{TENDER: 1.0, MOOD: 0.1}).at_risk)[
        "outcome"
    ].unique().to_list() == [TENDER]


def test_haematocrit_is_not_fitted_without_testosterone():
    known = followed(**{HAEMATOCRIT: 1.0})
    without = known._replace(
        intervals=known.intervals.with_columns(log_testosterone=pl.lit(None, dtype=pl.Float64))
    )

    found = hazards.fit(without, SETTINGS, model_id="m")

    assert found.curve.is_empty()
    assert found.summary["why_not"].to_list() == [
        "testosterone raises haematocrit and E2, and log testosterone is known of too few intervals. Supply "
        "testosterone results."
    ]


def test_what_no_feed_supplies_has_no_row():
    known = followed(**{MOOD: 0.1})
    nothing = known._replace(at_risk=known.at_risk.clear())

    assert hazards.fit(nothing, SETTINGS, model_id="m").summary.is_empty()
