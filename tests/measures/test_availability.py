"""Availability: what a clinic must send, and for how long, to be measured."""

from datetime import date

import polars as pl
import pytest

from tests.measures.men import (
    AS_OF,
    LONG_AGO,
    after,
    counts,
    e2,
    event,
    known,
    man,
    measure,
    order,
    result,
)


def test_what_no_feed_supplies_is_not_measured_and_never_0_percent():
    given = known(first={}, medications=[order()])

    found = measure(given, AS_OF, n_months=1).filter(pl.col("clinic_id") == "c1")

    assert dict(found.select("measure", "not_measured").iter_rows()) == {
        "baseline_dxa": "no_dxa",
        "follow_up_dxa": "no_dxa",
        "e2_after_change": "no_estradiol",
        "ms_share": "no_estradiol",
        "e2_below_red_line": "no_estradiol",
        "e2_below_amber_line": "no_estradiol",
        "response_to_low_e2": "no_estradiol",
        "indicated_start": "no_estradiol",
        "vitamin_d_tested": "no_vitamin_d_25oh",
        "vitamin_d_sufficient": "no_vitamin_d_25oh",
        "calcium_counselling": "no_counselling",
        "bone_loss": "no_dxa",
        "bone_loss_off_the_drug": "no_dxa",
        "haematocrit_tested": "no_hematocrit",
        "psa_tested": "no_psa",
        "haematocrit_high": "no_hematocrit",
        "osteoporosis_action": "no_dxa",
        "de_escalation": "no_body_fat",
    }
    assert found["value"].is_null().all()
    assert found["denominator"].is_null().all()


def test_a_clinic_is_measured_from_its_first_result_on_and_others_do_not_speak_for_it():
    given = known(
        first={},
        patients=[man(), man("p2", "c2")],
        medications=[order(), order(patient_id="p2")],
        labs=[e2(date(2026, 8, 15))],
    )

    share = measure(given, AS_OF, n_months=3).filter(pl.col("measure") == "ms_share")

    shown = share.select("month", "clinic_id", "numerator", "denominator", "not_measured").rows()
    assert shown == [
        ("2026-07", None, None, None, "no_estradiol"),
        ("2026-07", "c1", None, None, "no_estradiol"),
        ("2026-07", "c2", None, None, "no_estradiol"),
        ("2026-08", None, 1, 1, None),
        ("2026-08", "c1", 1, 1, None),
        ("2026-08", "c2", None, None, "no_estradiol"),
        ("2026-09", None, 0, 0, None),
        ("2026-09", "c1", 0, 0, None),
        ("2026-09", "c2", None, None, "no_estradiol"),
    ]


@pytest.mark.parametrize(
    ("first_result_on", "expected"),
    [
        (after(-365, AS_OF), (1, 1, None)),
        # What was tested before the record began would be missed.
        (after(-364, AS_OF), (None, None, "short_record_of_vitamin_d_25oh")),
    ],
)
def test_a_clinic_is_measured_once_its_record_is_as_long_as_the_measure_looks_back(
    first_result_on, expected
):
    labs = [result("vitamin_d_25oh", on) for on in (first_result_on, AS_OF)]
    fractured = [event("fracture", LONG_AGO)]
    given = known(first={}, medications=[order(LONG_AGO)], labs=labs, events=fractured)

    tested = measure(given, AS_OF, n_months=1).filter(
        pl.col("measure") == "vitamin_d_tested", pl.col("clinic_id") == "c1"
    )

    assert tested.select("numerator", "denominator", "not_measured").row(0) == expected


@pytest.mark.parametrize(
    ("last_day", "expected"),
    [(date(2026, 7, 30), None), (date(2026, 7, 29), "nothing_came_in")],
)
def test_a_clinic_that_falls_silent_is_not_measured(last_day, expected):
    # Rows every ten days until then; 62 days later nobody knows what the clinic does.
    draws = [e2(after(-10 * n, last_day)) for n in range(20)]
    given = known(first={}, medications=[order(draws[-1]["collected_on"])], labs=draws)

    share = measure(given, AS_OF, n_months=1).filter(pl.col("measure") == "ms_share")

    assert share["not_measured"].to_list() == [expected] * 2


def test_a_clinic_of_one_man_who_comes_twice_a_year_is_not_silent_between():
    draws = [e2(date(2026, 1, 10)), e2(date(2026, 7, 10))]
    given = known(first={}, medications=[order(date(2026, 1, 10))], labs=draws)

    share = measure(given, AS_OF, n_months=1).filter(pl.col("measure") == "ms_share")

    assert share["not_measured"].to_list() == [None] * 2


def test_a_clinic_that_stops_scanning_is_measured_on():
    rows = {"medications": [order()], "dxa": []}

    assert counts("baseline_dxa", **rows) == [("2026-04", 0, 1, 0, 0)]
