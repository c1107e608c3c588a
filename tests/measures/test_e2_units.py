"""Measure units of estradiol: one man a rule, in tables that a clinician could check."""

from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from e2analytics.exposure.dose_response.ms_equivalents import with_ms_equivalents
from e2analytics.models.dose_response.assay import Assays
from e2analytics.run.measured import as_measured
from e2analytics.settings import FlagSettings
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
)

# --- M3: due 84 days after 1 January, on 26 March ---------------------------------------------


@pytest.mark.parametrize(
    ("orders", "draws", "expected"),
    [
        ([order()], [e2(after(14))], [("2026-03", 1, 1, 0, 0)]),
        ([order()], [e2(after(84))], [("2026-03", 1, 1, 0, 0)]),
        ([order()], [e2(after(13)), e2(after(85))], [("2026-03", 0, 1, 0, 0)]),
        # Stopped within 14 days it is not asked; later it is, and an E2 after the stop is none of this dose.
        ([order(stopped_on=after(13))], [], []),
        ([order(stopped_on=after(14))], [], [("2026-03", 0, 1, 0, 0)]),
        ([order(stopped_on=after(40))], [e2(after(50))], [("2026-03", 0, 1, 0, 0)]),
        # A new dose is asked again, a renewal of the same dose is not.
        (
            [order(), order(after(100), weekly_dose_mg=0.5)],
            [e2(after(30)), e2(after(120))],
            [("2026-03", 1, 1, 0, 0), ("2026-07", 1, 1, 0, 0)],
        ),
        ([order(), order(after(100))], [e2(after(30))], [("2026-03", 1, 1, 0, 0)]),
        # Supply ran out for three weeks and came again: not a change.
        (
            [order(stopped_on=after(100)), order(after(121))],
            [e2(after(30))],
            [("2026-03", 1, 1, 0, 0)],
        ),
    ],
)
def test_e2_after_start_or_change(orders, draws, expected):
    assert counts("e2_after_change", medications=orders, labs=draws) == expected


def test_results_on_the_drug_by_mass_spectrometry():
    draws = [
        e2(date(2026, 9, 1)),
        e2(date(2026, 9, 2), assay="ia"),
        e2(date(2026, 9, 3), assay="unknown"),
        # Before the drug.
        e2(date(2025, 9, 4)),
    ]

    assert counts("ms_share", medications=[order()], labs=draws) == [("2026-09", 1, 3, 0, 0)]


@pytest.mark.parametrize(
    ("born", "events", "expected"),
    [
        (date(1960, 1, 1), [], [1, 1]),
        (date(1960, 1, 1), [event("left_clinic", date(2026, 9, 20))], [1, 1]),
        # A boy is not judged, and was not before he left either.
        (date(2010, 1, 1), [], [0, 0]),
        (date(2010, 1, 1), [event("left_clinic", date(2026, 9, 20))], [0, 0]),
        (date(2010, 1, 1), [event("died", date(2026, 9, 20))], [0, 0]),
    ],
)
def test_who_is_not_judged_is_in_no_denominator_though_he_left(born, events, expected):
    rows = {
        "patients": [man(birth_date=born)],
        "medications": [order()],
        "labs": [e2(date(2026, 9, 1))],
        "events": events,
    }
    data = as_measured(known(**rows), None, FlagSettings(), AS_OF)

    found = measure(data, AS_OF).filter(
        pl.col("clinic_id").is_null(), measure="ms_share", month="2026-09"
    )
    assert [*found["numerator"], *found["denominator"]] == expected


# --- M5 and M6: the last valid draw of the month ------------------------------------------------


@pytest.mark.parametrize(
    ("draws", "below_10", "below_16"),
    [
        ([e2(date(2026, 9, 9), 9.9)], (1, 1, 0), (1, 1, 0)),
        ([e2(date(2026, 9, 9), 10.0)], (0, 1, 0), (1, 1, 0)),
        ([e2(date(2026, 9, 9), 16.0)], (0, 1, 0), (0, 1, 0)),
        # "<10" is below 10; "<16" may be 12 or 5, and is below 16; "<24" tells nothing.
        ([e2(date(2026, 9, 9), 0.0, 10.0)], (1, 1, 0), (1, 1, 0)),
        ([e2(date(2026, 9, 9), 0.0, 16.0)], (0, 0, 1), (1, 1, 0)),
        ([e2(date(2026, 9, 9), 0.0, 24.0)], (0, 0, 1), (0, 0, 1)),
        # 8 by immunoassay is not 8.
        ([e2(date(2026, 9, 9), 8.0, assay="ia")], (0, 0, 1), (0, 0, 1)),
        ([e2(date(2026, 9, 9), 40.0, assay="unknown")], (0, 0, 1), (0, 0, 1)),
        # The last of the month counts, once.
        ([e2(date(2026, 9, 1), 8.0), e2(date(2026, 9, 29), 20.0)], (0, 1, 0), (0, 1, 0)),
        ([e2(date(2026, 9, 1), 20.0), e2(date(2026, 9, 29), 8.0)], (1, 1, 0), (1, 1, 0)),
    ],
)
def test_e2_below_the_lines(draws, below_10, below_16):
    for name, expected in (("e2_below_red_line", below_10), ("e2_below_amber_line", below_16)):
        found = counts(name, medications=[order()], labs=draws)
        assert [(n, of, apart) for _, n, of, _, apart in found] == [expected]


@pytest.mark.parametrize(
    "orders", [[], [order(date(2026, 9, 1))], [order(stopped_on=date(2026, 9, 1))]]
)
def test_e2_off_the_drug_or_before_a_steady_state_is_not_counted(orders):
    draws = [e2(date(2026, 9, 10), 8.0)]

    assert counts("e2_below_red_line", medications=orders, labs=draws) == []


def test_above_the_range_of_the_assay_is_not_below():
    above = e2(date(2026, 9, 9), 1500.0) | {"value_high": None}

    assert of_last_month("e2_below_red_line", medications=[order()], labs=[above]) == (0, 1)


# --- M7: low on 1 July, due 42 days later, on 12 August -----------------------------------------

LOW_ON = date(2026, 7, 1)
LOW = e2(LOW_ON, 9.0)


@pytest.mark.parametrize(
    ("orders", "more_draws", "numerator"),
    [
        ([order()], [], 0),
        ([order()], [e2(after(42, LOW_ON))], 1),
        ([order()], [e2(after(43, LOW_ON))], 0),
        ([order(stopped_on=after(42, LOW_ON))], [], 1),
        ([order(stopped_on=after(43, LOW_ON))], [], 0),
        ([order(), order(after(10, LOW_ON), weekly_dose_mg=0.5)], [], 1),
        ([order(), order(after(10, LOW_ON), weekly_dose_mg=2.0)], [], 0),
        # Another inhibitor in its place is no response.
        ([order(stopped_on=after(9, LOW_ON)), order(after(10, LOW_ON), drug="letrozole")], [], 0),
        # Nor is a dose that nobody can read.
        ([order(), order(after(10, LOW_ON), weekly_dose_mg=None)], [], 0),
    ],
)
def test_response_to_a_low_e2(orders, more_draws, numerator):
    found = counts("response_to_low_e2", medications=orders, labs=[LOW, *more_draws])

    assert found == [("2026-08", numerator, 1, 0, 0)]


@pytest.mark.parametrize(
    ("orders", "later", "numerator"),
    [
        # Another low result answers nothing; at the line it is not low.
        ([order()], e2(after(42, LOW_ON), 15.9), 0),
        ([order()], e2(after(42, LOW_ON), 16.0), 1),
        ([order()], e2(after(42, LOW_ON), 0.0, 24.0), 0),
        # An immunoassay does not answer mass spectrometry.
        ([order()], e2(after(42, LOW_ON), 25.0, assay="ia"), 0),
        # Before a steady state it tells of no dose.
        ([order(), order(after(10, LOW_ON), weekly_dose_mg=2.0)], e2(after(20, LOW_ON)), 0),
    ],
)
def test_another_low_result_is_no_response(orders, later, numerator):
    found = counts("response_to_low_e2", medications=orders, labs=[LOW, later])

    assert found[0] == ("2026-08", numerator, 1, 0, 0)


def test_an_immunoassay_is_answered_by_either_assay():
    low, later = (
        e2(on, value, assay="ia") for on, value in ((LOW_ON, 9.0), (after(42, LOW_ON), 25.0))
    )

    assert counts("response_to_low_e2", medications=[order()], labs=[low, later]) == [
        ("2026-08", 1, 1, 0, 0)
    ]


@pytest.mark.parametrize(
    ("low", "orders", "asked"),
    [
        (e2(LOW_ON, 15.9), [order()], True),
        (e2(LOW_ON, 15.9, assay="ia"), [order()], True),
        (e2(LOW_ON, 0.0, 16.0), [order()], True),
        (e2(LOW_ON, 16.0), [order()], False),
        (e2(LOW_ON, 0.0, 24.0), [order()], False),
        # Off the drug, or while it washes out, there is nothing to cut.
        (e2(LOW_ON, 9.0), [], False),
        (e2(LOW_ON, 9.0), [order(stopped_on=after(-5, LOW_ON))], False),
    ],
)
def test_which_low_e2_wants_a_response(low, orders, asked):
    assert bool(counts("response_to_low_e2", medications=orders, labs=[low])) is asked


# --- M8: counted in the month of the start ------------------------------------------------------


@pytest.mark.parametrize(
    ("draws", "events", "expected"),
    [
        ([e2(after(-180), 60.1)], [], [("2026-01", 1, 1, 0, 0)]),
        ([e2(after(-1), 60.0)], [], [("2026-01", 0, 1, 0, 0)]),
        ([e2(after(-1), 40.0)], [event("symptom", after(-20))], [("2026-01", 1, 1, 0, 0)]),
        ([e2(after(-1), 39.9)], [event("symptom", after(-20))], [("2026-01", 0, 1, 0, 0)]),
        ([e2(after(-1), 50.0)], [event("symptom", after(1))], [("2026-01", 0, 1, 0, 0)]),
        # The last before the start counts.
        ([e2(after(-90), 80.0), e2(after(-9), 30.0)], [], [("2026-01", 0, 1, 0, 0)]),
        # Without an E2 nothing was indicated, and the man is told apart too.
        ([e2(after(-181), 80.0), e2(after(1), 80.0)], [], [("2026-01", 0, 1, 0, 1)]),
    ],
)
def test_indicated_start(draws, events, expected):
    assert counts("indicated_start", medications=[order()], labs=draws, events=events) == expected


ASSAYS = Assays(sd_ms=0.15, ia_slope=0.8, ia_constant_pg_ml=10.0, ia_cv=0.1, ia_sd_pg_ml=3.0)


@pytest.mark.parametrize(
    ("draw", "assays", "expected"),
    [
        # By immunoassay 58.1 is (58.1 - 10) / 0.8 = 60.125 by mass spectrometry, 58 is 60.
        (e2(after(-9), 58.1, assay="ia"), ASSAYS, (1, 1, 0)),
        (e2(after(-9), 58.0, assay="unknown"), ASSAYS, (0, 1, 0)),
        (e2(after(-9), 58.1), ASSAYS, (0, 1, 0)),
        # Of "<24" only that it is not high is known; ">30" may be anything.
        (e2(after(-9), 0.0, 24.0, assay="ia"), ASSAYS, (0, 1, 0)),
        (e2(after(-9), 30.0) | {"value_high": None}, ASSAYS, (0, 0, 1)),
        (e2(after(-9), 90.0) | {"value_high": None}, ASSAYS, (1, 1, 0)),
        (e2(after(-9), 50.0, 70.0), ASSAYS, (0, 0, 1)),
        # Without a fitted relation an immunoassay tells nothing here.
        (e2(after(-9), 90.0, assay="ia"), None, (0, 0, 1)),
        (e2(after(-9), 90.0), None, (1, 1, 0)),
    ],
)
def test_indicated_starts_are_judged_as_mass_spectrometry_reads(draw, assays, expected):
    data = known(medications=[order()], labs=[draw])
    read = replace(data, draws=with_ms_equivalents(data.draws, assays))
    counted = measure(read, AS_OF).filter(
        pl.col("clinic_id").is_null(), pl.col("measure") == "indicated_start", month="2026-01"
    )

    assert counted.select("numerator", "denominator", "n_excepted").row(0) == expected
