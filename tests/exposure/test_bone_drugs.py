"""Bone drugs: a pair that another drug moved is not usable, says why, and names the drug."""

from datetime import date

import polars as pl
import pytest

from e2analytics import reference
from e2analytics.exposure.bone_drugs import leave_out

PAIR = {
    "patient_id": "p",
    "first_on": date(2024, 1, 1),
    "second_on": date(2025, 1, 1),
    "usable": True,
    "why_not": None,
}
SCHEMA = {
    "patient_id": pl.String,
    "drug": pl.String,
    "drug_class": pl.String,
    "started_on": pl.Date,
    "stopped_on": pl.Date,
    "weekly_dose_mg": pl.Float64,
}
Order = tuple[str, date, date | None, float | None]


def left_out(*orders: Order, **changes: object) -> tuple[str | None, str | None]:
    """Return why a pair of 2024 is not usable, and the drugs in words."""
    drugs = reference.load("drugs")["drugs"]
    medications = pl.DataFrame(
        [
            ("p", drug, drugs[drug]["class"], start, stop, None if mg is None else 7 * mg)
            for drug, start, stop, mg in orders
        ],
        schema=SCHEMA,
        orient="row",
    )
    other = {**PAIR, "patient_id": "q"}
    pairs = pl.DataFrame([{**PAIR, **changes}, other], schema_overrides={"why_not": pl.String})
    found = leave_out(pairs, medications)
    assert found["usable"].to_list() == [found["why_not"][0] is None, True]
    assert found.row(1, named=True) == {**other, "bone_drugs": None}
    return found["why_not"][0], found["bone_drugs"][0]


def test_without_such_a_drug_a_pair_stays():
    assert left_out() == (None, None)
    assert left_out(("testosterone", date(2020, 1, 1), None, 14.0)) == (None, None)


@pytest.mark.parametrize(
    ("drug", "started_on", "stopped_on", "why_not"),
    [
        ("alendronate", date(2024, 6, 1), None, "on_bisphosphonate"),
        ("alendronate", date(2025, 1, 1), None, None),  # from the second scan on
        ("zoledronate", date(2023, 6, 1), date(2023, 6, 2), "on_bisphosphonate"),  # acts for years
        ("alendronate", date(2015, 1, 1), date(2018, 12, 31), None),
        ("denosumab", date(2020, 1, 1), date(2022, 1, 2), "on_denosumab"),
        ("denosumab", date(2020, 1, 1), date(2022, 1, 1), None),  # 24 months over at the first scan
        ("teriparatide", date(2023, 6, 1), date(2024, 2, 1), "on_bone_anabolic"),
        ("abaloparatide", date(2024, 6, 1), None, "on_bone_anabolic"),
        ("romosozumab", date(2024, 6, 1), None, "on_bone_anabolic"),
        ("romosozumab", date(2023, 1, 1), date(2024, 1, 1), None),
        ("leuprolide", date(2022, 1, 1), date(2023, 1, 2), "on_gnrh"),
        ("leuprolide", date(2022, 1, 1), date(2023, 1, 1), None),  # a year over at the first scan
        ("bicalutamide", date(2023, 1, 1), date(2024, 1, 2), "on_antiandrogen"),
        ("bicalutamide", date(2023, 1, 1), date(2024, 1, 1), None),
    ],
)
def test_a_drug_for_bone_counts_while_it_acts(
    drug: str, started_on: date, stopped_on: date | None, why_not: str | None
):
    assert left_out((drug, started_on, stopped_on, None))[0] == why_not


@pytest.mark.parametrize(
    ("drug", "mg_per_day", "why_not"),
    [
        ("prednisone", 5.0, "on_glucocorticoid"),
        ("prednisone", 4.9, None),
        ("methylprednisolone", 4.0, "on_glucocorticoid"),
        ("hydrocortisone", 15.0, None),  # 3.75 mg of prednisone
        ("hydrocortisone", 20.0, "on_glucocorticoid"),
        ("dexamethasone", 0.75, "on_glucocorticoid"),
        ("deflazacort", 5.0, None),
        ("prednisone", None, "glucocorticoid_dose_unknown"),
        ("prednisone", 0.0, None),
    ],
)
def test_a_glucocorticoid_counts_by_its_dose(
    drug: str, mg_per_day: float | None, why_not: str | None
):
    assert left_out((drug, date(2024, 2, 1), date(2024, 8, 1), mg_per_day))[0] == why_not


@pytest.mark.parametrize(
    ("spells", "why_not"),
    [
        ([(date(2024, 2, 1), date(2024, 4, 30))], None),  # 89 days
        ([(date(2024, 2, 1), date(2024, 5, 1))], "on_glucocorticoid"),  # 90 days
        ([(date(2024, 12, 1), None)], None),  # 31 days at the second scan
        ([(date(2023, 10, 15), date(2024, 1, 20))], "on_glucocorticoid"),  # a course reaches in
        ([(date(2023, 1, 1), date(2024, 1, 1))], None),  # over at the first scan
        # Three months in all, in two courses; with a late renewal one course.
        ([(date(2024, 2, 1), date(2024, 4, 1)), (date(2024, 9, 1), date(2024, 10, 1))], "on_glucocorticoid"),
        ([(date(2023, 11, 20), date(2024, 1, 15)), (date(2024, 1, 20), date(2024, 2, 28))], "on_glucocorticoid"),
        ([(date(2023, 11, 20), date(2024, 1, 15)), (date(2024, 1, 25), date(2024, 2, 28))], None),
    ],
)  # fmt: skip
def test_a_glucocorticoid_counts_from_ninety_days_on(
    spells: list[tuple[date, date | None]], why_not: str | None
):
    assert left_out(*(("prednisone", *spell, 10.0) for spell in spells))[0] == why_not


def test_glucocorticoids_in_force_add_up_and_a_later_order_replaces_one_of_the_same_drug():
    hydrocortisone = ("hydrocortisone", date(2024, 1, 1), None, 15.0)

    both = left_out(hydrocortisone, ("prednisone", date(2024, 1, 1), None, 2.5))
    tapered = left_out(
        ("prednisone", date(2024, 1, 1), None, 20.0), ("prednisone", date(2024, 2, 1), None, 2.5)
    )
    two_tablets = left_out(
        ("prednisone", date(2024, 1, 1), None, 5.0), ("prednisone", date(2024, 1, 1), None, 1.0)
    )
    sent_twice = left_out(*[("prednisone", date(2024, 1, 1), None, 3.0)] * 2)

    assert both[0] == "on_glucocorticoid"
    assert tapered == (None, None)
    assert two_tablets == ("on_glucocorticoid", "prednisone 6.0 mg a day since 2024-01-01")
    assert sent_twice == (None, None)


def test_the_drugs_of_a_pair_are_named_with_their_days():
    why_not, words = left_out(
        ("prednisone", date(2023, 6, 15), date(2024, 9, 1), 20.0),
        ("denosumab", date(2024, 3, 1), None, None),
    )

    assert why_not == "on_denosumab"
    assert words == (
        "denosumab since 2024-03-01; prednisone 20.0 mg a day since 2023-06-15 until 2024-09-01"
    )


def test_a_pair_that_cannot_be_used_anyway_keeps_its_reason_and_names_the_drug():
    assert left_out(
        ("alendronate", date(2022, 1, 1), None, 10.0), usable=False, why_not="too_few_draws"
    ) == ("too_few_draws", "alendronate since 2022-01-01")
