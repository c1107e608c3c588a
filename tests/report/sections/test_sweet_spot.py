"""The sweet spot in words and lanes."""

from typing import Any

import polars as pl
import pytest

from e2analytics.report.charts.sweet_spot import sweet_spot_svg
from e2analytics.report.sections.sweet_spot import LanePoint, SweetSpot, bone_lane, describe
from e2analytics.settings import FlagSettings
from e2analytics.tables.registry import schema_of
from tests.curve.test_range_of_e2 import limited, outcome

BONE = bone_lane(
    "low_side_threshold", (LanePoint(12.0, 1.5, 1.0, 2.0), LanePoint(60.0, 0.1, -0.2, 0.4))
)
FACTS = {
    "delta": 0.05,
    "n_patients": 1200,
    "n_intervals": 9000,
    "n_events": 240,
    "covariates": "age, BMI",
    "supported": False,
}
FLUID = FACTS | limited("fluid_retention", 46.0, 43.0, 51.0)


def points(kind: str) -> list[dict[str, Any]]:
    shared = {
        "site": "whole_man",
        "outcome": f"hazard_{kind}_1y",
        "n_effective": 90,
        "model_id": "m",
    }
    return [
        {
            **shared,
            "e2_pg_ml": e2,
            "estimate": risk,
            "ci_low": risk,
            "ci_high": risk,
            "band_low": risk / 2,
            "band_high": 2 * risk,
            "supported": supported,
        }
        for e2, risk, supported in ((10.0, 0.04, False), (14.0, 0.04, True), (55.0, 0.2, True))
    ]


def described(*rows: dict[str, Any], in_use: float = 16.0) -> SweetSpot:
    kinds = [row["outcome"].removeprefix("hazard_").removesuffix("_1y") for row in rows]
    drawn = [point for kind in kinds for point in points(kind)]
    return describe(
        pl.DataFrame(drawn, schema=schema_of("curve")),
        pl.DataFrame(rows, schema=schema_of("curve_summary")),
        BONE,
        lower=(in_use, "The lower limit in use is 16 pg/mL."),
        rules=FlagSettings(),
    )


def test_two_earned_ends_are_a_range():
    spot = described(FLUID)

    assert spot.sentence == "The range is 16 to 46.0 pg/mL."
    assert spot.upper == (
        "46.0 pg/mL (95 % interval 43.0 to 51.0), from fluid retention, the first outcome whose risk is shown to "
        "rise towards high E2."
    )
    assert [(lane.name, lane.shows_low, lane.shows_high) for lane in spot.lanes] == [
        ("bone loss", True, False),
        ("fluid retention", False, True),
    ]
    # Only what is supported is drawn, in per cent.
    assert spot.lanes[1].points == (
        LanePoint(14.0, 4.0, 2.0, 8.0), LanePoint(55.0, 20.0, 10.0, 40.0),
    )  # fmt: skip
    (row,) = spot.rows
    assert (row.name, row.n_men, row.n_events, row.lower_limit) == (
        "Fluid retention", "1,200", "240", "–",
    )  # fmt: skip
    assert row.verdict == "A plateau, then fluid retention more often at high E2"
    assert row.upper_limit == "46.0 (43.0 to 51.0)"


def test_with_bone_alone_there_is_only_a_lower_end_and_no_picture():
    spot = described()

    assert spot.sentence == (
        "Only a lower end is known, 16 pg/mL; an upper end is not identifiable: no feed supplies symptoms by kind, "
        "fractures or haematocrit."
    )
    assert (spot.upper_pg_ml, spot.lanes, spot.rows) == (None, (), ())


def test_ends_that_cross_name_no_range():
    spot = described(FACTS | limited("mood", 15.0, 14.0, 16.0))

    assert spot.sentence == (
        "The ends cross: bone asks for 16 pg/mL or more, and mood complaints for 15.0 pg/mL or less. No range is "
        "named."
    )


def test_an_outcome_that_was_not_fitted_says_why_and_has_no_lane():
    too_few = {
        "n_events": 9,
        "why_not": "a curve of first events needs at least 50 events; there are 9.",
    }

    spot = described(FLUID, FACTS | outcome("fracture", None, **too_few))

    assert [lane.name for lane in spot.lanes] == ["bone loss", "fluid retention"]
    assert spot.rows[1].verdict == (
        "Not fitted: a curve of first events needs at least 50 events; there are 9"
    )


def test_a_rare_outcome_without_a_difference_is_not_called_harmless():
    spot = described(FACTS | outcome("fracture", "flat"))

    assert spot.rows[0].verdict == "No difference of 5 in 100 men; a smaller one is not ruled out"
    assert (spot.lanes[1].bottom, spot.lanes[1].least_top) == (0.0, 10.0)


@pytest.mark.parametrize("rows", [(FLUID,), (FACTS | outcome("mood", "inconclusive"),)])
def test_the_picture_names_every_lane_and_each_end(rows: tuple[dict[str, Any], ...]):
    spot = described(*rows)

    svg = sweet_spot_svg(spot)

    for words in ("bone loss", spot.lanes[1].name, "16 lower end", "E2, pg/mL (log axis)"):
        assert words in svg
    assert ("46.0 upper end" in svg) == (rows == (FLUID,))
    assert svg == sweet_spot_svg(spot)
