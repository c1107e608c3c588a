"""Measures: one man per rule, in tables that a clinician could check."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from pydantic import ValidationError

from e2analytics.exposure.patient_data import linked
from e2analytics.measures import pending, rates
from e2analytics.measures.rates import with_older
from e2analytics.measures.units import care_units
from e2analytics.reference import constants, measures
from e2analytics.settings import FlagSettings, LinkSettings
from e2analytics.tables.patient_data import PatientData
from e2analytics.tables.snapshot import empty_table

AS_OF = date(2026, 9, 30)
START = date(2026, 1, 1)
LONG_AGO = date(2015, 1, 1)


def after(days: int, start: date = START) -> date:
    return start + timedelta(days=days)


def man(patient_id: str = "p1", clinic_id: str = "c1", **changes: Any) -> dict[str, Any]:
    row = {
        "patient_id": patient_id,
        "clinic_id": clinic_id,
        "birth_date": date(1960, 1, 1),
        "trt_started_on": date(2024, 1, 1),
    }
    return row | changes


def order(
    started_on: date = START, stopped_on: date | None = None, **changes: Any
) -> dict[str, Any]:
    row = {
        "patient_id": "p1",
        "drug": "anastrozole",
        "drug_class": "aromatase_inhibitor",
        "weekly_dose_mg": 1.0,
        "started_on": started_on,
        "stopped_on": stopped_on,
    }
    return row | changes


def e2(
    collected_on: date, low: float = 20.0, high: float | None = None, **changes: Any
) -> dict[str, Any]:
    return result("estradiol", collected_on, low, low if high is None else high) | changes


def result(analyte: str, on: date, low: float = 40.0, high: float = 40.0) -> dict[str, Any]:
    return {
        "patient_id": "p1",
        "analyte": analyte,
        "result_id": f"{analyte}-{on}",
        "collected_on": on,
        "collected_at": datetime.combine(on, datetime.min.time(), UTC),
        "value_low": low,
        "value_high": high,
        "assay": "ms",
    }


def scan(scanned_on: date, bmd_g_cm2: float = 1.0, **changes: Any) -> dict[str, Any]:
    row = {
        "patient_id": "p1",
        "scan_id": f"s-{scanned_on}",
        "scanned_on": scanned_on,
        "site": "lumbar_spine",
        "bmd_g_cm2": bmd_g_cm2,
        "scanner_id": "x1",
    }
    return row | changes


def event(kind: str, occurred_on: date, patient_id: str = "p1") -> dict[str, Any]:
    return {"patient_id": patient_id, "kind": kind, "occurred_on": occurred_on}


# A man of long ago through whom clinic c1 has sent everything once; he died before any month that counts.
FIRST = "p0"
EVERYTHING_ONCE = {
    "patients": [man(FIRST, trt_started_on=LONG_AGO)],
    "medications": [order(LONG_AGO, after(100, LONG_AGO), patient_id=FIRST)],
    "labs": [
        result(analyte, LONG_AGO) | {"patient_id": FIRST, "result_id": f"old-{analyte}"}
        for analyte in measures.LABORATORY
    ],
    "dxa": [scan(LONG_AGO, patient_id=FIRST, body_fat_pct=20.0)],
    "events": [
        *(event(kind, LONG_AGO, FIRST) for kind in measures.EVENTS),
        event("died", date(2016, 1, 1), FIRST),
    ],
}


def table(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    if not rows:
        return empty_table(name)
    filled = pl.concat([empty_table(name), pl.DataFrame(rows)], how="diagonal_relaxed")
    # Texts that link and densitometry look into.
    return filled.with_columns(
        pl.col(column).fill_null("")
        for column in ("imputed", "failed_rules")
        if column in filled.columns
    )


def in_quarantine(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"fate": "quarantined"}


def waits(row: dict[str, Any]) -> bool:
    return row.get("fate") == "quarantined"


def of_fate(frame: pl.DataFrame, rows: list[dict[str, Any]]) -> pl.DataFrame:
    fates = [row["fate"] for row in rows]
    return frame.with_columns(fate=pl.Series(fates, dtype=pl.String))


def known(first: dict[str, Any] = EVERYTHING_ONCE, **every: list[dict[str, Any]]) -> PatientData:
    rows = {name: [row for row in given if not waits(row)] for name, given in every.items()}
    given = {"patients": [man()], **rows}
    names = ("patients", "medications", "labs", "dxa", "events")
    frames = {name: table(name, first.get(name, []) + given.get(name, [])) for name in names}
    listed = {name: list(filter(waits, every.get(name, []))) for name in pending.TABLES}
    not_accepted = {name: of_fate(table(name, rows), rows) for name, rows in listed.items()}
    accepted = {"precision": empty_table("precision"), **frames}
    return linked(
        pending.as_of_rows(accepted, frames["patients"], not_accepted, AS_OF),
        LinkSettings(),
        FlagSettings(),
    )


def measure(data: PatientData, as_of: date, n_months: int = 24) -> pl.DataFrame:
    care = care_units(data, [*rates.month_ends(as_of, n_months), as_of])
    return rates.measures(data, care, as_of, n_months)


def counts(name: str, **rows: list[dict[str, Any]]) -> list[tuple[str, int, int, int, int]]:
    """Return month, numerator, denominator, excepted and apart of all months in which anybody counts."""
    found = measure(known(**rows), AS_OF).filter(
        pl.col("clinic_id").is_null(),
        pl.col("measure") == name,
        pl.sum_horizontal("denominator", "n_excepted", "n_reported_separately") > 0,
    )
    return found.select(
        "month", "numerator", "denominator", "n_excepted", "n_reported_separately"
    ).rows()


def of_last_month(name: str, **rows: list[dict[str, Any]]) -> tuple[int, int]:
    """Return numerator and denominator of September 2026."""
    last = [row for row in counts(name, **rows) if row[0] == "2026-09"]
    return last[0][1:3] if last else (0, 0)


def test_every_definition_loads_and_has_a_rule_and_a_source():
    defined = measures.load().measures

    assert [each.id for each in defined.values()] == (
        [f"M{n}" for n in range(1, 9)] + ["M9a", "M9b"] + [f"M{n}" for n in range(10, 15)]
    )
    assert set(measure(known(), AS_OF)["measure"]) == set(defined)


@pytest.mark.parametrize(
    "wrong",
    [{"needs": []}, {"needs": ["mri"]}, {"direction": "up"}, {"days": {"until": 0}}, {"widow": 3}],
)
def test_a_definition_with_a_mistake_is_refused(wrong):
    right = measures.load().measures["baseline_dxa"].model_dump()

    with pytest.raises(ValidationError):
        measures.Measure.model_validate(right | wrong)


def test_the_lines_are_those_of_the_flags():
    limits = {name: each.limits for name, each in measures.load().measures.items()}

    assert limits["e2_below_red_line"]["e2_pg_ml"] == constants.RED_LINE_E2.value
    assert limits["e2_below_amber_line"]["e2_pg_ml"] == constants.DEFAULT_LOWER_LIMIT_E2.value
    assert limits["response_to_low_e2"]["e2_pg_ml"] == constants.DEFAULT_LOWER_LIMIT_E2.value


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


# --- M9, M10, M12: the men of the last day ------------------------------------------------------


@pytest.mark.parametrize(
    ("results", "tested", "sufficient"),
    [
        ([], (0, 1), (0, 1)),
        ([result("vitamin_d_25oh", after(-364, AS_OF), 30.0)], (1, 1), (1, 1)),
        ([result("vitamin_d_25oh", after(-365, AS_OF), 30.0)], (0, 1), (0, 1)),
        ([result("vitamin_d_25oh", AS_OF, 29.9)], (1, 1), (0, 1)),
        # The last one counts.
        (
            [
                result("vitamin_d_25oh", after(-90, AS_OF), 20.0),
                result("vitamin_d_25oh", AS_OF, 35.0),
            ],
            (1, 1),
            (1, 1),
        ),
    ],
)
def test_vitamin_d(results, tested, sufficient):
    rows = {"medications": [order()], "labs": results}

    assert of_last_month("vitamin_d_tested", **rows) == tested
    assert of_last_month("vitamin_d_sufficient", **rows) == sufficient


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


@pytest.mark.parametrize(
    ("analytes", "trt_started_on", "orders", "expected"),
    [
        (["hematocrit", "psa"], after(-365, AS_OF), [], (1, 1)),
        (["hematocrit"], after(-365, AS_OF), [], (0, 1)),
        (["hematocrit", "psa"], after(-364, AS_OF), [], (0, 0)),
        # No longer on testosterone.
        (
            [],
            LONG_AGO,
            [order(LONG_AGO, AS_OF, drug="testosterone", drug_class="androgen")],
            (0, 0),
        ),
        ([], LONG_AGO, [order(LONG_AGO, drug="testosterone", drug_class="androgen")], (0, 1)),
    ],
)
def test_haematocrit_and_psa(analytes, trt_started_on, orders, expected):
    rows = {
        "patients": [man(trt_started_on=trt_started_on)],
        "labs": [result(analyte, after(-30, AS_OF)) for analyte in analytes],
        "medications": orders,
        # The clinic is heard of.
        "events": [event("symptom", AS_OF)],
    }

    assert of_last_month("t_safety", **rows) == expected


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


@pytest.mark.parametrize(("days_ago", "expected"), [(364, (1, 1)), (365, (0, 1))])
def test_haematocrit_and_psa_count_for_365_days(days_ago, expected):
    labs = [result(analyte, after(-days_ago, AS_OF)) for analyte in ("hematocrit", "psa")]

    assert of_last_month("t_safety", labs=labs) == expected


def test_fat_on_two_scanners_is_not_compared():
    scans = [
        scan(date(2025, 6, 1), site="total_body", body_fat_pct=30.0),
        scan(FOUND_ON, site="total_body", body_fat_pct=20.0, scanner_id="x2"),
    ]
    rows = {"medications": [order(date(2025, 1, 1))], "dxa": scans, "labs": [e2(FOUND_ON)]}

    assert counts("de_escalation", **rows) == []


# --- The table ----------------------------------------------------------------------------------


def test_the_table_has_every_month_clinic_and_measure_and_all_clinics_together():
    found = measure(known(patients=[man(), man("p2", "c2")]), AS_OF)

    assert len(found) == 24 * 3 * 15
    assert found.select("month", "clinic_id", "measure").is_unique().all()
    assert found["month"].unique().sort().to_list()[::23] == ["2024-10", "2026-09"]
    assert not found["suppressed"].any()


@pytest.mark.parametrize(
    ("as_of", "last"),
    [
        (date(2026, 9, 29), "2026-08"),
        (date(2026, 9, 30), "2026-09"),
        (date(2026, 2, 28), "2026-02"),
        (date(2026, 12, 31), "2026-12"),
    ],
)
def test_only_months_that_have_ended_are_measured(as_of, last):
    assert measure(known(), as_of, n_months=3)["month"].max() == last


def test_a_share_stands_with_its_interval_and_no_share_of_nobody_is_a_number():
    orders = [order(), order(patient_id="p2")]
    patients = [man(), man("p2")]
    given = known(
        medications=orders,
        patients=patients,
        labs=[result("vitamin_d_25oh", AS_OF, 30.0)],
    )

    found = measure(given, AS_OF, n_months=1).filter(pl.col("clinic_id") == "c1")

    columns = ["numerator", "denominator", "value", "ci_low", "ci_high", "not_measured"]
    tested = found.filter(pl.col("measure") == "vitamin_d_tested").select(columns).row(0)
    # Wilson, 1 of 2.
    assert tested == (
        1,
        2,
        0.5,
        pytest.approx(0.0945, abs=1e-4),
        pytest.approx(0.9055, abs=1e-4),
        None,
    )
    nobody = found.filter(pl.col("measure") == "bone_loss").select(columns).row(0)
    assert nobody == (0, 0, None, None, None, None)


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
        "t_safety": "no_hematocrit",
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
    given = known(first={}, medications=[order(LONG_AGO)], labs=labs)

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


def test_months_older_than_those_counted_keep_what_they_were_last_counted_at():
    # The first E2 of 2023 was withdrawn since.
    draws = [e2(date(2023, 6, 1)), e2(date(2025, 6, 1))]
    orders = [order(date(2023, 1, 1))]
    before = measure(known(medications=orders, labs=draws), date(2025, 5, 31))
    now = measure(known(medications=orders, labs=draws[1:]), date(2025, 7, 31))

    both = with_older(now, before).filter(
        pl.col("measure") == "ms_share", pl.col("clinic_id").is_null(), pl.col("denominator") > 0
    )

    assert both.select("month", "denominator", "counted_as_of").rows() == [
        ("2023-06", 1, date(2025, 5, 31)),
        ("2025-06", 1, date(2025, 7, 31)),
    ]
    assert with_older(now, before)["month"].n_unique() == 26


def test_a_clinic_that_stops_scanning_is_measured_on():
    rows = {"medications": [order()], "dxa": []}

    assert counts("baseline_dxa", **rows) == [("2026-04", 0, 1, 0, 0)]


def test_clinics_together_are_the_sum_of_those_measured():
    patients = [man(f"p{n}", f"c{n % 3}") for n in range(1, 10)]
    orders = [order(patient_id=f"p{n}") for n in range(1, 10)]
    labs = [
        result("vitamin_d_25oh", AS_OF) | {"patient_id": f"p{n}", "result_id": f"r{n}"}
        for n in range(1, 6)
    ]
    # Whatever a clinic sends, it has sent for a year.
    orders += [order(LONG_AGO, LONG_AGO, patient_id=f"p{n}") for n in range(1, 4)]
    labs += [
        result("vitamin_d_25oh", LONG_AGO) | {"patient_id": f"p{n}", "result_id": f"old{n}"}
        for n in range(1, 4)
    ]

    found = measure(
        known(first={}, patients=patients, medications=orders, labs=labs), AS_OF, n_months=1
    ).filter(pl.col("measure") == "vitamin_d_tested")

    assert found.select("clinic_id", "numerator", "denominator").rows() == [
        (None, 5, 9),
        ("c0", 1, 3),
        ("c1", 2, 3),
        ("c2", 2, 3),
    ]


def test_without_any_man_every_measure_says_so():
    found = measure(known(first={}, patients=[]), AS_OF)

    assert len(found) == 24 * 15
    assert found["not_measured"].unique().to_list() == ["no_patients"]


def test_months_that_are_disjoint_count_every_unit_once(outputs):
    tables = outputs.tables
    none_waits = {
        name: tables[name].clear().with_columns(fate=pl.lit("")) for name in pending.TABLES
    }
    rows = pending.as_of_rows(tables, tables["patients"], none_waits, AS_OF)
    given = linked(rows, LinkSettings(), FlagSettings())
    draws = given.draws

    found = measure(given, AS_OF, n_months=36)
    of_results = found.filter(pl.col("measure") == "ms_share", pl.col("clinic_id").is_not_null())

    in_months = draws.filter(
        (pl.col("on_drug") | pl.col("on_other")) & (pl.col("collected_on") >= date(2023, 10, 1))
    )
    assert of_results["denominator"].sum() == len(in_months)
    assert found.filter(pl.col("numerator") > pl.col("denominator")).is_empty()


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
        ("response_to_low_e2", low_and(in_quarantine(e2(after(42)))), [("2026-02", 1, 1, 0, 0)]),
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
                result("vitamin_d_25oh", AS_OF, 20.0),
            ],
            (1, 1, 0),
            (0, 1, 0),
        ),
        ([in_quarantine(result("vitamin_d_25oh", after(-365, AS_OF)))], (0, 1, 0), (0, 1, 0)),
    ],
)
def test_vitamin_d_that_waits(results, tested, sufficient):
    rows = {"medications": [order()], "labs": results}

    for name, expected in (("vitamin_d_tested", tested), ("vitamin_d_sufficient", sufficient)):
        assert counts(name, **rows)[-1][1:4] == expected


@pytest.mark.parametrize(
    ("haematocrit", "psa", "expected"),
    [
        ("came", "waits", (1, 1, 0)),
        ("waits", "waits", (1, 1, 0)),
        # Of the other nothing came: that is a lack.
        ("none", "waits", (0, 1, 0)),
    ],
)
def test_haematocrit_and_psa_that_wait(haematocrit, psa, expected):
    came = {
        "came": lambda analyte: [result(analyte, AS_OF)],
        "waits": lambda analyte: [in_quarantine(result(analyte, AS_OF))],
        "none": lambda analyte: [],
    }

    found = counts("t_safety", labs=came[haematocrit]("hematocrit") + came[psa]("psa"))

    assert found[-1][1:4] == expected


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
