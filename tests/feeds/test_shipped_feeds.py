"""The feed descriptions that are shipped: which file is whose, and what becomes of its lines."""

import codecs
from pathlib import Path

import polars as pl
import pytest

from e2analytics.errors import RefusedFileError
from e2analytics.feeds import drop, formats, lookups, mapping
from e2analytics.feeds.description import load_feeds
from e2analytics.tables.source import PROVENANCE

FEEDS = {feed.feed: feed for feed in load_feeds()}
LABCORP = "Specimen ID,Patient ID,DOB,Gender,Account Number,Date Collected,Date Reported,Result Code,Result Code Name,Result LOINC,Result,Units,Lab,Result Status,Comments"
QUEST = "Accession Number,Patient ID,DOB,Sex,Client Number,Collection Date,Report Date,Analyte Code,Analyte Name,LOINC Code,Result,Units,Result Status,Methodology,Performing Site"
PHARMACY = "Rx Number,Fill Number,Patient ID,Drug Name,RxNorm,Strength,Quantity,Days Supply,Sig,Fill Date,Status"
LUNAR = "Patient ID\tBirth Date\tSex\tHeight (cm)\tWeight (kg)\tFacility\tSystem Number\tScan ID\tScan Date\tScan Type\tSide\tRegion\tBMD (g/cm2)\tT-score\tZ-score\tTissue (%Fat)\tReference Population"
APEX_PATIENTS = "PATIENT_KEY,LAST_NAME,IDENTIFIER1,BIRTHDATE,SEX,WEIGHT,HEIGHT,PHANTOM_ID"
APEX_SCANS = "PATIENT_KEY,SCANID,SERIAL_NUMBER,SCAN_DATE,SCAN_TYPE"
APEX_SPINES = "PATIENT_KEY,SCANID,SERIAL_NUMBER,L1_INCLUDED,L2_INCLUDED,L3_INCLUDED,L4_INCLUDED,L1_BMD,TOT_BMD,STD_TOT_BMD"
APEX_HIPS = "PATIENT_KEY,SCANID,SERIAL_NUMBER,NECK_BMD,HTOT_BMD"
APEX_SCORES = "PATIENT_KEY,SCANID,SERIAL_NUMBER,BONERANGE,T_SCORE,Z_SCORE,TITLE"


def written(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    text = "".join(f"{line}\n" for line in lines)
    bom = codecs.BOM_UTF16_LE if encoding == "utf-16-le" else b""
    path.write_bytes(bom + text.encode(encoding))
    return path


def text_rows(path: Path, target: str) -> pl.DataFrame:
    """Return the text rows that a file brings to a table."""
    found = drop.recognise(list(FEEDS.values()), path)
    assert found is not None
    frames = []
    for record, rows in formats.read(path, found.feed.format):
        kind = next(each for each in found.kinds if each.target == target and each.takes(record))
        joined = lookups.join(rows, kind, lookups.tables(path.parent, found.feed, kind))
        frames.append(mapping.to_table(joined, found.feed, kind, source_file="f", source_order=0))
    return pl.concat(frames)


def given(rows: pl.DataFrame) -> list[dict[str, str]]:
    """Return what the rows say: the texts that are not empty."""
    about = {*PROVENANCE, "short_line", "namespace", "imputed"}
    return [
        {name: value for name, value in row.items() if value is not None and name not in about}
        for row in rows.iter_rows(named=True)
    ]


@pytest.mark.parametrize(
    ("name", "header", "feed"),
    [
        ("patients.csv", "patient_id,clinic_id,sex,birth_date", "canonical"),
        ("labs_2024.csv", "result_id,patient_id", "canonical"),
        ("patients.csv", APEX_PATIENTS, "hologic_apex"),
        ("apex_scan_analyses.csv", APEX_SCANS, "hologic_apex"),
        ("spines.csv", APEX_SPINES, "hologic_apex"),
        ("HIPS.CSV", APEX_HIPS, "hologic_apex"),
        ("referenceresults.csv", APEX_SCORES, "hologic_apex"),
        ("export_17.csv", LABCORP, "labcorp_like"),
        ("export_18.csv", QUEST, "quest_like"),
        ("labs.csv", QUEST, "quest_like"),
        ("fills.csv", PHARMACY, "pharmacy_dispensing"),
        ("somebody.csv", "a,b", None),
    ],
)
def test_a_file_is_known_by_its_columns_and_else_by_its_name(
    tmp_path: Path, name: str, header: str, feed: str | None
):
    found = drop.recognise(list(FEEDS.values()), written(tmp_path / name, header))

    assert (found and found.feed.feed) == feed


def test_a_lunar_export_is_known_by_its_columns_in_utf_16(tmp_path: Path):
    path = written(tmp_path / "scans.txt", LUNAR, encoding="utf-16-le")

    found = drop.recognise(list(FEEDS.values()), path)

    assert found is not None
    assert found.feed.feed == "lunar_like"


@pytest.mark.parametrize("variant", ["canonical_excel", "canonical_parquet"])
def test_the_canonical_tables_have_the_same_columns_in_every_format(variant: str):
    tables = {kind.target: kind for kind in FEEDS["canonical"].files}

    for kind in FEEDS[variant].files:
        assert kind.columns == tables[kind.target].columns
        assert kind.required == tables[kind.target].required
        assert kind.one_of == tables[kind.target].one_of


def test_names_and_addresses_are_read_by_no_feed():
    said = {
        column.lower()
        for feed in FEEDS.values()
        for kind in feed.files
        for column in kind.columns_used()
    }

    assert not {column for column in said if "last" in column or "first" in column}
    assert not {column for column in said if "address" in column or "phone" in column}


def test_a_labcorp_line_is_a_result_and_a_patient(tmp_path: Path):
    path = written(
        tmp_path / "lab.csv",
        LABCORP,
        "S1,77,12/31/1970,Male,C01,03/04/2025 08:05,03/06/2025 17:00,140244,\"Estradiol, Sensitive\",35384-7,<5.0,pg/mL,LAB-A,Corrected,Methodology: LC/MS/MS",
    )  # fmt: skip

    assert given(text_rows(path, "labs")) == [
        {
            "result_id": "S1-140244",
            "patient_id": "77",
            "collected_at": "2025-03-04T08:05:00",
            "loinc": "35384-7",
            "test_name": "Estradiol, Sensitive",
            "value": "<5.0",
            "unit": "pg/mL",
            "performing_lab": "LAB-A",
            "status": "C",
            "reported_at": "2025-03-06T17:00:00",
            "comment": "Methodology: LC/MS/MS",
        }
    ]
    assert given(text_rows(path, "patients")) == [
        {"patient_id": "77", "clinic_id": "C01", "sex": "M", "birth_date": "1970-12-31"}
    ]


def test_a_quest_line_is_a_result_and_a_patient(tmp_path: Path):
    path = written(
        tmp_path / "lab.csv",
        QUEST,
        "A1,77,12/31/1970,M,C01,03/04/2025 08:05 AM,03/06/2025 05:00 PM,30289,\"ESTRADIOL,ULTRASENSITIVE,LC/MS/MS\",,12,pg/mL,F,LC/MS/MS,LAB-Q",
    )  # fmt: skip

    assert given(text_rows(path, "labs")) == [
        {
            "result_id": "A1-30289",
            "patient_id": "77",
            "collected_at": "2025-03-04T08:05:00",
            "test_name": "ESTRADIOL,ULTRASENSITIVE,LC/MS/MS",
            "value": "12",
            "unit": "pg/mL",
            "method": "LC/MS/MS",
            "performing_lab": "LAB-Q",
            "status": "F",
            "reported_at": "2025-03-06T17:00:00",
        }
    ]
    assert given(text_rows(path, "patients")) == [
        {"patient_id": "77", "clinic_id": "C01", "sex": "M", "birth_date": "1970-12-31"}
    ]


def test_every_fill_of_a_prescription_is_an_order_of_its_own(tmp_path: Path):
    path = written(
        tmp_path / "rx.csv",
        PHARMACY,
        "9,0,77,ANASTROZOLE 1MG TAB,199224,1 mg,12,28,1/2 tab three times weekly,01/02/2025,Dispensed",
        "9,1,77,ANASTROZOLE 1MG TAB,199224,1 mg,12,28,1/2 tab three times weekly,01/30/2025,Reversed",
    )

    first, second = given(text_rows(path, "medications"))

    assert first == {
        "order_id": "9-0",
        "patient_id": "77",
        "drug": "ANASTROZOLE 1MG TAB",
        "rxnorm": "199224",
        "sig": "1/2 tab three times weekly",
        "strength": "1 mg",
        "started_on": "2025-01-02",
        "days_supply": "28",
        "status": "F",
    }
    assert (second["order_id"], second["started_on"], second["status"]) == (
        "9-1",
        "2025-01-30",
        "X",
    )


def test_a_fill_that_does_not_say_how_long_it_lasts_is_of_unknown_supply(tmp_path: Path):
    fill = "9,0,77,ANASTROZOLE 1MG TAB,199224,1 mg,12,,1/2 tab daily,01/02/2025,Dispensed"

    (row,) = given(text_rows(written(tmp_path / "rx.csv", PHARMACY, fill), "medications"))

    assert row["days_supply"] == "unknown"


def lunar(scan_type: str, side: str, region: str, bmd: str) -> str:
    return f"77\t12/31/1970\tMale\t180\t\tC02\tPA+1\t5\t03/04/2025\t{scan_type}\t{side}\t{region}\t{bmd}\t-1.1\t-0.9\t\tUSA"


def test_a_lunar_region_is_a_site_or_set_apart(tmp_path: Path):
    path = written(
        tmp_path / "scans.txt",
        LUNAR,
        lunar("AP Spine", "", "L1-L4", "1.1"),
        lunar("AP Spine", "", "L1-L4 (L3)", "1.1"),
        lunar("AP Spine", "", "L2-L4", "1.2"),
        lunar("Femur", "Left", "Neck", "0.9"),
        lunar("Femur", "Right", "Total", "1.0"),
        lunar("Femur", "Right", "Troch", "0.8"),
        lunar("Total Body", "", "Total", "1.2"),
        encoding="utf-16-le",
    )

    rows = text_rows(path, "dxa")

    assert rows["excluded"].to_list() == [
        None,
        None,
        "other_region",
        None,
        None,
        "other_region",
        None,
    ]
    assert rows.filter(pl.col("excluded").is_null()).select("site", "side").rows() == [
        ("lumbar_spine", None),
        ("lumbar_spine", None),
        ("femoral_neck", "left"),
        ("total_hip", "right"),
        ("total_body", None),
    ]
    assert rows["vertebrae"].to_list() == ["L1-L4", "L1-L4 (L3)", *[None] * 5]
    assert rows.select("scan_id", "scanned_on", "scanner_id", "manufacturer").row(0) == (
        "5",
        "2025-03-04",
        "PA+1",
        "GE Lunar",
    )
    assert given(text_rows(path, "patients"))[0] == {
        "patient_id": "77",
        "clinic_id": "C02",
        "sex": "M",
        "birth_date": "1970-12-31",
        "height_cm": "180",
    }


@pytest.fixture
def apex(tmp_path: Path) -> Path:
    """A folder with an Apex extract: one man, one phantom, a spine without L3 and a right hip."""
    written(
        tmp_path / "apex_patients.csv",
        APEX_PATIENTS,
        "K1,Simulated,77,1970-12-31 00:00:00,M,80,180,",
        "K2,,PHANTOM,1970-01-01 00:00:00,M,,,SP-17",
    )
    written(
        tmp_path / "scan_analyses.csv",
        APEX_SCANS,
        "K1,A1,SN9,2025-03-04 10:11:12,1",
        "K1,A2,SN9,2025-03-04 10:15:00,3",
        "K2,A3,SN9,2025-03-05 08:00:00,1",
    )
    written(
        tmp_path / "spines.csv",
        APEX_SPINES,
        "K1,A1,SN9,1,1,0,1,0.7,0.9,0.95",
        "K2,A3,SN9,1,1,1,1,1.0,1.0,1.1",
    )
    written(tmp_path / "hips.csv", APEX_HIPS, "K1,A2,SN9,0.7,0.8")
    written(
        tmp_path / "referenceresults.csv",
        APEX_SCORES,
        "K1,A1,SN9,1...,-9,-9,one vertebra",
        "K1,A1,SN9,12.4,-1.5,-1.2,Hologic",
        "K1,A2,SN9,1...,-0.9,-0.7,NHANES",
        "K1,A2,SN9,.2..,-8,-8,trochanter",
        "K1,A2,SN9,123.,-1.3,-1.0,NHANES",
    )
    return tmp_path


def test_an_apex_spine_is_read_with_its_scan_patient_and_score(apex: Path):
    man, phantom = given(text_rows(apex / "spines.csv", "dxa"))

    assert man == {
        "scan_id": "SN9-A1",
        "patient_id": "77",
        "scanned_on": "2025-03-04T10:11:12",
        "site": "lumbar_spine",
        "bmd_g_cm2": "0.9",
        "t_score": "-1.5",
        "z_score": "-1.2",
        "scanner_id": "SN9",
        "manufacturer": "Hologic",
        "vertebrae": "1,1,0,1",
        "reference_db": "Hologic",
    }
    assert phantom["excluded"] == "phantom"


def test_an_apex_hip_is_two_sites_with_a_side(apex: Path):
    rows = text_rows(apex / "hips.csv", "dxa")

    columns = ("scan_id", "site", "side", "bmd_g_cm2", "t_score", "z_score", "source_part")
    assert rows.select(columns).rows() == [
        ("SN9-A2", "total_hip", "right", "0.8", "-1.3", "-1.0", 0),
        ("SN9-A2", "femoral_neck", "right", "0.7", "-0.9", "-0.7", 1),
    ]


def test_an_apex_patient_has_a_clinic_that_was_made_up(apex: Path):
    rows = text_rows(apex / "apex_patients.csv", "patients")

    assert given(rows)[0] == {
        "patient_id": "77",
        "clinic_id": "hologic_apex",
        "sex": "M",
        "birth_date": "1970-12-31T00:00:00",
        "height_cm": "180",
        "weight_kg": "80",
    }
    assert rows["excluded"].to_list() == [None, "phantom"]
    assert rows["imputed"].unique().to_list() == ["clinic_id"]


@pytest.mark.parametrize("name", ["scan_analyses.csv", "referenceresults.csv"])
def test_what_other_tables_look_up_is_set_apart_line_by_line(apex: Path, name: str):
    rows = text_rows(apex / name, "dxa")

    assert rows["excluded"].unique().to_list() == ["joined_to_scan"]
    assert len(rows) == len((apex / name).read_text().splitlines()) - 1


def test_another_suppliers_patients_are_no_companion(apex: Path):
    written(
        apex / "patients.csv",
        "patient_id,clinic_id,sex,birth_date",
        "77,C01,M,1970-12-31",
    )

    assert text_rows(apex / "spines.csv", "dxa")["patient_id"][0] == "77"


def test_two_totals_of_one_spine_give_no_score(apex: Path):
    path = apex / "referenceresults.csv"
    path.write_text(path.read_text() + "K1,A1,SN9,1234,-1.0,-0.8,Hologic\n")

    assert text_rows(apex / "spines.csv", "dxa")["t_score"].null_count() == 2


def test_a_table_without_its_companion_is_refused(apex: Path):
    (apex / "scan_analyses.csv").unlink()
    found = drop.recognise(list(FEEDS.values()), apex / "spines.csv")
    assert found is not None

    with pytest.raises(RefusedFileError) as refused:
        lookups.companions(apex, found.kinds[0])

    assert refused.value.rule == "missing_companion"
