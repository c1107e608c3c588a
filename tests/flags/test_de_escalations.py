"""De-escalations: what was done, and what followed; not yet, not supplied and no are three words."""

from dataclasses import replace
from datetime import date
from typing import Any

import polars as pl
import pytest

from e2analytics.flags.de_escalations import de_escalations
from e2analytics.tables.check import check
from e2analytics.tables.registry import TABLES
from e2analytics.tables.snapshot import empty_table
from tests.flags.men import criteria
from tests.measures.men import AS_OF, after, e2, event, known, man, order, result, scan

HELD = date(2024, 1, 1)
CHANGED = date(2026, 1, 1)
UNKNOWN_ON = after(-90, CHANGED)
OPEN = after(-30, AS_OF)
"""A change whose windows are all open on the as-of date."""
NOTHING: dict[str, list[dict[str, Any]]] = {}


def ledger(
    *orders: dict[str, Any],
    exposures: list[dict[str, Any]] | None = None,
    testosterone: list[date] | None = None,
    **rows: list[dict[str, Any]],
) -> list[dict[str, Any]]:
    data = known(NOTHING, medications=list(orders), **rows)
    found = de_escalations(
        data,
        pl.DataFrame(exposures or [], schema=empty_table("exposures").schema),
        pl.DataFrame(
            {"patient_id": ["p1"] * len(testosterone or []), "changed_on": testosterone or []},
            schema={"patient_id": pl.String, "changed_on": pl.Date},
        ),
        replace(criteria(), as_of=AS_OF),
    )
    check(found, TABLES["de_escalations"], table="de_escalations", stage="test")
    return found.rows(named=True)


def stopped(on: date = CHANGED, **rows: Any) -> dict[str, Any]:
    """The only row of a man who stopped 1 mg a week."""
    (row,) = ledger(order(HELD, on), **rows)
    return row


def done(*orders: dict[str, Any]) -> list[tuple[Any, ...]]:
    names = (
        "changed_on",
        "change",
        "from_mg_per_week",
        "to_mg_per_week",
        "followed_until_on",
        "ended_by",
    )
    return [tuple(row[name] for name in names) for row in ledger(*orders)]


def ctx(on: date, value: float, **changes: Any) -> dict[str, Any]:
    return result("ctx", on, value, value) | changes


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ([order(HELD, CHANGED)], [(CHANGED, "stopped", 1.0, 0.0, AS_OF, None)]),
        (
            [order(HELD, CHANGED), order(CHANGED, weekly_dose_mg=0.5)],
            [(CHANGED, "cut", 1.0, 0.5, AS_OF, None)],
        ),
        # Raised again: what follows is not of the cut.
        (
            [order(HELD), order(CHANGED, weekly_dose_mg=0.5), order(after(60, CHANGED))],
            [(CHANGED, "cut", 1.0, 0.5, after(60, CHANGED), "raised")],
        ),
        # Tapered: each step is a row, and ends the one before.
        (
            [order(HELD), order(CHANGED, after(90, CHANGED), weekly_dose_mg=0.5)],
            [
                (CHANGED, "cut", 1.0, 0.5, after(90, CHANGED), "stopped"),
                (after(90, CHANGED), "stopped", 0.5, 0.0, AS_OF, None),
            ],
        ),
        # A pause of two weeks is none; one of 15 days is a stop that a start ends.
        ([order(HELD, CHANGED), order(after(14, CHANGED))], []),
        (
            [order(HELD, CHANGED), order(after(15, CHANGED))],
            [(CHANGED, "stopped", 1.0, 0.0, after(15, CHANGED), "begun")],
        ),
        # Taken up again at half the dose after a week.
        (
            [order(HELD, CHANGED), order(after(7, CHANGED), weekly_dose_mg=0.5)],
            [(after(7, CHANGED), "cut", 1.0, 0.5, AS_OF, None)],
        ),
        # Another inhibitor in its place; a dose that nobody can read; a higher one.
        ([order(HELD, CHANGED), order(after(3, CHANGED), drug="letrozole")], []),
        ([order(HELD), order(CHANGED, weekly_dose_mg=None)], []),
        ([order(HELD), order(CHANGED, weekly_dose_mg=2.0)], []),
        # 7 mg, a dose that nobody can read, 1 mg: cut on the first day of the 1 mg.
        (
            [order(HELD, weekly_dose_mg=7.0), order(UNKNOWN_ON, weekly_dose_mg=None), order(CHANGED)],
            [(CHANGED, "cut", 7.0, 1.0, AS_OF, None)],
        ),
        # Two of them, and a pause that is none.
        (
            [
                order(HELD, UNKNOWN_ON, weekly_dose_mg=7.0),
                order(after(7, UNKNOWN_ON), weekly_dose_mg=None),
                order(after(40, UNKNOWN_ON), weekly_dose_mg=None),
                order(CHANGED),
            ],
            [(CHANGED, "cut", 7.0, 1.0, AS_OF, None)],
        ),
        # Not lower than what was known; nothing known before; an end between; stopped while unknown.
        ([order(HELD), order(UNKNOWN_ON, weekly_dose_mg=None), order(CHANGED)], []),
        ([order(HELD), order(UNKNOWN_ON, weekly_dose_mg=None), order(CHANGED, weekly_dose_mg=2.0)], []),
        ([order(HELD, weekly_dose_mg=None), order(CHANGED)], []),
        (
            [
                order(HELD, weekly_dose_mg=7.0),
                order(UNKNOWN_ON, after(30, UNKNOWN_ON), weekly_dose_mg=None),
                order(CHANGED),
            ],
            [(after(30, UNKNOWN_ON), "stopped", None, 0.0, CHANGED, "begun")],
        ),
        # Another inhibitor that began weeks before goes on; one that had ended by then does not.
        ([order(HELD, CHANGED), order(after(-60, CHANGED), drug="letrozole")], []),
        (
            [order(HELD, CHANGED), order(after(-60, CHANGED), after(-30, CHANGED), drug="letrozole")],
            [(CHANGED, "stopped", 1.0, 0.0, AS_OF, None)],
        ),
    ],
)  # fmt: skip
def test_what_was_done_and_how_long_it_is_followed(
    orders: list[dict[str, Any]], expected: list[tuple[Any, ...]]
):
    assert done(*orders) == expected


def test_after_an_unknown_dose_e2_of_before_is_that_of_the_last_known_one():
    (row,) = ledger(
        order(HELD, weekly_dose_mg=7.0),
        order(UNKNOWN_ON, weekly_dose_mg=None),
        order(CHANGED),
        labs=[e2(after(-9, UNKNOWN_ON), 8.0), e2(after(-9, CHANGED), 20.0), e2(after(60, CHANGED), 30.0)],
    )  # fmt: skip

    assert (row["held_since_on"], row["dose_unknown_since_on"]) == (HELD, UNKNOWN_ON)
    assert (row["e2_before_on"], row["e2_before_low_pg_ml"]) == (after(-9, UNKNOWN_ON), 8.0)
    assert (row["e2_after_on"], row["e2_recovered"]) == (after(60, CHANGED), "yes")


def test_a_man_who_is_not_judged_is_not_there():
    boy = man(birth_date=date(2012, 1, 1))

    assert ledger(order(HELD, CHANGED), patients=[boy]) == []
    # His death or departure does not make him one who is.
    assert (
        ledger(order(HELD, CHANGED), patients=[boy], events=[event("died", after(9, CHANGED))])
        == []
    )


def test_who_left_is_followed_until_then():
    row = stopped(events=[event("left_clinic", after(40, CHANGED))])

    assert (row["followed_until_on"], row["ended_by"]) == (after(40, CHANGED), "gone")


def test_e2_before_and_the_first_washed_out_one_after():
    row = stopped(
        labs=[
            e2(after(10, HELD), 30.0),  # not yet at steady state
            e2(after(-90, CHANGED), 12.0),
            e2(CHANGED, 11.0),  # of the last day on the drug
            e2(after(13, CHANGED), 19.0),  # not yet washed out
            e2(after(14, CHANGED), 15.0),
            e2(after(100, CHANGED), 24.0),
        ]
    )

    assert (row["e2_before_low_pg_ml"], row["e2_before_on"], row["e2_was_low"]) == (
        11.0,
        CHANGED,
        "yes",
    )
    assert (row["e2_after_low_pg_ml"], row["e2_after_days"], row["e2_after_assay"]) == (
        15.0,
        14,
        "ms",
    )
    # Below 16 on day 14, not on day 100.
    assert (row["e2_recovered"], row["e2_recovered_on"]) == ("yes", after(100, CHANGED))


@pytest.mark.parametrize(
    ("low", "high", "assay", "was_low"),
    [
        (15.9, 15.9, "ms", "yes"),
        (16.0, 16.0, "ms", "no"),
        (0.0, 24.0, "ms", "cannot_tell"),
        (0.0, 10.0, "ia", "cannot_tell"),
        (20.0, 20.0, "ia", "cannot_tell"),
        (30.0, 30.0, "unknown", "no"),
    ],
)
def test_below_30_an_immunoassay_does_not_tell_that_the_limit_is_reached(
    low: float, high: float, assay: str, was_low: str
):
    row = stopped(labs=[e2(after(-30, CHANGED), low, high, assay=assay)])

    assert row["e2_was_low"] == was_low


@pytest.mark.parametrize(
    ("drawn_on", "was_low"),
    [
        (after(-30, CHANGED), "cannot_tell"),
        (CHANGED, "cannot_tell"),
        # Not yet at steady state; after the change.
        (after(13, HELD), "not_supplied"),
        (after(14, HELD), "cannot_tell"),
        (after(1, CHANGED), "not_supplied"),
    ],
)
def test_an_e2_of_before_that_waits_was_supplied(drawn_on: date, was_low: str):
    row = stopped(labs=[e2(drawn_on, 12.0) | {"fate": "quarantined"}])

    assert (row["e2_was_low"], row["e2_before_on"]) == (was_low, None)


@pytest.mark.parametrize(
    ("changed_on", "labs", "recovered", "above"),
    [
        # 30 days after the change, 273 days after it, and with a result.
        (OPEN, [], "not_yet", "not_yet"),
        (CHANGED, [], "not_supplied", "not_supplied"),
        (CHANGED, [e2(after(20, CHANGED), 12.0)], "no", "no"),
        (CHANGED, [e2(after(20, CHANGED), 60.5)], "yes", "yes"),
        # No dose response relates the assays here.
        (CHANGED, [e2(after(20, CHANGED), 70.0, assay="ia")], "yes", "cannot_tell"),
        (CHANGED, [e2(after(20, CHANGED), 0.0, 20.0)], "cannot_tell", "no"),
        # After its window.
        (CHANGED, [e2(after(181, CHANGED), 30.0)], "not_supplied", "not_supplied"),
        (CHANGED, [e2(after(20, CHANGED), 30.0) | {"fate": "quarantined"}], "cannot_tell", "cannot_tell"),
    ],
)  # fmt: skip
def test_not_yet_not_supplied_and_no(
    changed_on: date, labs: list[dict[str, Any]], recovered: str, above: str
):
    row = stopped(changed_on, labs=labs)

    assert (row["e2_recovered"], row["e2_above_high"]) == (recovered, above)


def test_what_is_measured_after_the_dose_was_raised_again_is_not_of_the_cut():
    raised = after(60, CHANGED)
    (row,) = ledger(
        order(HELD),
        order(CHANGED, weekly_dose_mg=0.5),
        order(raised),
        labs=[e2(raised, 15.0), e2(after(30, raised), 25.0)],
        events=[event("symptom", after(1, raised)) | {"detail": "gynaecomastia"}],
    )

    # Blood of the day of the raise was drawn before it.
    assert (row["e2_after_on"], row["e2_recovered"], row["symptoms_after"]) == (raised, "no", None)
    assert row["breast_symptoms"] == "no"


NAMED = {"detail": "mood"}
OF_BREAST = {"detail": "gynaecomastia"}


@pytest.mark.parametrize(
    ("changed_on", "events", "breast", "words"),
    [
        (CHANGED, [], "not_supplied", None),
        (CHANGED, [event("symptom", HELD)], "not_supplied", None),
        # The clinic names symptoms, but none of the breast.
        (CHANGED, [event("symptom", HELD) | NAMED], "not_supplied", None),
        # It names those of the breast, so that none is none.
        (CHANGED, [event("symptom", HELD) | OF_BREAST], "no", None),
        (OPEN, [event("symptom", HELD) | OF_BREAST], "not_yet", None),
        (
            CHANGED,
            [
                event("symptom", after(9, CHANGED)) | {"detail": "breast_tenderness"},
                event("symptom", after(5, CHANGED)) | NAMED,
            ],
            "yes",
            "mood on 2026-01-06; breast tenderness on 2026-01-10",
        ),
        (CHANGED, [event("symptom", after(9, CHANGED))], "cannot_tell", "symptom that is not named on 2026-01-10"),
        (CHANGED, [event("symptom", after(181, CHANGED)) | {"detail": "gynaecomastia"}], "no", None),
    ],
)  # fmt: skip
def test_symptoms_after_the_change(
    changed_on: date, events: list[dict[str, Any]], breast: str, words: str | None
):
    row = stopped(changed_on, events=events)

    assert (row["breast_symptoms"], row["symptoms_after"]) == (breast, words)


@pytest.mark.parametrize(
    ("changed_on", "results", "change"),
    [
        # The reference change of CTX: -36 % to +55 %.
        (CHANGED, [ctx(after(-20, CHANGED), 500.0), ctx(after(90, CHANGED), 315.0)], "fell"),
        (CHANGED, [ctx(after(-20, CHANGED), 500.0), ctx(after(90, CHANGED), 330.0)], "unchanged"),
        (CHANGED, [ctx(after(-20, CHANGED), 500.0), ctx(after(90, CHANGED), 790.0)], "rose"),
        # Too early to tell, too old, by another laboratory.
        (CHANGED, [ctx(after(-20, CHANGED), 500.0), ctx(after(83, CHANGED), 200.0)], "not_yet"),
        (CHANGED, [ctx(after(-366, CHANGED), 500.0), ctx(after(90, CHANGED), 200.0)], "not_supplied"),
        (
            CHANGED,
            [ctx(after(-20, CHANGED), 500.0), ctx(after(90, CHANGED), 200.0, performing_lab="B")],
            "not_compared",
        ),
        (after(-400, AS_OF), [ctx(after(-410, AS_OF), 500.0)], "not_supplied"),
        # It waits in quarantine; one that waits from before three months have passed says nothing.
        (
            after(-400, AS_OF),
            [ctx(after(-410, AS_OF), 500.0), ctx(after(-300, AS_OF), 200.0, fate="quarantined")],
            "not_compared",
        ),
        (
            after(-400, AS_OF),
            [ctx(after(-410, AS_OF), 500.0), ctx(after(-380, AS_OF), 200.0, fate="quarantined")],
            "not_supplied",
        ),
        # One of before waits: it was supplied. Without one after there would be nothing to compare it with.
        (
            CHANGED,
            [ctx(after(-20, CHANGED), 500.0, fate="quarantined"), ctx(after(90, CHANGED), 200.0)],
            "not_compared",
        ),
        (CHANGED, [ctx(after(-20, CHANGED), 500.0, fate="quarantined")], "not_yet"),
        (after(-400, AS_OF), [ctx(after(-410, AS_OF), 500.0, fate="quarantined")], "not_supplied"),
        # Older than a year before the change, it is none of before.
        (
            CHANGED,
            [ctx(after(-366, CHANGED), 500.0, fate="quarantined"), ctx(after(90, CHANGED), 200.0)],
            "not_supplied",
        ),
        # An older one that is known is compared.
        (
            CHANGED,
            [
                ctx(after(-90, CHANGED), 500.0),
                ctx(after(-20, CHANGED), 510.0, fate="quarantined"),
                ctx(after(90, CHANGED), 200.0),
            ],
            "fell",
        ),
    ],
)  # fmt: skip
def test_bone_resorption_before_and_after(
    changed_on: date, results: list[dict[str, Any]], change: str
):
    assert stopped(changed_on, labs=results)["ctx_change"] == change


def compared(site: str, change_pct: float, verdict: str) -> dict[str, Any]:
    return {
        "patient_id": "p1",
        "site": site,
        "first_on": after(-200, CHANGED),
        "second_on": after(200, CHANGED),
        "change_pct": change_pct,
        "lsc_pct": 5.0,
        "lsc_verdict": verdict,
    }


def test_the_next_scan_is_judged_where_bone_changed_worst():
    row = stopped(
        dxa=[scan(after(-200, CHANGED)), scan(after(200, CHANGED))],
        exposures=[
            compared("lumbar_spine", 1.0, "no_measurable_change"),
            compared("total_hip", -6.0, "loss"),
            compared("femoral_neck", -9.0, "not_compared"),
            compared("total_body", -8.0, "loss"),
        ],
    )

    assert (row["next_scan_on"], row["next_scan_site"], row["next_scan_verdict"]) == (
        after(200, CHANGED), "total_hip", "loss",
    )  # fmt: skip
    assert (row["next_scan_first_on"], row["next_scan_change_pct"]) == (after(-200, CHANGED), -6.0)


@pytest.mark.parametrize(
    ("changed_on", "scans", "verdict"),
    [
        (CHANGED, [], "not_yet"),
        (after(-731, AS_OF), [], "not_supplied"),
        (CHANGED, [scan(after(30, CHANGED))], "not_compared"),
        # Fat, not bone.
        (CHANGED, [scan(after(30, CHANGED), site="total_body")], "not_yet"),
    ],
)
def test_without_a_scan_to_compare(changed_on: date, scans: list[dict[str, Any]], verdict: str):
    assert stopped(changed_on, dxa=scans)["next_scan_verdict"] == verdict


def test_a_change_of_testosterone_is_said():
    row = stopped(testosterone=[HELD, after(50, CHANGED), after(90, CHANGED)])

    assert row["testosterone_changed_on"] == after(50, CHANGED)
