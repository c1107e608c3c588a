"""Causes of the men of the cohort, and the sentence that says them."""

from datetime import date
from math import exp, log
from typing import Any

import polars as pl
import pytest

from e2analytics.flags.causes import causes, in_words
from e2analytics.tables.check import check
from e2analytics.tables.registry import TABLES
from tests.flags.men import AS_OF, judge, own

DAY_ONE, DAY_TWO = date(2023, 5, 2), date(2024, 4, 20)


def parts(**changes: Any) -> pl.DataFrame:
    """Half of his fall from 31 to 12.4 pg/mL is the drug, a third testosterone, the rest movement."""
    fall = log(0.4)
    row = {
        "reference": "own_best_year",
        "reference_from": DAY_ONE,
        "reference_until": DAY_TWO,
        "reference_log_e2": log(31),
        "anastrozole": fall / 2,
        "testosterone": fall / 3,
        "weight": 0.0,
        "own_level": 0.0,
        "movement": fall / 6,
        **changes,
    }
    adds = sum(
        row[name] for name in ("anastrozole", "testosterone", "weight", "own_level", "movement")
    )
    man = judge(man=own())["patient_id"].item()
    return pl.DataFrame([{"patient_id": man, **row, "log_e2": row["reference_log_e2"] + adds}])


def rows_of(**changes: Any) -> list[dict[str, Any]]:
    return causes(judge(man=own()), parts(**changes)).to_dicts()


def test_what_lowers_e2_most_comes_first_and_the_log_ratios_add_up():
    table = causes(judge(man=own()), parts())

    check(table, TABLES["causes"], table="causes", stage="flag")
    assert table["cause"].to_list() == [
        "anastrozole", "testosterone", "movement", "weight", "own_level",
    ]  # fmt: skip
    assert table["position"].to_list() == list(range(5))
    assert table["share"].to_list() == pytest.approx([1 / 2, 1 / 3, 1 / 6, 0, 0])
    assert table["log_ratio"].sum() == pytest.approx(log(0.4), abs=1e-12)
    assert table["e2_pg_ml"][0] == pytest.approx(12.4)
    assert table["as_of"].unique().to_list() == [AS_OF]


def test_a_man_without_an_estimate_has_no_causes():
    cohort = judge(man=own()).with_columns(e2_expected_pg_ml=pl.lit(None, dtype=pl.Float64))

    assert causes(cohort, parts()).is_empty()


def test_a_fall_is_said_with_its_causes_and_its_reference():
    assert in_words(rows_of()) == (
        "Against his best year, 2023-05 to 2024-04, 31 pg/mL, his E2 is 60% lower: half of it is the drug, "
        "a third of it is lower testosterone."
    )


def test_what_works_against_the_fall_is_said_too():
    words = in_words(rows_of(testosterone=0.3, anastrozole=-1.0, movement=0.0))

    assert words.endswith(
        "50% lower: more than all of it is the drug, higher testosterone works against it."
    )


def test_men_like_him_are_off_the_drug():
    words = in_words(rows_of(reference="men_like_him", reference_from=None, reference_until=None,
                             testosterone=0.0, own_level=log(0.4) / 2, movement=0.0))  # fmt: skip

    assert words == (
        "Against men like him off the drug, 31 pg/mL, his E2 is 60% lower: half of it is the drug, "
        "half of it is a level of his own below that of such men."
    )


def test_a_fall_of_less_than_a_quarter_is_not_said():
    small = rows_of(anastrozole=log(0.76), testosterone=0.0, movement=0.0)

    assert exp(sum(row["log_ratio"] for row in small)) == pytest.approx(0.76)
    assert {row["share"] for row in small} == {None}
    assert in_words(small) == ""
    assert in_words([]) == ""
