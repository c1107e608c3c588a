"""Respond: every man's own E2 under the model of the month."""

from datetime import UTC, date, datetime, timedelta
from functools import cache

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from e2analytics.exposure import dose_response
from e2analytics.exposure.dose_response import Responded
from e2analytics.exposure.draws import link_draws
from e2analytics.exposure.episodes import find_episodes, present_dose
from e2analytics.models.dose_response import predict
from e2analytics.models.dose_response.random_effects import integrate
from e2analytics.settings import FlagSettings
from e2analytics.tables.check import check
from e2analytics.tables.registry import TABLES
from e2analytics.tables.snapshot import empty_table

ZERO = date(2024, 1, 1)
AS_OF = ZERO + timedelta(days=800)
N_MEN, N_DRAWS = 60, 8
STARTS = 350  # men of odd number take 1 mg a week from this day
LABS = {
    "analyte": pl.String,
    "collected_on": pl.Date,
    "value_low": pl.Float64,
    "value_high": pl.Float64,
    "assay": pl.String,
}


HELD = pl.DataFrame(
    {
        "pair": [0, 0, 1],
        "patient_id": ["p01", "p01", "p02"],
        "site": ["total_hip"] * 3,
        "scan_id": ["s1", "s1", "s2"],
        "weekly_dose_mg": [0.0, 1.0, 0.0],
        "share": [0.25, 0.75, 1.0],
    },
    schema_overrides={"pair": pl.UInt32},
)


def day(number: int) -> date:
    return ZERO + timedelta(days=int(number))


def result(man: int, number: int, e2: float, **changes: object) -> dict[str, object]:
    row = {
        "patient_id": f"p{man:02d}",
        "analyte": "estradiol",
        "result_id": f"r{man}-{number}",
        "collected_on": day(number),
        "value_low": e2,
        "value_high": e2,
        "assay": "ms",
        "performing_lab": "LAB",
        "imputed": "",
        "source_order": 0,
        "source_line": 2 + number,
        **changes,
    }
    when = row["collected_on"]
    assert isinstance(when, date)
    return {**row, "collected_at": datetime.combine(when, datetime.min.time(), UTC)}


@cache
def true_levels() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(np.log(36), 0.35, N_MEN), rng.normal(-0.9, 0.15, N_MEN)


@cache
def usual_results() -> tuple[dict[str, object], ...]:
    rng = np.random.default_rng(2)
    level, response = true_levels()
    return tuple(
        result(
            man,
            when,
            float(np.exp(level[man] + (man % 2 and when > STARTS) * response[man] + noise)),
        )
        for man in range(N_MEN)
        for when, noise in zip(
            np.arange(N_DRAWS) * 100 + 5, rng.normal(0, 0.15, N_DRAWS), strict=True
        )
    )


ORDERS = pl.DataFrame(
    [
        {
            "patient_id": f"p{man:02d}",
            "drug": "anastrozole",
            "drug_class": "aromatase_inhibitor",
            "started_on": day(STARTS - 20),
            "stopped_on": None,
            "weekly_dose_mg": 1.0,
            "source_file": "f",
            "source_line": man,
            "source_order": 0,
        }
        for man in range(1, N_MEN, 2)
    ],
    schema_overrides={"stopped_on": pl.Date},
)
PATIENTS = pl.DataFrame(
    {
        "patient_id": [f"p{man:02d}" for man in range(N_MEN)],
        "clinic_id": ["A", "B"] * (N_MEN // 2),
        "birth_date": [date(1970, 1, 1)] * N_MEN,
        "height_cm": [180.0] * N_MEN,
        "weight_kg": [90.0] * N_MEN,
    }
)


def responded(
    results: tuple[dict[str, object], ...] | None = None,
    orders: pl.DataFrame = ORDERS,
    before: Responded | None = None,
) -> Responded:
    labs = pl.DataFrame(results or usual_results(), schema_overrides=LABS)
    spells = find_episodes(orders)
    drawn = link_draws(labs, spells, FlagSettings())
    return dose_response.respond(drawn, PATIENTS, labs, spells, as_of=AS_OF, before=before)


@cache
def fitted() -> Responded:
    return responded()


def now_and_off(found: Responded, orders: pl.DataFrame = ORDERS) -> pl.DataFrame:
    present = present_dose(find_episodes(orders), AS_OF)
    return dose_response.now_and_off(found.response, found.own_levels, present).sort("patient_id")


def test_every_man_gets_his_own_level_off_the_drug_and_on_it():
    found = now_and_off(fitted())

    level, response = (values[1::2] for values in true_levels())
    off = (found["off_mean"].to_numpy() - level) / found["off_sd"].to_numpy()
    on = (found["on_mean"].to_numpy() - level - response) / found["on_sd"].to_numpy()
    assert len(found) == N_MEN // 2
    assert np.mean(np.abs(off) < 1.96) > 0.85
    assert np.mean(np.abs(on) < 1.96) > 0.85
    assert np.abs(found["on_mean"].to_numpy() - level - response).mean() < 0.1
    assert (found["covariance"] > 0).all()


def test_the_tables_keep_their_contracts():
    found = fitted()
    of_model = pl.lit("m").alias("model_id")

    check(
        found.own_levels.with_columns(of_model),
        TABLES["own_levels"],
        table="own_levels",
        stage="run",
    )
    check(found.checks.with_columns(of_model), TABLES["e2_checks"], table="e2_checks", stage="run")
    assert set(found.checks["by"]) == {"assay", "clinic", "dose", "laboratory"}
    assert found.checks["fits"].all()


def test_fewer_than_thirty_men_are_told_nothing():
    few = tuple(row for row in usual_results() if str(row["patient_id"]) < "p29")

    found = responded(few)

    assert found.response is None
    assert found.own_levels.is_empty()
    assert now_and_off(found)["on_mean"].to_list() == []
    assert dose_response.along(None, found.own_levels, HELD).pairs["log_e2"].to_list() == [
        None,
        None,
    ]


def test_a_night_looks_only_at_men_with_new_draws_and_finds_what_all_would_give():
    one_more = (*usual_results(), result(7, 790, 9.0))

    night = responded(one_more, before=fitted())
    all_again = responded(
        one_more, before=fitted()._replace(own_levels=fitted().own_levels.clear())
    )

    changed = night.own_levels.join(
        fitted().own_levels, on=["patient_id", "draws_digest"], how="anti"
    )
    assert changed["patient_id"].to_list() == ["p07"]
    assert_frame_equal(night.own_levels, all_again.own_levels)
    assert night.response is fitted().response
    fell = now_and_off(night)["on_mean"] - now_and_off(fitted())["on_mean"]
    assert (fell != 0).to_list() == [name == "p07" for name in now_and_off(night)["patient_id"]]


@pytest.mark.parametrize("n_changed", [0, 1, 5])
def test_a_night_integrates_over_men_with_new_draws_alone(monkeypatch, n_changed):
    more = tuple(result(man, 790, 30.0) for man in range(n_changed))
    before, integrated = fitted(), []

    def counting(block, common, around):
        integrated.append(len(block.men))
        return integrate(block, common, around)

    monkeypatch.setattr(predict, "integrate", counting)
    responded((*usual_results(), *more), before=before)

    # Twice each: to judge his draws, and to estimate his level by those that are kept.
    assert sum(integrated) == 2 * n_changed


def test_a_draw_that_fits_nothing_else_is_set_aside_but_never_the_last_one():
    def swapped(when: int) -> tuple[dict[str, object], ...]:
        return tuple(
            result(8, when, float(row["value_low"]) / 8)  # type: ignore[arg-type]
            if row["patient_id"] == "p08" and row["collected_on"] == day(when)
            else row
            for row in usual_results()
        )

    def of_man(found: Responded) -> dict[str, float]:
        return found.own_levels.filter(pl.col("patient_id") == "p08").row(0, named=True)

    usual = of_man(fitted())
    earlier, last = (of_man(responded(swapped(when), before=fitted())) for when in (305, 705))

    assert (usual["n_outliers"], earlier["n_outliers"], last["n_outliers"]) == (0, 1, 0)
    assert earlier["level_mean"] == pytest.approx(usual["level_mean"], abs=0.15)
    # Nothing later contradicts it: it may be the danger itself.
    assert last["level_mean"] < usual["level_mean"] - 0.15


def test_draws_in_transition_under_another_inhibitor_or_of_a_made_up_day_do_not_count():
    letrozole = ORDERS.filter(pl.col("patient_id") == "p01").with_columns(
        patient_id=pl.lit("p02"), drug=pl.lit("letrozole"), started_on=pl.lit(day(600))
    )
    more = (
        *usual_results(),
        result(1, STARTS - 15, 3.0),  # five days after the start
        result(2, 650, 3.0),
        result(4, 650, 3.0, imputed="collected_at"),
        result(6, 650, 0.0, value_high=None),
    )

    orders = pl.concat([ORDERS, letrozole])
    found = responded(more, orders, before=fitted()).own_levels
    n_draws = dict(found.select("patient_id", "n_draws").iter_rows())

    assert (n_draws["p01"], n_draws["p04"], n_draws["p06"]) == (N_DRAWS, N_DRAWS, N_DRAWS)
    assert n_draws["p02"] == 6  # of eight, two came under letrozole


def test_an_unknown_dose_leaves_his_level_on_the_drug_where_his_draws_put_it():
    unknown = ORDERS.with_columns(
        weekly_dose_mg=pl.when(pl.col("patient_id") != "p03").then("weekly_dose_mg")
    )

    found = now_and_off(responded(orders=unknown, before=fitted()), unknown)

    usual = now_and_off(fitted())
    man = pl.col("patient_id") == "p03"
    assert found.filter(man)["present_mg_per_week"].item() is None
    assert found.filter(man)["on_mean"].item() == pytest.approx(usual.filter(man)["on_mean"].item())


def test_what_is_expected_along_an_interval_is_the_mean_over_its_doses():
    along = dose_response.along(fitted().response, fitted().own_levels, HELD)

    man = now_and_off(fitted()).row(0, named=True)
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

    found = dose_response.projections(fitted().response, fitted().own_levels, men)

    e2 = found["e2_pg_ml"].to_list()
    man = now_and_off(fitted()).row(0, named=True)
    assert found["weekly_anastrozole_mg"].to_list() == list(dose_response.PROJECTED_MG_PER_WEEK)
    assert e2 == sorted(e2, reverse=True)
    assert np.log(e2[0]) == pytest.approx(man["off_mean"])
    assert np.log(e2[3]) == pytest.approx(man["on_mean"])  # 1 mg a week
    width = (found["e2_ci_high_pg_ml"] / found["e2_ci_low_pg_ml"]).log().to_list()
    assert width[3] < width[6]  # nobody took 7 mg


def test_a_clinic_whose_results_do_not_fit_is_named():
    rng = np.random.default_rng(3)
    scattered = tuple(
        result(
            int(str(row["patient_id"])[1:]),
            (row["collected_on"] - ZERO).days,  # type: ignore[operator]
            float(row["value_low"]) * float(np.exp(rng.normal(0, 0.6))),  # type: ignore[arg-type]
            assay="ms",
            performing_lab="OTHER",
        )
        if row["patient_id"] in ("p01", "p03", "p05", "p07", "p09", "p11")
        else row
        for row in usual_results()
    )

    checks = responded(scattered).checks.filter(pl.col("by") == "laboratory")

    assert dict(checks.select("name", "fits").iter_rows()) == {"LAB": True, "OTHER": False}


def test_no_draw_at_all_gives_empty_tables():
    found = dose_response.respond(
        link_draws(empty_table("labs"), find_episodes(ORDERS), FlagSettings()),
        PATIENTS,
        empty_table("labs"),
        find_episodes(ORDERS),
        as_of=AS_OF,
    )

    assert (found.response, len(found.own_levels), len(found.checks)) == (None, 0, 0)
    assert dose_response.projections(None, found.own_levels, PATIENTS).is_empty()
