"""Cohort: who is in it, and at which dose."""

from datetime import date

import pytest

from tests.flags.men import DANGER, ago, judge, order


def test_a_renewal_at_the_same_dose_is_no_change_of_dose():
    renewed = [order(stopped_on=ago(5)), order(started_on=ago(5), source_line=3)]

    row = judge(renewed).row(0, named=True)

    assert row["status"] == "in_range"


@pytest.mark.parametrize(
    ("stopped", "in_cohort"), [(None, True), (ago(14), True), (ago(15), False), (ago(0), True)]
)
def test_the_cohort_is_who_takes_the_drug_or_stopped_within_14_days(
    stopped: date | None, in_cohort: bool
):
    assert len(judge([order(stopped_on=stopped)])) == int(in_cohort)


@pytest.mark.parametrize(
    ("events", "in_cohort"),
    [
        ([("died", ago(10))], False),
        ([("left_clinic", ago(10))], False),
        # A new order after he left, or a renewal of the old one: he came back.
        ([("left_clinic", ago(310))], True),
        ([("fracture", ago(10))], True),
    ],
)
def test_men_who_died_or_left_are_not_in_the_cohort(
    events: list[tuple[str, date]], in_cohort: bool
):
    assert len(judge(events=events)) == int(in_cohort)


def test_a_renewal_after_he_left_brings_a_man_back():
    renewed = [order(stopped_on=ago(100)), order(started_on=ago(100), source_line=3)]

    assert len(judge(renewed, events=[("left_clinic", ago(200))])) == 1
    assert len(judge(renewed, events=[("left_clinic", ago(50))])) == 0


def test_a_forgotten_order_of_another_inhibitor_does_not_silence_a_man():
    both = [order(), order(drug="letrozole", started_on=ago(1800), source_line=3)]

    calm, danger = judge(both), judge(both, man=DANGER)

    assert (calm["status"][0], calm["tier"][0]) == ("not_assessable", "watch")
    assert "two_aromatase_inhibitors" in calm["reasons"][0].split("; ")
    assert (danger["status"][0], danger["tier"][0]) == ("not_assessable", "critical")


def test_a_man_who_changed_to_anastrozole_takes_one_inhibitor():
    changed = [
        order(drug="letrozole", stopped_on=ago(10)),
        order(started_on=ago(10), source_line=3),
    ]

    row = judge(changed).row(0, named=True)

    assert "two_aromatase_inhibitors" not in row["reasons"]
    assert (row["status"], row["tier"]) == ("not_assessable", "none")
