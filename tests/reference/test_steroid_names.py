"""Names of estradiol and testosterone: understood to the last word, known to be another's, or waiting."""

import polars as pl
import pytest

from e2analytics import reference

WAITS = "waits"
OTHER = "another test"
NONE = "names neither"


def meaning(name: str) -> str:
    row = pl.DataFrame({"name": [name]}).with_columns(
        spelling=reference.name_key(pl.col("name")),
        steroid=reference.names_sex_steroid(pl.col("name")),
        other=reference.is_other_steroid_test(pl.col("name")),
    )
    known = row.join(reference.analyte_names(), on="spelling", how="left").row(0, named=True)
    if known["analyte_by_name"] is not None:
        return str(known["analyte_by_name"])
    if known["other"]:
        return OTHER
    return WAITS if known["steroid"] else NONE


@pytest.mark.parametrize(
    "name",
    [
        "Estradiol [Mass/volume] in Serum or Plasma",
        "Estradiol (E2) [Mass/volume] in Serum or Plasma",
        "Estradiol (E2) [Moles/volume] in Serum or Plasma by Detection limit = 1.0 pg/mL",
        "Estradiol (E2) [Moles/volume] in Serum or Plasma by High sensitivity method",
        "Estradiol (E2) [Mass/volume] in Serum or Plasma by Immunoassay",
        "E2 [Mass/Vol]",
        "E2 High sensitivity method [Moles/Vol]",
        "Estradiol SerPl-mCnc",
        "Estradiol SerPl HS-sCnc",
        "Estradiol, Roche ECLIA",
        "Estradiol, Sens",
        "Estradiol, Sensitive, LC/MS",
        "Estradiol, Ultrasensitive",
        "ESTRADIOL,ULTRASENSITIVE,LC/MS/MS",
        "Estradiol, Mass Spectrometry, Serum",
        "Estradiol, Rapid, Immunoassay, Serum",
        "Estradiol, S",
        "Estradiol by Tandem Mass Spectrometry",
        "Estradiol, Males, Children or Postmenopausal Females, by Tandem Mass Spectrometry",
        "Estradiol, Adult Premenopausal Female, Serum or Plasma",
        "Estradiol (E2), Serum",
        "ESTRADIOL 17-BETA",
        "Estradiol, 17b",
        "Elecsys Estradiol III",
        "ARCHITECT Estradiol",
        "Atellica IM Enhanced Estradiol",
        "Oestradiol (plasma)",
        "S-Estradioli",
    ],
)
def test_estradiol_in_serum_is_known_by_loincs_names_and_those_of_laboratories(name: str):
    assert meaning(name) == "estradiol"


@pytest.mark.parametrize(
    ("name", "analyte"),
    [
        ("Testosterone [Mass/volume] in Serum or Plasma", "testosterone_total"),
        ("Testosterone [Moles/volume] in Serum or Plasma by Immunoassay", "testosterone_total"),
        (
            "Testosterone [Mass/volume] in Serum or Plasma by Detection limit <= 1.0 ng/dL",
            "testosterone_total",
        ),
        ("Testost SerPl-mCnc", "testosterone_total"),
        ("Testost SerPl DL<=1.0 ng/dL-mCnc", "testosterone_total"),
        ("TESTOSTERONE, TOTAL, MALES (ADULT), IA", "testosterone_total"),
        ("TESTOSTERONE, TOTAL, MS", "testosterone_total"),
        (
            "Testosterone, Total, Women, Children, and Hypogonadal Males, LC/MS-MS",
            "testosterone_total",
        ),
        ("Testosterone, Females or Children", "testosterone_total"),
        ("Testosterone Free [Mass/volume] in Serum or Plasma", "testosterone_free"),
        ("Testosterone Free [Mass/volume] in Serum or Plasma by Calculation", "testosterone_free"),
        ("Testost Free SerPl-sCnc", "testosterone_free"),
        ("Free Testosterone(Direct)", "testosterone_free"),
        ("Testosterone, Free (Dialysis)", "testosterone_free"),
        ("Testosterone.bioavailable [Mass/volume] in Serum or Plasma", "testosterone_bioavailable"),
        ("Testost Bioavail SerPl-mCnc", "testosterone_bioavailable"),
        (
            "Testosterone.free+weakly bound [Mass/volume] in Serum or Plasma",
            "testosterone_bioavailable",
        ),
    ],
)
def test_total_free_and_bioavailable_testosterone_are_told_apart(name: str, analyte: str):
    assert meaning(name) == analyte


@pytest.mark.parametrize(
    "name",
    [
        "Estradiol, free",
        "Estradiol, Free, LC/MS/MS",
        "Estradiol, Bioavailable",
        "Estradiol (E2).albumin bound [Mass/volume] in Serum or Plasma",
        "Estradiol (E2) [Mass/volume] in Saliva (oral fluid)",
        "Estradiol Sal-mCnc",
        "Estradiol, Urine, 24 hour",
        "Estradiol/Creatinine [Mass Ratio] in Urine",
        "Ethinyl estradiol",
        "Estradiol receptor",
        "% Free Testosterone",
        "Testosterone/Estradiol ratio",
        "Testosterone, Saliva, LC/MS-MS",
        "Free testosterone index",
    ],
)
def test_what_is_certainly_another_test_is_never_taken_for_one_of_ours(name: str):
    assert meaning(name) == OTHER


@pytest.mark.parametrize(
    "name",
    [
        "Estradiol XY-7",
        "Estradiol, baseline",
        "Estradiol [Mass/volume] in Serum or Plasma --30 minutes post dose",
        "Estradiol [Presence] in Serum or Plasma",
        "Estradiol + Estrone",
        "Estradiol, free or total",
        "Estradiol, dried blood spot",
        "17-alpha-Estradiol",
        "E2 (adj.)",
        "Ostradiol",
        "Testosterone, Free (Dialysis) and Total",
        "Testosterone, Free and Total",
        "Testosterone, Total + % Free",
        "Testosterone, Bioavailable and Free",
        "Testosterone after hCG",
        "Testosterone cypionate",
    ],
)
def test_a_name_of_either_that_is_not_understood_to_the_last_word_waits(name: str):
    assert meaning(name) == WAITS


@pytest.mark.parametrize(
    "name",
    [
        "Estrone (E1) [Mass/volume] in Serum or Plasma",
        "Estrogens, Total",
        "Dihydrotestosterone, LC/MS/MS",
        "Prostaglandin E2",
        "Apo E2/E3 genotype",
        "Glucose",
    ],
)
def test_other_substances_do_not_name_them(name: str):
    assert meaning(name) == NONE


@pytest.mark.parametrize(
    ("name", "analyte"),
    [
        ("Albumin [Mass/volume] in Serum or Plasma", "albumin"),
        ("Lutropin [Units/volume] in Serum or Plasma", "lh"),
        ("Hematocrit [Volume Fraction] of Blood by Automated count", "hematocrit"),
        ("Calcium [Moles/volume] in Serum or Plasma", "calcium"),
        ("Albumin [Mass/volume] in Urine", NONE),
    ],
)
def test_loincs_names_of_the_other_tests_are_known_without_lines_of_their_own(
    name: str, analyte: str
):
    assert meaning(name) == analyte


def test_every_name_of_loinc_that_was_seen_whole_is_a_name_of_its_analyte():
    entries = reference.load("analytes")["analytes"]
    steroids = ("estradiol", "testosterone_total", "testosterone_free")

    for analyte in steroids:
        for facts in entries[analyte]["loinc"].values():
            if facts["seen"] == "N":
                assert meaning(facts["name"]) == analyte
