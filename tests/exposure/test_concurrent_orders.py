"""Orders of one drug side by side: on different days of the week they add up."""

import polars as pl
import pytest

from e2analytics.exposure.episodes import find_episodes, present_dose
from tests.exposure.orders import day, orders

Order = tuple[int, int | None, float | None, str | None]
MON, THU = "mon", "thu"


def episodes(*given: Order) -> pl.DataFrame:
    rows = [("anastrozole", start, stop, mg) for start, stop, mg, _ in given]
    days = pl.Series([weekdays for *_, weekdays in given], dtype=pl.String)
    return find_episodes(orders(*rows).with_columns(weekdays=days))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # Half a milligram on Mondays and as much on Thursdays, a week later, is 1 mg a week.
        ([(0, None, 0.5, MON), (7, None, 0.5, THU)], [(0, 7, 0.5, False), (7, None, 1.0, False)]),
        (
            [(0, None, 1.0, "mon wed"), (0, None, 0.5, "fri"), (30, None, 0.25, "sun")],
            [(0, 30, 1.5, False), (30, None, 1.75, False)],
        ),
        # One of them ends.
        (
            [(0, 60, 0.5, MON), (7, None, 0.5, THU)],
            [(0, 7, 0.5, False), (7, 60, 1.0, False), (60, None, 0.5, False)],
        ),
        # A renewal on the same days at the same dose is no second order.
        (
            [(0, None, 0.5, MON), (7, None, 0.5, THU), (90, None, 0.5, MON)],
            [(0, 7, 0.5, False), (7, None, 1.0, False)],
        ),
        # Another dose on the same day, a day in common, days that are not said: nobody knows.
        ([(0, None, 0.5, MON), (30, None, 1.0, MON)], [(0, 30, 0.5, False), (30, None, None, True)]),
        (
            [(0, None, 1.0, "mon thu"), (30, None, 1.5, "mon wed fri")],
            [(0, 30, 1.0, False), (30, None, None, True)],
        ),
        ([(0, None, 0.5, MON), (30, None, 0.5, None)], [(0, 30, 0.5, False), (30, None, None, True)]),
        ([(0, None, 0.5, None), (30, None, 0.5, THU)], [(0, 30, 0.5, False), (30, None, None, True)]),
        # Stopped in time, it was replaced.
        ([(0, 30, 0.5, MON), (30, None, 1.0, MON)], [(0, 30, 0.5, False), (30, None, 1.0, False)]),
        # An unknown dose makes the sum unknown; a hold ends both.
        ([(0, None, None, MON), (7, None, 0.5, THU)], [(0, 7, None, False), (7, None, None, False)]),
        (
            [(0, None, 0.5, MON), (7, None, 0.5, THU), (50, None, 0.0, None), (80, None, 1.0, MON)],
            [(0, 7, 0.5, False), (7, 50, 1.0, False), (80, None, 1.0, False)],
        ),
    ],
)  # fmt: skip
def test_orders_on_different_days_add_up_and_others_are_unknown(
    given: list[Order], expected: list[tuple[int, int | None, float | None, bool]]
):
    found = episodes(*given).select("started_on", "ended_on", "weekly_dose_mg", "overlap").rows()

    assert found == [(day(start), day(end), mg, overlap) for start, end, mg, overlap in expected]


def test_the_present_dose_is_that_of_both_orders():
    both = episodes((0, None, 0.5, MON), (7, None, 0.5, THU))

    assert present_dose(both, day(100))["present_mg_per_week"].to_list() == [1.0]
    assert both["ordered_on"].to_list() == [day(0), day(7)]


def test_another_man_and_another_drug_are_not_added():
    rows = orders(("anastrozole", 0, None, 0.5), ("letrozole", 7, None, 2.5)).with_columns(
        weekdays=pl.Series([MON, THU])
    )
    other = rows.with_columns(patient_id=pl.lit("p2"))

    doses = find_episodes(pl.concat([rows, other])).sort("patient_id", "drug")["weekly_dose_mg"]
    assert doses.to_list() == [0.5, 2.5, 0.5, 2.5]
