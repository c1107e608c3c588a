"""Who is listed, in which order, and what is said of him."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from e2analytics.report.sections import headlines, men

Tables = dict[str, pl.DataFrame]
MONTH = "2026-09"
NO_BONE = {
    "reasons": pl.lit(""),
    "bone_class": pl.lit(None, dtype=pl.String),
    "loss_exceeds_lsc": pl.lit(None, dtype=pl.Boolean),
    "bmd_change_pct_per_year": pl.lit(None, dtype=pl.Float64),
}


def flagged(flags: pl.DataFrame) -> men.Flagged:
    return men.flagged(flags, month=MONTH)


def first_man(tables: Tables, **changes: Any) -> men.FlaggedMan:
    """The first flagged man of the run with some of his columns changed."""
    types = tables["flags"].schema
    one = tables["flags"].head(1).with_columns(
        pl.lit(value, dtype=types[name]).alias(name) for name, value in changes.items()
    )  # fmt: skip
    found = flagged(one)
    return [*found.pressing, *found.watch][0]


def test_every_open_flag_is_listed_once(tables: Tables) -> None:
    found = flagged(tables["flags"])

    listed = [man.patient_id for man in (*found.pressing, *found.watch)]

    assert sorted(listed) == sorted(tables["flags"]["patient_id"])
    assert found.total.total == len(listed) == sum(clinic.total for clinic in found.clinics)


def test_critical_men_come_first_and_among_them_those_most_likely_below_the_red_line() -> None:
    flags = pl.DataFrame(
        {
            "patient_id": ["watch", "high", "low_chance", "no_chance", "high_chance"],
            "tier": ["watch", "high", "critical", "critical", "critical"],
            "p_below_red_line": [0.9, 0.9, 0.6, None, 0.8],
        }
    )

    ordered = men.most_pressing_first(flags.with_columns(p_attributable=pl.lit(0.5), **NO_BONE))

    expected = ["high_chance", "low_chance", "no_chance", "high", "watch"]
    assert ordered["patient_id"].to_list() == expected


def test_within_a_tier_bone_goes_before_laboratory() -> None:
    rows: list[dict[str, Any]] = [
        {"patient_id": "e2"},
        {"patient_id": "e2_and_denosumab", "reasons": "denosumab_not_followed"},
        {"patient_id": "e2_and_glucocorticoid", "reasons": "on_glucocorticoid_now"},
        {"patient_id": "low_e2", "p_below_red_line": 0.8},
        {"patient_id": "lost_3", "loss_exceeds_lsc": True, "bmd_change_pct_per_year": -3.0},
        {"patient_id": "lost_6", "loss_exceeds_lsc": True, "bmd_change_pct_per_year": -6.0},
        {
            "patient_id": "changed_within_noise",
            "loss_exceeds_lsc": False,
            "bmd_change_pct_per_year": -2.0,
            "p_below_red_line": 0.7,
        },
        {"patient_id": "osteoporosis", "bone_class": "osteoporosis"},
        {"patient_id": "fracture", "reasons": "old_order; fracture_on_the_drug"},
    ]
    same = {
        "tier": "high",
        "p_below_red_line": 0.2,
        "p_attributable": 0.5,
        "reasons": "",
        "bone_class": None,
        "loss_exceeds_lsc": None,
        "bmd_change_pct_per_year": None,
    }

    ordered = men.most_pressing_first(
        pl.DataFrame([same | row for row in rows], infer_schema_length=None)
    )

    assert ordered["patient_id"].to_list() == [
        "fracture",
        "osteoporosis",
        "lost_6",
        "lost_3",
        "low_e2",
        "changed_within_noise",
        "e2_and_glucocorticoid",
        "e2_and_denosumab",
        "e2",
    ]


def test_a_resolved_flag_is_counted_and_not_listed(tables: Tables) -> None:
    flags = tables["flags"]
    resolved = flags.with_columns(
        state=pl.when(pl.int_range(pl.len()) < 3).then(pl.lit("resolved")).otherwise("state")
    )

    found = flagged(resolved)

    assert found.n_resolved == 3
    assert found.total.total == flags.height - 3


def test_flags_count_as_of_the_month_when_the_man_was_first_flagged_in_it(tables: Tables) -> None:
    first = tables["flags"]["first_flagged_on"]
    in_september = ((first.dt.year() == 2026) & (first.dt.month() == 9)).sum()
    assert flagged(tables["flags"]).n_first_flagged == in_september > 0
    assert men.flagged(tables["flags"], month="2025-09").n_first_flagged == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"last_e2_low_pg_ml": 0.0, "last_e2_high_pg_ml": 5.0}, {"last_e2": "<5.0"}),
        ({"last_e2_on": None, "assay": None}, {"last_e2_about": "no draw"}),
        (
            {"last_e2_on": date(2026, 9, 14), "assay": "unknown"},
            {"last_e2_about": "IA?, 2026-09-14"},
        ),
        ({"loss_exceeds_lsc": True}, {"bmd_verdict": "loss > LSC"}),
        ({"loss_exceeds_lsc": False}, {"bmd_verdict": "no loss > LSC"}),
        ({"loss_exceeds_lsc": None}, {"bmd_verdict": "no scan pair"}),
        ({"t_score_min": None, "z_score_min": None}, {"scores": ""}),
        ({"weekly_anastrozole_mg": None}, {"weekly_mg": "–"}),
        ({"review_note": None}, {"note": ""}),
    ],
)
def test_what_is_said_of_a_man(
    tables: Tables, change: dict[str, Any], said: dict[str, str]
) -> None:
    man = first_man(tables, **change)
    assert {name: getattr(man, name) for name in said} == said


def test_no_estimate_is_shown_where_the_model_does_not_know_the_drug(tables: Tables) -> None:
    man = first_man(tables, reasons="other_aromatase_inhibitor; result_below_red_line")

    shown = (man.e2_expected, man.e2_interval, man.e2_off_drug)
    chances = (man.chance_below_range, man.chance_attributable, man.chance_below_red_line)

    assert {*shown, *chances} == {"–"}
    assert man.last_e2 != "–"


@pytest.mark.parametrize(("weekly_mg", "shown"), [(0.0, "–"), (1.0, "1.00")])
def test_a_dose_of_anastrozole_is_shown_on_another_inhibitor_only_if_he_takes_both(
    tables: Tables, weekly_mg: float, shown: str
) -> None:
    man = first_man(tables, reasons="other_aromatase_inhibitor", weekly_anastrozole_mg=weekly_mg)

    assert man.weekly_mg == shown


def test_men_are_counted_by_what_can_be_said_of_them(tables: Tables) -> None:
    counts = men.tally(tables["cohort"], tables["patients"], n_died_or_left=9)

    assert (counts.n_known, counts.n_anastrozole, counts.n_other_inhibitor) == (600, 200, 6)
    judged = counts.n_below_range + counts.n_low_not_attributable + counts.n_in_range
    assert counts.n_assessed == judged == 171


def test_men_who_are_not_judged_are_counted_by_reason_and_those_without_a_man_left_out(
    tables: Tables,
) -> None:
    apart = {"under_18": 1, "treated_for_cancer": 0, "not_on_testosterone": 2}

    counts = men.tally(tables["cohort"], tables["patients"], n_died_or_left=0, not_judged=apart)

    assert counts.not_judged == (("under_18", 1), ("not_on_testosterone", 2))
    assert headlines._other(counts).endswith(
        "Others on such a drug are not judged (under 18: 1, not on testosterone: 2)."
    )


def test_a_man_with_two_reasons_is_one_man_and_counts_under_both() -> None:
    cohort = pl.DataFrame(
        {
            "patient_id": ["a", "b", "c"],
            "clinic_id": ["north", "north", "south"],
            "status": ["not_assessable", "not_assessable", "in_range"],
            "reasons": [
                "e2_too_uncertain; dose_unknown; old_order",
                "e2_too_uncertain",
                "old_order",
            ],
        }
    )

    found = men.not_assessable(cohort)

    assert (found.n_men, found.n_in_cohort) == (2, 3)
    assert found.reasons == (
        men.Group("too little is known of his E2 now", 2),
        men.Group("dose unknown", 1),
    )
    assert found.clinics == (men.Group("north", 2),)


def test_a_man_without_a_reason_is_not_lost() -> None:
    man = {"patient_id": "a", "clinic_id": "north", "status": "not_assessable", "reasons": ""}
    assert men.not_assessable(pl.DataFrame([man])).reasons == (men.Group("no reason given", 1),)
