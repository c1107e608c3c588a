"""E2 at risk: what was known of a man when an interval began, and nothing of later."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from e2analytics.exposure.draws import link_draws
from e2analytics.exposure.e2_at_risk import E2AtRisk, e2_at_risk
from e2analytics.exposure.episodes import find_episodes
from e2analytics.exposure.first_events import intervals_at_risk
from e2analytics.measures.clinic_rows import clinics
from e2analytics.settings import FlagSettings, LinkSettings
from e2analytics.tables.patient_data import PatientData
from e2analytics.tables.snapshot import empty_table
from e2analytics.tables.sums import none
from e2analytics.tables.vocabulary import SYMPTOMS
from tests.exposure.dose_response import men

NO_SPELLS = pl.DataFrame(
    schema={"patient_id": pl.String, "why": pl.String, "began_on": pl.Date, "ended_on": pl.Date}
)
TESTOSTERONE = {"analyte": "testosterone_total", "value_low": 600.0, "value_high": 600.0}


def clinic(
    results: tuple[dict[str, object], ...], orders: pl.DataFrame = men.ORDERS
) -> PatientData:
    labs = pl.DataFrame(results, schema_overrides=men.LABS)
    episodes = find_episodes(orders)
    symptoms = [
        {"patient_id": who, "kind": "symptom", "detail": detail, "occurred_on": men.day(when)}
        for who, detail, when in (
            *(("p59", kind, -30) for kind in SYMPTOMS),
            ("p01", "gynaecomastia", 440),
        )
    ]
    empty = ("dxa", "precision", "lifestyle", "pairs", "densitometry", "scanner_shifts")
    return PatientData(
        patients=men.PATIENTS.with_columns(clinic_id=pl.lit("A"), trt_started_on=pl.lit(men.ZERO)),
        medications=orders.with_columns(dose_mg=pl.lit(0.5), doses_per_week=pl.lit(2.0)),
        labs=labs,
        events=pl.concat([empty_table("events"), pl.DataFrame(symptoms)], how="diagonal_relaxed"),
        clinics=clinics(none(), men.AS_OF),
        episodes=episodes,
        draws=link_draws(labs, episodes, FlagSettings()),
        pending=pl.DataFrame(),
        pending_e2=pl.DataFrame(),
        pending_draws=pl.DataFrame(),
        **{name: empty_table("dxa") for name in empty},
    )


def of_men(data: PatientData) -> tuple[pl.DataFrame, E2AtRisk]:
    at_risk = intervals_at_risk(data, NO_SPELLS, LinkSettings(), men.AS_OF)
    return at_risk, e2_at_risk(at_risk, data, men.moving().response)


def until(found: pl.DataFrame, when: date, who: str = "p01") -> pl.DataFrame:
    return found.filter(pl.col("patient_id") == who, pl.col("ended_on") <= when)


@pytest.fixture(scope="module")
def usual() -> tuple[pl.DataFrame, E2AtRisk]:
    return of_men(clinic(men.usual_results()))


def test_e2_follows_what_the_man_had(usual: tuple[pl.DataFrame, E2AtRisk]):
    level, response = men.true_levels()
    last = usual[1].intervals.filter(pl.col("ended_on") >= men.day(700))

    true = [
        level[int(who[1:])] + (int(who[1:]) % 2) * response[int(who[1:])]
        for who in last["patient_id"]
    ]

    error = last["log_e2"].to_numpy() - np.array(true)
    assert abs(error.mean()) < 0.05
    assert error.std() < 0.25


def test_the_days_of_an_interval_are_shared_by_the_doses_held_in_them(
    usual: tuple[pl.DataFrame, E2AtRisk],
):
    # His first tablet was on day 330: the interval from day 305 to day 355 has both.
    found = usual[1].intervals.filter(
        pl.col("patient_id") == "p01", pl.col("started_on") == men.day(305)
    )
    doses = usual[1].episodes.join(found, on="interval").sort("weekly_anastrozole_mg")

    assert doses.select("weekly_anastrozole_mg", "share").rows() == [(0.0, 0.5), (1.0, 0.5)]
    assert doses["log_e2_mean"][0] > doses["log_e2_mean"][1] + 0.5


def test_all_outcomes_of_an_interval_share_its_e2(usual: tuple[pl.DataFrame, E2AtRisk]):
    at_risk, found = usual

    assert len(at_risk) > 6 * len(found.intervals)
    assert found.intervals["interval"].n_unique() == len(found.intervals)
    shares = found.episodes.group_by("interval").agg(pl.col("share").sum())
    assert len(shares) == len(found.intervals)
    assert shares["share"].to_numpy() == pytest.approx(1)


def test_nothing_after_an_interval_began_changes_what_is_said_of_it(
    usual: tuple[pl.DataFrame, E2AtRisk],
):
    event, later = men.day(440), men.day(450)
    known = [each for each in men.usual_results() if each["collected_on"] < event]
    of_another_life = tuple(
        men.result(1, when, e2, **more)
        for when, e2, more in (
            (450, 300.0, {}),
            (460, 250.0, {}),
            (470, 0.0, TESTOSTERONE | {"value_low": 3000.0, "value_high": 3000.0}),
        )
    )
    orders = men.ORDERS.with_columns(
        stopped_on=pl.when(pl.col("patient_id") == "p01")
        .then(pl.lit(later))
        .otherwise("stopped_on")
    )

    _, found = of_men(clinic((*known, *of_another_life), orders))

    assert len(until(usual[1].intervals, event)) > 4
    assert_frame_equal(until(found.intervals, event), until(usual[1].intervals, event))


def test_a_man_who_is_given_the_drug_later_is_no_other_man_before(
    usual: tuple[pl.DataFrame, E2AtRisk],
):
    """That he will be given it says that his E2 is high: before, nobody knows."""
    _, never = of_men(clinic(men.usual_results(), men.ORDERS.filter(pl.col("patient_id") != "p01")))
    before = men.ZERO + timedelta(days=305)

    assert_frame_equal(until(never.intervals, before), until(usual[1].intervals, before))


def test_a_man_who_may_be_given_the_drug_is_between_those_who_are_and_those_who_are_not():
    """His prior is the mixture of both kinds: their means by their shares, the spread of the two on top."""
    data, response = clinic(men.usual_results()), men.moving().response
    assert response is not None
    vector = response.model.vector.copy()
    vector[response.model.names.index("ever_on_drug")] = 0.4
    model = replace(response.model, vector=vector)
    at_risk = intervals_at_risk(data, NO_SPELLS, LinkSettings(), men.AS_OF)

    def before_the_drug(given_later: float) -> pl.DataFrame:
        imputation = replace(response.imputation, given_later=given_later)
        found = e2_at_risk(at_risk, data, replace(response, model=model, imputation=imputation))
        first = found.intervals.filter(pl.col("started_on") == men.day(5)).select("interval")
        return found.episodes.join(first, on="interval").sort("interval")

    never, half, surely = (before_the_drug(share) for share in (0.0, 0.5, 1.0))

    # What the prior weighs beside one draw: less than all of the difference, the same for all men.
    apart = (surely["log_e2_mean"] - never["log_e2_mean"]).to_numpy() / 0.4
    assert apart.min() > 0.05
    assert apart.max() < 0.5
    np.testing.assert_allclose(apart, apart[0], rtol=0.01)
    np.testing.assert_allclose(surely["log_e2_sd"], never["log_e2_sd"], rtol=1e-3)
    # The level's variance has grown by 0.04: so much more do a man's own draws say.
    assert (half["log_e2_sd"] > 1.01 * never["log_e2_sd"]).all()


def test_the_share_of_men_who_are_given_the_drug_later_is_learnt_with_the_dose_response():
    response = men.moving().response

    # All are off it at their first draw; every second one is given it on day 330.
    assert response is not None
    assert response.imputation.given_later == 0.5


def test_covariates_are_those_of_the_start_and_never_imputed():
    measured = men.result(2, 100, 0.0, **TESTOSTERONE)

    _, found = of_men(clinic((*men.usual_results(), measured)))

    him = found.intervals.filter(pl.col("patient_id") == "p02").sort("started_on")
    assert him["started_on"].to_list()[:3] == [men.day(5), men.day(55), men.day(105)]
    assert him["log_testosterone"].to_list()[:3] == [None, None, pytest.approx(np.log(600))]
    assert him["bmi_kg_m2"][0] == pytest.approx(90 / 1.8**2)
    assert him["years_on_trt"][0] == pytest.approx(5 / 365.25)
    assert him["age_years"][0] == pytest.approx((men.day(5) - date(1970, 1, 1)).days / 365.25)


def test_without_a_dose_response_there_is_no_e2():
    data = clinic(men.usual_results())
    at_risk = intervals_at_risk(data, NO_SPELLS, LinkSettings(), men.AS_OF)

    assert e2_at_risk(at_risk, data, None).intervals.is_empty()
