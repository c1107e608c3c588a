"""Body mass index on the day of a scan, where the record has one weight without a date."""

from datetime import date

import polars as pl
import pytest

from e2analytics.exposure import body_mass_index

LAST, BEFORE = date(2026, 7, 1), date(2025, 5, 1)
LABS = {
    "patient_id": pl.String,
    "analyte": pl.String,
    "collected_on": pl.Date,
    "value_low": pl.Float64,
    "value_high": pl.Float64,
}
PATIENTS = pl.DataFrame(
    {"patient_id": ["a", "b"], "height_cm": [178.0, 178.0], "weight_kg": [86.0, None]}
)


def scan(
    on: date, fat: float | None, scanner: str = "D1", patient_id: str = "a"
) -> dict[str, object]:
    return {"patient_id": patient_id, "scanned_on": on, "scanner_id": scanner, "body_fat_pct": fat}


def bmi(*scans: dict[str, object], measured: float | None = None) -> dict[date, float]:
    rows = [] if measured is None else [("a", "body_mass_index", BEFORE, measured, measured)]
    labs = pl.DataFrame(rows, schema=LABS, orient="row")
    found = body_mass_index.with_body_fat(
        labs, PATIENTS, pl.DataFrame(scans, schema_overrides={"body_fat_pct": pl.Float64})
    )
    return dict(found.select("collected_on", "value_low").iter_rows())


def test_fourteen_points_of_fat_are_nearly_twelve_units_of_bmi():
    found = bmi(scan(BEFORE, 38.0), scan(LAST, 24.0))

    now = 86 / 1.78**2
    assert found == {BEFORE: pytest.approx(now + 14 / 1.2), LAST: pytest.approx(now)}


@pytest.mark.parametrize(
    "scans",
    [
        (scan(BEFORE, 28.9), scan(LAST, 24.0)),
        (scan(BEFORE, 38.0, scanner="D2"), scan(LAST, 24.0)),
        (scan(BEFORE, None), scan(LAST, 24.0)),
        (scan(BEFORE, 38.0, patient_id="b"), scan(LAST, 24.0, patient_id="b")),
    ],
    ids=["less than five points", "another scanner", "one scan with fat", "no weight"],
)
def test_no_bmi_follows_from_what_says_nothing(scans):
    assert bmi(*scans) == {}


def test_a_measured_bmi_is_not_added_to():
    assert bmi(scan(BEFORE, 38.0), scan(LAST, 24.0), measured=36.0) == {BEFORE: 36.0}
