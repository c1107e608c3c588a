"""Normalise: one scale, one code, one calendar."""

from datetime import UTC, date, datetime

import polars as pl
import pytest

from e2analytics.ingest.normalise.tables import normalise
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
        ("≤5", "pg/mL", 0.0, 5.0),
        ("=<5", "pg/mL", 0.0, 5.0),
        ("less than 5", "pg/mL", 0.0, 5.0),
        ("Less than or equal to 5", "pg/mL", 0.0, 5.0),
        ("≥1500", "pg/mL", 1500.0, None),
        (">=1500", "pg/mL", 1500.0, None),
        ("greater than 1500", "pg/mL", 1500.0, None),
        ("<100", "pmol/L", 0.0, 27.238),
        ("5.0 H", "pg/mL", 5.0, 5.0),
        ("5.0 (L)", "pg/mL", 5.0, 5.0),
        ("5.0*", "pg/mL", 5.0, 5.0),
        ("<5.0 L", "pg/mL", 0.0, 5.0),
        ("2.5E1", "pg/mL", 25.0, 25.0),
        ("-3", "pg/mL", -3.0, -3.0),
        ("<-3", "pg/mL", -3.0, -3.0),
        ("12,5", "pg/mL", None, None),
        ("1,234.5", "pg/mL", None, None),
        ("10-20", "pg/mL", None, None),
        ("<>5", "pg/mL", None, None),
        ("nan", "pg/mL", None, None),
        ("inf", "pg/mL", None, None),
        ("QNS", "pg/mL", None, None),
        # A result below a limit that only the laboratory knows.
        ("ND", "pg/mL", None, None),
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
        ({"method": "LC-MS/MS", "loinc": "83096-8"}, "ms"),
        # Both kinds at once prove nothing.
        ({"method": "Mass spectrometry, immunochemiluminescent assay"}, "unknown"),
        ({"method": "Mass spectrometry or immunoassay", "loinc": "83096-8"}, "ia"),
        ({"test_name": "Estradiol, Ultrasensitive, LC/MS/MS"}, "ms"),
        ({"test_name": "Testosterone, Total, MS", "unit": "ng/dL"}, "ms"),
        ({"test_name": "Estradiol, immunoassay"}, "ia"),
        ({"test_name": "Estradiol, Sensitive"}, "unknown"),
        # Comments: a method that is stated, not one that is recommended; CLIA is a law.
        ({"comment": "Methodology: LC/MS/MS. Not cleared or approved by the FDA."}, "ms"),
        ({"comment": "Roche ECLIA methodology"}, "ia"),
        ({"comment": "For males the LC/MS/MS assay is recommended (order code 30289)"}, "unknown"),
        ({"comment": "Performed in a laboratory certified under CLIA"}, "unknown"),
        ({"comment": "LC/MS/MS", "method": "ECLIA"}, "ia"),
        # A laboratory's own test, by its number or its name; the laboratory alone says nothing.
        ({"performing_lab": "LabCorp Burlington", "loinc": "500108"}, "ms"),
        (
            {"performing_lab": "LabCorp Burlington", "test_name": "140244 Estradiol, Sensitive"},
            "ms",
        ),
        ({"performing_lab": "LABCORP", "test_name": "Estradiol"}, "unknown"),
        ({"performing_lab": "Quest Diagnostics", "loinc": "4021"}, "ia"),
        ({"performing_lab": "Other lab", "loinc": "500108"}, "unknown"),
        (
            {
                "performing_lab": "LabCorp",
                "test_name": "Testosterone",
                "loinc": "140244",
                "unit": "ng/dL",
            },
            "unknown",
        ),
    ],
)
def test_the_assay_comes_from_method_comment_code_and_laboratory(
    columns: dict[str, str], assay: str
):
    assert lab(**{"value": "20", **columns})["assay"][0] == assay


@pytest.mark.parametrize(
    ("value", "unit", "assay"),
    [
        ("<24", "pg/mL", "ia"),
        ("<15", "pg/mL", "ia"),
        ("<88", "pmol/L", "ia"),  # 24 pg/mL
        ("<10", "pg/mL", "unknown"),
        ("<24", "pmol/L", "unknown"),  # 6.5 pg/mL
        ("<5", "pg/mL", "unknown"),
        ("24", "pg/mL", "unknown"),
        (">24", "pg/mL", "unknown"),
    ],
)
def test_an_assay_that_is_blind_to_low_levels_is_an_immunoassay(value: str, unit: str, assay: str):
    assert lab(value=value, unit=unit, loinc="2243-4")["assay"][0] == assay


def test_a_method_that_is_stated_outweighs_the_limit():
    assert lab(value="<24", method="LC-MS/MS")["assay"][0] == "ms"


@pytest.mark.parametrize(
    ("value", "status", "expected"),
    [
        ("QNS", None, ("not_measured", "F")),
        ("TNP", "F", ("not_measured", "F")),
        ("Hemolyzed.", "C", ("not_measured", "C")),
        ("*CANCELLED*", None, ("not_measured", "F")),
        # What waits for its result must never take the place of a final one.
        ("PENDING", None, ("not_measured", "P")),
        ("In Progress", "F", ("not_measured", "P")),
        # A cancellation withdraws, whatever is written for its value.
        ("TNP", "X", (None, "X")),
        # A result that only its laboratory can tell goes back to it.
        ("ND", "F", (None, "F")),
        ("Not detected", "F", (None, "F")),
        ("SEE NOTE", "F", (None, "F")),
        ("23.4", "F", (None, "F")),
    ],
)
def test_a_text_in_place_of_a_result_is_not_one(
    value: str, status: str | None, expected: tuple[str | None, str]
):
    row = lab(value=value, status=status)

    assert (row["excluded"][0], row["status"][0]) == expected


def test_what_an_assay_cannot_tell_is_known_by_its_kind():
    rows = [lab(value="3", method=method) for method in ("ECLIA", "LC-MS/MS", None)]

    assert [row["least_reportable"][0] for row in rows] == [5.0, 0.2, None]


@pytest.mark.parametrize(
    ("columns", "analyte", "excluded"),
    [
        ({"test_name": "ESTRADIOL (E2)"}, "estradiol", None),
        ({"test_name": "Hormone panel", "loinc": "2986-8"}, "testosterone_total", None),
        ({"test_name": "Cortisol"}, None, "other_analyte"),
        ({"test_name": "Cortisol", "loinc": "2143-6"}, None, "other_analyte"),
        ({"test_name": "Testosterone, Free"}, "testosterone_free", None),
        ({"test_name": "Estradiol, free"}, None, "other_analyte"),
        # A local code says nothing; the code of free estradiol beats the short name beside it.
        ({"test_name": "Estradiol", "loinc": "L-4711"}, "estradiol", None),
        ({"test_name": "Estradiol", "loinc": "2240-0"}, None, "other_analyte"),
    ],
)
def test_a_test_is_known_by_code_then_by_name(
    columns: dict[str, str], analyte: str | None, excluded: str | None
):
    row = lab(value="20", **columns)

    assert (row["analyte"][0], row["excluded"][0]) == (analyte, excluded)


@pytest.mark.parametrize(
    ("loinc", "name", "contradicts"),
    [
        ("2243-4", "Testosterone", True),
        ("2243-4", "Estradiol", False),
        ("2243-4", "Hormone panel", False),
        (None, "Estradiol", False),
    ],
)
def test_a_code_and_a_name_of_different_analytes_are_told(
    loinc: str | None, name: str, contradicts: bool
):
    assert lab(value="20", loinc=loinc, test_name=name)["code_contradicts_name"][0] == contradicts


@pytest.mark.parametrize(
    ("written", "instant", "day"),
    [
        ("2024-03-01", datetime(2024, 3, 1, 5, 0, tzinfo=UTC), date(2024, 3, 1)),
        ("2024-03-01T08:30", datetime(2024, 3, 1, 13, 30, tzinfo=UTC), date(2024, 3, 1)),
        ("2024-03-01 08:30:15", datetime(2024, 3, 1, 13, 30, 15, tzinfo=UTC), date(2024, 3, 1)),
        ("2024-03-01T08:30Z", datetime(2024, 3, 1, 8, 30, tzinfo=UTC), date(2024, 3, 1)),
        # The local date is the one that is written, whatever day it is in UTC.
        ("2024-03-01T23:30-05:00", datetime(2024, 3, 2, 4, 30, tzinfo=UTC), date(2024, 3, 1)),
        ("2024-03-01 08:30", datetime(2024, 3, 1, 13, 30, tzinfo=UTC), date(2024, 3, 1)),
        ("2024-03-01T08:30:15Z", datetime(2024, 3, 1, 8, 30, 15, tzinfo=UTC), date(2024, 3, 1)),
        (
            "2024-03-01T08:30:15.250+0530",
            datetime(2024, 3, 1, 3, 0, 15, tzinfo=UTC),
            date(2024, 3, 1),
        ),
        # An hour that the clocks skipped.
        ("2024-03-10T02:30", datetime(2024, 3, 10, 6, 30, tzinfo=UTC), date(2024, 3, 10)),
        ("2024-02-30", None, None),
        ("01/03/2024", None, None),
        ("2024-3-1", None, None),
        ("2024-03", None, None),
        ("2024-03-01T25:00", None, None),
        ("2024-03-01T08:30+99:00", None, None),
    ],
)
def test_a_time_becomes_an_instant_and_a_local_date(
    written: str, instant: datetime | None, day: date | None
):
    row = lab(value="20", collected_at=written)

    assert (row["collected_at"][0], row["collected_on"][0]) == (instant, day)


def test_times_of_one_file_may_be_written_in_several_ways():
    written = ["2024-03-01", None, "2024-03-01T08:30:00-05:00", "2024-03-01 13:30:00", "soon"]
    rows = text_rows("labs", *({"collected_at": each} for each in written))

    read = normalise("labs", rows, timezone="UTC")

    noon = datetime(2024, 3, 1, 13, 30, tzinfo=UTC)
    assert read["collected_at"].to_list() == [
        datetime(2024, 3, 1, tzinfo=UTC),
        None,
        noon,
        noon,
        None,
    ]


def order(**columns: str | None) -> pl.DataFrame:
    row = {"drug": "Anastrozole 1 mg tablet", "started_on": "2024-01-10", **columns}
    return normalise("medications", text_rows("medications", row), timezone="UTC")


@pytest.mark.parametrize(
    ("columns", "mg", "per_week", "contradicts"),
    [
        ({"dose_mg": "0.5", "doses_per_week": "2"}, 0.5, 2, False),
        ({"dose_mg": "0.5mg", "doses_per_week": "2"}, 0.5, 2, False),
        ({"dose_mg": "0.5", "sig": "twice weekly"}, 0.5, 2, False),
        ({"sig": "1/2 tab MWF"}, 0.5, 3, False),
        ({"sig": "1 tab weekly", "strength": "0.5 mg", "drug": "Arimidex"}, 0.5, 1, False),
        ({"dose_mg": "0.5", "doses_per_week": "2", "sig": "as directed"}, 0.5, 2, False),
        ({"dose_mg": "0.33", "doses_per_week": "4", "sig": "1/3 tab QOD"}, 0.33, None, True),
        ({"dose_mg": "0.33", "doses_per_week": "3.5", "sig": "1/3 tab QOD"}, 0.33, 3.5, False),
        ({"dose_mg": "0.5", "sig": "as directed"}, 0.5, None, False),
        # Columns and sig disagree: neither is believed.
        ({"dose_mg": "1", "doses_per_week": "2", "sig": "0.5 mg twice weekly"}, None, 2, True),
        ({"dose_mg": "0.5", "doses_per_week": "7", "sig": "0.5 mg twice weekly"}, 0.5, None, True),
        # The sig says outright that the dose varies.
        ({"dose_mg": "1", "doses_per_week": "2", "sig": "1-2 tabs weekly"}, None, None, False),
        ({"dose_mg": "1", "doses_per_week": "2", "sig": "1 mg as needed"}, None, None, False),
        # A sig that is not understood to its last word adds nothing to the columns ...
        ({"dose_mg": "0.5", "sig": "0.5 mg x2 weekly sparingly"}, 0.5, None, False),
        (
            {"dose_mg": "0.5", "doses_per_week": "2", "sig": "0.5 mg twice weekly, sparingly"},
            0.5,
            2,
            False,
        ),
        # ... and must not contradict them.
        (
            {"dose_mg": "0.5", "doses_per_week": "2", "sig": "0.5 mg daily, sparingly"},
            0.5,
            None,
            True,
        ),
        ({"dose_mg": "0.5", "doses_per_week": "2", "sig": "0.5 mg Mon, 1 mg Thu"}, None, 2, True),
        ({"dose_mg": "0.5", "doses_per_week": "1", "sig": "0.5 mg Mon and Thu"}, 0.5, None, True),
        # A negative dose stays, to be rejected.
        ({"dose_mg": "-1", "doses_per_week": "2", "sig": "1 mg twice weekly"}, -1, 2, False),
    ],
)
def test_a_dose_is_what_columns_and_sig_agree_on(
    columns: dict[str, str], mg: float | None, per_week: float | None, contradicts: bool
):
    row = order(**columns).row(0, named=True)

    assert (row["dose_mg"], row["doses_per_week"]) == (pytest.approx(mg), pytest.approx(per_week))
    assert row["weekly_dose_mg"] == pytest.approx(mg * per_week if mg and per_week else None)
    assert row["dose_contradicts_sig"] == contradicts


@pytest.mark.parametrize(
    ("columns", "weekdays", "stopped_on"),
    [
        ({"sig": "0.5 mg every Monday"}, "mon", None),
        ({"sig": "0.5 mg M/W/F"}, "mon wed fri", None),
        ({"sig": "0.5 mg twice weekly", "weekdays": "Mon/Thu"}, "mon thu", None),
        ({"sig": "0.5 mg Monday", "weekdays": "thu"}, None, None),
        ({"sig": "0.5 mg Monday sparingly"}, None, None),
        ({"sig": "0.5 mg daily for 10 days"}, None, date(2026, 1, 11)),
        ({"sig": "0.5 mg once"}, None, date(2026, 1, 2)),
        ({"sig": "0.5 mg daily for 10 days", "stopped_on": "2026-03-01"}, None, date(2026, 3, 1)),
        ({"sig": "0.5 mg daily for 10 days", "days_supply": "30"}, None, date(2026, 1, 25)),
        ({"sig": "0.5 mg daily for 90 days", "days_supply": "30"}, None, date(2026, 2, 14)),
        # A length that prescriptions have, which are refilled, takes nobody off his drug.
        ({"sig": "0.5 mg daily for 27 days"}, None, date(2026, 1, 28)),
        ({"sig": "0.5 mg daily for 28 days"}, None, None),
        ({"sig": "0.5 mg daily x 30 days"}, None, None),
        ({"sig": "0.5 mg twice weekly for 3 months"}, None, None),
        ({"sig": "0.5 mg daily for 30 days", "stopped_on": "2026-03-01"}, None, date(2026, 3, 1)),
        ({"sig": "0.5 mg daily for 30 days", "days_supply": "90"}, None, date(2026, 4, 15)),
        ({"sig": "0.5 mg daily for 8 to 12 weeks"}, None, None),
    ],
)
def test_a_sig_names_days_of_the_week_and_an_end(
    columns: dict[str, str], weekdays: str | None, stopped_on: date | None
):
    row = order(**{"started_on": "2026-01-01", **columns}).row(0, named=True)

    assert (row["weekdays"], row["stopped_on"]) == (weekdays, stopped_on)


@pytest.mark.parametrize(
    ("columns", "stopped_on"),
    [
        ({"days_supply": "30"}, date(2024, 2, 23)),  # 30 + 14 days after 10 January
        ({"days_supply": "30", "stopped_on": "2024-02-01"}, date(2024, 2, 1)),
        ({"days_supply": "30", "stopped_on": "some day"}, None),
        ({"days_supply": "0"}, None),
        ({"days_supply": "-30"}, None),
        ({"days_supply": "99999"}, None),
        ({"days_supply": "a month"}, None),
        ({}, None),
    ],
)
def test_a_dispensing_counts_until_its_supply_ends_and_two_weeks_more(
    columns: dict[str, str], stopped_on: date | None
):
    assert order(**columns)["stopped_on"][0] == stopped_on


@pytest.mark.parametrize(
    ("columns", "weekly_dose_mg"),
    [
        ({}, 1.0),
        ({"days_supply": "30"}, 1.0),
        # A fill of unknown supply may be over: it must not be in force for ever at its dose.
        ({"days_supply": "0"}, None),
        ({"days_supply": "a month"}, None),
        ({"days_supply": "0", "stopped_on": "2024-02-01"}, 1.0),
    ],
)
def test_a_dispensing_of_unknown_supply_has_no_dose(
    columns: dict[str, str], weekly_dose_mg: float | None
):
    dosed = {"drug": "anastrozole", "dose_mg": "0.5", "doses_per_week": "2", **columns}

    assert order(**dosed)["weekly_dose_mg"][0] == weekly_dose_mg


@pytest.mark.parametrize(("written", "status"), [("x", "X"), (None, "F"), ("C", "C")])
def test_orders_and_scans_have_a_status_as_results_have(written: str | None, status: str):
    scan = normalise("dxa", text_rows("dxa", {"status": written}), timezone="UTC")

    assert order(status=written)["status"][0] == status
    assert scan["status"][0] == status


@pytest.mark.parametrize(
    ("columns", "drug", "excluded"),
    [
        ({"drug": "ARIMIDEX"}, "anastrozole", None),
        ({"drug": "AI tablets", "rxnorm": "199224"}, "anastrozole", None),
        ({"drug": "Letrozole 2.5 mg"}, "letrozole", None),
        ({"drug": "testosterone cypionate 200 mg/mL"}, "testosterone", None),
        ({"drug": "Lisinopril"}, None, "other_drug"),
        ({"drug": "Methyltestosterone 10 mg"}, "methyltestosterone", None),
        ({"drug": "TEST CYP 200 mg/mL"}, "testosterone", None),
        ({"drug": "Kyzatrex 200 mg capsule"}, "testosterone", None),
        ({"drug": "testosterone undecanoate capsule"}, "testosterone", None),
        ({"drug": "testosterone cypionate/grapeseed oil 200 mg/mL"}, "testosterone", None),
        ({"drug": "testosterone pellet 200 mg"}, "testosterone", None),
        ({"drug": "testosterone pellets without anastrozole"}, "testosterone", None),
        (
            {"drug": "testosterone/anastrozole pellet 60 mg/4 mg"},
            "testosterone_anastrozole_pellet",
            None,
        ),
        ({"drug": "Testopel + anastrozole implant"}, "testosterone_anastrozole_pellet", None),
        ({"drug": "anastrozole 4 mg pellet"}, "anastrozole_pellet", None),
        ({"drug": "hCG 500 IU"}, "chorionic_gonadotropin", None),
        ({"drug": "enclomiphene 12.5 mg"}, "enclomiphene", None),
        ({"drug": "Clomid 50 mg"}, "clomiphene", None),
        ({"drug": "Lupron Depot 7.5 mg"}, "leuprolide", None),
        ({"drug": "nandrolone decanoate"}, "nandrolone", None),
        ({"drug": "tirzepatide 5 mg pen"}, "tirzepatide", None),
        ({"drug": "biotin 10 mg"}, "biotin", None),
        ({"drug": "Lisinopril", "status": "X"}, None, None),
        ({"drug": "Fosamax 70 mg"}, "alendronate", None),
        ({"drug": "PROLIA 60 mg/mL"}, "denosumab", None),
        ({"drug": "hydrocortisone 10 mg tablet"}, "hydrocortisone", None),
        ({"drug": "hydrocortisone 1% cream"}, None, "other_drug"),
        ({"drug": "Anastrozol", "rxnorm": "L02BG03"}, "anastrozole", None),
        # As prescriptions misspell them.
        ({"drug": "anastrazole 1mg"}, "anastrozole", None),
        ({"drug": "Arimadex"}, "anastrozole", None),
        ({"drug": "LETRAZOLE 2.5 MG"}, "letrozole", None),
    ],
)
def test_a_drug_is_known_by_code_then_by_name(
    columns: dict[str, str], drug: str | None, excluded: str | None
):
    row = normalise("medications", text_rows("medications", columns), timezone="UTC")

    assert (row["drug"][0], row["excluded"][0]) == (drug, excluded)


@pytest.mark.parametrize(
    "columns",
    [
        {"drug": "letrozole/anastrozole compound"},
        {"drug": "testosterone 100 mg / anastrozole 4 mg capsule"},
        {"drug": "testosterone/letrozole pellet"},
        {"drug": "letrozole 2.5 mg", "rxnorm": "84857"},
    ],
)
def test_two_drugs_in_one_order_are_neither(columns: dict[str, str]):
    row = normalise("medications", text_rows("medications", columns), timezone="UTC")

    assert (row["drug"][0], row["drugs_named"][0], row["excluded"][0]) == (None, 2, None)


@pytest.mark.parametrize(
    ("drug", "waits"),
    [
        ("anastrozole 1 mg/tablet", False),
        ("Anastrozol Heumann 1 mg", False),
        ("testosterone gel 20.25 mg/act pump", False),
        ("anastrozole/DIM 1 mg/100 mg capsule", True),
        ("chrysin 50 mg + anastrozole 1 mg", True),
        ("no anastrozole", True),
        ("anastrozolum", True),
        ("Epitestosterone", True),
        ("Lisinopril", False),
    ],
)
def test_a_text_with_our_drugs_in_it_that_is_not_understood_waits(drug: str, waits: bool):
    row = normalise("medications", text_rows("medications", {"drug": drug}), timezone="UTC")

    assert row["drug_not_understood"][0] == waits
    assert row["excluded"][0] == ("other_drug" if drug == "Lisinopril" else None)


@pytest.mark.parametrize(
    ("stopped_on", "ends"),
    [(None, None), ("2024-01-10", date(2024, 5, 9)), ("2024-08-01", date(2024, 8, 1))],
)
def test_an_implant_has_no_dose_a_week_and_lasts(stopped_on: str | None, ends: date | None):
    order = {"drug": "testosterone/anastrozole pellet", "dose_mg": "4", "doses_per_week": "1"}
    days = {"started_on": "2024-01-10", "stopped_on": stopped_on}

    row = normalise("medications", text_rows("medications", order | days), timezone="UTC")

    assert row["drug_class"][0] == "aromatase_inhibitor"
    assert (row["weekly_dose_mg"][0], row["stopped_on"][0]) == (None, ends)


def test_no_row_is_dropped_and_their_order_stays():
    rows = text_rows("labs", *({"result_id": str(n), "test_name": "x"} for n in range(50)))

    assert normalise("labs", rows, timezone="UTC")["result_id"].to_list() == [
        str(n) for n in range(50)
    ]


@pytest.mark.parametrize(
    ("loinc", "name", "unit", "contradicts"),
    [
        ("2243-4", "Estradiol", "pg/mL", False),
        ("2243-4", "Estradiol", "pmol/L", True),
        ("14715-7", "Estradiol", "pmol/L", False),
        ("14715-7", "Estradiol", "pg/mL", True),
        ("2986-8", "Testosterone", "nmol/L", True),
        ("14913-8", "Testosterone", "ng/dL", True),
        ("2991-8", "Testosterone, free", "pmol/L", True),
        (None, "Estradiol (E2) [Moles/volume] in Serum or Plasma", "pg/mL", True),
        (None, "Estradiol (E2) [Mass/volume] in Serum or Plasma", "pg/mL", False),
        # Both factors of calcium are right by either unit, and no man is flagged by it.
        ("2000-8", "Calcium", "mg/dL", False),
        # A unit that is not known has a rule of its own.
        ("2243-4", "Estradiol", "mol", False),
    ],
)
def test_a_code_of_moles_and_a_unit_of_mass_contradict_each_other(
    loinc: str | None, name: str, unit: str, contradicts: bool
):
    found = lab(value="20", loinc=loinc, test_name=name, unit=unit)

    assert found["code_contradicts_unit"].to_list() == [contradicts]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("5.0 L*", 5.0),
        ("5.0 L *", 5.0),
        ("5.0*L", 5.0),
        ("5.0 (L)", 5.0),
        ("5.0 LL A", 5.0),
        # What is not understood to its last sign is no result.
        ("5.0 <", None),
        ("5.0 (L", None),
        ("5.0 L8", None),
        ("<8 5.0", None),
        ("< > 5.0", None),
        ("<>1500", None),
        ("L<8 5.0", None),
    ],
)
def test_flags_beside_a_number_are_no_part_of_it(text: str, value: float | None):
    assert lab(value=text, test_name="Estradiol", unit="pg/mL")["value_low"].to_list() == [value]


UTC_LATE = "2024-03-02T00:30:00Z"


@pytest.mark.parametrize(
    ("written", "day"),
    [
        (UTC_LATE, date(2024, 3, 1)),
        ("2024-03-02T00:30:00+00:00", date(2024, 3, 1)),
        ("2024-03-01T16:30:00-08:00", date(2024, 3, 1)),
        ("2024-03-02", date(2024, 3, 2)),
        # How programs write a day without a time.
        ("2024-03-02T00:00:00Z", date(2024, 3, 2)),
        ("2024-03-02T00:00:00.000Z", date(2024, 3, 2)),
    ],
)
@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("dxa", "scanned_on"),
        ("medications", "started_on"),
        ("medications", "stopped_on"),
        ("events", "occurred_on"),
        ("patients", "trt_started_on"),
    ],
)
def test_the_day_of_a_time_in_utc_is_the_clinics(table: str, column: str, written: str, day: date):
    rows = text_rows(table, {column: written})

    assert normalise(table, rows, timezone="America/Los_Angeles")[column].to_list() == [day]


def test_a_symptom_is_named_by_its_detail_and_stays_one_without():
    rows = text_rows(
        "events",
        {"kind": "Symptom", "detail": "Gynaecomastia"},
        {"kind": "symptom", "detail": "Hot-Flash"},
        {"kind": "symptom", "detail": "itch"},
        {"kind": "symptom"},
        {"kind": "fracture", "detail": "mood"},
    )

    found = normalise("events", rows, timezone="UTC")

    assert found.select("kind", "detail").rows() == [
        ("symptom", "gynaecomastia"), ("symptom", "hot_flush"), ("symptom", None), ("symptom", None),
        ("fracture", None),
    ]  # fmt: skip


def test_a_birthday_is_the_day_that_is_written():
    rows = text_rows("patients", {"birth_date": UTC_LATE})

    found = normalise("patients", rows, timezone="America/Los_Angeles")

    assert found["birth_date"].to_list() == [date(2024, 3, 2)]


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [
        ("45.2%", "%", 45.2),
        ("45.2 %", "%", 45.2),
        ("45.2%", "L/L", None),
        ("45.2%", None, None),
        ("45.2%", "mg/dL", None),
    ],
)
def test_a_percentage_is_one_only_where_its_unit_says_so(
    text: str, unit: str | None, value: float | None
):
    assert lab(value=text, unit=unit, test_name="Hematocrit")["value_low"].to_list() == [value]


@pytest.mark.parametrize(
    ("text", "unit", "interval"),
    [
        ("5.0 pg/mL", "pg/mL", (5.0, 5.0)),
        ("<5.0pg/ml", "pg/mL", (0.0, 5.0)),
        ("5.0 pg/mL L", "pg/mL", (5.0, 5.0)),
        ("20 pmol/L", "pg/mL", (None, None)),
        ("5.0%", "pg/mL", (None, None)),
    ],
)
def test_a_unit_beside_the_number_must_be_that_of_the_row(
    text: str, unit: str, interval: tuple[float | None, float | None]
):
    found = lab(value=text, unit=unit)

    assert found.select("value_low", "value_high").rows() == [interval]


@pytest.mark.parametrize(
    ("table", "column", "written", "value"),
    [
        ("dxa", "body_fat_pct", "25.0%", 25.0),
        ("dxa", "body_fat_pct", "25.0 %", 25.0),
        ("dxa", "bmd_g_cm2", "0.95 g/cm²", 0.95),
        ("dxa", "bmd_g_cm2", "95%", None),
        ("dxa", "t_score", "5%", None),
        ("patients", "height_cm", "180 cm", 180.0),
        ("precision", "cv_pct", "1.2%", 1.2),
    ],
)
def test_a_unit_beside_a_measurement_is_that_of_its_column(
    table: str, column: str, written: str, value: float | None
):
    rows = text_rows(table, {column: written})

    assert normalise(table, rows, timezone="UTC")[column].to_list() == [value]


@pytest.mark.parametrize(
    ("text", "waits"),
    [
        ("anastrozole (discontinued)", True),
        ("Arimidex 1 mg - d/c'd", True),
        ("ALLERGY: testosterone cypionate", True),
        ("prednisone - stopped", True),
        ("anastrozole 1 mg tablet", False),
        ("metformin (discontinued)", False),
    ],
)
def test_an_order_that_is_said_to_be_over_in_the_drugs_text_waits(text: str, waits: bool):
    assert order(drug=text)["drug_not_understood"].item() == waits


@pytest.mark.parametrize(("written", "mg"), [("05", None), ("0.5", 0.5), (".5", 0.5), ("5", 5.0)])
def test_a_dose_that_may_have_lost_its_point_is_unknown(written: str, mg: float | None):
    assert order(dose_mg=written, doses_per_week="2")["dose_mg"].item() == mg
