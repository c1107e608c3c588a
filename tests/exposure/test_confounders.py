"""Confounders: results of boys, and those under another drug that changes E2, leave the fit and are counted."""

from datetime import date

import polars as pl
import pytest

from e2analytics.exposure.confounders import find_confounders, why_confounded
from e2analytics.settings import FlagSettings

MEN = pl.DataFrame(
    {"patient_id": ["man", "boy"], "birth_date": [date(1970, 1, 1), date(2008, 6, 1)]}
)


def why(day: date, *orders: tuple[str, date, date | None], who: str = "man") -> str | None:
    medications = pl.DataFrame(
        [("man", drug_class, start, stop) for drug_class, start, stop in orders],
        schema={"patient_id": pl.String, "drug_class": pl.String, "started_on": pl.Date, "stopped_on": pl.Date},
        orient="row",
    )  # fmt: skip
    spells = find_confounders(MEN, medications, FlagSettings())
    draws = pl.DataFrame({"patient_id": ["man", who], "collected_on": [date(1999, 1, 1), day]})
    before, found = why_confounded(draws, spells)
    assert before is None
    return found


@pytest.mark.parametrize(
    ("drug_class", "why_not"),
    [
        ("other_androgen", "on_other_androgen"),
        ("serm", "on_serm"),
        ("gnrh", "on_gnrh"),
        ("antiandrogen", "on_antiandrogen"),
        ("glp1", "on_glp1"),
        ("biotin", "on_biotin"),
        # They raise E2, as testosterone does, which the model knows.
        ("gonadotropin", None),
        ("androgen", None),
        ("aromatase_inhibitor", None),
        ("bisphosphonate", None),
    ],
)
def test_a_drug_that_confounds_takes_the_results_under_it_out_of_the_fit(
    drug_class: str, why_not: str | None
):
    assert why(date(2024, 6, 1), (drug_class, date(2024, 1, 1), None)) == why_not


@pytest.mark.parametrize(
    ("drug_class", "day", "why_not"),
    [
        ("serm", date(2024, 1, 9), None),  # the day before the first dose
        ("serm", date(2024, 1, 10), "on_serm"),
        ("serm", date(2024, 3, 14), "on_serm"),  # washed out 14 days after the end
        ("serm", date(2024, 3, 15), None),
        ("gnrh", date(2025, 2, 28), "on_gnrh"),  # the longest implant lasts a year
        ("gnrh", date(2025, 3, 1), None),
    ],
)
def test_it_acts_from_its_first_day_until_it_is_washed_out(
    drug_class: str, day: date, why_not: str | None
):
    assert why(day, (drug_class, date(2024, 1, 10), date(2024, 3, 1))) == why_not


def test_a_boy_s_results_leave_until_he_is_an_adult():
    assert why(date(2026, 5, 31), who="boy") == "under_18"
    assert why(date(2026, 6, 1), who="boy") is None
