"""FHIR: what an interpretation says of the number beside it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.feeds.fhir.fhir_files import lines, rows

SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"


def coded(*codes: str) -> list[dict[str, Any]]:
    return [{"coding": [{"system": SYSTEM, "code": code}]} for code in codes]


@pytest.mark.parametrize(
    ("number", "interpretation", "value"),
    [
        ("5.0", coded("<"), "<5.0"),
        ("1500", coded(">"), ">1500"),
        ("5.0", coded("L", "<"), "<5.0"),
        ("5.0", coded("LL"), "5.0"),
        ("5.0", coded("L"), "5.0"),
        ("5.0", [{"text": "Off scale low"}], "<5.0"),
        ("5.0", [{"coding": [{"display": "Off scale high"}]}], ">5.0"),
        ("5.0", [{"text": "Low (<8.0)"}], "5.0"),
        # Of the second release of the draft standard: one, no list.
        ("5.0", coded("<")[0], "<5.0"),
        ("5.0", coded("<", ">"), "< > 5.0"),
    ],
)
@pytest.mark.parametrize("inside", [False, True])
def test_off_scale_is_part_of_the_value(
    number: str, interpretation: Any, value: str, inside: bool, tmp_path: Path
):
    result = {
        "code": {"text": "Estradiol"},
        "valueQuantity": {"value": float(number), "unit": "pg/mL"},
        "interpretation": interpretation,
    }
    own = {"component": [result], "code": {"text": "Hormones"}} if inside else result
    about = {"resourceType": "Observation", "id": "o", "status": "final"}
    file = lines(tmp_path, {**about, "subject": {"reference": "Patient/p"}, **own})

    found = [row["value"] for row in rows(file, "Observation") if "value" in row]

    assert found == [value.replace("1500", "1500.0")]


@pytest.mark.parametrize(
    ("words", "value"),
    [
        ("Below absolute low-off instrument scale", "<5.0"),
        ("Above absolute high-off instrument scale", ">5.0"),
    ],
)
def test_off_scale_is_known_by_its_words_in_the_table_of_hl7(
    words: str, value: str, tmp_path: Path
):
    assert of_estradiol(tmp_path, interpretation=[{"text": words}])["value"] == value


@pytest.mark.parametrize(
    "besides",
    [
        {"dataAbsentReason": {"coding": [{"code": "error"}]}},
        {"valueString": "50"},
        {"modifierExtension": [{"url": "https://clinic.example/x"}]},
    ],
)
def test_a_value_that_its_own_result_contradicts_is_no_number(
    besides: dict[str, Any], tmp_path: Path
):
    assert of_estradiol(tmp_path, **besides)["value"] == "? 5.0"


@pytest.mark.parametrize(
    ("besides", "name"),
    [
        ({"specimen": {"display": "Urine"}}, "Estradiol, urine"),
        ({"specimen": {"display": "Serum"}}, "Estradiol"),
        ({"specimen": {"reference": "Specimen/s"}}, "Estradiol, saliva"),
        ({"specimen": {"reference": "Specimen/t"}}, "Estradiol"),
    ],
)
def test_a_result_of_another_specimen_is_another_test(
    besides: dict[str, Any], name: str, tmp_path: Path
):
    beside = [
        {"resourceType": "Specimen", "id": each, "type": {"coding": [{"code": code}]}}
        for each, code in (("s", "119342007"), ("t", "119364003"))
    ]
    (tmp_path / "Specimen.ndjson").write_text("".join(json.dumps(each) + "\n" for each in beside))

    assert of_estradiol(tmp_path, **besides)["test_name"] == name


def of_estradiol(folder: Path, **besides: Any) -> dict[str, Any]:
    """Return the row of a result of estradiol, 5.0 pg/mL."""
    result = {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "subject": {"reference": "Patient/p"},
        "code": {"text": "Estradiol"},
        "valueQuantity": {"value": 5.0, "unit": "pg/mL"},
        **besides,
    }
    (row,) = rows(lines(folder, result), "Observation")
    return row
