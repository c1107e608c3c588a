"""Reference tables: arithmetic and check digits, not trust."""

import pytest

from e2analytics import reference
from e2analytics.contracts import SITES

ANALYTES = reference.load("analytes")["analytes"]
# Grams per mole turn one molar unit into one mass unit by these powers of ten.
MOLAR_TO_MASS = {
    ("pmol/L", "pg/mL"): 1e-3,
    ("nmol/L", "ng/dL"): 1e-1,
    ("nmol/L", "ng/mL"): 1e-3,
}


@pytest.mark.parametrize(
    "analyte", [name for name, e in ANALYTES.items() if "molar_mass_g_mol" in e]
)
def test_molar_factors_are_molar_mass_arithmetic(analyte: str):
    entry = ANALYTES[analyte]
    molar = {unit: facts["factor"] for unit, facts in entry["units"].items() if "mol" in unit}

    assert molar
    for unit, factor in molar.items():
        expected = entry["molar_mass_g_mol"] * MOLAR_TO_MASS[unit, entry["unit"]]
        assert factor == pytest.approx(expected, rel=1e-9)


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


@pytest.mark.parametrize("code", CODES)
def test_loinc_codes_have_their_check_digit(code: str):
    number, _, check = code.partition("-")

    assert mod_10(number) == int(check)


def test_no_code_and_no_spelling_means_two_things():
    assert len(set(CODES)) == len(CODES)
    assert reference.analyte_names()["spelling"].is_unique().all()
    assert not reference.units().select("analyte", "unit_spelling").is_duplicated().any()


def test_every_analyte_accepts_its_own_unit_as_it_is():
    for entry in ANALYTES.values():
        assert entry["units"][entry["unit"]]["factor"] == 1


def test_sites_are_those_of_the_contract_and_their_ranges_are_nested():
    table = reference.sites()

    assert set(table["site"]) == set(SITES)
    for row in table.iter_rows(named=True):
        assert (
            row["least_possible"]
            < row["least_plausible"]
            < row["most_plausible"]
            < row["most_possible"]
        )
