"""On which days the testosterone order of a man changed."""

from datetime import date

import polars as pl

from e2analytics.exposure.testosterone_orders import find_changes


def order(started: date, stopped: date | None, dose: float | None = 100.0, **more: object) -> dict:
    return {
        "patient_id": "p",
        "drug": "testosterone_cypionate",
        "drug_class": "androgen",
        "dose_mg": dose,
        "doses_per_week": 1.0,
        "weekly_dose_mg": dose,
        "started_on": started,
        "stopped_on": stopped,
        "weekdays": None,
        "listed_on": None,
        "source_file": "f",
        "source_order": 0,
        "source_line": 1,
        **more,
    }


def changes(*orders: dict) -> list[date]:
    frame = pl.DataFrame(
        orders,
        schema_overrides={
            "stopped_on": pl.Date,
            "weekly_dose_mg": pl.Float64,
            "weekdays": pl.String,
            "listed_on": pl.Date,
        },
    )
    return find_changes(frame)["changed_on"].to_list()


def test_a_start_and_a_stop_are_changes():
    assert changes(order(date(2026, 1, 1), date(2026, 6, 1))) == [
        date(2026, 1, 1),
        date(2026, 6, 1),
    ]
    assert changes(order(date(2026, 1, 1), None)) == [date(2026, 1, 1)]


def test_a_renewal_is_none_even_a_few_days_late():
    first, renewed = order(date(2026, 1, 1), date(2026, 4, 1)), order(date(2026, 4, 5), None)

    assert changes(first, renewed) == [date(2026, 1, 1)]


def test_another_dose_or_product_is_one():
    first = order(date(2026, 1, 1), None)

    assert changes(first, order(date(2026, 4, 1), None, 200.0)) == [
        date(2026, 1, 1),
        date(2026, 4, 1),
    ]
    gel = order(date(2026, 4, 1), None, drug="testosterone_gel")
    assert changes(first, gel) == [date(2026, 1, 1), date(2026, 4, 1)]


def test_a_pause_is_a_stop_and_a_start():
    first, again = order(date(2026, 1, 1), date(2026, 3, 1)), order(date(2026, 9, 1), None)

    assert changes(first, again) == [date(2026, 1, 1), date(2026, 3, 1), date(2026, 9, 1)]


def test_an_order_stopped_on_its_first_day_and_other_drugs_do_not_count():
    never = order(date(2026, 1, 1), date(2026, 1, 1))
    other = order(date(2026, 2, 1), None, drug="anastrozole", drug_class="aromatase_inhibitor")

    assert changes(never, other) == []


def test_orders_on_different_days_of_the_week_change_what_is_taken_when_one_is_added_or_ends():
    monday = order(date(2026, 1, 1), None, 60.0, weekdays="mon")
    thursday = order(date(2026, 2, 1), date(2026, 5, 1), 40.0, weekdays="thu")
    renewed = order(date(2026, 4, 1), None, 60.0, weekdays="mon")

    # The renewal on Mondays is none.
    assert changes(monday, thursday, renewed) == [
        date(2026, 1, 1),
        date(2026, 2, 1),
        date(2026, 5, 1),
    ]
