import json
from pathlib import Path

import pytest

from e2analytics.reference.simulation_marker import GENERATOR, MARKER_NAME
from e2analytics.simulate import SimulationSettings, simulate, write_sample

SHIPPED = Path(__file__).parents[2] / "data" / "sample"
HEADERS = {
    "patients.csv": "patient_id,clinic_id,sex,birth_date,height_cm,weight_kg,trt_started_on",
    "labs.csv": "result_id,patient_id,collected_at,loinc,test_name,value,unit,method,performing_lab,status,reported_at",
    "dxa.csv": "scan_id,patient_id,scanned_on,site,bmd_g_cm2,t_score,z_score,scanner_id,manufacturer,body_fat_pct,vertebrae,side,reference_db",
    "medications.csv": "order_id,patient_id,drug,rxnorm,dose_mg,doses_per_week,sig,started_on,stopped_on",
    "events.csv": "event_id,patient_id,kind,occurred_on",
    "precision.csv": "clinic_id,scanner_id,site,cv_pct",
}
TRUTH = {"curve.csv", "men.csv", "intervals.csv", "defects.csv", "summary.json"}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "README.md"
    }


def test_a_drop_has_the_canonical_headers_and_the_marker_and_nothing_else(cohort):
    drop = contents(cohort.drop)

    assert set(drop) == {*HEADERS, MARKER_NAME}
    assert {name: drop[name].decode().splitlines()[0] for name in HEADERS} == HEADERS
    assert set(contents(cohort.truth)) == TRUTH
    assert {path.name for path in cohort.drop.parent.iterdir()} == {"drop", "truth"}


def test_the_marker_says_who_made_the_drop_and_how(cohort):
    marker = json.loads((cohort.drop / MARKER_NAME).read_text())

    assert marker["generator"] == GENERATOR == "e2analytics simulate"
    assert marker["settings"] == SimulationSettings(patients=4000, seed=7).as_json()


def test_the_same_settings_give_the_same_bytes_and_another_seed_does_not(tmp_path):
    settings = SimulationSettings(patients=150)
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        simulate(tmp_path / name, SimulationSettings(patients=150, seed=seed))

    one = contents(tmp_path / "one")
    assert one == contents(tmp_path / "again")
    other = contents(tmp_path / "other")
    assert [name for name in one if one[name] == other[name]] == ["truth/curve.csv"]
    assert settings.defects


@pytest.mark.parametrize("name", ["men.csv", "intervals.csv", "curve.csv"])
def test_defects_leave_the_truth_as_it_is(tmp_path, name):
    for defects in (True, False):
        simulate(tmp_path / str(defects), SimulationSettings(patients=100, defects=defects))

    with_defects, without = (tmp_path / str(defects) / "truth" / name for defects in (True, False))
    assert with_defects.read_bytes() == without.read_bytes()


def test_the_shipped_sample_is_what_the_simulator_writes_and_is_small(tmp_path):
    write_sample(tmp_path)

    written = contents(tmp_path)
    assert set(written) == {*HEADERS, MARKER_NAME, *(f"truth/{name}" for name in TRUTH)}
    assert sum(map(len, written.values())) < 5_000_000
    shipped = contents(SHIPPED)
    assert {name: shipped.get(name) == written[name] for name in written} == dict.fromkeys(
        written, True
    )


def test_the_samples_readme_counts_its_rows():
    rows = json.loads((SHIPPED / "truth" / "summary.json").read_text())["rows"]
    table = [line.split("|") for line in (SHIPPED / "README.md").read_text().splitlines()]
    claimed = {
        cells[1].strip(" `"): int(cells[2].replace(",", ""))
        for cells in table
        if len(cells) > 3 and cells[1].strip(" `") in HEADERS
    }

    assert claimed == {name: sum(fates.values()) for name, fates in rows.items()}
