"""Limit: the first supported fit is taken into use, later ones only on purpose."""

from datetime import date

import polars as pl
import pytest

from e2analytics.curve import limit
from e2analytics.errors import TooLittleDataError
from e2analytics.settings import FitSettings, FlagSettings
from e2analytics.tables.limit_in_use import limit_in_use
from e2analytics.tables.snapshot import empty_table

TODAY = date(2024, 6, 30)


def summary(
    value: float | None, *, site: str = "lumbar_spine", supported: bool = True, model: str = "m1"
):
    return pl.DataFrame(
        [
            {
                "site": site,
                "outcome": "annual_change_pct",
                "supported": supported,
                "lower_limit_pg_ml": value,
                "lower_limit_ci_low": 15.0,
                "lower_limit_ci_high": 19.0,
                "model_id": model,
            }
        ],
        schema_overrides={"lower_limit_pg_ml": pl.Float64},
    )


def adopt(
    limits: pl.DataFrame, found: pl.DataFrame, as_of: date = TODAY, reason: str | None = None
):
    return limit.adopt(limits, found, FitSettings(), FlagSettings(), as_of=as_of, reason=reason)


@pytest.mark.parametrize(
    ("found", "in_use"),
    [
        (summary(17.0), (17.0, "fitted")),
        (summary(None, supported=False), (16.0, "literature")),
        (summary(17.0, supported=False), (16.0, "literature")),
        # Not plausible: below the red line, or above where any study has a threshold.
        (summary(9.0), (16.0, "literature")),
        (summary(31.0), (16.0, "literature")),
        # Never from the curve that happens to look best.
        (summary(17.0, site="total_hip"), (16.0, "literature")),
    ],
)
def test_the_first_limit(found: pl.DataFrame, in_use: tuple[float, str]):
    limits = adopt(empty_table("limits"), found)

    now = limit_in_use(limits, FlagSettings(), as_of=TODAY)
    assert (now.lower_limit_pg_ml, now.source) == in_use


def test_a_later_fit_moves_nothing_until_it_is_adopted():
    first = adopt(empty_table("limits"), summary(17.0))
    july, august = date(2024, 7, 31), date(2024, 8, 31)

    refitted = adopt(first, summary(19.0, model="m2"), july)
    adopted = adopt(refitted, summary(19.0, model="m2"), august, reason="a year of data more")

    assert limit_in_use(refitted, FlagSettings(), as_of=july).lower_limit_pg_ml == 17.0
    assert limit_in_use(adopted, FlagSettings(), as_of=august).lower_limit_pg_ml == 19.0
    # As of July it is still the old one.
    assert limit_in_use(adopted, FlagSettings(), as_of=july).lower_limit_pg_ml == 17.0
    assert adopted["reason"].to_list() == ["first supported fit", "a year of data more"]


def test_there_must_be_a_limit_to_adopt():
    with pytest.raises(TooLittleDataError, match="no fitted limit to adopt"):
        adopt(empty_table("limits"), summary(None, supported=False), reason="because")
