"""Episodes of aromatase inhibitors, and the doses in a scan interval."""

import polars as pl
import pytest

from e2analytics.exposure.episodes import doses_in_interval, find_episodes, present_dose
from tests.exposure.orders import day, orders


def spells(*rows: tuple[str, int, int | None, float | None]) -> list[tuple[object, ...]]:
    found = find_episodes(orders(*rows))
    return found.select("drug", "started_on", "ended_on", "weekly_dose_mg", "overlap").rows()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([("anastrozole", 0, None, 1.0)], [("anastrozole", 0, None, 1.0, False)]),
        ([("anastrozole", 0, 90, 1.0)], [("anastrozole", 0, 90, 1.0, False)]),
        # Replaced by a later order: no end was given, so nothing overlaps.
        (
            [("anastrozole", 0, None, 1.0), ("anastrozole", 60, None, 0.5)],
            [("anastrozole", 0, 60, 1.0, False), ("anastrozole", 60, None, 0.5, False)],
        ),
        # Replaced before it was stopped.
        (
            [("anastrozole", 0, 90, 1.0), ("anastrozole", 60, None, 0.5)],
            [("anastrozole", 0, 60, 1.0, True), ("anastrozole", 60, None, 0.5, False)],
        ),
        # A renewal at the same dose is no change.
        (
            [("anastrozole", 0, 60, 1.0), ("anastrozole", 60, None, 1.0)],
            [("anastrozole", 0, None, 1.0, False)],
        ),
        # Also one that is a few days late: E2 stays suppressed for six.
        (
            [("anastrozole", 0, 60, 1.0), ("anastrozole", 66, 120, 1.0)],
            [("anastrozole", 0, 120, 1.0, False)],
        ),
        (
            [("anastrozole", 0, 60, 1.0), ("anastrozole", 67, 120, 1.0)],
            [("anastrozole", 0, 60, 1.0, False), ("anastrozole", 67, 120, 1.0, False)],
        ),
        # Entered in error: never in force, it replaces nothing.
        (
            [("anastrozole", 0, None, 1.0), ("anastrozole", 30, 30, 2.0)],
            [("anastrozole", 0, None, 1.0, False)],
        ),
        # A single dose within an order replaces nothing; without one it is a day on the drug.
        (
            [("anastrozole", 0, None, 1.0), ("anastrozole", 30, 31, None)],
            [("anastrozole", 0, None, 1.0, False)],
        ),
        (
            [("anastrozole", 0, 20, 1.0), ("anastrozole", 30, 31, None)],
            [("anastrozole", 0, 20, 1.0, False), ("anastrozole", 30, 31, None, False)],
        ),
        # A hold: 0 mg ends the spell and is none.
        (
            [("anastrozole", 0, None, 1.0), ("anastrozole", 30, None, 0.0)],
            [("anastrozole", 0, 30, 1.0, False)],
        ),
        # Two orders of one day: nobody knows whether both are taken.
        (
            [("anastrozole", 0, None, 1.0), ("anastrozole", 0, None, 2.0)],
            [("anastrozole", 0, None, None, True)],
        ),
        # The same order by two systems.
        (
            [("anastrozole", 0, None, 1.0), ("anastrozole", 0, None, 1.0)],
            [("anastrozole", 0, None, 1.0, False)],
        ),
        # Of two orders of one day the one that was ended does not end the other.
        (
            [("anastrozole", 0, None, 7.0), ("anastrozole", 0, 60, 1.0)],
            [("anastrozole", 0, 60, None, True), ("anastrozole", 60, None, 7.0, False)],
        ),
        # An unknown dose is never the same as another unknown dose.
        (
            [("anastrozole", 0, 60, None), ("anastrozole", 60, None, None)],
            [("anastrozole", 0, 60, None, False), ("anastrozole", 60, None, None, False)],
        ),
        # Another drug does not end this one.
        (
            [("anastrozole", 0, None, 1.0), ("letrozole", 60, None, 2.5)],
            [("anastrozole", 0, None, 1.0, False), ("letrozole", 60, None, 2.5, False)],
        ),
    ],
)
def test_an_order_is_in_force_until_it_is_stopped_or_replaced(
    given: list[tuple[str, int, int | None, float | None]],
    expected: list[tuple[str, int, int | None, float | None, bool]],
):
    assert spells(*given) == [(drug, day(s), day(e), mg, o) for drug, s, e, mg, o in expected]


def test_the_present_dose_is_the_one_in_force_else_the_last():
    spells = find_episodes(
        orders(
            ("anastrozole", 0, 100, 2.0), ("anastrozole", 200, None, 0.5), ("letrozole", 0, 9, 17.5)
        )
    )

    def present(number: int) -> list[float | None]:
        return present_dose(spells, day(number))["present_mg_per_week"].to_list()

    assert present(-1) == []
    assert present(50) == [2.0]
    assert present(150) == [2.0]  # stopped: the drug is felt until it is washed out
    assert present(250) == [0.5]
    unknown = find_episodes(orders(("anastrozole", 0, None, None)))
    assert present_dose(unknown, day(5))["present_mg_per_week"].to_list() == [None]


def test_what_was_held_between_two_scans_adds_up_to_all_of_the_days():
    pairs = pl.DataFrame(
        {
            "patient_id": ["p1", "p2"],
            "site": ["lumbar_spine"] * 2,
            "scan_id": ["s1", "s2"],
            "scanned_on": [day(0)] * 2,
            "scanned_on_2": [day(400)] * 2,
        }
    )
    spells = find_episodes(
        orders(
            ("anastrozole", -100, 100, 1.0),
            ("anastrozole", 100, 200, 2.0),
            ("anastrozole", 300, None, 1.0),
            ("letrozole", 0, 400, 17.5),
        )
    )

    held = doses_in_interval(pairs, spells).select("pair", "weekly_dose_mg", "share").rows()

    assert held == [(0, 0.0, 0.25), (0, 1.0, 0.5), (0, 2.0, 0.25), (1, 0.0, 1.0)]
    unknown = doses_in_interval(pairs, find_episodes(orders(("anastrozole", 0, None, None))))
    assert unknown.select("pair", "weekly_dose_mg", "share").rows() == [
        (0, None, 1.0),
        (1, 0.0, 1.0),
    ]
