"""Bone: what is found, and whether a plan has followed it."""

from datetime import date
from typing import Any

import pytest

from e2analytics.flags import bone, explanation
from tests.flags.men import ago, criteria, draw, judge, known_of, order, pair, scan

ALENDRONATE: dict[str, Any] = {"drug": "alendronate", "drug_class": "bisphosphonate"}
DENOSUMAB: dict[str, Any] = {"drug": "denosumab", "drug_class": "denosumab"}
SPINE = {"site": "lumbar_spine"}
WITHIN_NOISE = {"lsc_verdict": "no_measurable_change", "change_pct": -2.0}
EARLIER = {
    "first_scan_id": "s0",
    "second_scan_id": "s1",
    "first_on": ago(1700),
    "second_on": ago(900),
}


def of(**rows: Any) -> dict[str, Any]:
    data, estimates = known_of(**rows)
    return bone.of_men(data, estimates.exposures, criteria()).row(0, named=True)


def reasons(**rows: Any) -> list[str]:
    return judge(**rows)["reasons"][0].split("; ")


@pytest.mark.parametrize(
    ("events", "orders", "fractured_on"),
    [
        ([("fracture", ago(40))], [order()], ago(40)),
        ([("fracture", ago(40)), ("fracture", ago(20))], [order()], ago(20)),
        # Before the drug, or after it was washed out, it is none on the drug.
        ([("fracture", ago(301))], [order()], None),
        (
            [("fracture", ago(600))],
            [order(started_on=ago(900), stopped_on=ago(615)), order()],
            None,
        ),
        (
            [("fracture", ago(600))],
            [order(started_on=ago(900), stopped_on=ago(614)), order()],
            ago(600),
        ),
        ([("symptom", ago(40))], [order()], None),
    ],
)
def test_a_fracture_on_the_drug(
    events: list[tuple[str, date]], orders: list[dict[str, Any]], fractured_on: date | None
):
    assert of(events=events, orders=orders)["fractured_on"] == fractured_on


@pytest.mark.parametrize(
    ("more", "planned"),
    [
        ({}, False),
        ({"events": [("bone_plan", ago(60))]}, True),
        ({"events": [("bone_plan", ago(61))]}, False),
        ({"orders": [order(), order(started_on=ago(30), **ALENDRONATE)]}, True),
        # A drug for bone that he took already is a plan; one that had ended is none.
        ({"orders": [order(), order(started_on=ago(900), **ALENDRONATE)]}, True),
        (
            {"orders": [order(), order(started_on=ago(900), stopped_on=ago(60), **ALENDRONATE)]},
            False,
        ),
        # A plan that waits in quarantine is no lack of care.
        ({"waiting": [("bone_plan", ago(5))]}, True),
    ],
)
def test_what_is_a_plan(more: dict[str, Any], planned: bool):
    found = of(bone_class="osteoporosis", **more)

    assert found["bone_finding_on"] == (None if planned else ago(60))


def test_a_plan_before_a_fracture_is_no_plan_since():
    planned_once = [("bone_plan", ago(50)), ("fracture", ago(40))]

    assert of(bone_class="osteoporosis", events=planned_once)["bone_finding_on"] == ago(40)


def test_a_plan_counts_from_the_first_scan_that_showed_it():
    scanned = [
        scan(scan_id="s1", scanned_on=ago(800), bone_class="osteoporosis"),
        scan(bone_class="osteoporosis"),
    ]

    assert of(scanned=scanned)["bone_finding_on"] == ago(800)
    assert of(scanned=scanned, events=[("bone_plan", ago(700))])["bone_finding_on"] is None


@pytest.mark.parametrize(
    ("paired", "repeated"),
    [
        ([pair()], False),
        ([pair(), pair(**SPINE)], True),
        ([pair(), pair(**SPINE, **WITHIN_NOISE)], False),
        # Twice on end at one site.
        ([pair(**EARLIER), pair()], True),
        ([pair(**EARLIER), pair(**WITHIN_NOISE)], False),
        # A site that lost once, and another that lost once before it and is steady now.
        ([pair(), pair(**SPINE, **EARLIER), pair(**SPINE, **WITHIN_NOISE)], False),
        # The forearm is none of the three sites.
        ([pair(), pair(site="one_third_radius")], False),
    ],
)
def test_a_loss_at_two_sites_or_twice_at_one(paired: list[dict[str, Any]], repeated: bool):
    assert bool(of(paired=paired)["loss_repeated"]) is repeated
    assert ("bone_loss_repeated" in reasons(paired=paired)) is repeated


@pytest.mark.parametrize(
    ("rows", "tier"),
    [
        # H23: hip fracture on anastrozole, T -1.8, E2 30.
        ({"bone_class": "low_bone_mass", "events": [("fracture", ago(50))]}, "high"),
        (
            {
                "bone_class": "low_bone_mass",
                "events": [("fracture", ago(50)), ("bone_plan", ago(9))],
            },
            "watch",
        ),
        # H48: T -3.0, -15 % in 14 months, E2 20.
        ({"bone_class": "osteoporosis", "paired": [pair(change_pct=-15.8, lsc_pct=5.3)]}, "high"),
        ({"paired": [pair(), pair(**SPINE)]}, "high"),
        ({"paired": [pair(), pair(**SPINE)], "events": [("bone_plan", ago(59))]}, "watch"),
    ],
)
def test_bone_goes_before_laboratory(rows: dict[str, Any], tier: str):
    in_range = [draw(value_low=30.0, value_high=30.0)]

    row = judge(draws=in_range, **rows).row(0, named=True)

    assert (row["status"], row["tier"]) == ("in_range", tier)
    assert ("no_bone_plan_since" in row["reasons"].split("; ")) is (tier == "high")


@pytest.mark.parametrize(
    ("orders", "said"),
    [
        ([order(drug="prednisone", drug_class="glucocorticoid")], ["on_glucocorticoid_now"]),
        ([order(drug="prednisone", drug_class="glucocorticoid", stopped_on=ago(1))], []),
        ([order(**DENOSUMAB, stopped_on=ago(200))], ["denosumab_not_followed"]),
        ([order(**DENOSUMAB)], []),
        ([order(**DENOSUMAB, stopped_on=ago(200)), order(**ALENDRONATE, started_on=ago(190))], []),
    ],
)
def test_what_adds_risk_is_said_and_is_no_ground_for_a_flag(
    orders: list[dict[str, Any]], said: list[str]
):
    row = judge([order(), *orders]).row(0, named=True)

    assert row["tier"] == "none"
    assert [
        name
        for name in row["reasons"].split("; ")
        if name in ("on_glucocorticoid_now", "denosumab_not_followed")
    ] == said


@pytest.mark.parametrize(("days", "said"), [(1826, True), (1827, False)])
def test_a_scan_older_than_five_years_supports_no_flag(days: int, said: bool):
    scanned = [scan(scanned_on=ago(days), t_score=-2.7, bone_class="osteoporosis")]
    paired = [
        pair(site=site, first_on=ago(days + 500), second_on=ago(days))
        for site in ("total_hip", "lumbar_spine")
    ]
    named = {"osteoporosis", "bone_loss_exceeds_lsc", "bone_loss_repeated", "no_bone_plan_since"}

    row = judge(scanned=scanned, paired=paired).row(0, named=True)

    assert named & set(row["reasons"].split("; ")) == (named if said else set())
    assert row["tier"] == ("high" if said else "none")
    assert row["t_score_min"] == (-2.7 if said else None)


def test_an_old_hip_beside_a_spine_of_this_year_is_no_osteoporosis():
    """H42: hip T -2.7 in 2012 only, spine -1.2 this year."""
    scanned = [
        scan(scan_id="s1", scanned_on=date(2012, 6, 20), t_score=-2.7, bone_class="osteoporosis"),
        scan(**SPINE, t_score=-1.2, bone_class="low_bone_mass"),
    ]

    row = judge(scanned=scanned).row(0, named=True)

    assert (row["tier"], row["t_score_min"], row["bone_class"]) == ("none", -1.2, "low_bone_mass")


def test_a_loss_names_its_site_with_the_change_of_the_same_pair():
    paired = [pair(**SPINE, **WITHIN_NOISE, annual_change_pct=-3.9), pair()]

    row = judge(paired=paired).row(0, named=True)

    assert (row["bmd_change_site"], row["bmd_change_pct_per_year"]) == ("total_hip", -2.6)
    assert "Bone lost beyond LSC at total hip: -2.6 % a year." in row["rationale"]


def test_where_no_loss_exceeds_lsc_none_is_named():
    assert "Bone lost" not in judge(paired=[pair(**WITHIN_NOISE)])["rationale"][0]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ([], "chance alone shows this more often than LSC says"),
        (["bone_loss_repeated"], "a second site or a second time says more than chance"),
    ],
)
def test_the_paragraph_says_what_three_sites_do_to_chance(more: list[str], said: str):
    man = {"bmd_change_site": "total_hip", "bmd_change_pct_per_year": -2.6}

    words = explanation._bone_lost(man, ["bone_loss_exceeds_lsc", *more])

    assert words.startswith(
        "Bone lost beyond its least significant change at the total hip, 2.6 % a year; "
    )
    assert words.endswith(f"{said}.")
    assert explanation._bone_lost(man, []) == ""
