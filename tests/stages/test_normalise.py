"""Normalise: one scale, one code, one calendar."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from e2analytics.stages.normalise import normalise
from tests.conftest import text_rows


def lab(**columns: str | None) -> pl.DataFrame:
    row = {"test_name": "Estradiol", "unit": "pg/mL", "collected_at": "2024-03-01", **columns}
    return normalise("labs", text_rows("labs", row), timezone="America/New_York")


@pytest.mark.parametrize(
    ("value", "unit", "low", "high"),
    [
        ("23.4", "pg/mL", 23.4, 23.4),
        ("100", "pmol/L", 27.238, 27.238),
        ("100", " PMOL / l ", 27.238, 27.238),
        ("2.5", "ng/dL", 25.0, 25.0),
        ("<5.0", "pg/mL", 0.0, 5.0),
        ("<=5.0", "pg/mL", 0.0, 5.0),
        ("< 24", "ng/L", 0.0, 24.0),
        (">1500", "pg/mL", 1500.0, None),
        ("<100", "pmol/L", 0.0, 27.238),
        ("-3", "pg/mL", -3.0, -3.0),
        ("12,5", "pg/mL", None, None),
        ("QNS", "pg/mL", None, None),
        ("２３", "pg/mL", None, None),
        ("1e400", "pg/mL", None, None),
        ("23.4", "IU/L", None, None),
    ],
)
def test_a_result_becomes_the_interval_it_allows_in_the_analytes_unit(
    value: str, unit: str, low: float | None, high: float | None
):
    row = lab(value=value, unit=unit)

    assert row["value_low"][0] == pytest.approx(low)
    assert row["value_high"][0] == pytest.approx(high)


@pytest.mark.parametrize(
    ("columns", "assay"),
    [
        ({"method": "LC-MS/MS"}, "ms"),
        ({"method": "ID LC/MS"}, "ms"),
        ({"method": "ECLIA (Roche)"}, "ia"),
        ({"method": "Immunoassay", "loinc": "2243-4"}, "ia"),
        ({"loinc": "83096-8"}, "ia"),
        # A code alone does not prove mass spectrometry: an immunoassay is sold under it, too.
        ({"loinc": "2243-4"}, "unknown"),
        ({"loinc": "35384-7"}, "unknown"),
        ({}, "unknown"),
    ],
)
def test_the_assay_comes_from_method_then_code(columns: dict[str, str], assay: str):
    assert lab(value="20", **columns)["assay"][0] == assay


@pytest.mark.parametrize(
    ("columns", "analyte", "apart"),
    [
        ({"test_name": "ESTRADIOL (E2)"}, "estradiol", None),
        ({"test_name": "Hormone panel", "loinc": "2986-8"}, "testosterone_total", None),
        ({"test_name": "Cortisol"}, None, "other_analyte"),
        ({"test_name": "Cortisol", "loinc": "2143-6"}, None, "other_analyte"),
    ],
)
def test_a_test_is_known_by_code_then_by_name(
    columns: dict[str, str], analyte: str | None, apart: str | None
):
    row = lab(value="20", **columns)

    assert (row["analyte"][0], row["apart"][0]) == (analyte, apart)


@pytest.mark.parametrize(
    ("written", "instant", "day"),
    [
        ("2024-03-01", datetime(2024, 3, 1, 5, 0, tzinfo=UTC), date(2024, 3, 1)),
        ("2024-03-01T08:30", datetime(2024, 3, 1, 13, 30, tzinfo=UTC), date(2024, 3, 1)),
        ("2024-03-01 08:30:15", datetime(2024, 3, 1, 13, 30, 15, tzinfo=UTC), date(2024, 3, 1)),
        ("2024-03-01T08:30Z", datetime(2024, 3, 1, 8, 30, tzinfo=UTC), date(2024, 3, 1)),
        # The local date is the one that is written, whatever day it is in UTC.
        ("2024-03-01T23:30-05:00", datetime(2024, 3, 2, 4, 30, tzinfo=UTC), date(2024, 3, 1)),
        # An hour that the clocks skipped.
        ("2024-03-10T02:30", datetime(2024, 3, 10, 6, 30, tzinfo=UTC), date(2024, 3, 10)),
        ("2024-02-30", None, None),
        ("01/03/2024", None, None),
    ],
)
def test_a_time_becomes_an_instant_and_a_local_date(
    written: str, instant: datetime | None, day: date | None
):
    row = lab(value="20", collected_at=written)

    assert (row["collected_at"][0], row["collected_on"][0]) == (instant, day)


@pytest.mark.parametrize(
    ("sig", "per_week"),
    [
        ("0.5 mg twice weekly", 2),
        ("1/2 tab MWF", 3),
        ("1 mg E3D", 7 / 3),
        ("1 tab QOD", 3.5),
        ("0.25 mg every other day", 3.5),
        ("take one tablet daily", 7),
        ("1 mg once weekly", 1),
        ("1 tab by mouth every week", 1),
        ("0.5 mg 3x/week", 3),
        ("as directed", None),
    ],
)
def test_a_sig_says_how_often_or_leaves_the_dose_unknown(sig: str, per_week: float | None):
    order = text_rows(
        "medications", {"drug": "Anastrozole 1 mg tablet", "dose_mg": "0.5", "sig": sig}
    )

    row = normalise("medications", order, timezone="UTC")

    assert row["doses_per_week"][0] == pytest.approx(per_week)
    assert row["weekly_dose_mg"][0] == pytest.approx(per_week and per_week * 0.5)


@pytest.mark.parametrize(
    ("columns", "drug", "apart"),
    [
        ({"drug": "ARIMIDEX"}, "anastrozole", None),
        ({"drug": "AI tablets", "rxnorm": "199224"}, "anastrozole", None),
        ({"drug": "Letrozole 2.5 mg"}, "letrozole", None),
        ({"drug": "testosterone cypionate 200 mg/mL"}, "testosterone", None),
        ({"drug": "Lisinopril"}, None, "other_drug"),
    ],
)
def test_a_drug_is_known_by_code_then_by_name(
    columns: dict[str, str], drug: str | None, apart: str | None
):
    row = normalise("medications", text_rows("medications", columns), timezone="UTC")

    assert (row["drug"][0], row["apart"][0]) == (drug, apart)


def test_no_row_is_dropped_and_their_order_stays():
    rows = text_rows("labs", *({"result_id": str(n), "test_name": "x"} for n in range(50)))

    assert normalise("labs", rows, timezone="UTC")["result_id"].to_list() == [
        str(n) for n in range(50)
    ]
