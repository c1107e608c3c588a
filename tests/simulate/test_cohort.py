"""What a reader of the truth should find: the world that the parameters describe."""

import numpy as np
import polars as pl
import pytest

from e2analytics.simulate import SimulationSettings, simulate


def test_a_third_of_the_men_are_on_the_drug_and_a_quarter_of_them_pushed_below(men):
    on_drug = men.filter("on_drug")

    assert men["on_drug"].mean() == pytest.approx(0.35, abs=0.02)
    assert 300 <= on_drug["attributable"].sum() <= 400
    assert 25 <= on_drug["below_red_line"].sum() <= 100


def test_general_practice_has_three_percent_on_the_drug(tmp_path):
    settings = SimulationSettings(patients=4000, on_drug_share=0.03, defects=False)

    assert simulate(tmp_path, settings).men_on_drug == pytest.approx(120, abs=25)


def test_e2_is_plausible_with_and_without_the_drug(men):
    on_drug = men.filter("on_drug")

    assert men["e2_off_drug_pg_ml"].median() == pytest.approx(36, abs=1.5)
    assert on_drug["e2_off_drug_pg_ml"].median() == pytest.approx(46, abs=3), "chosen for high E2"
    assert on_drug["e2_now_pg_ml"].median() == pytest.approx(21, abs=2)
    low_without = men.filter(~pl.col("on_drug"), pl.col("e2_off_drug_pg_ml") < 16)
    assert len(low_without) / len(men) == pytest.approx(0.035, abs=0.015)


def test_attributable_means_below_now_and_not_below_without_the_drug(men):
    recomputed = (men["e2_now_pg_ml"] < 16) & (men["e2_off_drug_pg_ml"] >= 16)

    assert recomputed.to_list() == men["attributable"].to_list()


def test_a_few_men_take_letrozole_and_a_few_are_gone(men):
    assert 15 <= men["other_inhibitor"].sum() <= 70
    assert men.filter("other_inhibitor", "on_drug").is_empty()
    assert (~men["in_care"]).mean() == pytest.approx(0.07, abs=0.02)


DAYS_ON_FILE = [
    ("labs.csv", "collected_at"),
    ("dxa.csv", "scanned_on"),
    ("events.csv", "occurred_on"),
    ("medications.csv", "started_on"),
    ("medications.csv", "stopped_on"),
    ("patients.csv", "trt_started_on"),
]


def days_on_file(clean: dict[str, pl.DataFrame], name: str, column: str) -> pl.DataFrame:
    return clean[name].select("patient_id", day=pl.col(column).str.head(10)).drop_nulls("day")


@pytest.mark.parametrize(("name", "column"), DAYS_ON_FILE)
def test_nothing_is_on_file_of_a_man_after_the_day_he_left_or_died(clean, men, name, column):
    leaving = clean["events.csv"].filter(pl.col("kind").is_in(["left_clinic", "died"]))
    last = leaving.select("patient_id", last="occurred_on")

    of_the_gone = days_on_file(clean, name, column).join(last, on="patient_id")

    assert set(last["patient_id"]) == set(men.filter(~pl.col("in_care"))["patient_id"])
    assert not of_the_gone.is_empty()
    assert of_the_gone.filter(pl.col("day") > pl.col("last")).is_empty()


@pytest.mark.parametrize(
    ("name", "column"), [("labs.csv", "collected_at"), ("dxa.csv", "scanned_on")]
)
def test_nobody_has_a_result_before_his_entry_or_after_the_record(clean, name, column):
    first = clean["patients.csv"].select("patient_id", first="trt_started_on")

    seen = days_on_file(clean, name, column).join(first, on="patient_id")

    assert seen.filter(pl.col("day") < pl.col("first")).is_empty()
    assert seen["day"].max() <= "2026-09-30"


def hinge(log_e2: np.ndarray) -> np.ndarray:
    """The threshold shape per unit of effect."""
    return np.clip((np.log(20) - log_e2) / np.log(2), 0, 1)


@pytest.mark.parametrize(
    ("site", "scale"), [("lumbar_spine", 1.0), ("total_hip", 0.7), ("femoral_neck", 0.8)]
)
def test_an_oracle_that_sees_the_truth_recovers_the_curve(intervals, site, scale):
    rows = intervals.filter(pl.col("site") == site)
    design = np.column_stack([np.ones(len(rows)), hinge(rows["mean_log_e2"].to_numpy())])
    change = rows["change_pct_per_year"].to_numpy()

    (_, slope), residual, *_ = np.linalg.lstsq(design, change)

    standard_error = np.sqrt(residual[0] / len(rows) * np.linalg.inv(design.T @ design)[1, 1])
    # Averaging the curve over a path that crosses the bend takes a little off the slope.
    assert slope == pytest.approx(-2.5 * scale, abs=4 * standard_error + 0.05)
    assert rows["curve_pct_per_year"].min() == pytest.approx(-2.5 * scale, abs=0.05)


def test_the_data_reach_far_enough_to_see_harm_on_both_sides_of_a_u(tmp_path):
    truth = simulate(tmp_path, SimulationSettings(patients=4000, shape="u", defects=False)).truth
    spine = pl.read_csv(truth / "intervals.csv").filter(site="lumbar_spine")
    low, high = np.quantile(spine["mean_log_e2"], [0.025, 0.975])

    at_ends = [
        spine.filter((pl.col("mean_log_e2") - end).abs() < 0.1)["curve_pct_per_year"].mean()
        for end in (low, high)
    ]

    assert max(at_ends) < -1.0
