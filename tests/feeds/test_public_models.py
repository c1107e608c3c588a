"""Shipped feeds of public data models: OMOP, Synthea, NHANES of any cycle, and claims by drug code."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from e2analytics.errors import RefusedFileError
from e2analytics.feeds import lookups
from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.read_drop import Sources
from tests.conftest import KEY
from tests.feeds.transport import Column, transport

FEEDS = load_feeds()
MEASUREMENT = "measurement_id,person_id,measurement_concept_id,measurement_date,measurement_datetime,operator_concept_id,value_as_number,unit_concept_id,measurement_source_value,unit_source_value,value_source_value"
EXPOSURE = "drug_exposure_id,person_id,drug_concept_id,drug_exposure_start_date,drug_exposure_end_date,verbatim_end_date,days_supply,sig,drug_source_value"
CONCEPT = "concept_id\tconcept_name\tdomain_id\tvocabulary_id\tconcept_code"
CONCEPTS = (
    CONCEPT,
    "0\tNo matching concept\tMetadata\tNone\tNo matching concept",
    "11\tEstradiol (E2) [Mass/volume] in Serum or Plasma\tMeasurement\tLOINC\t2243-4",
    "12\tpicogram per milliliter\tUnit\tUCUM\tpg/mL",
    '13\tanastrozole 1 MG Oral Tablet, 30 count "sample"\tDrug\tRxNorm\t199224',
)


def write(folder: Path, name: str, *lines: str) -> Path:
    file = folder / name
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return file


def read(folder: Path) -> Sources:
    return Sources.from_drop(folder, FEEDS, KEY, today=date(2026, 9, 30))


def rows(folder: Path, table: str, *columns: str) -> list[tuple[object, ...]]:
    found = read(folder).rows[table]
    return found.select(pl.col(columns).cast(pl.String)).rows()


def omop(
    folder: Path, *measurements: str, concepts: tuple[str, ...] = CONCEPTS
) -> list[tuple[object, ...]]:
    write(folder, "CONCEPT.csv", *concepts)
    write(folder, "measurement.csv", MEASUREMENT, *measurements)
    found = (
        read(folder).rows["labs"].filter(pl.col("excluded").cast(pl.String).ne_missing("looked_up"))
    )
    return found.select(
        pl.col("analyte", "value_low", "value_high", "reject").cast(pl.String)
    ).rows()


@pytest.mark.parametrize(
    ("operator", "low", "high"),
    [
        ("", "6.0", "6.0"),
        ("0", "6.0", "6.0"),
        ("4172703", "6.0", "6.0"),
        ("4171756", "0.0", "6.0"),
        ("4171754", "0.0", "6.0"),
        ("4172704", "6.0", None),
        ("4171755", "6.0", None),
    ],
)
def test_the_operator_of_omop_stands_before_the_value(
    tmp_path: Path, operator: str, low: str, high: str | None
):
    line = f"1,7,11,2026-03-01,2026-03-01 08:05:00,{operator},6.0,12,E2,pg/mL,"

    assert omop(tmp_path, line) == [("estradiol", low, high, None)]


@pytest.mark.parametrize(
    ("operator", "written", "expected"),
    [
        # The conversion lost the operator.
        ("0", "<6.0", ("estradiol", "0.0", "6.0", None)),
        ("", "≤ 6", ("estradiol", "0.0", "6.0", None)),
        ("4171756", "<6.0", ("estradiol", "0.0", "6.0", None)),
        # They contradict each other, or nobody knows the operator.
        ("4172704", "<6.0", ("estradiol", None, None, "unreadable_value")),
        ("4125547", "6.0", ("estradiol", None, None, "unreadable_value")),
    ],
)
def test_the_operator_and_the_text_as_it_was_must_agree(
    tmp_path: Path, operator: str, written: str, expected: tuple[object, ...]
):
    line = f"1,7,11,2026-03-01,,{operator},6.0,12,E2,pg/mL,{written}"

    assert omop(tmp_path, line) == [expected]


def test_without_a_number_the_text_counts_with_its_operator(tmp_path: Path):
    assert omop(
        tmp_path,
        "1,7,11,2026-03-01,,4171756,,12,E2,pg/mL,6.0",
        "2,7,11,2026-03-02,,0,,12,E2,pg/mL,<5",
    ) == [("estradiol", "0.0", "6.0", None), ("estradiol", "0.0", "5.0", None)]


def test_a_test_without_a_concept_is_known_by_what_its_source_called_it(tmp_path: Path):
    assert omop(
        tmp_path,
        '1,7,0,2026-03-01,,0,6,0,"Estradiol, Roche ECLIA",pg/mL,',
        '2,7,0,2026-03-01,,0,6,0,"Estradiol, XY",pg/mL,',
        "3,7,0,2026-03-01,,0,6,0,GLUCOSE,mg/dL,",
        "4,7,11,2026-03-01,,0,6,0,E2,furlong,",
    ) == [
        ("estradiol", "6.0", "6.0", None),
        (None, None, None, "unknown_test"),
        (None, None, None, None),
        ("estradiol", None, None, "unknown_unit"),
    ]


def test_the_concepts_of_omop_may_be_separated_by_commas(tmp_path: Path):
    concepts = tuple(line.replace(", 30 count", "").replace("\t", ",") for line in CONCEPTS[:4])

    assert omop(tmp_path, "1,7,11,2026-03-01,,,6.0,12,E2,,", concepts=concepts) == [
        ("estradiol", "6.0", "6.0", None)
    ]


def test_measurements_of_omop_without_their_concepts_are_refused(tmp_path: Path):
    write(tmp_path, "measurement.csv", MEASUREMENT, "1,7,11,2026-03-01,,0,6.0,12,E2,pg/mL,")

    (file,) = read(tmp_path).files

    assert file.refused is not None
    assert file.refused.rule == "missing_companion"


def test_persons_and_deaths_of_omop(tmp_path: Path):
    write(
        tmp_path,
        "person.csv",
        "person_id,gender_concept_id,year_of_birth,month_of_birth,day_of_birth,care_site_id",
        "7,8507,1970,3,5,21",
        "8,8507,1971,,,",
        "9,0,1972,1,1,21",
    )
    write(tmp_path, "death.csv", "person_id,death_date", "8,2026-02-01")

    assert rows(tmp_path, "patients", "clinic_id", "sex", "birth_date", "reject") == [
        ("21", "M", "1970-03-05", None),
        ("omop", "M", "1971-07-01", None),
        ("21", "0", "1972-01-01", "unknown_sex"),
    ]
    assert rows(tmp_path, "events", "kind", "occurred_on") == [("died", "2026-02-01")]


def test_drug_exposures_of_omop_end_as_far_as_it_is_known(tmp_path: Path):
    write(tmp_path, "concept.csv", *CONCEPTS)
    write(
        tmp_path,
        "drug_exposure.csv",
        EXPOSURE,
        "1,7,13,2026-01-01,2026-01-30,2026-02-10,,1 mg twice weekly,",
        "2,7,13,2026-01-01,2026-01-30,,30,1 mg twice weekly,",
        "3,7,13,2026-01-01,2026-03-01,,,1 mg twice weekly,",
        "4,7,13,2026-01-01,2026-01-01,,,1 mg twice weekly,",
        "5,7,0,2026-01-01,2026-01-30,,30,1 mg twice weekly,Arimidex 1 mg",
    )

    assert rows(tmp_path, "medications", "drug", "weekly_dose_mg", "stopped_on") == [
        ("anastrozole", "2.0", "2026-02-10"),
        ("anastrozole", "2.0", "2026-02-14"),
        ("anastrozole", "2.0", "2026-03-01"),
        ("anastrozole", None, None),
        ("anastrozole", "2.0", "2026-02-14"),
    ]


def test_synthea_writes_patients_deaths_observations_and_medications(tmp_path: Path):
    write(
        tmp_path,
        "patients.csv",
        "Id,BIRTHDATE,DEATHDATE,SSN,FIRST,LAST,GENDER,ADDRESS",
        "a-1,1970-01-02,,999,Ann,Other,M,x",
        "a-2,1960-01-02,2020-05-06,999,Ann,Other,M,x",
    )
    write(
        tmp_path,
        "observations.csv",
        "DATE,PATIENT,ENCOUNTER,CATEGORY,CODE,DESCRIPTION,VALUE,UNITS,TYPE",
        "2020-01-01T09:00:00Z,a-1,e-1,laboratory,2986-8,Testosterone [Mass/volume] in Serum or Plasma,500,ng/dL,numeric",
        "2020-01-01T09:00:00Z,a-1,e-1,vital-signs,39156-5,Body mass index (BMI) [Ratio],27.1,kg/m2,numeric",
        "2020-01-01T09:00:00Z,a-1,e-1,survey,72166-2,Tobacco smoking status,Never,,text",
    )
    write(
        tmp_path,
        "medications.csv",
        "START,STOP,PATIENT,PAYER,ENCOUNTER,CODE,DESCRIPTION,BASE_COST,PAYER_COVERAGE,DISPENSES,TOTALCOST,REASONCODE,REASONDESCRIPTION",
        "2020-01-01T09:00:00Z,2020-03-01T09:00:00Z,a-1,p,e-1,199224,anastrozole 1 MG Oral Tablet,1,0,2,2,,",
        "2020-01-01T09:00:00Z,,a-1,p,e-1,197361,Amlodipine 5 MG Oral Tablet,1,0,2,2,,",
    )

    assert [file.feed for file in read(tmp_path).files] == ["synthea_csv"] * 4
    assert rows(tmp_path, "labs", "analyte", "value_low", "excluded", "reject") == [
        ("testosterone_total", "500.0", None, None),
        ("body_mass_index", "27.1", None, None),
        (None, None, "other_analyte", None),
    ]
    assert rows(tmp_path, "medications", "drug", "weekly_dose_mg", "started_on", "stopped_on") == [
        ("anastrozole", None, "2020-01-01", "2020-03-01"),
        (None, None, "2020-01-01", None),
    ]
    assert rows(tmp_path, "events", "kind", "occurred_on", "excluded") == [
        ("died", None, "not_measured"),
        ("died", "2020-05-06", None),
    ]


def steroids(folder: Path, name: str, estradiol: str = "Estradiol (pg/mL)") -> Path:
    columns = [
        Column("SEQN"),
        Column("LBXEST", estradiol),
        Column("LBDESTLC"),
        Column("LBXTST", "Testosterone, total (ng/dL)"),
    ]
    file = folder / name
    file.write_bytes(transport(columns, [(1, 25.5, 0, 450), (2, 2.12, 1, None)]))
    return file


def test_sex_steroids_of_another_cycle_of_nhanes(tmp_path: Path):
    steroids(tmp_path, "TST_H.XPT")

    assert rows(
        tmp_path, "labs", "analyte", "assay", "value_low", "value_high", "collected_on"
    ) == [
        ("estradiol", "ms", "25.5", "25.5", "2014-01-01"),
        # Filled with LOD / sqrt(2).
        ("estradiol", "ms", "0.0", "2.998", "2014-01-01"),
        ("testosterone_total", "ms", "450.0", "450.0", "2014-01-01"),
    ]


def test_a_file_whose_label_names_another_unit_is_refused(tmp_path: Path):
    steroids(tmp_path, "TST_I.XPT", "Estradiol (pmol/L)")

    (file,) = read(tmp_path).files

    assert file.refused is not None
    assert file.refused.rule == "other_label"


def test_claims_by_drug_code_are_known_by_the_clinics_table(tmp_path: Path):
    write(
        tmp_path,
        "ndc_codes.csv",
        "NDC,Drug,RxNorm,Strength",
        "0310-0201-30,Arimidex 1 mg tablet,,1 mg",
        "00093-7536-56,anastrozole 1 mg tablet,,1 mg",
    )
    write(
        tmp_path,
        "claims.csv",
        "Claim ID,Member ID,NDC,Fill Date,Days Supply,Claim Status",
        "C1,7,00310020130,01/05/2026,90,Paid",
        "C2,7,0093-7536-56,01/05/2026,90,Paid",
        "C3,7,310020130,01/05/2026,90,Paid",
        "C4,7,12345-678-90,01/05/2026,90,Paid",
        "C5,7,00310020130,02/05/2026,90,Reversed",
    )

    found = read(tmp_path).rows["medications"].sort("order_id", nulls_last=True).head(5)
    assert found.select(
        pl.col("drug", "stopped_on", "status", "reject").cast(pl.String)
    ).rows() == [
        ("anastrozole", "2026-04-19", "F", None),
        ("anastrozole", "2026-04-19", "F", None),
        (None, "2026-04-19", "F", "missing_drug"),
        (None, "2026-04-19", "F", "missing_drug"),
        ("anastrozole", "2026-05-20", "X", None),
    ]


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("00310020130", "00310020130"),
        ("0310-0201-30", "00310020130"),
        ("12345-678-90", "12345067890"),
        ("12345-6789-0", "12345678900"),
        ("12345-6789-01", "12345678901"),
        (" 00310020130 ", "00310020130"),
        # Ten digits without hyphens are three codes; with fewer, zeros were lost.
        ("0310020130", None),
        ("310020130", None),
        ("0310-0201", None),
        ("1234-567-8", None),
        ("n/a", None),
    ],
)
def test_a_drug_code_has_one_normal_form_or_none(written: str, normal: str | None):
    frame = pl.DataFrame({"code": [written]})

    assert frame.select(lookups.ndc(pl.col("code"))).item() == normal


def test_a_list_of_codes_without_its_columns_is_refused(tmp_path: Path):
    write(tmp_path, "ndc.csv", "NDC,Name", "0310-0201-30,Arimidex")
    write(
        tmp_path,
        "claims.csv",
        "Claim ID,Member ID,NDC,Fill Date,Days Supply",
        "C1,7,1,01/05/2026,9",
    )

    refused = [file.refused for file in read(tmp_path).files if file.feed == "pharmacy_claims"]

    assert [type(each) for each in refused] == [RefusedFileError]


@pytest.mark.parametrize(
    ("name", "header", "feed"),
    [
        (
            "encounters.csv",
            "Id,START,STOP,PATIENT,ORGANIZATION,PROVIDER,PAYER,ENCOUNTERCLASS",
            "synthea_csv",
        ),
        ("conditions.csv", "START,STOP,PATIENT,ENCOUNTER,SYSTEM,CODE,DESCRIPTION", "synthea_csv"),
        ("visit_occurrence.csv", "visit_occurrence_id,person_id,visit_concept_id", "omop_cdm_5_4"),
        ("observation.csv", "observation_id,person_id,observation_concept_id", "omop_cdm_5_4"),
        (
            "VOCABULARY.csv",
            "vocabulary_id\tvocabulary_name\tvocabulary_reference",
            "omop_vocabulary",
        ),
    ],
)
def test_tables_of_the_models_that_hold_nothing_of_ours_are_known_and_set_apart(
    tmp_path: Path, name: str, header: str, feed: str
):
    write(tmp_path, name, header, header.replace("_", "").swapcase())

    (file,) = read(tmp_path).files

    assert (file.feed, file.refused) == (feed, None)
    assert rows(tmp_path, "labs", "excluded") == [("other_table",)]
