"""Sensitivity: one choice made otherwise at a time, each with its rows, its words and its reason."""

from datetime import date

import polars as pl
import pytest

from e2analytics.curve import sensitivity
from e2analytics.curve.rows import CHANGE, Measured
from e2analytics.exposure.draws import link_draws
from e2analytics.exposure.episodes import find_episodes
from e2analytics.settings import FitSettings, FlagSettings
from e2analytics.tables.snapshot import Outputs
from tests.curve.test_rows import measured_of

QUICK = FitSettings(n_replicates=100)
PAIR = {"patient_id": "p", "first_scan_id": "a"}
PAIR |= {"first_on": date(2020, 1, 1), "second_on": date(2021, 1, 1)}


@pytest.fixture(scope="module")
def draws(outputs: Outputs) -> pl.DataFrame:
    labs, medications = outputs.tables["labs"], outputs.tables["medications"]
    return link_draws(labs, find_episodes(medications), FlagSettings())


def varied(outputs: Outputs) -> dict[str, dict[str, object]]:
    rows = outputs.tables["curve_sensitivity"].iter_rows(named=True)
    return {str(row["variant"]): row for row in rows}


def test_every_choice_is_varied_once_and_said_in_words(outputs: Outputs):
    table = outputs.tables["curve_sensitivity"]

    assert table.select("site", "outcome").unique().rows() == [("pooled", CHANGE)]
    assert set(table["variant"]) >= {
        "primary",
        "crude",
        "naive_exposure",
        "within_men",
        "between_men",
        "baseline_bmd",
        "without_time_on_trt",
        "with_bone_drugs",
        "delta_0.25",
        "delta_0.5",
        "delta_1",
        "age_under_50",
        "age_50_and_over",
        "assay_ms",
        "assay_other",
    }
    assert table["varies"].is_unique().all()
    # Each has a limit, or a reason why there is none.
    assert (table["lower_limit_pg_ml"].is_null() == table["why_not"].is_not_null()).all()


def test_the_first_row_is_the_primary_curve_itself(outputs: Outputs):
    summary = outputs.tables["curve_summary"].filter(
        pl.col("site") == "pooled", pl.col("outcome") == CHANGE
    )
    primary, same = varied(outputs)["primary"], summary.row(0, named=True)

    assert primary["verdict"] == same["verdict"]
    assert primary["lower_limit_pg_ml"] == same["lower_limit_pg_ml"]
    assert primary["n_intervals"] == same["n_intervals"]


def test_two_groups_are_all_rows_and_share_a_p_value(outputs: Outputs):
    rows = varied(outputs)

    for one, other in (("age_under_50", "age_50_and_over"), ("assay_ms", "assay_other")):
        n = rows[one]["n_intervals"] + rows[other]["n_intervals"]  # type: ignore[operator]
        assert n == rows["primary"]["n_intervals"]
        assert rows[one]["p_value"] == rows[other]["p_value"] is not None


def test_the_variants_are_of_the_model_that_was_fitted(outputs: Outputs):
    assert "sensitivity" in outputs.timings
    assert outputs.tables["prescribing"]["model_id"].unique().to_list() == [outputs.model_id]


def test_pairs_that_a_bone_drug_acted_on_are_outside_the_curve_and_in_a_variant(
    outputs: Outputs, draws: pl.DataFrame
):
    measured = measured_of(outputs)
    number, usable = pl.int_range(pl.len()), pl.col("usable")
    moved = measured.exposures.with_columns(
        why_not=pl.when(usable & (number % 4 == 0))
        .then(pl.lit("on_glucocorticoid"))
        .otherwise("why_not")
    ).with_columns(usable=pl.col("why_not").is_null())

    table = sensitivity.sensitivity(measured._replace(exposures=moved), draws, QUICK, model_id="m")

    n = dict(table.select("variant", "n_intervals").rows())
    assert n["with_bone_drugs"] == varied(outputs)["primary"]["n_intervals"]
    assert n["primary"] < n["with_bone_drugs"]


def draw(result_id: str, on: date, low: float, high: float | None, assay: str = "ms"):
    return {
        "patient_id": "p",
        "result_id": result_id,
        "collected_on": on,
        "value_low": low,
        "value_high": high,
        "assay": assay,
    }


def test_naive_exposure_is_read_from_the_results_between_the_scans():
    draws = pl.DataFrame(
        [
            draw("1", date(2019, 12, 31), 99.0, 99.0),
            draw("2", date(2020, 1, 1), 20.0, 20.0),
            draw("3", date(2020, 5, 1), 0.0, 10.0, "ia"),
            draw("4", date(2020, 6, 1), 1500.0, None),
        ]
    )

    found = sensitivity._between_scans(pl.DataFrame([PAIR]), draws)

    assert found["e2_pg_ml"].to_list() == [20.0, pytest.approx(10 / 2**0.5), None]
    assert found["assay"].to_list() == ["ms", "ia", "ms"]


def test_noise_of_the_results_flattens_the_naive_curve(outputs: Outputs):
    rows = varied(outputs)

    # Less harm at 12 pg/mL against 25 than the calibrated exposure shows.
    assert rows["primary"]["effect"] < rows["naive_exposure"]["effect"] < 0  # type: ignore[operator]


def test_who_is_given_the_drug_is_compared_with_who_is_not(outputs: Outputs):
    rows = outputs.tables["prescribing"]
    e2 = rows.row(0, named=True)

    # The simulator gives it to men whose E2 is high.
    assert e2["characteristic"] == "E2 off the drug"
    assert e2["mean_given"] > e2["mean_others"]
    assert e2["standardised_difference"] > 0.5


@pytest.mark.parametrize(
    ("given", "others", "difference"),
    [([30.0, 32.0], [26.0, 28.0], 4.0), ([30.0, 30.0], [30.0, 30.0], None)],
)
def test_a_standardised_difference_is_in_standard_deviations_of_men(
    given: list[float], others: list[float], difference: float | None
):
    men = pl.DataFrame(
        {"given": [True] * 2 + [False] * 2, "bmi_kg_m2": [*given, *others]},
    )

    row = sensitivity._compared(men, "bmi_kg_m2", "BMI", "kg/m2", logarithm=False)

    assert (row["n_given"], row["n_others"]) == (2, 2)
    assert row["standardised_difference"] == difference


def test_without_pairs_nothing_is_varied(outputs: Outputs, draws: pl.DataFrame):
    nothing = Measured(*(table.clear() for table in measured_of(outputs)))
    levels = nothing._replace(levels=outputs.tables["levels"])

    for measured in (nothing, levels):
        assert sensitivity.sensitivity(measured, draws, QUICK, model_id="m").is_empty()
        assert sensitivity.prescribing(measured, draws, QUICK, model_id="m").is_empty()


def test_too_few_men_in_a_group_are_a_reason(outputs: Outputs, draws: pl.DataFrame):
    measured = measured_of(outputs)
    old = measured.exposures.with_columns(age_years=pl.lit(70.0))

    table = sensitivity.sensitivity(measured._replace(exposures=old), draws, QUICK, model_id="m")

    young = table.filter(pl.col("variant") == "age_under_50").row(0, named=True)
    assert (young["n_men"], young["verdict"], young["p_value"]) == (0, None, None)
    assert "at least 30 men" in young["why_not"]


def test_an_unknown_time_on_trt_is_added_where_it_is_known(outputs: Outputs, draws: pl.DataFrame):
    measured = measured_of(outputs)
    number = pl.int_range(pl.len())
    patchy = measured.exposures.with_columns(
        years_on_trt=pl.when(number % 3 != 0).then("years_on_trt")
    )

    table = sensitivity.sensitivity(measured._replace(exposures=patchy), draws, QUICK, model_id="m")

    rows = {row["variant"]: row for row in table.iter_rows(named=True)}
    assert rows["with_time_on_trt"]["n_intervals"] < rows["primary"]["n_intervals"]
    assert "without_time_on_trt" not in rows


def test_the_textbook_stands_beside_it_without_verdict_or_limit(outputs: Outputs):
    rows = varied(outputs)
    names = ["two_lines", "textbook_quadratic"]
    names += [f"shape_{shape}" for shape in ("linear", "plateau", "quadratic", "spline")]

    for name in names:
        assert (rows[name]["verdict"], rows[name]["lower_limit_pg_ml"]) == (None, None)
        assert rows[name]["why_not"] == "a textbook test gives no limit"
        assert rows[name]["n_men"] == rows["primary"]["n_men"]
    shapes = [rows[name] for name in names[2:]]
    best = min(shapes, key=lambda row: row["prediction_error"])
    assert best["finding"].startswith("Predicts best of the four")
    assert [row["p_value"] is None for row in shapes].count(True) == 1


def test_too_few_levels_of_e2_have_no_textbook_rows(outputs: Outputs, draws: pl.DataFrame):
    measured = measured_of(outputs)
    two_levels = measured.exposures.with_columns(
        e2_pg_ml=pl.when(pl.col("age_years") < 50).then(15.0).otherwise(40.0)
    )

    table = sensitivity.sensitivity(
        measured._replace(exposures=two_levels), draws, QUICK, model_id="m"
    )

    assert "crude" in table["variant"]
    assert "two_lines" not in table["variant"]
