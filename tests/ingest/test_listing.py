"""Lists of medications without renewals: an order is as old as the last run that read it in one."""

from datetime import date

import polars as pl

from e2analytics.ingest.listing import with_last_listing

RUNS = {"run-1": date(2025, 1, 31), "run-2": date(2026, 6, 30), "run-3": date(2026, 9, 30)}
FILES = pl.DataFrame({"source_file": ["a", "b", "c"], "run_id": ["run-1", "run-2", "run-3"]})


def listed(*rows: tuple[str, str, str | None], as_of: date = date(2026, 9, 30)) -> dict[str, date]:
    """Return the last listing of each order, given orders with the file that each row came in."""
    medications = pl.DataFrame(
        [("default", order, file, renewals, None) for order, file, renewals in rows],
        schema=["namespace", "order_id", "source_file", "renewals", "listed_on"],
        schema_overrides={"renewals": pl.String, "listed_on": pl.Date},
        orient="row",
    )
    found = with_last_listing(medications, FILES, RUNS, as_of)
    assert found["order_id"].to_list() == medications["order_id"].to_list()
    return dict(found.select("order_id", "listed_on").iter_rows())


def test_an_order_is_as_old_as_the_last_run_that_read_it_in_a_list():
    rows = [("o1", "a", "none"), ("o2", "a", "none"), ("o1", "b", "none"), ("o1", "c", "none")]

    # The second order is in the first list alone.
    assert listed(*rows) == {"o1": date(2026, 9, 30), "o2": date(2025, 1, 31)}


def test_what_a_later_run_read_does_not_count_for_an_earlier_day():
    rows = [("o1", "a", "none"), ("o1", "b", "none")]

    assert listed(*rows, as_of=date(2026, 6, 29)) == {"o1": date(2025, 1, 31)}
    assert listed(*rows, as_of=date(2026, 6, 30)) == {"o1": date(2026, 6, 30)}


def test_an_order_of_a_feed_with_renewals_is_listed_nowhere():
    assert listed(("o1", "a", None), ("o1", "b", None)) == {"o1": None}
    assert listed(("o1", "a", None), ("o2", "b", "none")) == {"o1": None, "o2": date(2026, 6, 30)}
