"""FHIR bone densities: sites, units, and scores that join their scan or nothing."""

from pathlib import Path
from typing import Any

import pytest

from e2analytics import reference
from tests.feeds.fhir.fhir_files import UCUM, bundle, coded, lines, places, rows

SPINE, SPINE_T, SPINE_Z = "24966-4", "38267-1", "85394-5"
HIP, HIP_LEFT, HIP_LEFT_T = "38261-4", "46278-8", "80946-7"
FEMUR, FOREARM = "24701-5", "24890-6"


def reading(own_id: str, loinc: str, value: Any, unit: str = "1", **more: Any) -> dict[str, Any]:
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


def bmd(own_id: str = "b", loinc: str = SPINE, value: Any = 1.012, **more: Any) -> dict[str, Any]:
    return reading(own_id, loinc, value, "g/cm2", **more)


def scans(file: Path) -> list[tuple[Any, ...]]:
    names = ("scan_id", "bmd_g_cm2", "t_score", "z_score")
    return [tuple(each.get(name) for name in names) for each in rows(file, "DXA")]


def test_scores_join_the_bmd_of_the_same_scan_whatever_the_order(tmp_path: Path):
    file = lines(
        tmp_path,
        reading("t", SPINE_T, -1.5),
        reading("z", SPINE_Z, -0.4),
        bmd(),
        reading("h", HIP_LEFT_T, -2.0),
    )

    assert scans(file) == [("b", "1.012", "-1.5", "-0.4"), ("h", None, "-2.0", None)]
    assert places(file) == [
        ("DXA", 3, 0),
        ("DXA", 4, 0),
        ("DXA score", 1, 0),
        ("DXA score", 2, 0),
    ]


@pytest.mark.parametrize(
    "other",
    [
        {"subject": {"reference": "Patient/p2"}},
        {"subject": {}},
        {"effectiveDateTime": "2026-03-02T09:00:00Z"},
        {"bodySite": {"text": "Left"}},
        {"status": "entered-in-error"},
        {"valueQuantity": {}},
    ],
)
def test_a_score_of_another_scan_or_withdrawn_stands_alone(tmp_path: Path, other: Any):
    file = lines(tmp_path, bmd(), reading("t", SPINE_T, -1.5) | other)

    assert [each[0] for each in scans(file)] == ["b", "t"]
    assert scans(file)[0][2] is None


def test_readings_without_a_patient_or_a_day_are_of_no_known_scan(tmp_path: Path):
    for missing in ({"subject": {}}, {"effectiveDateTime": ""}):
        file = lines(tmp_path, bmd() | missing, reading("t", SPINE_T, -1.5) | missing)
        assert len(scans(file)) == 2


def test_of_two_scans_of_one_day_the_time_the_device_and_the_status_decide(tmp_path: Path):
    later = {"effectiveDateTime": "2026-03-01T10:00:00Z"}
    file = lines(tmp_path, bmd("a"), bmd("b") | later, reading("t", SPINE_T, -1.5) | later)
    assert [each[2] for each in scans(file)] == [None, "-1.5"]

    other = {"device": {"reference": "Device/2"}}
    file = lines(tmp_path, bmd("a"), bmd("b") | other, reading("t", SPINE_T, -1.5) | other)
    assert [each[2] for each in scans(file)] == [None, "-1.5"]

    preliminary = {"status": "preliminary"}
    file = lines(tmp_path, bmd("a") | preliminary, bmd("b"), reading("t", SPINE_T, -1.5))
    assert [each[2] for each in scans(file)] == [None, "-1.5"]


def test_nobody_can_tell_which_of_two_like_scans_a_score_belongs_to(tmp_path: Path):
    file = lines(tmp_path, bmd("a"), bmd("b"), reading("t", SPINE_T, -1.5))

    assert scans(file) == [
        ("a", "1.012", None, None),
        ("b", "1.012", None, None),
        ("t", None, "-1.5", None),
    ]


def test_the_same_score_twice_joins_and_a_different_one_does_not(tmp_path: Path):
    scores = [reading(str(n), SPINE_T, value) for n, value in enumerate([-1.5, -1.5, -1.9])]

    assert scans(lines(tmp_path, bmd(), *scores)) == [
        ("b", "1.012", "-1.5", None),
        ("2", None, "-1.9", None),
    ]


def test_scores_in_components_join_the_value_of_their_own_observation(tmp_path: Path):
    components = [{"code": coded(SPINE_T), "valueQuantity": {"value": -1.5}}]
    file = lines(tmp_path, bmd("a"), bmd("b", component=components))

    assert scans(file) == [("a", "1.012", None, None), ("b", "1.012", "-1.5", None)]
    assert rows(file, "DXA score")[0]["scan_id"] == f"b-{SPINE_T}"


def test_a_report_with_contained_readings_is_a_row_and_so_are_they(tmp_path: Path):
    inside = [bmd(), reading("t", SPINE_T, -1.5)]
    file = lines(tmp_path, {"resourceType": "DiagnosticReport", "id": "r", "contained": inside})

    assert scans(file) == [("r#b", "1.012", "-1.5", None)]
    assert places(file) == [("DXA", 1, 1), ("DXA score", 1, 2), ("DiagnosticReport", 1, 0)]


@pytest.mark.parametrize(
    ("value", "unit", "density"),
    [
        (1.01, "g/cm2", "1.01"),
        (1.01, "g/cm²", "1.01"),
        (1.01, "G/CM^2", "1.01"),
        (1012, "mg/cm2", "1.012"),
        (1.01, "g", "1.01 g"),
    ],
)
def test_a_bmd_is_in_g_cm2_or_unreadable(tmp_path: Path, value: float, unit: str, density: str):
    assert scans(lines(tmp_path, reading("b", SPINE, value, unit)))[0][1] == density


def test_a_bmd_without_unit_or_with_a_comparator_stays_as_written(tmp_path: Path):
    for quantity, density in [({"value": 1.01}, "1.01"), ({"value": 1, "comparator": "<"}, "<1")]:
        assert scans(lines(tmp_path, bmd(valueQuantity=quantity)))[0][1] == density


@pytest.mark.parametrize(
    ("loinc", "words", "site"),
    [
        (SPINE, "", "lumbar_spine"),
        (SPINE, "BMD L1-L4", "lumbar_spine"),
        (SPINE, "L2 to L4", "lumbar_spine"),
        (SPINE, "L1-4", "lumbar_spine"),
        (SPINE, "BMD L3", "single_vertebra"),
        (HIP, "", "total_hip"),
        (HIP, "Left femoral neck", "femoral_neck"),
        (HIP, "Trochanter", "hip_subregion"),
        (HIP_LEFT, "Total hip", "total_hip"),
        (FEMUR, "", "femoral_neck"),
        (FEMUR, "BMD - Left Femur", "femoral_neck"),
        (FEMUR, "Femur total", "total_hip"),
        (FEMUR, "Ward's triangle", "hip_subregion"),
        (FOREARM, "", "forearm"),
        (FOREARM, "Radius 1/3", "one_third_radius"),
        (FOREARM, "33% radius", "one_third_radius"),
        (FOREARM, "Ultradistal radius", "forearm"),
    ],
)
def test_the_code_and_the_sources_own_words_tell_the_site(
    tmp_path: Path, loinc: str, words: str, site: str
):
    by_body_site = lines(tmp_path, bmd(loinc=loinc, bodySite={"text": words}))
    assert [each["site"] for each in rows(by_body_site, "DXA")] == [site]

    by_name = lines(tmp_path, bmd(loinc=loinc) | {"code": coded(loinc) | {"text": words}})
    assert [each["site"] for each in rows(by_name, "DXA")] == [site]


def test_side_and_vertebrae_are_read_from_the_code_or_the_words(tmp_path: Path):
    file = lines(
        tmp_path,
        bmd("1", HIP_LEFT),
        bmd("2", HIP, bodySite=coded("71341001", display="Right femur")),
        bmd("3", SPINE, bodySite={"text": "L2 – l4"}),
    )

    assert [(each.get("side"), each.get("vertebrae")) for each in rows(file, "DXA")] == [
        ("left", None),
        ("right", None),
        (None, "L2-L4"),
    ]


def test_the_scanner_is_the_device_and_its_maker_stands_in_the_file(tmp_path: Path):
    device = {"resourceType": "Device", "id": "7", "manufacturer": "Hologic", "serialNumber": "S9"}
    apart = [bmd(device={"reference": "Device/7", "display": "Horizon"}), device]
    contained = bmd("c", contained=[device], device={"reference": "#7"})

    for file in (lines(tmp_path, *apart, contained), bundle(tmp_path, *apart, contained)):
        assert [(each["scanner_id"], each["manufacturer"]) for each in rows(file, "DXA")] == [
            ("7", "Hologic"),
            ("S9", "Hologic"),
        ]
    (tmp_path / "alone").mkdir()
    alone = lines(tmp_path / "alone", apart[0], bmd("d", device={"display": "Horizon"}))
    assert [(each["scanner_id"], each.get("manufacturer")) for each in rows(alone, "DXA")] == [
        ("7", None),
        ("Horizon", None),
    ]


@pytest.mark.parametrize("loinc", reference.load("dxa_codes")["codes"])
def test_every_code_has_a_right_check_digit_and_a_known_region(loinc: str):
    digits, check = loinc.split("-")
    # LOINC check digits are Luhn's: every second digit from the right counts double.
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(digits))]
    total = sum(each // 10 + each % 10 for each in doubled)
    facts = reference.load("dxa_codes")["codes"][loinc]

    assert (10 - total % 10) % 10 == int(check)
    assert facts["region"] in reference.load("dxa_codes")["regions"]
    assert facts["quantity"] in ("bmd_g_cm2", "t_score", "z_score")
