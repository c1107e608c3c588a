"""Expose: the E2 of an interval, with its uncertainty, and why a pair cannot be used."""

from datetime import date, timedelta
from math import exp, log
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from e2analytics.exposure import intervals
from e2analytics.ingest.pseudonyms import pseudonym
from e2analytics.settings import LinkSettings
from e2analytics.tables.snapshot import Outputs, empty_table
from tests.conftest import KEY

ZERO = date(2024, 1, 1)


def day(number: int) -> date:
    return ZERO + timedelta(days=number)


def pair(**changes: Any) -> pl.DataFrame:
    """A spine pair a year apart: from 1.00 to 0.95 g/cm2."""
    row = {
        "patient_id": "p1",
        "site": "lumbar_spine",
        "scan_id": "s1",
        "scan_id_2": "s2",
        "scanner_id": "A",
        "scanned_on": day(0),
        "scanned_on_2": day(365),
        "bmd_g_cm2": 1.00,
        "bmd_g_cm2_2": 0.95,
        "years": 1.0,
        "cross_calibrated": False,
        "precision_cv_pct": 1.2,
        "lsc_pct": 3.324,
        "why_not": None,
        **changes,
    }
    return pl.DataFrame([row], schema_overrides={"why_not": pl.String, "scanner_id": pl.String})


def spell(
    start: int, end: int | None, mg: float | None = 1.0, drug: str = "anastrozole"
) -> dict[str, Any]:
    return {
        "patient_id": "p1",
        "drug": drug,
        "started_on": day(start),
        "ended_on": None if end is None else day(end),
        "weekly_dose_mg": mg,
    }


ALONG = {"pair": 0, "log_e2": log(20), "log_e2_sd": 0.2}
PATIENT = {
    "patient_id": "p1",
    "clinic_id": "c1",
    "birth_date": date(1974, 1, 1),
    "height_cm": 200.0,
    "weight_kg": 100.0,
    "trt_started_on": date(2022, 1, 1),
}


def exposed(
    drawn: list[int],
    spells: list[dict[str, Any]] | None = None,
    pairs: pl.DataFrame | None = None,
    labs: list[dict[str, Any]] | None = None,
    born: date = PATIENT["birth_date"],
) -> dict[str, Any]:
    draws = pl.DataFrame(
        {"patient_id": ["p1"] * len(drawn), "collected_on": [day(number) for number in drawn]},
        schema={"patient_id": pl.String, "collected_on": pl.Date},
    )
    empty = pl.DataFrame(
        schema={
            "patient_id": pl.String,
            "drug": pl.String,
            "started_on": pl.Date,
            "ended_on": pl.Date,
            "weekly_dose_mg": pl.Float64,
        }
    )
    frame = intervals.exposures(
        pairs if pairs is not None else pair(),
        draws,
        pl.DataFrame(spells, schema=empty.schema) if spells else empty,
        pl.DataFrame([ALONG], schema_overrides={"pair": pl.UInt32}),
        pl.DataFrame([{**PATIENT, "birth_date": born}]),
        pl.DataFrame(labs) if labs else empty_table("labs"),
        LinkSettings(),
    )
    return frame.row(0, named=True)


@pytest.mark.parametrize(
    ("drawn", "coverage", "why_not"),
    [
        ([0, 180], 1 - 5 / 365, None),  # 180 days each
        ([0, 10], 190 / 365, None),
        ([0, 1], 181 / 365, "draws_cover_too_little"),
        ([100], 180 / 365, "too_few_draws"),
        ([], 0.0, "too_few_draws"),
        ([-1, 366], 0.0, "too_few_draws"),  # outside the interval
        ([0, 365], 180 / 365, "draws_cover_too_little"),
    ],
)
def test_draws_inside_speak_for_180_days_and_must_cover_half(
    drawn: list[int], coverage: float, why_not: str | None
):
    row = exposed(drawn)

    assert row["coverage"] == pytest.approx(coverage)
    assert (row["usable"], row["why_not"]) == (why_not is None, why_not)


@pytest.mark.parametrize(
    ("born", "why_not"), [(date(2006, 1, 2), "under_18"), (date(2006, 1, 1), None)]
)
def test_a_pair_that_begins_before_he_is_an_adult_leaves_the_curve(born: date, why_not: str | None):
    found = exposed([0, 180], pairs=pair(), born=born)

    assert found["first_on"] == date(2024, 1, 1)
    assert found["why_not"] == why_not


def test_exposure_is_the_posterior_along_the_doses_held():
    row = exposed([0, 150, 300], [spell(-100, 73), spell(292, None, 3.0)])

    # 73 days of the first spell at 1 mg, 73 of the second at 3 mg, of 365.
    assert row["share_on_drug"] == pytest.approx(0.4)
    assert row["weekly_anastrozole_mg"] == pytest.approx((73 * 1 + 73 * 3) / 365)
    assert row["e2_pg_ml"] == pytest.approx(20)
    assert row["e2_ci_low_pg_ml"] == pytest.approx(20 * exp(-1.959964 * 0.2))
    assert row["e2_ci_high_pg_ml"] == pytest.approx(20 * exp(1.959964 * 0.2))


def test_off_treatment_is_a_dose_of_zero_and_an_unknown_dose_stays_unknown():
    assert exposed([0, 180])["weekly_anastrozole_mg"] == 0.0
    assert exposed([0, 180], [spell(0, 100, None)])["weekly_anastrozole_mg"] is None
    assert exposed([0, 180], [spell(0, 100, None)])["share_on_drug"] == pytest.approx(100 / 365)


def test_a_pair_under_another_inhibitor_is_not_used():
    assert exposed([0, 180], [spell(100, 200, drug="letrozole")])["why_not"] == (
        "other_aromatase_inhibitor"
    )
    assert exposed([0, 180], [spell(400, None, drug="letrozole")])["usable"]


@pytest.mark.parametrize(
    ("second", "verdict"),
    # LSC 3.324 % of the total change 100 ln(b2/b1).
    [
        (0.9673, "loss"),
        (0.9674, "no_measurable_change"),
        (1.0337, "no_measurable_change"),
        (1.0338, "gain"),
    ],
)
def test_the_lsc_compares_the_total_change(second: float, verdict: str):
    row = exposed([0, 180], pairs=pair(bmd_g_cm2_2=second, years=4.0))

    assert row["lsc_verdict"] == verdict
    assert row["change_pct"] == pytest.approx(100 * log(second))
    assert row["annual_change_pct"] == pytest.approx(25 * log(second))


@pytest.mark.parametrize(
    ("why_not", "verdict"),
    [
        ("scanner_changed", "not_compared"),
        ("maker_unsure", "not_compared"),
        ("side_changed", "not_compared"),
        ("interval_too_long", "loss"),
    ],
)
def test_a_difference_between_two_devices_or_bones_is_no_loss(why_not: str, verdict: str):
    row = exposed([0, 180], pairs=pair(bmd_g_cm2_2=0.88, years=4.0, why_not=why_not))

    assert (row["lsc_verdict"], row["usable"]) == (verdict, False)


def test_covariates_are_those_of_the_first_scan():
    def result(analyte: str, when: int, value: float) -> dict[str, Any]:
        return {
            "patient_id": "p1",
            "analyte": analyte,
            "collected_on": day(when),
            "value_low": value,
            "value_high": value,
        }

    row = exposed([0, 180])
    measured = exposed(
        [0, 180],
        labs=[
            result("testosterone_total", 10, 400.0),
            result("testosterone_total", 300, 900.0),
            result("testosterone_total", 400, 5000.0),  # after the interval
            result("body_mass_index", 30, 31.0),
            result("body_mass_index", 200, 35.0),
        ],
    )

    assert row["age_years"] == pytest.approx(50, abs=0.01)
    assert row["years_on_trt"] == pytest.approx(2, abs=0.01)
    assert (row["bmi_kg_m2"], row["log_testosterone"]) == (25.0, None)
    assert measured["bmi_kg_m2"] == 31.0
    assert measured["log_testosterone"] == pytest.approx(log(600))


def test_exposures_of_a_simulated_clinic_are_near_the_truth(clinic: Path, outputs: Outputs):
    truth = pl.read_csv(clinic / "truth" / "intervals.csv", infer_schema_length=None)
    named = truth.with_columns(
        patient_id=pl.col("patient_id").map_elements(
            lambda number: pseudonym(KEY, "default", number), return_dtype=pl.String
        )
    )
    found = (
        outputs.tables["exposures"]
        .filter("usable")
        .join(named, on=["patient_id", "site", "first_scan_id", "second_scan_id"], how="inner")
    )

    error = found["e2_pg_ml"].log() - found["mean_log_e2"]

    assert len(found) > 1500
    assert abs(error.mean()) < 0.03
    assert error.std() < 0.2


@pytest.mark.parametrize(
    ("born", "drug_class", "ended", "counts"),
    [
        (date(1974, 1, 1), "androgen", None, True),
        (date(1974, 1, 1), "gnrh", None, False),
        (date(1974, 1, 1), "gnrh", date(2023, 1, 1), True),  # a year over at the scan
        (date(1974, 1, 1), "antiandrogen", None, False),
        (date(2006, 1, 2), "androgen", None, False),  # 17 on the day of the scan
    ],
)
def test_a_level_is_that_of_a_man_of_18_who_is_not_treated_for_cancer(
    born: date, drug_class: str, ended: date | None, counts: bool
):
    man = {**PATIENT, "birth_date": born}
    scan = {"patient_id": "p1", "scan_id": "s", "site": "total_hip", "scanned_on": day(0)}
    e2 = {"patient_id": "p1", "analyte": "estradiol", "collected_on": day(9), "value_low": 20.0}
    order = {"patient_id": "p1", "drug_class": drug_class, "started_on": date(2022, 1, 1)}
    frames = (
        [scan | {"bmd_g_cm2": 1.0}],
        [e2 | {"value_high": 20.0}],
        [man],
        [order | {"stopped_on": ended}],
    )
    dxa, labs, patients, medications = (
        pl.concat([empty_table(name), pl.DataFrame(rows)], how="diagonal_relaxed")
        for name, rows in zip(("dxa", "labs", "patients", "medications"), frames, strict=True)
    )

    found = intervals.levels(dxa, labs, patients, medications, LinkSettings())

    assert len(found) == int(counts)
