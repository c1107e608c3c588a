"""Reference tables: arithmetic and check digits, not trust."""

import dataclasses
import re
from collections.abc import Iterator

import polars as pl
import pytest

from e2analytics import reference
from e2analytics.reference import constants
from e2analytics.tables.vocabulary import SITES

ANALYTES = reference.load("analytes")["analytes"]
DRUGS = reference.load("drugs")
# Grams per mole turn one molar unit into one mass unit by these powers of ten.
MOLAR_TO_MASS = {
    ("pmol/L", "pg/mL"): 1e-3,
    ("nmol/L", "pg/mL"): 1,
    ("nmol/L", "ng/dL"): 1e-1,
    ("nmol/L", "ng/mL"): 1e-3,
    ("mmol/L", "mg/dL"): 1e-1,
}
WITH_MOLAR_MASS = [name for name, entry in ANALYTES.items() if "molar_mass_g_mol" in entry]
# Powers of ten between mass units, by prefix and volume, from the sizes of the prefixes.
GRAMS = {"p": 1e-12, "n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1.0}
LITRES = {"mL": 1e-3, "dL": 1e-1, "L": 1.0}


@pytest.mark.parametrize("analyte", WITH_MOLAR_MASS)
def test_molar_factors_are_molar_mass_arithmetic(analyte: str):
    entry = ANALYTES[analyte]
    molar = {unit: facts["factor"] for unit, facts in entry["units"].items() if "mol" in unit}

    assert molar
    for unit, factor in molar.items():
        expected = entry["molar_mass_g_mol"] * MOLAR_TO_MASS[unit, entry["unit"]]
        assert factor == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("analyte", WITH_MOLAR_MASS)
def test_molar_masses_are_the_sum_over_the_formula(analyte: str):
    weights = reference.load("analytes")["atomic_weights"]
    atoms = re.findall(r"([A-Z][a-z]?)([0-9]*)", ANALYTES[analyte]["formula"])

    mass = sum(weights[element] * int(count or 1) for element, count in atoms)

    # The published masses are rounded differently: a few parts in 100,000.
    assert ANALYTES[analyte]["molar_mass_g_mol"] == pytest.approx(mass, rel=5e-5)


def concentration(unit: str) -> float | None:
    """Return a mass concentration in g/L, or None for another kind of unit."""
    found = re.fullmatch(r"([pnum]?)g/(mL|dL|L)", unit)
    return GRAMS[found[1]] / LITRES[found[2]] if found else None


@pytest.mark.parametrize("analyte", list(ANALYTES))
def test_mass_factors_are_powers_of_ten_of_their_prefixes(analyte: str):
    own = concentration(ANALYTES[analyte]["unit"])

    for unit, facts in ANALYTES[analyte]["units"].items():
        written = concentration(unit)
        if own is not None and written is not None:
            assert facts["factor"] == pytest.approx(written / own, rel=1e-9)


def test_ten_pg_ml_of_estradiol_are_36_7_pmol_l():
    assert 10 / ANALYTES["estradiol"]["units"]["pmol/L"]["factor"] == pytest.approx(
        36.7134, abs=1e-4
    )


def mod_10(digits: str) -> int:
    """LOINC's check digit: double every second digit from the right, sum the digits."""
    doubled = "".join(
        str(int(d) * (2 if i % 2 == 0 else 1)) for i, d in enumerate(reversed(digits))
    )
    return -sum(map(int, doubled)) % 10


CODES = [code for entry in ANALYTES.values() for code in entry["loinc"]]
OTHER_CODES = list(reference.load("analytes")["other_codes"])


@pytest.mark.parametrize("code", CODES + OTHER_CODES)
def test_loinc_codes_have_their_check_digit(code: str):
    number, _, check = code.partition("-")

    assert mod_10(number) == int(check)


def test_no_code_and_no_spelling_means_two_things():
    assert len({*CODES, *OTHER_CODES}) == len(CODES) + len(OTHER_CODES)
    assert reference.analyte_names()["spelling"].is_unique().all()
    assert not reference.units().select("analyte", "unit_spelling").is_duplicated().any()


def test_every_code_says_how_far_its_name_was_seen():
    assert {fact["seen"] for entry in ANALYTES.values() for fact in entry["loinc"].values()} == {
        "N",
        "K",
    }


def test_every_analyte_accepts_its_own_units_as_they_are_written():
    units = set(reference.units().select("analyte", "unit_spelling").iter_rows())

    for analyte, entry in ANALYTES.items():
        assert entry["units"][entry["unit"]]["factor"] == 1
        for unit, facts in entry["units"].items():
            assert facts["factor"] > 0
            assert (analyte, key(unit)) in units


def key(unit: str) -> str:
    return pl.DataFrame({"unit": [unit]}).select(reference.unit_key(pl.col("unit"))).item()


def test_limits_are_nested_and_every_analyte_has_them():
    for row in reference.analytes().iter_rows(named=True):
        assert (
            row["least_possible"]
            <= row["least_plausible"]
            < row["most_plausible"]
            < row["most_possible"]
        )


@pytest.mark.parametrize(
    ("name", "analyte"),
    [
        ("ESTRADIOL, SENSITIVE", "estradiol"),
        ("Estradiol, Ultrasensitive, LC/MS/MS", "estradiol"),
        ("Estradiol, Serum", "estradiol"),
        ("140244 Estradiol, Sensitive", "estradiol"),
        ("Östradiol", "estradiol"),
        ("OESTRADIOL", "estradiol"),
        ("Oestradiol (E2)", "estradiol"),
        ("17β-Estradiol", "estradiol"),
        ("Testosterone, Total, MS", "testosterone_total"),
        ("TOTAL TESTOSTERONE", "testosterone_total"),
        ("Testosteron", "testosterone_total"),
        ("FREE TESTOSTERONE(DIRECT)", "testosterone_free"),
        ("Testosterone, Free (Dialysis) LC/MS", "testosterone_free"),
        ("Testost., F+W Bound", "testosterone_bioavailable"),
        ("Testosterone, bioavailable", "testosterone_bioavailable"),
        ("Sex Horm Binding Glob, Serum", "shbg"),
        ("C-Reactive Protein, Cardiac", "crp"),
        ("Vitamin D, 25-Hydroxy", "vitamin_d_25oh"),
        ("25(OH)D", "vitamin_d_25oh"),
        ("PTH, Intact", "pth"),
        ("Hämatokrit", "hematocrit"),
        ("Alkaline Phosphatase, Bone Specific", "bone_alp"),
        # What a shorter comparison would take for one of ours.
        ("Estradiol, free", None),
        ("Free Estradiol, Percent", None),
        ("Ethinyl estradiol", None),
        ("Testosterone, % Free", None),
        ("Free androgen index", None),
        ("Testosterone/SHBG ratio", None),
        ("Methyltestosterone", None),
        ("PTH-related protein", None),
        ("Calcium, ionized", None),
        ("Albumin, urine", None),
        ("Albumin/Globulin ratio", None),
        ("PSA, free", None),
        ("1,25-Dihydroxyvitamin D", None),
        ("25-Hydroxyvitamin D2", None),
        ("Magnesium, RBC", None),
    ],
)
def test_a_test_is_known_by_the_names_that_laboratories_print(name: str, analyte: str | None):
    spelled = pl.DataFrame({"spelling": [name]}).with_columns(
        reference.name_key(pl.col("spelling"))
    )

    known = spelled.join(reference.analyte_names(), on="spelling", how="left")

    assert known["analyte_by_name"].item() == analyte


@pytest.mark.parametrize(
    ("analyte", "unit", "factor"),
    [
        ("estradiol", "PG/ML", 1),
        ("estradiol", "pg / ml", 1),
        ("estradiol", "ng/L", 1),
        ("estradiol", "pmol/l", 0.27238),
        ("testosterone_total", "µg/L", 100),  # the micro sign
        ("testosterone_total", "μg/L", 100),  # the Greek letter
        ("testosterone_total", "mcg/L", 100),
        ("lh", "mIU/mL", 1),
        ("lh", "[IU]/L", 1),
        ("hematocrit", "L/L", 100),
        ("crp", "mg/dL", 10),
        ("shbg", "ug/dL", None),
        ("bone_alp", "U/L", None),
        ("estradiol", "mIU/mL", None),
    ],
)
def test_units_are_known_as_people_type_them(analyte: str, unit: str, factor: float | None):
    row = pl.DataFrame({"analyte": [analyte], "unit_spelling": [key(unit)]})

    known = row.join(reference.units(), on=["analyte", "unit_spelling"], how="left")

    assert known["factor"].item() == factor


def test_the_limit_that_betrays_an_immunoassay_lies_between_what_both_are_known_to_see():
    limit = reference.load("analytes")["ia_when_limit_at_least_pg_ml"]

    # Mass spectrometry of NHANES and the immunoassay that is sold under 2243-4.
    assert 2.994 < limit < 24
    assert all(fact["limit"] < limit for fact in ANALYTES["estradiol"]["least_reportable"].values())


def test_no_drug_code_and_no_drug_name_means_two_drugs():
    for kind in ("codes", "names"):
        each = [word for facts in DRUGS["drugs"].values() for word in facts.get(kind, [])]
        assert len(set(each)) == len(each)


def test_every_word_of_a_sig_means_one_thing():
    sigs = reference.load("sigs")
    groups = [group for kinds in sigs["words"].values() for group in kinds]
    words = [*sigs["varies"], *(word for each in groups for word in ([each] if isinstance(each, str) else each))]  # fmt: skip

    assert all(isinstance(word, str) and word == word.lower() for word in words)
    assert len(set(words)) == len(words)


def test_sites_are_those_of_the_contract_and_their_ranges_are_nested():
    table = reference.sites()

    assert tuple(table["site"]) == SITES
    for row in table.iter_rows(named=True):
        assert (
            row["least_possible"]
            < row["least_plausible"]
            < row["most_plausible"]
            < row["most_possible"]
        )


def texts(content: object) -> Iterator[str]:
    if isinstance(content, dict):
        for each in content.values():
            yield from texts(each)
    elif isinstance(content, list):
        for each in content:
            yield from texts(each)
    elif isinstance(content, str):
        yield content


TABLES = sorted(file.stem for file in (reference.schemas_folder() / "reference").glob("*.yaml"))


@pytest.mark.parametrize("table", TABLES)
def test_every_placeholder_is_filled(table: str):
    left = {
        name for text in texts(reference.load(table)) for name in re.findall(r"\{[a-z_]+\}", text)
    }

    # The last day of a man's own result is filled for each man.
    assert left <= {"{until}"}


def test_another_lsc_factor_is_printed_wherever_it_is_named(monkeypatch: pytest.MonkeyPatch):
    def naming(factor: str) -> dict[str, list[str]]:
        tables = {table: reference.load.__wrapped__(table) for table in TABLES}
        return {
            table: found
            for table, content in tables.items()
            if (found := [text for text in texts(content) if f"{factor} x precision" in text])
        }

    was = f"{constants.LSC_FACTOR.value:g}"
    before = naming(was)
    other = dataclasses.replace(constants.LSC_FACTOR, value=3.25)
    monkeypatch.setattr(constants, "LSC_FACTOR", other)

    assert set(before) == {"flag_rules", "measures"}
    assert naming(was) == {}
    assert naming("3.25") == {
        table: [text.replace(was, "3.25") for text in found] for table, found in before.items()
    }
