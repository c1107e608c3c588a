"""FHIR: files, lines, Bundles, references; every resource has a row."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2analytics.errors import RefusedFileError
from e2analytics.feeds.description import load_feed
from e2analytics.feeds.fhir import nodes
from e2analytics.feeds.fhir import reader as fhir
from e2analytics.reference import schemas_folder
from tests.feeds.fhir.fhir_files import OPTIONS, UCUM, bundle, coded, document, lines, places, rows

US_CORE = Path(__file__).parents[4] / "shared" / "data" / "fhir_uscore"

E2: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "e2-1",
    "status": "final",
    "code": coded("2243-4", display="Estradiol"),
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2026-03-01T08:30:00-05:00",
    "issued": "2026-03-02T10:00:00Z",
    "valueQuantity": {"value": 23.4, "unit": "pg/mL", "system": UCUM, "code": "pg/mL"},
}


def observation(**changed: Any) -> dict[str, Any]:
    return {key: value for key, value in {**E2, **changed}.items() if value is not None}


def only(file: Path, record: str) -> dict[str, Any]:
    (row,) = rows(file, record)
    return row


def test_an_observation_is_a_row_with_its_number_as_written(tmp_path: Path):
    file = lines(tmp_path, json.dumps(E2).replace("23.4", "23.40"))

    assert only(file, "Observation") == {
        "result_id": "e2-1",
        "patient_id": "p1",
        "collected_at": "2026-03-01T08:30:00-05:00",
        "loinc": "2243-4",
        "test_name": "Estradiol",
        "value": "23.40",
        "unit": "pg/mL",
        "status": "final",
        "reported_at": "2026-03-02T10:00:00Z",
        "kind": "result",
        "source_line": 1,
        "source_part": 0,
    }


@pytest.mark.parametrize(
    ("written", "value", "unit"),
    [
        ({"valueQuantity": {"value": 5, "comparator": "<", "unit": "pg/mL"}}, "<5", "pg/mL"),
        ({"valueQuantity": {"value": 5.0, "comparator": ">=", "unit": "x"}}, ">=5.0", "x"),
        ({"valueQuantity": {"value": 1, "unit": "picogram", "code": "pg"}}, "1", "picogram"),
        ({"valueQuantity": {"unit": "pg/mL"}}, None, "pg/mL"),
        ({"valueString": " <5.0 "}, "<5.0", None),
        ({"valueInteger": 7}, "7", None),
        ({"valueBoolean": True}, "true", None),
        ({"valueCodeableConcept": {"text": "not detected"}}, "not detected", None),
        ({"valueCodeableConcept": coded("x", display="Negative")}, "Negative", None),
        ({"valueRange": {"low": {"value": 1}}}, None, None),
    ],
)
def test_every_kind_of_value_is_text(tmp_path: Path, written: Any, value: str, unit: str):
    row = only(lines(tmp_path, observation(valueQuantity=None) | written), "Observation")

    assert (row.get("value"), row.get("unit")) == (value, unit)


def test_a_value_that_is_absent_says_why(tmp_path: Path):
    file = lines(
        tmp_path,
        observation(valueQuantity=None, dataAbsentReason=coded("unsatisfactory", "absent")),
    )

    row = only(file, "Observation")
    assert (row.get("value"), row["absent_reason"]) == (None, "unsatisfactory")


def test_components_are_rows_and_a_panel_has_no_value(tmp_path: Path):
    part = {"valueQuantity": {"value": 1}}
    panel = observation(
        valueQuantity=None,
        component=[
            {"code": coded("2986-8")} | part,
            {"code": coded("2991-8")} | part,
            {"code": coded("2991-8")} | part,
            {"code": {"text": "no code"}} | part,
        ],
    )

    found = rows(lines(tmp_path, panel), "Observation")

    assert [(each["result_id"], each["source_part"], each["kind"]) for each in found] == [
        ("e2-1", 0, "panel"),
        ("e2-1-2986-8", 1, "result"),
        ("e2-1-2991-8-2", 2, "result"),
        ("e2-1-2991-8-3", 3, "result"),
        ("e2-1--4", 4, "result"),
    ]
    assert {each["collected_at"] for each in found} == {E2["effectiveDateTime"]}


def test_a_panel_of_members_is_one_row_and_a_value_beside_components_is_a_result(tmp_path: Path):
    members = observation(valueQuantity=None, hasMember=[{"reference": "Observation/x"}])
    both = observation(component=[{"code": coded("2986-8"), "valueInteger": 3}])

    kinds = [each["kind"] for each in rows(lines(tmp_path, members, both), "Observation")]

    assert kinds == ["panel", "result", "result"]


@pytest.mark.parametrize(
    ("written", "column", "expected"),
    [
        ({"effectiveDateTime": None, "effectivePeriod": {"start": "2026-03-01"}}, "collected_at", "2026-03-01"),
        ({"effectiveDateTime": None, "effectiveInstant": "2026-03-01T01:02:03Z"}, "collected_at", "2026-03-01T01:02:03Z"),
        ({"issued": None, "meta": {"lastUpdated": "2026-04-01"}}, "reported_at", "2026-04-01"),
        ({"method": {"text": "LC/MS/MS"}}, "method", "LC/MS/MS"),
        ({"note": [{"text": "by"}, {"text": "ECLIA"}]}, "comment", "by ECLIA"),
        ({"code": {"coding": [{"system": "lab", "code": "E2S"}], "text": "E2, sensitive"}}, "test_name", "E2, sensitive"),
        ({"code": {"coding": [{"system": "lab", "code": "E2S"}]}}, "code", "E2S"),
        ({"performer": [{"reference": "Organization/7", "display": "Acme"}]}, "performing_lab", "Acme"),
        ({"performer": [{"reference": "Organization/7"}]}, "performing_lab", "7"),
        ({"performer": [{"reference": "#o"}], "contained": [{"resourceType": "Organization", "id": "o", "name": "Acme"}]}, "performing_lab", "Acme"),
        # A person's name is not taken along.
        ({"performer": [{"reference": "Practitioner/7", "display": "Dr Bone"}]}, "performing_lab", None),
        ({"performer": [{"display": "Dr Bone"}]}, "performing_lab", None),
    ],
)  # fmt: skip
def test_what_stands_around_the_value(tmp_path: Path, written: Any, column: str, expected: str):
    row = only(lines(tmp_path, observation(**written)), "Observation")

    assert row.get(column) == expected


@pytest.mark.parametrize(
    ("subject", "patient"),
    [
        ({"reference": "Patient/p1"}, "p1"),
        ({"reference": "https://clinic.example/fhir/Patient/p1/_history/3"}, "p1"),
        ({"reference": "urn:uuid:9c1f"}, "9c1f"),
        ({"reference": "Group/p1"}, None),
        ({"reference": "Patient?identifier=7"}, None),
        ({"reference": "p1"}, None),
        # A number is not an id: it must not meet another man's.
        ({"identifier": {"system": "urn:mrn", "value": "p1"}}, "urn:mrn|p1"),
        ({"display": "Shaw"}, None),
        ("Patient/p1", None),
    ],
)
def test_a_reference_gives_the_id_of_the_patient(tmp_path: Path, subject: Any, patient: str):
    row = only(lines(tmp_path, observation(subject=subject)), "Observation")

    assert row.get("patient_id") == patient


def test_in_a_bundle_a_full_url_leads_to_the_patients_own_id(tmp_path: Path):
    file = bundle(
        tmp_path,
        observation(subject={"reference": "urn:uuid:1"}),
        {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "id": "p7"}},
        observation(subject={"reference": "urn:uuid:2"}),
        {"fullUrl": "urn:uuid:2", "resource": {"resourceType": "Patient"}},
        observation(subject={"reference": "urn:uuid:3"}),
        {"fullUrl": "urn:uuid:3", "resource": {"resourceType": "Device", "id": "p7"}},
    )

    results = rows(file, "Observation")
    assert [each.get("patient_id") for each in results] == ["p7", "2", None]
    assert [each["source_line"] for each in results] == [1, 3, 5]
    assert [each["patient_id"] for each in rows(file, "Patient")] == ["p7", "2"]


def test_a_contained_patient_is_known_by_his_record_number(tmp_path: Path):
    man = {
        "resourceType": "Patient",
        "id": "p",
        "identifier": [
            {"system": "urn:ins", "value": "8"},
            {"system": "urn:mrn", "value": "7", "type": coded("MR", "v2-0203")},
        ],
    }
    file = lines(tmp_path, observation(subject={"reference": "#p"}, contained=[man]))

    assert only(file, "Observation")["patient_id"] == "urn:mrn|7"
    assert only(file, "Patient") == {
        "patient_id": "urn:mrn|7",
        "mrn": "7",
        "source_line": 1,
        "source_part": 1,
    }


def test_a_patient_and_his_death_are_rows_without_his_name(tmp_path: Path):
    file = lines(
        tmp_path,
        {
            "resourceType": "Patient",
            "id": "p1",
            "name": [{"family": "Shaw"}],
            "gender": "male",
            "birthDate": "1971-05-06",
            "managingOrganization": {"reference": "Organization/north"},
            "deceasedDateTime": "2026-01-02",
        },
        {"resourceType": "Patient", "id": "p2", "deceasedBoolean": True},
        {"resourceType": "Patient", "id": "p3", "deceasedBoolean": False},
    )

    assert rows(file, "Patient")[0] == {
        "patient_id": "p1",
        "sex": "male",
        "birth_date": "1971-05-06",
        "clinic": "north",
        "source_line": 1,
        "source_part": 0,
    }
    assert [(each["patient_id"], each.get("died_on")) for each in rows(file, "Death")] == [
        ("p1", "2026-01-02"),
        ("p2", None),
    ]


def test_a_report_is_one_row_and_what_it_contains_are_rows_of_its_line(tmp_path: Path):
    report = {
        "resourceType": "DiagnosticReport",
        "id": "r1",
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-03-01",
        "contained": [observation(id="a", subject=None, effectiveDateTime=None)],
    }
    file = lines(tmp_path, {"resourceType": "Encounter"}, report)

    assert places(file) == [("DiagnosticReport", 2, 0), ("Observation", 2, 1), ("other", 1, 0)]
    # What it does not say itself is its report's.
    result = only(file, "Observation")
    assert (result["result_id"], result["patient_id"]) == ("r1#a", "p1")
    assert result["collected_at"] == "2026-03-01"


def test_bundles_in_lines_and_in_bundles_are_unfolded_and_none_is_lost(tmp_path: Path):
    inner = {"resourceType": "Bundle", "entry": [{"resource": E2}, {"resource": E2}]}
    empty = {"resourceType": "Bundle"}

    in_lines = lines(tmp_path, E2, inner, empty)
    assert places(in_lines) == [
        ("Observation", 1, 0),
        ("Observation", 2, 0),
        ("Observation", 2, 1),
        ("other", 3, 0),
    ]
    in_bundle = bundle(tmp_path, inner, empty, {"resourceType": "of a man"})
    assert places(in_bundle) == [
        ("Observation", 1, 0),
        ("Observation", 1, 1),
        ("other", 2, 0),
        ("unreadable", 3, 0),
    ]
    assert places(document(tmp_path, empty)) == [("other", 1, 0)]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("nonsense", "not_json"),
        ('{"resourceType": "Patient", "x": NaN}', "not_json"),
        ('{"resourceType": "Patient", "id": "1", "id": "2"}', "duplicate_key"),
        ('{"a":' * 100_000, "too_deep"),
        ('{"resourceType": "Patient", "id": "\\ud800"}', "not_text"),
        ('{"resourceType": "Patient", "id": "\\u0000"}', "not_text"),
        ("[1]", "not_fhir"),
        ('{"id": "1"}', "not_fhir"),
    ],
)
def test_a_bad_line_is_a_row_and_the_rest_goes_on(tmp_path: Path, line: str, problem: str):
    file = lines(tmp_path, E2, "", line, E2)

    assert [each["source_line"] for each in rows(file, "Observation")] == [1, 4]
    assert rows(file, "unreadable") == [{"problem": problem, "source_line": 3, "source_part": 0}]


def test_a_line_of_another_encoding_is_a_row_and_a_byte_order_mark_none(tmp_path: Path):
    file = tmp_path / "export.ndjson"
    good = json.dumps(E2).encode()
    file.write_bytes(b"\xef\xbb\xbf" + good + b"\r\n" + '{"id": "José"}'.encode("latin-1") + b"\n")

    assert places(file) == [("Observation", 1, 0), ("unreadable", 2, 0)]
    assert only(file, "unreadable")["problem"] == "wrong_encoding"


@pytest.mark.parametrize(
    ("name", "content", "rule"),
    [
        ("a.ndjson", b"", "empty_file"),
        ("a.json", b"", "empty_file"),
        ("a.ndjson", b"\n\n", "not_fhir"),
        ("a.ndjson", b"name,value\nx,1\n", "not_json"),
        ("a.ndjson", '{"resourceType": "Patient"}\n'.encode("utf-16"), "wrong_encoding"),
        ("a.ndjson", b'{"resourceType": "Patient"}\n{"resourceType": "Pat', "truncated_file"),
        ("a.json", b'{"resourceType": "Pat', "not_json"),
        ("a.json", b'{"resourceType": "Patient", "resourceType": "Patient"}', "not_json"),
        ("a.json", b'{"resourceType": "Patient", "x": Infinity}', "not_json"),
        ("a.json", b'[{"resourceType": "Patient"}]', "not_fhir"),
        ("a.json", b'{"id": 1}', "not_fhir"),
        ("a.json", b'{"a":' * 100_000, "not_json"),
        ("a.json", b'{"resourceType": "Jos\xe9"}', "wrong_encoding"),
        ("a.json", b'{"resourceType": "Patient", "id": "\\ud800"}', "not_text"),
    ],
)
def test_a_file_without_any_resource_is_refused(
    tmp_path: Path, name: str, content: bytes, rule: str
):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(RefusedFileError) as refused:
        list(fhir.read(tmp_path / name, OPTIONS))

    assert refused.value.rule == rule
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


def test_limits_of_a_line_and_of_a_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fhir, "_LONGEST_LINE", 1_000)
    monkeypatch.setattr(fhir, "_LARGEST_DOCUMENT", 1_000)
    fits = '{"resourceType": "Patient", "id": "'.ljust(998, "x") + '"}'

    assert len(rows(lines(tmp_path, fits), "Patient")) == 1
    with pytest.raises(RefusedFileError, match="line_too_long: line 2"):
        places(lines(tmp_path, fits, fits + " "))
    with pytest.raises(RefusedFileError, match="too_large_inside"):
        places(document(tmp_path, {"resourceType": "Patient", "id": "x" * 1_000}))


def test_batches_are_bounded_and_in_the_files_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fhir, "_ROWS_A_BATCH", 2)

    batches = list(fhir.read(lines(tmp_path, *[E2] * 5), OPTIONS))

    assert [batch.rows["source_line"].to_list() for batch in batches] == [[1, 2], [3, 4], [5]]


def test_a_file_is_told_by_its_name_or_by_what_it_holds(tmp_path: Path):
    assert set(fhir.header(document(tmp_path, E2), OPTIONS)) == set(fhir.COLUMNS)
    assert fhir.header(document(tmp_path, {"rows": 7}), OPTIONS) == {}
    assert fhir.header(tmp_path / "is_not_there.json", OPTIONS) == {}
    assert "value" in fhir.header(tmp_path / "broken.ndjson", OPTIONS)["Observation"]


def test_the_feed_takes_every_record_once_and_names_only_columns_of_the_reader():
    feed = load_feed(schemas_folder() / "feeds" / "fhir_r4.yaml")

    for record, columns in fhir.COLUMNS.items():
        (kind,) = (each for each in feed.files if each.takes(record))
        assert kind.columns_used() <= set(columns)
        assert kind.recognises({record: list(columns)})
        assert kind.matches("Observation.000.ndjson")
        assert kind.matches("bundle.JSON")


def test_what_cannot_be_opened_is_refused(tmp_path: Path):
    with pytest.raises(RefusedFileError, match="unreadable_file"):
        list(fhir.read(tmp_path / "is_not_there.ndjson", OPTIONS))


@pytest.mark.skipif(not US_CORE.is_dir(), reason="the examples of US Core are not here")
def test_every_example_of_us_core_is_read():
    found = Counter(record for file in US_CORE.glob("*.json") for record, _, _ in places(file))

    # Each reading has a file of its own: the scores find their scans over the files of the folder.
    assert found == {
        "DXA": 2,
        "DXA score": 4,
        "Medication": 4,
        "Observation": 4,
        "DiagnosticReport": 3,
        "other": 1,
    }


@pytest.mark.skipif(not US_CORE.is_dir(), reason="the examples of US Core are not here")
def test_the_six_readings_of_us_core_are_two_scans(tmp_path: Path):
    files = sorted(US_CORE.glob("*.json"))
    file = bundle(tmp_path, *(json.loads(each.read_text()) for each in files))

    scans = rows(file, "DXA")
    assert [
        (each["site"], each["side"], each["bmd_g_cm2"], each["t_score"], each["z_score"])
        for each in scans
    ] == [
        ("femoral_neck", "left", "0.631", "-1.48", "0.05"),
        ("total_hip", "left", "0.734", "-1.62", "-0.19"),
    ]
    assert len(rows(file, "DXA score")) == 4


any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(allow_nan=False)
    | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=5,
)

SEEDS: list[dict[str, Any]] = [
    observation(component=[{"code": coded("2986-8"), "valueInteger": 3}], note=[{"text": "x"}]),
    observation(code=coded("24966-4"), device={"reference": "#d"}, contained=[{"resourceType": "Device", "id": "d"}]),
    observation(code=coded("38267-1"), performer=[{"reference": "Organization/1"}]),
    {"resourceType": "Patient", "id": "p", "identifier": [{"value": "1", "type": coded("MR")}]},
    {
        "resourceType": "MedicationRequest", "id": "m", "status": "stopped",
        "medicationReference": {"reference": "Medication/1"},
        "dosageInstruction": [
            {"text": "1 mg", "timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "wk", "boundsDuration": {"value": 2, "unit": "wk"}}},
             "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "mg"}}]},
        ],
    },
    {"resourceType": "Bundle", "entry": [{"fullUrl": "urn:uuid:1", "resource": E2}]},
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A resource in which one element, at any depth, is something else."""
    resource = json.loads(json.dumps(draw(st.sampled_from(SEEDS))))
    node: Any = resource
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = draw(st.sampled_from(keys))
        below = node[key]
        if not isinstance(below, dict | list) or not below or draw(st.booleans()):
            node[key] = draw(any_json)
            return resource
        node = below


def resources_in(body: Any) -> int:
    """Count resources the slow way, apart from the reader's own."""
    if not isinstance(body, dict):
        return 1
    listed = body.get("entry")
    if body.get("resourceType") == "Bundle" and listed and isinstance(listed, dict | list):
        entries = [listed] if isinstance(listed, dict) else listed
        return sum(
            resources_in(entry.get("resource") if isinstance(entry, dict) else None)
            for entry in entries
        )
    inside = body.get("contained")
    inside = [inside] if isinstance(inside, dict) else inside
    return 1 + sum(map(resources_in, inside if isinstance(inside, list) else []))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(listed=st.lists(mutated(), min_size=1, max_size=4))
def test_whatever_a_resource_says_it_has_a_row_of_its_own(tmp_path: Path, listed: list[Any]):
    file = lines(tmp_path, E2, *listed)
    problems = [each for each in listed if unusable(json.dumps(each))]

    found = [place[1:] for place in places(file)]

    assert len(found) == len(set(found))
    usable = [each for each in listed if each not in problems]
    assert len(found) >= 1 + len(problems) + sum(map(resources_in, usable))
    assert {line for line, _ in found} == set(range(1, len(listed) + 2))


def unusable(written: str) -> bool:
    try:
        nodes.parse(written.encode())
    except nodes.UnusableError:
        return True
    return False


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=200)
    | st.text('{}[]":,\n\\u0d8eE1-resourceTypePatient', max_size=80).map(str.encode),
    name=st.sampled_from(["a.json", "a.ndjson"]),
)
def test_whatever_the_bytes_the_file_is_read_or_refused(tmp_path: Path, content: bytes, name: str):
    (tmp_path / name).write_bytes(content)
    fhir.header(tmp_path / name, OPTIONS)
    try:
        batches = list(fhir.read(tmp_path / name, OPTIONS))
    except RefusedFileError:
        return
    assert all(batch.rows["source_line"].min() >= 1 for batch in batches)


def test_every_column_is_text_and_every_batch_of_a_record_has_all(tmp_path: Path):
    for batch in fhir.read(lines(tmp_path, *SEEDS, "nonsense"), OPTIONS):
        assert batch.rows.schema == {
            **dict.fromkeys(fhir.COLUMNS[batch.record], pl.String),
            "source_line": pl.Int64,
            "source_part": pl.Int64,
            "short_line": pl.Boolean,
        }
