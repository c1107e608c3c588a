"""Gaps and context: one man a case, in tables that a clinician could check."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from e2analytics.exposure.dose_response.ms_equivalents import with_ms_equivalents
from e2analytics.exposure.patient_data import linked
from e2analytics.flags import context, free_estradiol, gaps
from e2analytics.flags import rules as flag_rules
from e2analytics.measures import pending, rates
from e2analytics.measures.clinic_rows import clinic_sums, clinics
from e2analytics.measures.units import care_units
from e2analytics.reference import measures
from e2analytics.settings import FlagSettings, LinkSettings
from e2analytics.tables.patient_data import PatientData
from e2analytics.tables.snapshot import empty_table
from tests.flags.men import criteria

AS_OF = date(2026, 9, 30)
LONG_AGO = date(2015, 1, 1)


Rows = list[dict[str, Any]]


def ago(days: int) -> date:
    return AS_OF - timedelta(days=days)


def order(started: int, stopped: int | None = None, **changes: Any) -> dict[str, Any]:
    row = {
        "patient_id": "p1",
        "drug": "anastrozole",
        "drug_class": "aromatase_inhibitor",
        "weekly_dose_mg": 1.0,
        "started_on": ago(started),
        "stopped_on": None if stopped is None else ago(stopped),
    }
    return row | changes


def result(
    days: int, value: float, analyte: str = "estradiol", assay: str = "ms", **changes: Any
) -> dict[str, Any]:
    row = {
        "patient_id": "p1",
        "analyte": analyte,
        "result_id": f"{analyte}-{assay}-{days}",
        "collected_on": ago(days),
        "collected_at": datetime.combine(ago(days), datetime.min.time(), UTC),
        "value_low": value,
        "value_high": value,
        "assay": assay,
    }
    return row | changes


def scan(days: int, bmd_g_cm2: float = 1.0, **changes: Any) -> dict[str, Any]:
    row = {
        "patient_id": "p1",
        "namespace": "default",
        "scan_id": f"s{days}",
        "scanned_on": ago(days),
        "site": "lumbar_spine",
        "bmd_g_cm2": bmd_g_cm2,
        "scanner_id": "x1",
    }
    return row | changes


def event(kind: str, days: int) -> dict[str, Any]:
    return {"patient_id": "p1", "kind": kind, "occurred_on": ago(days)}


def patient(patient_id: str) -> dict[str, Any]:
    return {
        "patient_id": patient_id,
        "clinic_id": "c1",
        "birth_date": date(1960, 1, 1),
        "trt_started_on": LONG_AGO,
    }


# Through this man the clinic has sent everything, then and now; he takes no inhibitor.
OTHERS = {
    "patients": [patient("p0")],
    "medications": [order(4000, 3900, patient_id="p0")],
    "labs": [
        result(days, 50.0, analyte, patient_id="p0", result_id=f"{analyte}-{days}-p0")
        for analyte in measures.load().sources_of_kind("laboratory")
        for days in (4000, 10)
    ]
    # What every man of the tests has: a harmless haematocrit and PSA, and below a fracture, an indication for vitamin D.
    + [result(300, value, analyte) for analyte, value in (("hematocrit", 45.0), ("psa", 1.0))],
    "dxa": [scan(days, patient_id="p0", body_fat_pct=20.0) for days in (4000, 10)],
    "events": [
        event(kind, days) | {"patient_id": "p0"}
        for kind in measures.load().sources_of_kind("event")
        for days in (4000, 10)
    ]
    + [event("fracture", 3000)],
}
# What keeps a man free of gaps: scanned, drawn at his dose, vitamin D enough.
FINE = {
    "medications": [order(300)],
    "labs": [result(250, 25.0), result(100, 35.0, "vitamin_d_25oh")],
    "dxa": [scan(310)],
}


def table(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    filled = pl.concat([empty_table(name), pl.DataFrame(rows)], how="diagonal_relaxed")
    return filled.with_columns(
        pl.col(column).fill_null("")
        for column in ("imputed", "failed_rules")
        if column in filled.columns
    )


def known(rows: dict[str, list[dict[str, Any]]]) -> PatientData:
    not_accepted = {
        name: table(name, rows.pop(f"waiting_{name}", [])).with_columns(fate=pl.lit("quarantined"))
        for name in pending.TABLES
    }
    given = {"patients": [patient("p1")], **FINE, **rows}
    frames = {name: table(name, others + given.get(name, [])) for name, others in OTHERS.items()}
    accepted = {
        "precision": empty_table("precision"),
        "lifestyle": empty_table("lifestyle"),
        **frames,
    }
    of_day = pending.as_of_rows(accepted, frames["patients"], not_accepted, AS_OF)
    sent = clinics(clinic_sums(of_day), AS_OF)
    data = linked(of_day, sent, LinkSettings(), FlagSettings())
    return replace(data, draws=with_ms_equivalents(data.draws, None))


def gaps_of(
    data: PatientData, flags: pl.DataFrame, cohort: pl.DataFrame | None = None
) -> pl.DataFrame:
    months = [*rates.month_ends(date(2026, 8, 31)), AS_OF]
    return gaps.gaps(
        data, care_units(data, months), COHORT if cohort is None else cohort, flags, criteria(AS_OF)
    )


COHORT = pl.DataFrame(
    {
        "patient_id": ["p1"],
        "clinic_id": ["c1"],
        "as_of": [AS_OF],
        "reasons": [""],
        "last_e2_on": [None],
        "bone_finding_on": [None],
    },
    schema_overrides={"last_e2_on": pl.Date, "bone_finding_on": pl.Date},
)


def found(
    flags: pl.DataFrame | None = None, **rows: list[dict[str, Any]]
) -> list[tuple[str, int | None, int | None]]:
    """Return gap, days since, days overdue; an E2 that is too old has a test of its own."""
    flagged = empty_table("flags") if flags is None else flags
    frame = gaps_of(known(rows), flagged).filter(pl.col("gap") != "no_recent_e2")
    since, due = ((pl.lit(AS_OF) - pl.col(day)).dt.total_days() for day in ("since_on", "due_on"))
    return frame.select("gap", since_on=since, due_on=due).rows()


def test_a_man_whose_care_is_complete_has_no_gap():
    assert found() == []
    drawn = {"labs": [*FINE["labs"], result(20, 25.0)]}
    assert gaps_of(known(drawn), empty_table("flags")).is_empty()


@pytest.mark.parametrize(
    ("labs", "waiting", "expected"),
    [
        ([result(180, 25.0)], [], []),
        ([result(181, 25.0)], [], [(181, 1)]),
        ([result(181, 25.0), result(900, 25.0)], [], [(181, 1)]),
        ([], [], [(None, None)]),
        # What came and waits in quarantine was drawn, too.
        ([result(181, 25.0)], [result(5, 25.0)], []),
    ],
)
def test_an_e2_older_than_180_days_is_a_gap(labs: Rows, waiting: Rows, expected: list[Any]):
    rows = known({"labs": [result(100, 35.0, "vitamin_d_25oh"), *labs], "waiting_labs": waiting})

    since, due = ((pl.lit(AS_OF) - pl.col(day)).dt.total_days() for day in ("since_on", "due_on"))
    gap = gaps_of(rows, empty_table("flags")).filter(pl.col("gap") == "no_recent_e2")
    assert gap.select(since_on=since, due_on=due).rows() == expected


def test_one_low_result_by_mass_spectrometry_is_to_be_repeated():
    one_low = COHORT.with_columns(
        reasons=pl.lit("one_ms_result_below_limit; old_order"), last_e2_on=pl.lit(ago(20))
    )

    found = gaps_of(known({}), empty_table("flags"), one_low)

    to_repeat = found.filter(pl.col("gap") == "low_e2_to_repeat")
    assert to_repeat.select("since_on", "due_on").rows() == [(ago(20), None)]


@pytest.mark.parametrize(
    ("scans", "waiting", "expected"),
    [
        # H42: a hip in 2012, a spine in 2026; five years are 1826 days.
        ([scan(310), scan(5215, site="total_hip")], [], [("old_hip_scan", 5215, 3389)]),
        ([scan(310), scan(5215, site="total_hip"), scan(400, site="femoral_neck")], [], []),
        ([scan(310), scan(5215, site="total_hip")], [scan(40, site="total_hip")], []),
        ([scan(1826), scan(310, site="total_hip")], [], []),
        ([scan(1827), scan(310, site="total_hip")], [], [("old_spine_scan", 1827, 1)]),
        # A site that was never scanned is no old scan.
        ([scan(310)], [], []),
    ],
)
def test_a_scan_older_than_five_years_is_a_gap(scans: Rows, waiting: Rows, expected: list[Any]):
    assert found(dxa=scans, waiting_dxa=waiting) == expected


def test_a_finding_of_bone_without_a_plan_is_a_gap_due_in_90_days():
    unplanned = COHORT.with_columns(bone_finding_on=pl.lit(ago(100)))

    found = gaps_of(known({}), empty_table("flags"), unplanned)

    no_plan = found.filter(pl.col("gap") == "no_bone_plan")
    assert no_plan.select("since_on", "due_on").rows() == [(ago(100), ago(10))]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # Baseline: until 90 days after the start; a later scan closes it, an older one than 2 years not.
        ({"dxa": []}, [("no_baseline_dxa", 300, 210)]),
        ({"dxa": [scan(1031)]}, [("no_baseline_dxa", 300, 210)]),
        ({"dxa": [scan(1030)]}, []),
        ({"dxa": [scan(5)]}, []),
        ({"dxa": [], "events": [event("dxa_refused", 290)]}, []),
        ({"dxa": [], "medications": [order(89)], "labs": FINE["labs"] + [result(60, 25.0)]}, []),
        # E2 14 to 84 days after a start or change, at that dose; a later one closes it.
        ({"labs": FINE["labs"][1:]}, [("no_e2_after_change", 300, 216)]),
        ({"labs": [*FINE["labs"][1:], result(290, 25.0)]}, [("no_e2_after_change", 300, 216)]),
        ({"labs": [*FINE["labs"][1:], result(5, 25.0)]}, []),
        (
            {"medications": [order(300), order(85, weekly_dose_mg=2.0)]},
            [("no_e2_after_change", 85, 1)],
        ),
        ({"medications": [order(300), order(83, weekly_dose_mg=2.0)]}, []),
        # Immunoassay below 30, until mass spectrometry.
        (
            {"labs": FINE["labs"] + [result(40, 29.0, assay="ia")]},
            [("immunoassay_to_repeat", 40, None)],
        ),
        ({"labs": FINE["labs"] + [result(40, 30.0, assay="ia")]}, []),
        ({"labs": FINE["labs"] + [result(40, 29.0, assay="ia"), result(20, 25.0)]}, []),
        # Vitamin D: tested in 365 days, and 20 or more.
        ({"labs": FINE["labs"][:1]}, [("no_vitamin_d", None, None)]),
        (
            {"labs": [FINE["labs"][0], result(366, 35.0, "vitamin_d_25oh")]},
            [("no_vitamin_d", 366, 1)],
        ),
        (
            {"labs": [FINE["labs"][0], result(100, 19.0, "vitamin_d_25oh")]},
            [("vitamin_d_low", 100, None)],
        ),
        # Haematocrit above 54 %, until a later one is not.
        (
            {"labs": FINE["labs"] + [result(40, 54.1, "hematocrit")]},
            [("haematocrit_high", 40, None)],
        ),
        ({"labs": FINE["labs"] + [result(40, 54.0, "hematocrit")]}, []),
        # ">54" is above 54.
        (
            {"labs": FINE["labs"] + [result(40, 54.0, "hematocrit", value_high=None)]},
            [("haematocrit_high", 40, None)],
        ),
        (
            {
                "labs": [
                    *FINE["labs"],
                    result(40, 56.0, "hematocrit"),
                    result(9, 50.0, "hematocrit"),
                ]
            },
            [],
        ),
        # A later one that waits does not take a known one away.
        (
            {
                "labs": FINE["labs"] + [result(40, 56.0, "hematocrit")],
                "waiting_labs": [result(9, 50.0, "hematocrit")],
            },
            [("haematocrit_high", 40, None)],
        ),
        # A low E2 is to be answered within 42 days; late answers close the gap, too.
        ({"labs": FINE["labs"] + [result(50, 12.0)]}, [("low_e2_not_answered", 50, 8)]),
        ({"labs": FINE["labs"] + [result(41, 12.0)]}, []),
        ({"labs": FINE["labs"] + [result(50, 12.0), result(2, 16.0)]}, []),
        # Another low result is no answer, nor is an immunoassay after mass spectrometry, nor a dose that is higher.
        (
            {"labs": FINE["labs"] + [result(50, 12.0), result(2, 14.0)]},
            [("low_e2_not_answered", 50, 8)],
        ),
        (
            {"labs": FINE["labs"] + [result(50, 12.0), result(2, 31.0, assay="ia")]},
            [("low_e2_not_answered", 50, 8)],
        ),
        (
            {
                "labs": FINE["labs"] + [result(50, 12.0)],
                "medications": [order(300, 5), order(5, weekly_dose_mg=2.0)],
            },
            [("low_e2_not_answered", 50, 8)],
        ),
        # Since the first of those that were not answered; a stop answers, another inhibitor in its place does not.
        (
            {"labs": FINE["labs"] + [result(150, 12.0), result(100, 13.0)]},
            [("low_e2_not_answered", 150, 108)],
        ),
        (
            {"labs": FINE["labs"] + [result(150, 12.0), result(100, 25.0), result(60, 13.0)]},
            [("low_e2_not_answered", 60, 18)],
        ),
        ({"labs": FINE["labs"] + [result(50, 12.0)], "medications": [order(300, 5)]}, []),
        (
            {
                "labs": FINE["labs"] + [result(50, 12.0)],
                "medications": [order(300, 5), order(4, drug="letrozole")],
            },
            [("low_e2_not_answered", 50, 8)],
        ),
        (
            {
                "labs": FINE["labs"] + [result(50, 12.0)],
                "medications": [order(300, 5), order(5, weekly_dose_mg=0.5)],
            },
            [],
        ),
        # A dose that nobody can read is no answer; one that is lower than the one known before it is.
        (
            {
                "labs": FINE["labs"] + [result(50, 12.0)],
                "medications": [order(300, 20), order(20, weekly_dose_mg=None)],
            },
            [("low_e2_not_answered", 50, 8)],
        ),
        (
            {
                "labs": FINE["labs"] + [result(50, 12.0)],
                "medications": [
                    order(300, 20),
                    order(20, 5, weekly_dose_mg=None),
                    order(5, weekly_dose_mg=0.5),
                ],
            },
            [],
        ),
        # What came and waits in quarantine was done, too.
        (
            {
                "labs": FINE["labs"] + [result(50, 12.0)],
                "waiting_labs": [result(2, 14.0)],
            },
            [],
        ),
        ({"labs": FINE["labs"][:1], "waiting_labs": [result(100, 19.0, "vitamin_d_25oh")]}, []),
        ({"dxa": [], "waiting_dxa": [scan(310)]}, []),
        # Five points less body fat and E2 below 30: a candidate from the scan on.
        (
            {"dxa": [scan(310, body_fat_pct=30.0), scan(95, body_fat_pct=25.0)]},
            [("de_escalation_candidate", 95, 5)],
        ),
        ({"dxa": [scan(310, body_fat_pct=30.0), scan(95, body_fat_pct=25.1)]}, []),
        (
            {
                "dxa": [scan(310, body_fat_pct=30.0), scan(95, body_fat_pct=25.0)],
                "events": [event("ai_review", 2)],
            },
            [],
        ),
    ],
)
def test_a_gap_is_open_until_something_comes(
    rows: dict[str, list[dict[str, Any]]], expected: list[tuple[str, int | None, int | None]]
):
    assert found(**rows) == expected


@pytest.mark.parametrize(
    ("scans", "expected"),
    [
        # 27 months after the start, or after the last scan.
        ([scan(1010)], [("follow_up_dxa_overdue", 1010, 178)]),
        ([scan(1010), scan(600)], []),
        ([scan(1010), scan(600, scanner_id="x2")], [("follow_up_dxa_overdue", 1000, 178)]),
        ([scan(1010), scan(100)], []),
    ],
)
def test_follow_up_is_overdue_27_months_after_the_start(
    scans: list[dict[str, Any]], expected: list[tuple[str, int | None, int | None]]
):
    assert found(medications=[order(1000)], dxa=scans) == expected


def test_a_flag_of_low_e2_that_nothing_answered_is_a_gap_though_no_result_was_low():
    flagged = pl.DataFrame(
        {
            "patient_id": ["p1"],
            "state": ["open"],
            "status": ["below_range"],
            "first_flagged_on": [ago(60)],
        }
    )

    assert found(flagged) == [("low_e2_not_answered", 60, 18)]
    assert found(flagged, labs=FINE["labs"] + [result(30, 25.0)]) == []


def names_of(data: PatientData) -> set[str]:
    return {*gaps_of(data, empty_table("flags"))["gap"]} - {"no_recent_e2"}


def test_without_an_indication_no_vitamin_d_is_asked_for():
    rows = known({"labs": FINE["labs"][:1]})
    without = replace(rows, events=rows.events.filter(pl.col("kind") != "fracture"))

    assert names_of(rows) == {"no_vitamin_d"}
    assert names_of(without) == set()


@pytest.mark.parametrize(
    ("born", "psa_days_ago", "hematocrit_days_ago", "found"),
    [
        (date(1960, 1, 1), 364, 364, set()),
        (date(1960, 1, 1), 365, 364, {"no_psa"}),
        (date(1960, 1, 1), 364, 365, {"no_haematocrit"}),
        # PSA is asked for from 40 to 69 years.
        (date(1986, 10, 1), 365, 364, set()),
        (date(1986, 9, 30), 365, 364, {"no_psa"}),
        (date(1956, 10, 1), 365, 364, {"no_psa"}),
        (date(1956, 9, 30), 365, 364, set()),
    ],
)
def test_haematocrit_is_asked_of_all_and_psa_by_age(
    born: date, psa_days_ago: int, hematocrit_days_ago: int, found: set[str]
):
    rows = known({})
    his = pl.col("patient_id") == "p1"
    labs = rows.labs.filter(~(his & pl.col("analyte").is_in(["psa", "hematocrit"])))
    tests = [result(psa_days_ago, 1.0, "psa"), result(hematocrit_days_ago, 45.0, "hematocrit")]
    changed = replace(
        rows,
        patients=rows.patients.with_columns(
            birth_date=pl.when(his).then(pl.lit(born)).otherwise("birth_date")
        ),
        labs=pl.concat([labs, table("labs", tests).select(labs.columns)]),
    )

    assert names_of(changed) == found


@pytest.mark.parametrize(("psa", "found"), [(4.0, set()), (4.1, {"psa_high"})])
def test_a_last_psa_above_its_line_is_a_gap(psa: float, found: set[str]):
    assert names_of(known({"labs": FINE["labs"] + [result(9, psa, "psa")]})) == found


@pytest.mark.parametrize(
    ("high", "waiting", "note"),
    [
        (result(40, 55.0, "hematocrit"), [], f"55 % on {ago(40)}"),
        (
            result(40, 55.4, "hematocrit"),
            [result(20, 50.0, "hematocrit"), result(9, 50.0, "hematocrit")],
            f"55.4 % on {ago(40)}; a newer result of {ago(9)} waits for correction",
        ),
        # An older one that waits, or one of another test, says nothing.
        (
            result(40, 55.0, "hematocrit"),
            [result(41, 50.0, "hematocrit"), result(9, 1.0, "psa")],
            f"55 % on {ago(40)}",
        ),
        (result(40, 54.0, "hematocrit", value_high=None), [], f"above 54 % on {ago(40)}"),
        (
            result(40, 4.5, "psa"),
            [result(9, 3.0, "psa")],
            f"4.5 ng/mL on {ago(40)}; a newer result of {ago(9)} waits for correction",
        ),
    ],
)
def test_a_known_result_above_its_line_is_said_with_one_that_waits(
    high: dict[str, Any], waiting: list[dict[str, Any]], note: str
):
    rows = known({"labs": [*FINE["labs"], high], "waiting_labs": waiting})

    found = gaps_of(rows, empty_table("flags")).filter(pl.col("gap").str.ends_with("_high"))

    assert found["note"].to_list() == [note]
    assert found["since_on"].to_list() == [ago(40)]


def test_where_a_clinic_sends_no_vitamin_d_nothing_is_said_of_it():
    rows = known({"labs": FINE["labs"][:1]})
    others = replace(rows, labs=rows.labs.filter(pl.col("analyte") != "vitamin_d_25oh"))
    none = replace(others, clinics=clinics(clinic_sums(others), AS_OF))

    assert gaps_of(none, empty_table("flags"))["gap"].to_list() == ["no_recent_e2"]


def test_every_gap_has_words_and_a_source():
    names = set(flag_rules.load().gaps)

    assert names == {
        "no_recent_e2",
        "low_e2_to_repeat",
        "no_baseline_dxa",
        "follow_up_dxa_overdue",
        "old_spine_scan",
        "old_hip_scan",
        "no_bone_plan",
        "no_e2_after_change",
        "immunoassay_to_repeat",
        "no_vitamin_d",
        "vitamin_d_low",
        "no_haematocrit",
        "haematocrit_high",
        "no_psa",
        "psa_high",
        "low_e2_not_answered",
        "de_escalation_candidate",
    }


def test_the_context_of_a_man():
    rows = known(
        {
            "labs": [
                result(250, 25.0),
                result(250, 500.0, "testosterone_total"),
                result(100, 20.0),
                result(100, 720.0, "testosterone_total"),
                result(30, 22.0),
                result(90, 9.6, "calcium"),
                result(95, 31.0, "vitamin_d_25oh"),
            ],
            "dxa": [
                scan(900, 1.00, t_score=-1.4, body_fat_pct=28.0),
                scan(100, 0.94, t_score=-2.0, body_fat_pct=24.5),
            ],
            "medications": [
                order(300),
                order(200, drug="alendronate", drug_class="bisphosphonate"),
                order(900, 800, drug="prednisone", drug_class="glucocorticoid"),
                order(200, drug="nandrolone", drug_class="other_androgen"),
            ],
        }
    )
    exposures = pl.DataFrame(
        {
            "patient_id": ["p1"],
            "site": ["lumbar_spine"],
            "first_on": [ago(900)],
            "second_on": [ago(100)],
            "change_pct": [-6.19],
            "lsc_pct": [5.26],
            "lsc_verdict": ["loss"],
            "why_not": ["on_glucocorticoid"],
            "bone_drugs": ["prednisone 20.0 mg a day since 2024-04-13"],
        }
    )

    found = context.context(rows, exposures, COHORT)

    assert {
        name: value for name, value in found.row(0, named=True).items() if name[-3:] != "_id"
    } == {
        "as_of": AS_OF,
        "testosterone_ng_dl": 720.0,
        "testosterone_on": ago(100),
        # The geometric mean of 500 and 720.
        "testosterone_usual_ng_dl": pytest.approx(600.0),
        # 720/20 of one day; the E2 of day 30 has no testosterone beside it.
        "t_e2_ratio": 36.0,
        "t_e2_on": ago(100),
        "t_e2_assay": "ms",
        # 500/25 of day 250.
        "t_e2_earlier_ratio": pytest.approx(20.0),
        "t_e2_earlier_days": 1,
        "t_e2_earlier_from_on": ago(250),
        "lifestyle": None,
        "free_e2_on": None,
        **dict.fromkeys(free_estradiol.COLUMNS),
        "early_signals": None,
        "body_fat_pct": 24.5,
        "body_fat_on": ago(100),
        "body_fat_change_points": -3.5,
        "body_fat_since_on": ago(900),
        "calcium_mg_dl": 9.6,
        "calcium_on": ago(90),
        "vitamin_d_ng_ml": 31.0,
        "vitamin_d_on": ago(95),
        "bone_class": "low_bone_mass",
        "bone_class_site": "lumbar_spine",
        "bone_class_on": ago(100),
        "bmd_site": "lumbar_spine",
        "bmd_first_on": ago(900),
        "bmd_second_on": ago(100),
        "bmd_change_pct": -6.19,
        "lsc_pct": 5.26,
        "lsc_verdict": "loss",
        "bmd_bone_drugs": "prednisone 20.0 mg a day since 2024-04-13",
        "bone_drugs": "alendronate since 2026-03-14",
        "glucocorticoids": "prednisone since 2024-04-13 until 2024-07-22",
        "e2_drugs": (
            "nandrolone since 2026-03-14: becomes little or no E2 and takes the place of testosterone, of "
            "which E2 is made"
        ),
    }
