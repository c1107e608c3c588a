"""Measure units of bone: one man a rule, in tables that a clinician could check."""

from datetime import date
from typing import Any

import polars as pl
import pytest

from e2analytics.flags import judged
from tests.measures.men import (
    AS_OF,
    after,
    counts,
    e2,
    event,
    known,
    man,
    measure,
    of_last_month,
    order,
    scan,
)

# --- M1: due 90 days after 1 January, on 1 April ----------------------------------------------


@pytest.mark.parametrize(
    ("scans", "events", "expected"),
    [
        ([scan(after(-730))], [], [("2026-04", 1, 1, 0, 0)]),
        ([scan(after(90))], [], [("2026-04", 1, 1, 0, 0)]),
        ([scan(after(-731)), scan(after(91))], [], [("2026-04", 0, 1, 0, 0)]),
        # Body composition is no bone scan.
        ([scan(after(0), site="total_body")], [], [("2026-04", 0, 1, 0, 0)]),
        # Who refused does not count, unless he was scanned after all.
        ([], [event("dxa_refused", after(5))], [("2026-04", 0, 0, 1, 0)]),
        ([scan(after(9))], [event("dxa_refused", after(5))], [("2026-04", 1, 1, 0, 0)]),
        ([], [event("left_clinic", after(60))], []),
        ([], [event("died", after(90))], []),
        ([], [event("died", after(91))], [("2026-04", 0, 1, 0, 0)]),
    ],
)
def test_baseline_dxa(scans, events, expected):
    assert counts("baseline_dxa", medications=[order()], dxa=scans, events=events) == expected


def test_baseline_dxa_counts_starts_on_testosterone_that_lasted():
    def starts(orders: list[dict[str, Any]], **changes: Any) -> int:
        found = counts("baseline_dxa", medications=orders, patients=[man(**changes)])
        return sum(row[2] for row in found)

    assert starts([order()]) == 1
    assert starts([order(stopped_on=after(90))]) == 0
    assert starts([order(stopped_on=after(91))]) == 1
    assert starts([order()], trt_started_on=after(1)) == 0
    assert starts([order()], trt_started_on=None) == 0
    androgen = {"drug": "testosterone", "drug_class": "androgen"}
    assert starts([order(), order(after(-10), **androgen)], trt_started_on=None) == 1
    # A change of dose is no start, nor is a pause of 90 days; one of 91 days is.
    assert starts([order(), order(after(50), weekly_dose_mg=2.0)]) == 1
    assert starts([order(after(-400), after(-90)), order()]) == 0 + 1
    assert starts([order(after(-400), after(-91)), order()]) == 1 + 1


# --- M2: start 1 June 2024, due 27 months (822 days) later, on 1 September 2026 -----------------

TWO_YEARS_AGO = date(2024, 6, 1)
BASELINE = scan(after(-30, TWO_YEARS_AGO))


@pytest.mark.parametrize(
    ("scans", "events", "expected"),
    [
        ([BASELINE, scan(after(365, TWO_YEARS_AGO))], [], (1, 1)),
        ([BASELINE, scan(after(822, TWO_YEARS_AGO))], [], (1, 1)),
        ([BASELINE, scan(after(364, TWO_YEARS_AGO)), scan(after(823, TWO_YEARS_AGO))], [], (0, 1)),
        ([BASELINE, scan(after(500, TWO_YEARS_AGO), scanner_id="x2")], [], (0, 1)),
        ([BASELINE, scan(after(500, TWO_YEARS_AGO), site="total_hip")], [], (0, 1)),
        # Scanners without a name are not the same.
        (
            [BASELINE | {"scanner_id": None}, scan(after(500, TWO_YEARS_AGO), scanner_id=None)],
            [],
            (0, 1),
        ),
        # The baseline lies from two years before the start to three months after it, or is none.
        ([scan(after(-730, TWO_YEARS_AGO))], [], (0, 1)),
        ([scan(after(90, TWO_YEARS_AGO))], [], (0, 1)),
        ([scan(after(-731, TWO_YEARS_AGO)), scan(after(91, TWO_YEARS_AGO))], [], (0, 0)),
        ([scan(after(500, TWO_YEARS_AGO))], [], (0, 0)),
        ([BASELINE], [event("left_clinic", after(700, TWO_YEARS_AGO))], (0, 0)),
        ([BASELINE], [event("dxa_refused", after(700, TWO_YEARS_AGO))], (0, 0)),
    ],
)
def test_follow_up_dxa(scans, events, expected):
    orders = [order(TWO_YEARS_AGO)]

    assert of_last_month("follow_up_dxa", medications=orders, dxa=scans, events=events) == expected


def test_follow_up_dxa_is_asked_of_courses_of_two_years():
    for lasted, expected in ((731, (0, 0)), (732, (0, 1))):
        orders = [order(TWO_YEARS_AGO, after(lasted, TWO_YEARS_AGO))]
        assert of_last_month("follow_up_dxa", medications=orders, dxa=[BASELINE]) == expected


# --- M11: LSC of the spine is 2.77 x 1.9 = 5.26 % -------------------------------------------------


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (scan(date(2026, 9, 1), 0.94), [("2026-09", 1, 1, 0, 0)]),
        (scan(date(2026, 9, 1), 0.95), [("2026-09", 0, 1, 0, 0)]),
        (scan(date(2026, 9, 1), 1.10), [("2026-09", 0, 1, 0, 0)]),
        (scan(date(2026, 9, 1), 0.80, scanner_id="x2"), [("2026-09", 0, 0, 0, 1)]),
    ],
)
def test_bone_loss_beyond_the_lsc(second, expected):
    orders = [order(date(2025, 3, 1))]

    assert counts("bone_loss", medications=orders, dxa=[scan(date(2024, 9, 1)), second]) == expected


def test_a_man_with_two_sites_is_one_man_and_a_loss_at_one_of_them_is_a_loss():
    first, second = date(2024, 9, 1), date(2026, 9, 1)
    scans = [
        scan(first),
        scan(second, 1.0),
        scan(first, site="total_hip", side="left"),
        scan(second, 0.9, site="total_hip", side="left"),
    ]

    assert of_last_month("bone_loss", medications=[order()], dxa=scans) == (1, 1)


TESTOSTERONE = order(date(2020, 1, 1), drug="testosterone", drug_class="androgen")


@pytest.mark.parametrize(
    ("orders", "trt_started_on", "expected"),
    [
        ([TESTOSTERONE], None, (1, 1)),
        ([], date(2026, 8, 31), (1, 1)),
        # Not on testosterone between the scans.
        ([], None, (0, 0)),
        ([], date(2026, 9, 1), (0, 0)),
        ([TESTOSTERONE | {"stopped_on": date(2024, 9, 1)}], None, (0, 0)),
        # On an inhibitor for a day between them, or before and after.
        ([TESTOSTERONE, order(date(2025, 3, 1), date(2025, 3, 2))], None, (0, 0)),
        ([TESTOSTERONE, order(date(2025, 3, 1), date(2025, 3, 2), drug="letrozole")], None, (0, 0)),
        ([TESTOSTERONE, order(date(2020, 1, 1), date(2024, 9, 1))], None, (1, 1)),
        ([TESTOSTERONE, order(date(2026, 9, 1))], None, (1, 1)),
    ],
)
def test_the_comparator_is_men_on_testosterone_off_the_drug_between_the_scans(
    orders, trt_started_on, expected
):
    rows = {
        "patients": [man(trt_started_on=trt_started_on)],
        "medications": orders,
        "dxa": [scan(date(2024, 9, 1)), scan(date(2026, 9, 1), 0.94)],
    }

    assert of_last_month("bone_loss_off_the_drug", **rows) == expected


def test_a_man_on_the_drug_who_is_not_judged_is_no_comparator():
    """A boy: for the measures he takes no inhibitor, but he has its order."""
    data = known(
        medications=[TESTOSTERONE, order(date(2025, 3, 1))],
        dxa=[scan(date(2024, 9, 1)), scan(date(2026, 9, 1), 0.94)],
    )
    apart = pl.DataFrame({"patient_id": ["p1"], "why": ["under_18"]})
    counted = measure(judged.without_the_drug(data, apart), AS_OF).filter(
        pl.col("clinic_id").is_null(),
        pl.col("measure").is_in(["bone_loss", "bone_loss_off_the_drug"]),
        month="2026-09",
    )

    assert counted["denominator"].to_list() == [0, 0]


@pytest.mark.parametrize(("first", "reason"), [(729, "short_record_of_dxa"), (730, None)])
def test_bone_loss_is_measured_from_two_years_of_scans_on(first, reason):
    orders = [order(after(-800, AS_OF))]
    first_scan = [scan(after(-first, AS_OF))]

    given = known({}, medications=orders, dxa=first_scan, labs=[e2(after(-9, AS_OF))])
    found = measure(given, AS_OF, n_months=1).filter(
        pl.col("measure") == "bone_loss", pl.col("clinic_id") == "c1"
    )

    assert found["not_measured"].to_list() == [reason]


def test_bone_loss_of_men_who_were_not_on_the_drug_between_the_scans_is_not_counted():
    scans = [scan(date(2024, 9, 1)), scan(date(2025, 12, 1), 0.8)]

    assert counts("bone_loss", medications=[order()], dxa=scans) == []


# --- M13: found on 1 June, due 90 days later, on 30 August ----------------------------------------

FOUND_ON = date(2026, 6, 1)
ALENDRONATE = {"drug": "alendronate", "drug_class": "bisphosphonate"}


@pytest.mark.parametrize(
    ("orders", "events", "numerator"),
    [
        ([], [], 0),
        ([], [event("bone_plan", FOUND_ON)], 1),
        ([], [event("bone_plan", after(90, FOUND_ON))], 1),
        ([], [event("bone_plan", after(91, FOUND_ON)), event("bone_plan", after(-1, FOUND_ON))], 0),
        ([order(after(60, FOUND_ON), **ALENDRONATE)], [], 1),
        ([order(after(-60, FOUND_ON), **ALENDRONATE)], [], 1),
        ([order(after(-60, FOUND_ON), FOUND_ON, **ALENDRONATE)], [], 0),
    ],
)
def test_osteoporosis_action(orders, events, numerator):
    rows = {"medications": orders, "events": events, "dxa": [scan(FOUND_ON, t_score=-2.5)]}

    assert counts("osteoporosis_action", **rows) == [("2026-08", numerator, 1, 0, 0)]


@pytest.mark.parametrize(
    ("rows", "months"),
    [
        ({"dxa": [scan(FOUND_ON, t_score=-2.4)]}, []),
        ({"dxa": [scan(FOUND_ON, t_score=-2.5, site="one_third_radius")]}, []),
        # Under 50 there is no osteoporosis by T.
        (
            {
                "patients": [man(birth_date=date(1980, 1, 1))],
                "dxa": [scan(FOUND_ON, t_score=-3.0, z_score=-3.0)],
            },
            [],
        ),
        # Found once; a fracture is news each time.
        (
            {"dxa": [scan(date(2025, 1, 1), t_score=-3.0), scan(FOUND_ON, t_score=-3.0)]},
            ["2025-04"],
        ),
        (
            {"events": [event("fracture", date(2025, 1, 1)), event("fracture", FOUND_ON)]},
            ["2025-04", "2026-08"],
        ),
    ],
)
def test_what_is_a_finding_of_osteoporosis(rows, months):
    assert [row[0] for row in counts("osteoporosis_action", **rows)] == months


@pytest.mark.parametrize(
    ("fat", "draw", "events", "expected"),
    [
        (25.0, e2(after(-180, FOUND_ON), 29.9), [], [("2026-08", 0, 1, 0, 0)]),
        (25.0, e2(FOUND_ON), [event("ai_review", after(90, FOUND_ON))], [("2026-08", 1, 1, 0, 0)]),
        (25.0, e2(FOUND_ON), [event("ai_review", after(91, FOUND_ON))], [("2026-08", 0, 1, 0, 0)]),
        (25.1, e2(FOUND_ON), [], []),
        (25.0, e2(FOUND_ON, 30.0), [], []),
        (25.0, e2(after(-181, FOUND_ON)), [], []),
    ],
)
def test_review_after_fat_loss(fat, draw, events, expected):
    scans = [
        scan(date(2025, 6, 1), site="total_body", body_fat_pct=30.0),
        scan(FOUND_ON, site="total_body", body_fat_pct=fat),
    ]
    rows = {
        "medications": [order(date(2025, 1, 1))],
        "dxa": scans,
        "labs": [draw],
        "events": events,
    }

    assert counts("de_escalation", **rows) == expected


def test_fat_on_two_scanners_is_not_compared():
    scans = [
        scan(date(2025, 6, 1), site="total_body", body_fat_pct=30.0),
        scan(FOUND_ON, site="total_body", body_fat_pct=20.0, scanner_id="x2"),
    ]
    rows = {"medications": [order(date(2025, 1, 1))], "dxa": scans, "labs": [e2(FOUND_ON)]}

    assert counts("de_escalation", **rows) == []
