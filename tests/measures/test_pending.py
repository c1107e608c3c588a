"""Pending: a row in quarantine is no lack of care."""

from datetime import date
from typing import Any

import polars as pl
import pytest

from tests.measures.men import (
    AS_OF,
    LONG_AGO,
    START,
    after,
    counts,
    e2,
    event,
    in_quarantine,
    known,
    measure,
    order,
    result,
    scan,
)

# --- What came and waits in quarantine is no lack of care ---------------------------------------


def low_and(*later: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    return {"medications": [order(after(-100))], "labs": [e2(START, 9.0), *later]}


@pytest.mark.parametrize(
    ("name", "rows", "expected"),
    [
        # Met, counted, excepted, apart; one of them is the man.
        (
            "baseline_dxa",
            {"medications": [order()], "dxa": [in_quarantine(scan(after(-10)))]},
            [("2026-04", 1, 1, 0, 0)],
        ),
        # A scan of the whole body is no scan of bone, whether it waits or not.
        (
            "baseline_dxa",
            {
                "medications": [order()],
                "dxa": [in_quarantine(scan(after(-10), site="total_body"))],
            },
            [("2026-04", 0, 1, 0, 0)],
        ),
        # Of a scan whose site cannot be read it may be.
        (
            "baseline_dxa",
            {"medications": [order()], "dxa": [in_quarantine(scan(after(-10), site=None))]},
            [("2026-04", 1, 1, 0, 0)],
        ),
        # Whether it is of the same scanner is not known before it is mended.
        (
            "follow_up_dxa",
            {
                "medications": [order(date(2024, 1, 1))],
                "dxa": [scan(date(2024, 1, 5)), in_quarantine(scan(date(2026, 1, 5)))],
            },
            [("2026-04", 0, 0, 1, 0)],
        ),
        (
            "e2_after_change",
            {"medications": [order()], "labs": [in_quarantine(e2(after(14)))]},
            [("2026-03", 1, 1, 0, 0)],
        ),
        (
            "e2_after_change",
            {"medications": [order()], "labs": [in_quarantine(e2(after(13)))]},
            [("2026-03", 0, 1, 0, 0)],
        ),
        # The method of a result is known though its value is not.
        (
            "ms_share",
            {"medications": [order()], "labs": [in_quarantine(e2(after(30)))]},
            [("2026-01", 1, 1, 0, 0)],
        ),
        (
            "e2_below_red_line",
            {"medications": [order()], "labs": [in_quarantine(e2(after(30), 9.0))]},
            [("2026-01", 0, 0, 0, 1)],
        ),
        # One that can be read speaks for the month.
        (
            "e2_below_red_line",
            {
                "medications": [order()],
                "labs": [e2(after(20), 9.0), in_quarantine(e2(after(30), 30.0))],
            },
            [("2026-01", 1, 1, 0, 0)],
        ),
        # It may be the result that is not low any more.
        ("response_to_low_e2", low_and(in_quarantine(e2(after(42)))), [("2026-02", 0, 0, 1, 0)]),
        ("response_to_low_e2", low_and(in_quarantine(e2(after(43)))), [("2026-02", 0, 1, 0, 0)]),
        (
            "indicated_start",
            {"medications": [order()], "labs": [in_quarantine(e2(after(-9), 80.0))]},
            [("2026-01", 0, 0, 1, 0)],
        ),
        # Which was the last before the start cannot be told from one before it, high or low.
        (
            "indicated_start",
            {
                "medications": [order()],
                "labs": [e2(after(-90), 80.0), in_quarantine(e2(after(-9), 30.0))],
            },
            [("2026-01", 0, 0, 1, 0)],
        ),
        (
            "indicated_start",
            {
                "medications": [order()],
                "labs": [in_quarantine(e2(after(-90), 80.0)), e2(after(-9), 30.0)],
            },
            [("2026-01", 0, 1, 0, 0)],
        ),
        (
            "osteoporosis_action",
            {
                "events": [
                    event("fracture", START),
                    in_quarantine(event("bone_plan", after(30))),
                ]
            },
            [("2026-04", 0, 0, 1, 0)],
        ),
        (
            "osteoporosis_action",
            {
                "events": [event("fracture", START)],
                "medications": [
                    in_quarantine(order(after(30), drug="denosumab", drug_class="denosumab"))
                ],
            },
            [("2026-04", 0, 0, 1, 0)],
        ),
        (
            "de_escalation",
            {
                "medications": [order()],
                "labs": [e2(after(50))],
                "dxa": [scan(START, body_fat_pct=30.0), scan(after(60), body_fat_pct=25.0)],
                "events": [in_quarantine(event("ai_review", after(70)))],
            },
            [("2026-05", 0, 0, 1, 0)],
        ),
    ],
)
def test_what_waits_in_quarantine_was_done_and_what_it_found_is_an_exception(name, rows, expected):
    assert counts(name, **rows) == expected


@pytest.mark.parametrize(
    ("results", "tested", "sufficient"),
    [
        ([in_quarantine(result("vitamin_d_25oh", AS_OF))], (1, 1, 0), (0, 0, 1)),
        # He was tested; what the last result says nobody knows.
        (
            [
                result("vitamin_d_25oh", after(-90, AS_OF), 40.0),
                in_quarantine(result("vitamin_d_25oh", AS_OF)),
            ],
            (1, 1, 0),
            (0, 0, 1),
        ),
        (
            [
                in_quarantine(result("vitamin_d_25oh", after(-90, AS_OF))),
                result("vitamin_d_25oh", AS_OF, 19.0),
            ],
            (1, 1, 0),
            (0, 1, 0),
        ),
        ([in_quarantine(result("vitamin_d_25oh", after(-365, AS_OF)))], (0, 1, 0), (0, 1, 0)),
    ],
)
def test_vitamin_d_that_waits(results, tested, sufficient):
    # A fracture of long ago is an indication.
    fractured = [event("fracture", LONG_AGO)]
    rows = {"medications": [order()], "labs": results, "events": fractured}

    for name, expected in (("vitamin_d_tested", tested), ("vitamin_d_sufficient", sufficient)):
        assert counts(name, **rows)[-1][1:4] == expected


def test_haematocrit_and_psa_that_wait():
    for name, analyte in (("haematocrit_tested", "hematocrit"), ("psa_tested", "psa")):
        found = counts(name, labs=[in_quarantine(result(analyte, AS_OF))])
        assert found[-1][1:4] == (1, 1, 0)


def test_what_waits_speaks_for_known_men_and_for_days_that_have_come():
    rows = [
        in_quarantine(e2(AS_OF)),
        in_quarantine(e2(after(1, AS_OF))),
        in_quarantine(e2(AS_OF, patient_id="unknown")),
        in_quarantine(e2(AS_OF, analyte=None)),
    ]

    assert known(labs=rows).pending.rows() == [("p1", "estradiol", AS_OF)]


def test_a_clinic_of_which_all_waits_is_not_silent():
    """What came is there, though it cannot be counted."""
    came = [e2(after(-200, AS_OF)), in_quarantine(e2(after(-5, AS_OF)))]

    found = measure(known(medications=[order()], labs=came), AS_OF, n_months=1).filter(
        pl.col("measure") == "ms_share", pl.col("clinic_id") == "c1"
    )

    assert found["not_measured"].to_list() == [None]
