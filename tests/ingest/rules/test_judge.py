"""Judge: which named rules a row breaks."""

from datetime import date

import polars as pl
import pytest

from e2analytics.ingest.normalise.tables import normalise
from e2analytics.ingest.rules.judge import judge
from e2analytics.ingest.rules.row_rules import CONDITIONS, EVENT_KINDS, UNREADABLE_RULES
from e2analytics.reference import row_rules
from e2analytics.tables.vocabulary import SITES, SYMPTOMS
from tests.conftest import text_rows

GOOD: dict[str, dict[str, str]] = {
    "patients": {"patient_id": "p1", "clinic_id": "c", "sex": "M", "birth_date": "1970-01-01"},
    "labs": {
        "result_id": "r",
        "patient_id": "p1",
        "collected_at": "2024-03-01",
        "test_name": "estradiol",
        "value": "20",
        "unit": "pg/mL",
    },
    "dxa": {
        "scan_id": "s",
        "patient_id": "p1",
        "scanned_on": "2024-03-01",
        "site": "total_hip",
        "bmd_g_cm2": "0.95",
    },
    "medications": {
        "order_id": "o",
        "patient_id": "p1",
        "drug": "anastrozole",
        "dose_mg": "0.5",
        "doses_per_week": "2",
        "started_on": "2024-03-01",
    },
    "events": {
        "event_id": "e",
        "patient_id": "p1",
        "kind": "fracture",
        "occurred_on": "2024-03-01",
    },
    "lifestyle": {
        "patient_id": "p1",
        "recorded_on": "2024-03-01",
        "calcium_mg_per_day": "900",
        "impact_sessions_per_week": "0",
    },
    "precision": {"clinic_id": "c", "scanner_id": "x", "site": "total_hip", "cv_pct": "1.2"},
}

HAEMATOCRIT = {"test_name": "Hematocrit", "unit": "%"}


def judged(table: str, **changes: str | None) -> dict[str, object]:
    rows = text_rows(table, {**GOOD[table], **changes})
    return judge(table, normalise(table, rows, timezone="UTC"), today=date(2024, 6, 1)).row(
        0, named=True
    )


@pytest.mark.parametrize("number", ["-7", "+49-30", "-a.b_C", "7=8"])
def test_a_number_that_a_spreadsheet_only_shows_is_no_formula(number: str):
    assert judged("labs", result_id=number)["failed_rules"] == ""


@pytest.mark.parametrize("value", ["<54", ">54", "54"])
def test_a_haematocrit_below_or_above_a_number_is_possible(value: str):
    assert judged("labs", **HAEMATOCRIT, value=value)["reject"] is None


@pytest.mark.parametrize("table", GOOD)
def test_a_good_row_breaks_no_rule(table: str):
    row = judged(table)

    assert (row["failed_rules"], row["reject"]) == ("", None)


@pytest.mark.parametrize(
    ("table", "changes", "rule"),
    [
        ("patients", {"sex": "U"}, "unknown_sex"),
        ("patients", {"sex": None}, "missing_sex"),
        ("patients", {"birth_date": "1970-13-01"}, "unreadable_birth_date"),
        ("patients", {"birth_date": "1870-01-01"}, "impossible_birth_date"),
        ("patients", {"clinic_id": None}, "missing_clinic_id"),
        ("patients", {"clinic_id": "=1+1"}, "formula"),
        ("labs", {"result_id": "=cmd|'/c calc'!A1"}, "formula"),
        ("labs", {"result_id": "-2+3+cmd|'/c calc'!A1"}, "formula"),
        ("labs", {"result_id": "=7", "status": "X"}, "formula"),
        ("labs", {"performing_lab": "@SUM(A1)"}, "formula"),
        ("dxa", {"scanner_id": "=A1"}, "formula"),
        ("dxa", {"reference_db": "+A1(1)"}, "formula"),
        ("medications", {"order_id": "=A1"}, "formula"),
        ("events", {"event_id": "@A1"}, "formula"),
        ("precision", {"scanner_id": "=A1"}, "formula"),
        ("labs", {"patient_id": None}, "missing_patient_id"),
        ("labs", {"collected_at": None}, "missing_collected_at"),
        ("labs", {"collected_at": "03/01/2024"}, "unreadable_collected_at"),
        ("labs", {"collected_at": "2199-01-01"}, "impossible_collected_at"),
        ("labs", {"collected_at": "1899-12-31"}, "impossible_collected_at"),
        ("labs", {"value": None}, "missing_value"),
        ("labs", {"value": "see"}, "unreadable_value"),
        ("labs", {"value": "-3"}, "impossible_value"),
        ("labs", {"value": "0"}, "impossible_value"),
        ("labs", {"value": "<0"}, "impossible_value"),
        ("labs", {"value": "99999"}, "impossible_value"),
        # A fraction under the unit of a percentage.
        ("labs", {**HAEMATOCRIT, "value": "0.55"}, "impossible_value"),
        ("labs", {**HAEMATOCRIT, "value": "<0.55"}, "impossible_value"),
        ("labs", {"unit": None}, "missing_unit"),
        ("labs", {"unit": "IU/L"}, "unknown_unit"),
        ("labs", {"status": "Z"}, "unknown_status"),
        ("dxa", {"site": "elbow"}, "unknown_site"),
        ("dxa", {"bmd_g_cm2": "12"}, "impossible_bmd"),
        ("dxa", {"bmd_g_cm2": "0"}, "impossible_bmd"),
        (
            "dxa",
            {"site": "lumbar_spine", "bmd_g_cm2": "0.72", "t_score": "2.8"},
            "score_contradicts_bmd",
        ),
        ("dxa", {"bmd_g_cm2": "nan"}, "unreadable_bmd_g_cm2"),
        ("medications", {"stopped_on": "2024-02-01"}, "stopped_before_started"),
        ("medications", {"dose_mg": "-1"}, "negative_dose"),
        ("medications", {"started_on": None}, "missing_started_on"),
        ("events", {"kind": "party"}, "unknown_kind"),
        ("precision", {"cv_pct": "45"}, "impossible_precision"),
        ("lifestyle", {"recorded_on": None}, "missing_recorded_on"),
        ("lifestyle", {"recorded_on": "spring"}, "unreadable_recorded_on"),
        ("lifestyle", {"recorded_on": "2199-01-01"}, "impossible_recorded_on"),
        ("lifestyle", {"calcium_mg_per_day": "0"}, "implausible_calcium_mg_per_day"),
        ("lifestyle", {"calcium_mg_per_day": "1.2"}, "implausible_calcium_mg_per_day"),
        ("lifestyle", {"protein_g_per_kg": "90"}, "implausible_protein_g_per_kg"),
        (
            "lifestyle",
            {"impact_sessions_per_week": "150"},
            "implausible_impact_sessions_per_week",
        ),
        (
            "lifestyle",
            {"resistance_sessions_per_week": "-1"},
            "implausible_resistance_sessions_per_week",
        ),
        # Less than nothing, and nothing: the key beside the 0.
        *(
            (
                "lifestyle",
                {"impact_sessions_per_week": written},
                "implausible_impact_sessions_per_week",
            )
            for written in ("-0", "-0.0")
        ),
    ],
)
def test_a_row_that_breaks_a_rule_is_rejected_by_its_name(
    table: str, changes: dict[str, str | None], rule: str
):
    row = judged(table, **changes)

    assert row["reject"] == rule
    assert rule in str(row["failed_rules"]).split()


@pytest.mark.parametrize(
    ("table", "changes", "rule", "column", "left"),
    [
        ("patients", {"height_cm": "17.8"}, "implausible_height", "height_cm", None),
        ("patients", {"height_cm": "tall"}, "unreadable_height_cm", "height_cm", None),
        ("dxa", {"bmd_g_cm2": "1.7"}, "implausible_bmd", "bmd_g_cm2", 1.7),
        ("dxa", {"z_score": "-99"}, "implausible_z_score", "z_score", None),
        (
            "patients",
            {"trt_started_on": "2199-01-01"},
            "implausible_trt_started_on",
            "trt_started_on",
            None,
        ),
        (
            "lifestyle",
            {"calcium_mg_per_day": "enough"},
            "unreadable_calcium_mg_per_day",
            "calcium_mg_per_day",
            None,
        ),
        (
            "lifestyle",
            {"calcium_mg_per_day": None, "impact_sessions_per_week": None},
            "nothing_recorded",
            "calcium_mg_per_day",
            None,
        ),
        ("medications", {"doses_per_week": None}, "dose_unknown", "weekly_dose_mg", None),
        ("medications", {"dose_mg": "lots"}, "dose_unknown", "weekly_dose_mg", None),
        ("medications", {"dose_mg": "500"}, "implausible_weekly_dose", "weekly_dose_mg", None),
        ("medications", {"days_supply": "0"}, "unreadable_days_supply", "weekly_dose_mg", None),
        ("events", {"kind": "symptom", "detail": "itch"}, "unknown_detail", "detail", None),
        ("events", {"detail": "mood"}, "unknown_detail", "detail", None),
    ],
)
def test_a_doubt_lets_a_row_in_and_is_named(
    table: str, changes: dict[str, str | None], rule: str, column: str, left: float | None
):
    row = judged(table, **changes)

    assert (row["failed_rules"], row["reject"], row[column]) == (rule, None, left)


def test_a_cancelled_result_needs_no_value():
    assert judged("labs", status="X", value=None, unit=None)["reject"] is None


def test_another_analyte_is_set_apart_and_not_judged():
    row = judged("labs", test_name="Cortisol", value="rubbish", unit="furlong")

    assert (row["excluded"], row["failed_rules"], row["reject"]) == ("other_analyte", "", None)


@pytest.mark.parametrize(
    ("name", "code", "excluded", "failed_rules"),
    [
        ("Estradiol, XY", None, None, "unknown_test"),
        ("Testosterone, Free and Total", None, None, "unknown_test"),
        ("17-beta-Oestradiol, baseline", None, None, "unknown_test"),
        # A code that nobody here knows may be of another specimen.
        ("Estradiol", "12345-5", None, "unknown_test"),
        ("Estradiol, XY", "2243-4", None, ""),
        ("Estradiol", "L-4711", None, ""),
        ("Estradiol, urine", None, "other_analyte", ""),
        ("Estradiol, urine", "12345-5", "other_analyte", ""),
        ("Estradiol", "2238-4", "other_analyte", ""),
        ("Estradiol, saliva", "2243-4", None, "code_contradicts_name"),
        ("Cortisol", None, "other_analyte", ""),
    ],
)
def test_a_test_that_names_estradiol_or_testosterone_and_is_not_known_waits(
    name: str, code: str | None, excluded: str | None, failed_rules: str
):
    row = judged("labs", test_name=name, loinc=code)

    assert (row["excluded"], row["failed_rules"]) == (excluded, failed_rules)


@pytest.mark.parametrize(
    ("name", "assay"),
    [
        ("Estradiol, Roche ECLIA", "ia"),
        ("Estradiol, Sensitive, LC/MS", "ms"),
        ("Estradiol by Tandem Mass Spectrometry", "ms"),
        ("Elecsys Estradiol III", "ia"),
        # What the name does not say is not known.
        ("Estradiol, Sens", "unknown"),
        ("Estradiol, Roche", "unknown"),
        ("Estradiol [Mass/volume] in Serum or Plasma", "unknown"),
    ],
)
def test_the_assay_is_known_only_where_the_name_says_it(name: str, assay: str):
    assert judged("labs", test_name=name)["assay"] == assay


@pytest.mark.parametrize("rule", UNREADABLE_RULES)
def test_what_could_not_be_read_breaks_one_rule_and_no_other(rule: str):
    nothing = text_rows("labs", {}).with_columns(unreadable=pl.lit(rule))
    rows = judge("labs", normalise("labs", nothing, timezone="UTC"), today=date(2024, 6, 1))

    assert rows.select("failed_rules", "reject", "excluded").rows() == [(rule, rule, None)]


@pytest.mark.parametrize("table", sorted({*CONDITIONS, *row_rules.load().tables}))
def test_every_condition_has_its_words_and_all_words_have_a_condition(table: str):
    assert set(CONDITIONS[table]) == {rule.name for rule in row_rules.of_table(table)}


def test_advice_lists_the_words_that_the_conditions_accept():
    words = row_rules.load().row_rules

    assert words["unknown_site"].advice == f"Write the site as one of {', '.join(SITES)}."
    assert words["unknown_kind"].advice == f"Write the kind as one of {', '.join(EVENT_KINDS)}."
    assert f"one of {', '.join(SYMPTOMS)};" in words["unknown_detail"].advice
