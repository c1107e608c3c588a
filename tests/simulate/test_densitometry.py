import numpy as np
import polars as pl
import pytest


@pytest.fixture(scope="module")
def pairs(clean, intervals) -> pl.DataFrame:
    """Every true interval with what the two scans read."""
    scans = clean["dxa.csv"].select("scan_id", "scanner_id", pl.col("bmd_g_cm2").cast(pl.Float64))
    beside = intervals.join(scans, left_on="first_scan_id", right_on="scan_id", validate="1:1")
    return beside.join(
        scans, left_on="second_scan_id", right_on="scan_id", validate="1:1", suffix="_2"
    )


def test_measured_change_on_one_scanner_is_true_change_and_precision_error(pairs):
    same = pairs.filter("same_scanner", pl.col("site") == "lumbar_spine")
    measured = 100 * (same["bmd_g_cm2_2"] / same["bmd_g_cm2"]).log()
    total_error = measured - same["change_pct_per_year"] * same["years"]

    assert total_error.mean() == pytest.approx(0, abs=0.1)
    # sqrt(2) times a precision of 1.1-1.4 %.
    assert total_error.std() == pytest.approx(np.sqrt(2) * 1.25, abs=0.1)


def test_a_change_of_scanner_shows_the_makers_scales(pairs):
    changed = pairs.filter(~pl.col("same_scanner"), pl.col("site") == "lumbar_spine")

    step = (changed["bmd_g_cm2_2"] / changed["bmd_g_cm2"]).log().abs().median()

    assert 0.10 < step < 0.17
    assert (changed["scanner_id"] != changed["scanner_id_2"]).all()
    assert 0.01 < (~pairs["same_scanner"]).mean() < 0.06


def test_intervals_are_a_year_or_more_long_and_a_man_has_several(pairs):
    spine = pairs.filter(pl.col("site") == "lumbar_spine")

    assert spine["years"].min() >= 0.89
    assert spine["years"].max() <= 5
    assert 1.3 < len(spine) / spine["patient_id"].n_unique() < 2.5


def test_lunar_reads_higher_and_scores_do_not_depend_on_the_maker(clean):
    spine = clean["dxa.csv"].filter(pl.col("site") == "lumbar_spine")
    medians = spine.group_by("manufacturer").agg(
        pl.col("bmd_g_cm2", "t_score", "z_score").cast(pl.Float64).median()
    )
    lunar, hologic = medians.sort("manufacturer").drop("manufacturer").rows()

    assert lunar[0] / hologic[0] == pytest.approx(1.14, abs=0.02)
    assert lunar[1:] == pytest.approx(hologic[1:], abs=0.2)
    assert hologic[2] == pytest.approx(0, abs=0.2), "the median man is of average bone"


def test_only_total_body_scans_carry_body_fat(clean):
    dxa = clean["dxa.csv"]

    has_fat = dxa.group_by("site").agg(pl.col("body_fat_pct").is_not_null().mean())

    assert dict(has_fat.iter_rows()) == {
        "lumbar_spine": 0,
        "total_hip": 0,
        "femoral_neck": 0,
        "total_body": 1,
    }


def test_one_clinic_has_not_measured_its_precision(clean):
    assert clean["precision.csv"]["clinic_id"].unique().sort().to_list() == ["C01", "C02", "C03"]
    assert clean["patients.csv"]["clinic_id"].n_unique() == 4
