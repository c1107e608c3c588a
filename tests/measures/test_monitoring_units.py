"""Measure units of monitoring: one man a rule, in tables that a clinician could check."""

from datetime import date

import pytest

from tests.measures.men import (
    AS_OF,
    LONG_AGO,
    after,
    counts,
    event,
    man,
    of_last_month,
    order,
    result,
    scan,
)

# --- M9, M10, M12: the men of the last day ------------------------------------------------------


@pytest.mark.parametrize(
    ("results", "tested", "sufficient"),
    [
        ([], (0, 1), (0, 1)),
        ([result("vitamin_d_25oh", after(-364, AS_OF), 20.0)], (1, 1), (1, 1)),
        ([result("vitamin_d_25oh", after(-365, AS_OF), 30.0)], (0, 1), (0, 1)),
        ([result("vitamin_d_25oh", AS_OF, 19.9)], (1, 1), (0, 1)),
        # The last one counts.
        (
            [
                result("vitamin_d_25oh", after(-90, AS_OF), 15.0),
                result("vitamin_d_25oh", AS_OF, 35.0),
            ],
            (1, 1),
            (1, 1),
        ),
    ],
)
def test_vitamin_d(results, tested, sufficient):
    fractured = [event("fracture", LONG_AGO)]
    rows = {"medications": [order()], "labs": results, "events": fractured}

    assert of_last_month("vitamin_d_tested", **rows) == tested
    assert of_last_month("vitamin_d_sufficient", **rows) == sufficient


@pytest.mark.parametrize(
    ("rows", "asked"),
    [
        ({}, 0),
        ({"events": [event("fracture", AS_OF)]}, 1),
        ({"events": [event("fracture", after(1, AS_OF))]}, 0),
        ({"events": [event("symptom", AS_OF)]}, 0),
        ({"dxa": [scan(AS_OF, t_score=-1.1)]}, 1),
        ({"dxa": [scan(AS_OF, t_score=-1.0)]}, 0),
        ({"medications": [order(), order(drug="denosumab", drug_class="denosumab")]}, 1),
        ({"medications": [order(), order(drug="prednisone", drug_class="glucocorticoid")]}, 0),
        ({"labs": [result("pth", AS_OF, 65.0, 65.0)]}, 0),
        ({"labs": [result("pth", AS_OF, 65.1, 65.1)]}, 1),
        ({"labs": [result("pth", after(-365, AS_OF), 90.0, 90.0)]}, 0),
        ({"labs": [result("calcium", AS_OF, 8.4, 8.4)]}, 1),
        ({"labs": [result("calcium", AS_OF, 9.5, 9.5)]}, 0),
        ({"labs": [result("calcium", AS_OF, 10.4, 10.4)]}, 1),
    ],
)
def test_vitamin_d_is_asked_of_men_with_an_indication(rows, asked):
    given = {"medications": [order()], **rows}

    assert of_last_month("vitamin_d_tested", **given) == (0, asked)
    assert of_last_month("vitamin_d_sufficient", **given) == (0, asked)


@pytest.mark.parametrize(
    ("orders", "events", "expected"),
    [
        ([order()], [event("counselling", after(-364, AS_OF))], (1, 1)),
        ([order()], [event("counselling", after(-365, AS_OF))], (0, 1)),
        ([order(stopped_on=AS_OF)], [], (0, 0)),
        ([order(AS_OF)], [], (0, 1)),
        ([order(drug="letrozole")], [], (0, 1)),
        ([order()], [event("died", AS_OF)], (0, 0)),
        ([order()], [event("left_clinic", after(-9, AS_OF))], (0, 0)),
        # He left, and came back with a new order.
        ([order(), order(after(-5, AS_OF))], [event("left_clinic", after(-9, AS_OF))], (0, 1)),
        # One man with two inhibitors is one man.
        ([order(), order(drug="letrozole")], [], (0, 1)),
    ],
)
def test_counselling_and_who_is_on_the_drug(orders, events, expected):
    assert of_last_month("calcium_counselling", medications=orders, events=events) == expected


def test_men_on_the_drug_are_counted_on_the_last_day_of_every_month():
    orders = [order(date(2026, 5, 31), date(2026, 8, 31))]

    assert counts("calcium_counselling", medications=orders) == [
        ("2026-05", 0, 1, 0, 0),
        ("2026-06", 0, 1, 0, 0),
        ("2026-07", 0, 1, 0, 0),
    ]


@pytest.mark.parametrize("name", ["haematocrit_tested", "psa_tested"])
@pytest.mark.parametrize(
    ("tested", "trt_started_on", "orders", "expected"),
    [
        (True, after(-365, AS_OF), [], (1, 1)),
        (False, after(-365, AS_OF), [], (0, 1)),
        (True, after(-364, AS_OF), [], (0, 0)),
        # No longer on testosterone.
        (
            False,
            LONG_AGO,
            [order(LONG_AGO, AS_OF, drug="testosterone", drug_class="androgen")],
            (0, 0),
        ),
        (False, LONG_AGO, [order(LONG_AGO, drug="testosterone", drug_class="androgen")], (0, 1)),
    ],
)
def test_haematocrit_and_psa(name, tested, trt_started_on, orders, expected):
    rows = {
        "patients": [man(trt_started_on=trt_started_on)],
        "labs": [result(ANALYTES[name], after(-30, AS_OF))] if tested else [],
        "medications": orders,
        # The clinic is heard of.
        "events": [event("symptom", AS_OF)],
    }

    assert of_last_month(name, **rows) == expected


ANALYTES = {"haematocrit_tested": "hematocrit", "psa_tested": "psa"}


@pytest.mark.parametrize(("days_ago", "expected"), [(364, (1, 1)), (365, (0, 1))])
def test_haematocrit_and_psa_count_for_365_days(days_ago, expected):
    for name, analyte in ANALYTES.items():
        labs = [result(analyte, after(-days_ago, AS_OF))]
        assert of_last_month(name, labs=labs) == expected


@pytest.mark.parametrize(
    ("born", "asked"),
    [
        (date(1986, 10, 1), 0),  # 39 on the last day
        (date(1986, 9, 30), 1),
        (date(1956, 10, 1), 1),
        (date(1956, 9, 30), 0),  # 70
    ],
)
def test_psa_is_asked_for_from_40_to_69_years_and_haematocrit_at_any_age(born, asked):
    rows = {
        "patients": [man(birth_date=born)],
        "labs": [result("hematocrit", after(-30, AS_OF))],
    }

    assert of_last_month("psa_tested", **rows) == (0, asked)
    assert of_last_month("haematocrit_tested", **rows) == (1, 1)


ABOVE = result("hematocrit", after(-20, AS_OF), 54.1, 54.1)


@pytest.mark.parametrize(
    ("labs", "expected"),
    [
        ([ABOVE], [("2026-09", 1, 1, 0, 0)]),
        ([result("hematocrit", after(-20, AS_OF), 54.0, 54.0)], [("2026-09", 0, 1, 0, 0)]),
        ([result("hematocrit", after(-20, AS_OF), 54.0, None)], [("2026-09", 1, 1, 0, 0)]),
        # The last of the month counts.
        ([ABOVE, result("hematocrit", after(-9, AS_OF), 50.0, 50.0)], [("2026-09", 0, 1, 0, 0)]),
        # What waits may be the last; what was found stays found.
        (
            [
                result("hematocrit", after(-20, AS_OF), 50.0, 50.0),
                result("hematocrit", after(-9, AS_OF)) | {"fate": "quarantined"},
            ],
            [("2026-09", 0, 0, 1, 0)],
        ),
        ([result("hematocrit", after(-20, AS_OF), 50.0, 60.0)], [("2026-09", 0, 0, 1, 0)]),
    ],
)
def test_haematocrit_above_its_line(labs, expected):
    assert counts("haematocrit_high", labs=labs) == expected


def test_haematocrit_is_counted_of_men_on_testosterone():
    never = [man(trt_started_on=None)]
    until = [order(LONG_AGO, after(-20, AS_OF), drug="testosterone", drug_class="androgen")]

    assert counts("haematocrit_high", patients=never, labs=[ABOVE]) == []
    assert counts("haematocrit_high", patients=never, labs=[ABOVE], medications=until) == []
