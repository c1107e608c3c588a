"""Limit: a fitted one is proposed where it can be acted on, and taken into use on purpose only."""

from datetime import date

import polars as pl
import pytest

from e2analytics.curve import limit
from e2analytics.errors import TooLittleDataError
from e2analytics.settings import FitSettings, FlagSettings
from e2analytics.tables.limit_in_use import limit_in_use
from e2analytics.tables.snapshot import empty_table

JULY, AUGUST = date(2024, 7, 31), date(2024, 8, 31)
POOLED = FitSettings().primary_site


def curve(
    value: float | None = 17.0,
    ci: tuple[float | None, float | None] = (15.0, 19.0),
    *,
    site: str = "pooled",
    outcome: str = "annual_change_pct",
    supported: bool = True,
    model: str = "m1",
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "site": [site],
            "outcome": [outcome],
            "supported": [supported],
            "lower_limit_pg_ml": [value],
            "lower_limit_ci_low": [ci[0]],
            "lower_limit_ci_high": [ci[1]],
            "model_id": [model],
        },
        schema_overrides=dict.fromkeys(
            ("lower_limit_pg_ml", "lower_limit_ci_low", "lower_limit_ci_high"), pl.Float64
        ),
    )


def objection(*curves: pl.DataFrame) -> str:
    return limit.objection_to(pl.concat(curves), POOLED, FlagSettings())


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (curve(), ""),
        (curve(ci=(12.5, 20.0)), ""),
        (curve(None, (None, None), supported=False), "there is no supported limit"),
        (curve(supported=False), "there is no supported limit"),
        # Not plausible: below the red line, or above where any study has a threshold.
        (curve(9.0, (8.0, 10.0)), "the limit lies outside 10 to 30 pg/mL"),
        (curve(31.0, (29.0, 33.0)), "the limit lies outside 10 to 30 pg/mL"),
        (
            curve(ci=(12.5, 20.1)),
            "the ends of the 95 % interval of the limit are more than a ratio of 1.6 apart",
        ),
        (
            curve(ci=(None, 20.0)),
            "the ends of the 95 % interval of the limit are more than a ratio of 1.6 apart",
        ),
        # Never from the curve that happens to look best.
        (curve(site="total_hip"), "there is no supported limit"),
        (curve(outcome="risk_loss_lsc_2y"), "there is no supported limit"),
    ],
)
def test_a_limit_is_proposed_where_it_can_be_acted_on(found: pl.DataFrame, said: str):
    assert objection(found) == said


@pytest.mark.parametrize(
    ("hip", "contradicts"),
    [
        (curve(24.0, (19.1, 30.0), site="total_hip"), True),
        (curve(12.0, (10.0, 14.9), site="total_hip"), True),
        (curve(24.0, (19.0, 30.0), site="total_hip"), False),
        (curve(24.0, (19.1, 30.0), site="total_hip", supported=False), False),
        (curve(24.0, (19.1, 30.0), site="total_hip", outcome="risk_loss_lsc_2y"), False),
    ],
)
def test_a_site_whose_interval_excludes_the_limit_contradicts_it(
    hip: pl.DataFrame, contradicts: bool
):
    said = "the 95 % interval of the limit and that of the total hip exclude each other"
    assert objection(curve(), hip) == (said if contradicts else "")


def adopt(limits: pl.DataFrame, found: pl.DataFrame, as_of: date, reason: str) -> pl.DataFrame:
    return limit.adopt(limits, found, POOLED, FlagSettings(), as_of=as_of, reason=reason)


def test_an_adopted_limit_is_in_use_from_its_day_on_until_the_next():
    first = adopt(empty_table("limits"), curve(), JULY, "our own data")
    second = adopt(first, curve(18.0, model="m2"), AUGUST, "a year of data more")

    def in_use(limits: pl.DataFrame, as_of: date) -> tuple[float, str]:
        now = limit_in_use(limits, FlagSettings(), as_of=as_of)
        return now.lower_limit_pg_ml, now.source

    assert in_use(empty_table("limits"), JULY) == (16.0, "literature")
    assert in_use(second, date(2024, 7, 30)) == (16.0, "literature")
    assert in_use(second, JULY) == (17.0, "fitted")
    assert in_use(second, AUGUST) == (18.0, "fitted")
    assert second["reason"].to_list() == ["our own data", "a year of data more"]


def test_adopting_the_same_fit_again_on_its_day_changes_the_reason_alone():
    first = adopt(empty_table("limits"), curve(), JULY, "our own data")

    again = adopt(first, curve(), JULY, "our own data, agreed by the board")

    assert again.drop("reason").equals(first.drop("reason"))
    assert again["reason"].to_list() == ["our own data, agreed by the board"]


def test_what_is_not_proposed_cannot_be_adopted():
    with pytest.raises(
        TooLittleDataError, match="of the pooled curve, there is no supported limit"
    ):
        adopt(empty_table("limits"), curve(supported=False), JULY, "because")
