"""Lifestyle: the last answer to each question, with its day, beside what men of his age need."""

from datetime import date
from typing import Any

import polars as pl
import pytest

from e2analytics.flags.lifestyle import lifestyle
from e2analytics.tables.snapshot import empty_table

AS_OF = date(2026, 9, 30)


def said(*answers: dict[str, Any], born: date = date(1966, 1, 1)) -> str | None:
    rows = [{"patient_id": "p1", "recorded_on": date(2026, 3, 1), **answer} for answer in answers]
    men = pl.DataFrame({"patient_id": ["p1"], "birth_date": [born], "as_of": [AS_OF]})
    found = lifestyle(pl.DataFrame(rows, schema=empty_table("lifestyle").schema), men)
    return found["lifestyle"].item() if len(found) else None


def test_the_whole_panel_of_a_man():
    assert said(
        {
            "calcium_mg_per_day": 700.0,
            "protein_g_per_kg": 1.25,
            "impact_sessions_per_week": 0.0,
            "resistance_sessions_per_week": 3.0,
            "balance_sessions_per_week": 1.5,
        }
    ) == (
        "calcium intake 700 mg/day on 2026-03-01, below the 1000 mg recommended for men of his age; "
        "protein 1.25 g/kg a day on 2026-03-01; "
        "loading sessions a week on 2026-03-01: impact 0, resistance 3, balance 1.5"
    )


@pytest.mark.parametrize(
    ("born", "calcium", "beside"),
    [
        # 60 years old, 70 on the eve of his birthday, 71 on it.
        (date(1966, 1, 1), 1000.0, "at least the 1000 mg recommended for men of his age"),
        (date(1955, 10, 1), 1100.0, "at least the 1000 mg recommended for men of his age"),
        (date(1955, 9, 30), 1100.0, "below the 1200 mg recommended for men of his age"),
        (date(1955, 9, 30), 1200.0, "at least the 1200 mg recommended for men of his age"),
        # 50 and 51.
        (date(1975, 10, 1), 2400.0, "at least the 1000 mg recommended for men of his age"),
        (
            date(1975, 9, 30),
            2400.0,
            "above the 2000 mg that are the upper limit for men of his age",
        ),
        # 18 and 19.
        (date(2008, 9, 30), 1200.0, "below the 1300 mg recommended for men of his age"),
        (date(2007, 9, 30), 1200.0, "at least the 1000 mg recommended for men of his age"),
    ],
)
def test_calcium_stands_beside_what_men_of_his_age_need(born: date, calcium: float, beside: str):
    words = said({"calcium_mg_per_day": calcium}, born=born)

    assert words == f"calcium intake {calcium:.0f} mg/day on 2026-03-01, {beside}"


def test_what_is_not_supplied_is_not_said():
    assert said() is None
    assert said({}) is None
    assert said({"protein_g_per_kg": 0.9}) == "protein 0.9 g/kg a day on 2026-03-01"


def test_each_answer_is_his_last_and_carries_its_own_day():
    assert said(
        {"recorded_on": date(2022, 5, 1), "impact_sessions_per_week": 2.0, "protein_g_per_kg": 1.0},
        {
            "recorded_on": date(2021, 5, 1),
            "impact_sessions_per_week": 5.0,
            "balance_sessions_per_week": 1.0,
        },
        {"recorded_on": date(2025, 5, 1), "protein_g_per_kg": 1.5},
    ) == (
        "protein 1.5 g/kg a day on 2025-05-01; "
        "loading sessions a week on 2022-05-01: impact 2; "
        "loading sessions a week on 2021-05-01: balance 1"
    )
