"""How the curve under other choices is told."""

from __future__ import annotations

import polars as pl
import pytest

from e2analytics.report.content import build
from e2analytics.report.external.report import release_reports
from e2analytics.report.sections.sensitivity import Sensitivity, describe_sensitivity
from e2analytics.tables import registry

Tables = dict[str, pl.DataFrame]


def told(tables: Tables) -> Sensitivity:
    found = describe_sensitivity(tables["curve_sensitivity"], tables["prescribing"])
    assert found is not None
    return found


def test_the_curve_as_chosen_stands_first_and_the_textbook_apart(tables: Tables) -> None:
    found = told(tables)

    assert found.variants[0].name == "As chosen beforehand"
    assert {choice.name for choice in found.variants[1:]} == {
        "No covariates",
        "Each man against himself (fixed effects)",
        "With men on bone drugs",
        "Only men under 50",
        "Only BMI under 30",
        "Only E2 by mass spectrometry throughout",
    }
    assert [test.finding for test in found.tests] == [
        "What two_lines finds.",
        "What textbook_quadratic finds.",
    ]


def test_how_much_the_curve_leans_on_choices_is_summed_up(tables: Tables) -> None:
    assert told(tables).summary == (
        "Each row changes one choice and leaves the rest. The shape stays the same in 4 of 5 other "
        "fits. Lower limits, where there is one: 16.1 to 17.2 pg/mL."
    )


def test_without_any_limit_the_sum_says_so(tables: Tables) -> None:
    none = tables["curve_sensitivity"].with_columns(
        lower_limit_pg_ml=pl.lit(None, dtype=pl.Float64)
    )

    assert told({**tables, "curve_sensitivity": none}).summary.endswith(
        "No fit gives a lower limit."
    )


@pytest.mark.parametrize(
    ("variant", "data", "limits", "effect", "effect_interval", "note"),
    [
        ("No covariates", "338 (341)", "lower 17.2 (14.1 to 20.6)", "−1.9", "−2.2 to −1.2", ""),
        (
            "With men on bone drugs",
            "338 (341)",
            "lower 17.2 (14.1 to 20.6)",
            "−1.7",
            "−2.2 to −1.2",
            "no pair of a man on them could be used",
        ),
        (
            "Only men under 50",
            "338 (341)",
            "lower 16.1 (14.1 to 20.6)",
            "−1.7",
            "−2.2 to −1.2",
            "the shape is not shown to differ from that of the other group (p = 0.34)",
        ),
        ("Only BMI under 30", "338 (341)", "–", "–", "", "a curve needs at least 30 men"),
    ],
)
def test_a_choice_is_said_in_numbers_and_with_its_reason(
    tables: Tables,
    variant: str,
    data: str,
    limits: str,
    effect: str,
    effect_interval: str,
    note: str,
) -> None:
    choice = next(each for each in told(tables).variants if each.name == variant)

    assert (choice.data, choice.limits, choice.effect) == (data, limits, effect)
    assert (choice.effect_interval, choice.note) == (effect_interval, note)


def test_a_very_small_p_is_not_written_out(tables: Tables) -> None:
    by_ms = next(each for each in told(tables).variants if "mass" in each.name)

    assert by_ms.note == "the shape differs from that of the other group (p < 0.001)"


def test_shapes_are_compared_by_their_error_in_men_left_out(tables: Tables) -> None:
    assert [(s.name, s.error, s.judgement) for s in told(tables).shapes] == [
        ("Straight line", "2.341", "worse than the best (p = 0.02)"),
        ("Spline", "2.250", "best of the four"),
    ]


def test_who_is_given_the_drug_is_said_where_it_matters(tables: Tables) -> None:
    found = told(tables)

    assert found.who_is_given.startswith(
        "Men given anastrozole differ from the others: higher E2 off the drug."
    )
    bmd = found.characteristics[-1]
    assert (bmd.name, bmd.given) == ("BMD at the first scan, g/cm²", "1.131 (120)")
    alike = tables["prescribing"].with_columns(standardised_difference=pl.lit(0.1))
    assert told({**tables, "prescribing": alike}).who_is_given.startswith(
        "Men given anastrozole hardly differ"
    )


def test_nothing_varied_leaves_the_section_out(tables: Tables) -> None:
    names = ("curve_sensitivity", "prescribing")
    nothing = {name: registry.TABLES[name].empty() for name in names}

    assert describe_sensitivity(nothing["curve_sensitivity"], nothing["prescribing"]) is None
    assert build({**tables, **nothing}, month="2026-09").curves.sensitivity is None


def test_none_of_it_leaves_the_clinic(tables: Tables) -> None:
    for report in release_reports(tables, month="2026-09", base=5):
        assert report.curves.sensitivity is None
