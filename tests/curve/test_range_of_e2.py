"""The upper end of the sweet spot: earned by the lowest outcome, or not there."""

from typing import Any

import polars as pl
import pytest

from e2analytics.curve.range_of_e2 import UpperEnd, upper_end
from e2analytics.settings import FlagSettings
from e2analytics.tables.registry import schema_of

BONE = {
    "site": "pooled",
    "outcome": "annual_change_pct",
    "verdict": "u_shaped",
    "upper_limit_pg_ml": 40.0,
    "upper_limit_supported": True,
}


def outcome(
    kind: str, verdict: str | None = "high_side_threshold", **changes: Any
) -> dict[str, Any]:
    return {
        "site": "whole_man",
        "outcome": f"hazard_{kind}_1y",
        "verdict": verdict,
        "upper_limit_supported": False,
        **changes,
    }


def limited(kind: str, e2: float, low: float, high: float, **changes: Any) -> dict[str, Any]:
    limit = {"upper_limit_pg_ml": e2, "upper_limit_ci_low": low, "upper_limit_ci_high": high}
    return outcome(kind, **{"upper_limit_supported": True, **limit, **changes})


def found(*rows: dict[str, Any]) -> UpperEnd:
    return upper_end(pl.DataFrame(rows, schema=schema_of("curve_summary")), FlagSettings())


def test_the_lowest_earned_and_supported_limit_is_the_upper_end():
    end = found(
        BONE,
        limited("gynaecomastia", 52.0, 47.0, 58.0),
        limited("fluid_retention", 46.0, 43.0, 51.0),
        limited("mood", 44.0, 30.0, 60.0, upper_limit_supported=False),
        limited("hot_flush", 41.0, 39.0, 43.0, verdict="inconclusive"),
    )

    assert end == UpperEnd(46.0, 43.0, 51.0, "hazard_fluid_retention_1y", settled=True)


def test_an_interval_whose_ends_lie_more_than_a_ratio_of_1_6_apart_is_not_settled():
    assert not found(limited("mood", 44.0, 30.0, 49.0)).settled
    assert found(limited("mood", 44.0, 30.0, 47.0)).settled


def test_a_limit_without_an_end_of_its_interval_is_an_upper_end_that_is_not_settled():
    end = found(limited("mood", 44.0, 30.0, 47.0, upper_limit_ci_low=None))

    assert (end.e2_pg_ml, end.ci_low, end.ci_high, end.settled) == (44.0, None, 47.0, False)


@pytest.mark.parametrize(
    ("rows", "why_not"),
    [
        ([BONE], "no feed supplies symptoms by kind, fractures or haematocrit"),
        ([BONE, outcome("mood", None)], "no outcome beyond bone has enough first events"),
        (
            [outcome("mood", "inconclusive"), outcome("low_libido", "low_side_threshold")],
            "no outcome beyond bone shows harm at high E2",
        ),
        (
            [outcome("mood", "falling"), outcome("fracture", None)],
            "harm at high E2 is shown, but these data do not say from which E2 on",
        ),
    ],
)
def test_where_there_is_none_it_says_why(rows: list[dict[str, Any]], why_not: str):
    assert found(*rows) == UpperEnd(why_not=why_not)
