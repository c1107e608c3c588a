"""References over the files of a drop, as Bulk Data writes them: a file, or several, for each type."""

import json
from pathlib import Path
from typing import Any

import pytest

from e2analytics.feeds.fhir import reader
from tests.feeds.fhir.fhir_files import UCUM, coded, rows

RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
DRUG = {
    "resourceType": "Medication",
    "id": "m1",
    "code": {
        "coding": [{"system": RXNORM, "code": "199224", "display": "anastrozole 1 MG Oral Tablet"}]
    },
}
ORDER = {
    "resourceType": "MedicationRequest",
    "id": "r1",
    "status": "active",
    "intent": "order",
    "medicationReference": {"reference": "Medication/m1"},
    "subject": {"reference": "Patient/p1"},
    "authoredOn": "2026-08-01",
}


def write(folder: Path, name: str, *resources: Any) -> Path:
    file = folder / name
    file.write_text("".join(f"{json.dumps(each)}\n" for each in resources), encoding="utf-8")
    return file


def reading(own_id: str, loinc: str, value: float, unit: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": own_id,
        "status": "final",
        "code": coded(loinc),
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-03-01T09:00:00Z",
        "valueQuantity": {"value": value, "unit": unit, "system": UCUM, "code": unit},
        **more,
    }


BMD = reading("b", "24966-4", 1.012, "g/cm2")
T_SCORE = reading("t", "38267-1", -1.5, "1")


def drugs(file: Path) -> list[tuple[str | None, str | None]]:
    return [(row.get("drug"), row.get("rxnorm")) for row in rows(file, "Medication")]


def scans(file: Path) -> list[tuple[str | None, ...]]:
    names = ("scan_id", "bmd_g_cm2", "t_score")
    return [tuple(row.get(name) for name in names) for row in rows(file, "DXA")]


def test_the_drug_of_an_order_may_stand_in_another_file(tmp_path: Path):
    orders = write(tmp_path, "MedicationRequest.ndjson", ORDER)
    write(tmp_path, "Medication.ndjson", DRUG)

    assert drugs(orders) == [("anastrozole 1 MG Oral Tablet", "199224")]


def test_the_drug_may_be_a_single_resource_or_in_a_bundle(tmp_path: Path):
    orders = write(tmp_path, "MedicationRequest.ndjson", ORDER)
    bundle = {"resourceType": "Bundle", "entry": [{"resource": DRUG}]}
    write(tmp_path, "formulary.json", bundle)

    assert drugs(orders) == [("anastrozole 1 MG Oral Tablet", "199224")]


def test_a_drug_that_two_files_hold_differently_is_unknown(tmp_path: Path):
    orders = write(tmp_path, "MedicationRequest.ndjson", ORDER)
    write(tmp_path, "Medication_1.ndjson", DRUG)
    write(tmp_path, "Medication_2.ndjson", DRUG | {"code": {"text": "Letrozole"}})

    assert drugs(orders) == [(None, None)]


def test_a_drug_that_two_files_hold_alike_is_known(tmp_path: Path):
    orders = write(tmp_path, "MedicationRequest.ndjson", ORDER)
    write(tmp_path, "Medication_1.ndjson", DRUG)
    write(tmp_path, "Medication_2.ndjson", DRUG | {"meta": {"lastUpdated": "2026-01-01"}})

    assert drugs(orders) == [("anastrozole 1 MG Oral Tablet", "199224")]


def test_the_files_own_drug_comes_first(tmp_path: Path):
    orders = write(tmp_path, "a.ndjson", ORDER, DRUG)
    write(tmp_path, "b.ndjson", DRUG | {"code": {"text": "Letrozole"}})

    assert drugs(orders) == [("anastrozole 1 MG Oral Tablet", "199224")]


@pytest.mark.parametrize("name", [".Medication.ndjson", "Medication.txt"])
def test_files_that_a_run_does_not_read_lend_nothing(tmp_path: Path, name: str):
    orders = write(tmp_path, "MedicationRequest.ndjson", ORDER)
    write(tmp_path, name, DRUG)

    assert drugs(orders) == [(None, None)]


def test_nothing_outside_the_drop_is_read(tmp_path: Path):
    (tmp_path / "drop").mkdir()
    orders = write(tmp_path / "drop", "MedicationRequest.ndjson", ORDER)
    outside = write(tmp_path, "Medication.ndjson", DRUG)
    (tmp_path / "drop" / "Medication.ndjson").symlink_to(outside)

    assert drugs(orders) == [(None, None)]


def test_a_score_finds_its_scan_in_another_file(tmp_path: Path):
    densities = write(tmp_path, "Observation_1.ndjson", BMD)
    scores = write(tmp_path, "Observation_2.ndjson", T_SCORE)

    assert scans(densities) == [("b", "1.012", "-1.5")]
    assert scans(scores) == []
    assert [row["scan_id"] for row in rows(scores, "DXA score")] == ["t"]


def test_a_scan_of_the_same_file_comes_first(tmp_path: Path):
    first = write(tmp_path, "Observation_1.ndjson", BMD | {"id": "b1"}, T_SCORE)
    second = write(tmp_path, "Observation_2.ndjson", BMD | {"id": "b2"})

    assert scans(first) == [("b1", "1.012", "-1.5")]
    assert scans(second) == [("b2", "1.012", None)]


def test_a_score_between_two_scans_of_other_files_belongs_to_none(tmp_path: Path):
    write(tmp_path, "Observation_1.ndjson", BMD | {"id": "b1"})
    write(tmp_path, "Observation_2.ndjson", reading("b2", "24966-4", 0.9, "g/cm2"))
    scores = write(tmp_path, "Observation_3.ndjson", T_SCORE)

    assert scans(scores) == [("t", None, "-1.5")]


def test_a_scan_that_two_files_hold_has_its_score_in_both(tmp_path: Path):
    first = write(tmp_path, "Observation_1.ndjson", BMD)
    again = write(tmp_path, "Observation_2.ndjson", BMD)
    scores = write(tmp_path, "Observation_3.ndjson", T_SCORE)

    assert scans(first) == scans(again) == [("b", "1.012", "-1.5")]
    assert scans(scores) == []


def test_of_two_scores_that_differ_every_file_takes_the_same_one(tmp_path: Path):
    densities = write(tmp_path, "Observation_2.ndjson", BMD)
    early = write(tmp_path, "Observation_1.ndjson", T_SCORE)
    late = write(tmp_path, "Observation_3.ndjson", reading("u", "38267-1", -3.0, "1"))

    assert scans(densities) == [("b", "1.012", "-1.5")]
    assert scans(early) == []
    assert scans(late) == [("u", None, "-3.0")]


def test_only_files_that_its_references_lead_to_decide_what_a_file_says(tmp_path: Path):
    orders = write(tmp_path, "MedicationRequest.ndjson", ORDER)
    drugs_file = write(tmp_path, "Medication.ndjson", DRUG)
    densities = write(tmp_path, "Observation.ndjson", BMD)
    men = write(tmp_path, "Patient.ndjson", {"resourceType": "Patient", "id": "p1"})

    assert reader.companions(orders) == [drugs_file]
    assert reader.companions(densities) == []
    assert reader.companions(men) == []
