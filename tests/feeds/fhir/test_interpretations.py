"""FHIR: what an interpretation says of the number beside it."""

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
