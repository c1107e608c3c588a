"""Every man's own E2 under the frozen dose response."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from e2analytics.exposure.confounders import find_confounders
from e2analytics.exposure.dose_response import predict
from e2analytics.exposure.dose_response.fit import DoseResponseResult, estimate
from e2analytics.exposure.draws import link_draws
from e2analytics.exposure.episodes import find_episodes
from e2analytics.models.dose_response import draw_check
from e2analytics.models.dose_response import predict as model_predict
from e2analytics.models.dose_response.propagation import integrate
from e2analytics.settings import FlagSettings
from e2analytics.tables.check import check
from e2analytics.tables.registry import TABLES
from e2analytics.tables.snapshot import empty_table
from tests.exposure.dose_response.men import (
    AS_OF,
    HELD,
    N_DRAWS,
    NO_CHANGES,
    ORDERS,
    PATIENTS,
    STARTS,
    day,
    estimated,
    fitted,
    present_and_off_drug,
    result,
    usual_results,
)


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


def test_fewer_than_thirty_men_have_no_dose_response():
    few = tuple(row for row in usual_results() if str(row["patient_id"]) < "p29")

    found = estimated(few)

    assert found.response is None
    assert found.own_levels.is_empty()
    assert present_and_off_drug(found)["on_mean"].to_list() == []
    assert predict.interval_exposure(None, found.own_levels, found.draws, NO_CHANGES, HELD).pairs[
        "log_e2"
    ].to_list() == [
        None,
        None,
    ]


@pytest.mark.parametrize("bounds", [(0.0, 24.0), (1500.0, None), (0.0, 1.0)])
def test_bounds_alone_have_no_dose_response(bounds: tuple[float, float | None]):
    low, high = bounds
    all_bounds = tuple({**row, "value_low": low, "value_high": high} for row in usual_results())

    assert estimated(all_bounds).response is None


def test_numbers_of_unknown_assay_are_used_where_the_known_ones_are_all_bounds():
    rows = tuple(
        {**row, "assay": "unknown"}
        if place % 2
        else {**row, "assay": "ia", "value_low": 0.0, "value_high": 24.0}
        for place, row in enumerate(usual_results())
    )

    response = estimated(rows).response

    assert response is not None
    assert (response.model.standard_error < 10).all()


def test_a_night_looks_only_at_men_with_new_draws_and_finds_what_all_would_give():
    one_more = (*usual_results(), result(7, 790, 9.0))

    night = estimated(one_more, before=fitted())
    all_again = estimated(
        one_more, before=fitted()._replace(own_levels=fitted().own_levels.clear())
    )

    changed = night.own_levels.join(
        fitted().own_levels, on=["patient_id", "draws_digest"], how="anti"
    )
    assert changed["patient_id"].to_list() == ["p07"]
    assert_frame_equal(night.own_levels, all_again.own_levels)
    assert night.response is fitted().response
    fell = present_and_off_drug(night)["on_mean"] - present_and_off_drug(fitted())["on_mean"]
    assert (fell != 0).to_list() == [
        name == "p07" for name in present_and_off_drug(night)["patient_id"]
    ]


@pytest.mark.parametrize("n_changed", [0, 1, 5])
def test_a_night_integrates_over_men_with_new_draws_alone(monkeypatch, n_changed):
    more = tuple(result(man, 790, 30.0) for man in range(n_changed))
    before, integrated = fitted(), []

    def counting(batch, population):
        integrated.append(len(batch.men))
        return integrate(batch, population)

    for module in (draw_check, model_predict):
        monkeypatch.setattr(module, "integrate", counting)
    estimated((*usual_results(), *more), before=before)

    # Twice each: to judge his draws, and to estimate his level by those that are kept.
    assert sum(integrated) == 2 * n_changed


def test_a_draw_that_fits_nothing_else_is_left_out_but_never_the_last_one():
    def swapped(when: int) -> tuple[dict[str, object], ...]:
        return tuple(
            result(8, when, float(row["value_low"]) / 8)  # type: ignore[arg-type]
            if row["patient_id"] == "p08" and row["collected_on"] == day(when)
            else row
            for row in usual_results()
        )

    def of_man(found: DoseResponseResult) -> dict[str, float]:
        return found.own_levels.filter(pl.col("patient_id") == "p08").row(0, named=True)

    usual = of_man(fitted())
    earlier, last = (of_man(estimated(swapped(when), before=fitted())) for when in (305, 705))

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
    found = estimated(more, orders, before=fitted()).own_levels
    n_draws = dict(found.select("patient_id", "n_draws").iter_rows())

    assert (n_draws["p01"], n_draws["p04"], n_draws["p06"]) == (N_DRAWS, N_DRAWS, N_DRAWS)
    assert n_draws["p02"] == 6  # of eight, two came under letrozole


def test_draws_under_another_androgen_leave_the_fit_and_stay_in_their_man_s_estimate():
    oxandrolone = ORDERS.head(1).with_columns(
        patient_id=pl.lit("p03"),
        drug=pl.lit("oxandrolone"),
        drug_class=pl.lit("other_androgen"),
        started_on=pl.lit(day(710)),
    )
    low = tuple(result(3, when, 4.0) for when in (715, 725, 735))
    found = estimated((*usual_results(), *low), pl.concat([ORDERS, oxandrolone]))

    assert found.response is not None
    assert fitted().response is not None
    assert found.response.model.vector.tolist() == fitted().response.model.vector.tolist()
    man = pl.col("patient_id") == "p03"
    assert found.own_levels.filter(man)["n_draws"].item() == N_DRAWS + 3
    known = fitted().own_levels.filter(man)["movement_mean"].item()
    assert found.own_levels.filter(man)["movement_mean"].item() <= known


def test_an_unknown_dose_leaves_his_level_on_the_drug_where_his_draws_put_it():
    unknown = ORDERS.with_columns(
        weekly_dose_mg=pl.when(pl.col("patient_id") != "p03").then("weekly_dose_mg")
    )

    found = present_and_off_drug(estimated(orders=unknown, before=fitted()), unknown)

    usual = present_and_off_drug(fitted())
    man = pl.col("patient_id") == "p03"
    assert found.filter(man)["present_mg_per_week"].item() is None
    assert found.filter(man)["on_mean"].item() == pytest.approx(usual.filter(man)["on_mean"].item())


def test_no_draw_at_all_gives_empty_tables():
    found = estimate(
        link_draws(empty_table("labs"), find_episodes(ORDERS), FlagSettings()),
        PATIENTS,
        empty_table("labs"),
        find_episodes(ORDERS),
        NO_CHANGES,
        find_confounders(PATIENTS, ORDERS, FlagSettings()),
        as_of=AS_OF,
    )

    assert (found.response, len(found.own_levels), len(found.checks)) == (None, 0, 0)
    assert predict.projections(
        None, found.own_levels, PATIENTS, predict.AsOf(AS_OF, NO_CHANGES)
    ).is_empty()
