"""The quality of the data on the page: by feed, and slips of unit."""

from __future__ import annotations

import polars as pl

from e2analytics.report.sections.quality import describe

Tables = dict[str, pl.DataFrame]


def test_each_feed_of_the_month_stands_with_its_shares_and_its_grade_in_words(
    tables: Tables,
) -> None:
    found = describe(tables["quality"], tables["unit_slips"], month="2026-09")

    assert [(feed.feed, feed.n_rows, feed.grade) for feed in found.feeds] == [
        ("dxa", 12, "Grade C (A best, D worst)"),
        ("labs", 1900, "Grade B (A best, D worst)"),
    ]
    assert found.feeds[0].completeness == "9 of 10 (90 %)"


def test_slips_of_unit_are_listed_with_source_month_and_what_became_of_them(
    tables: Tables,
) -> None:
    found = describe(tables["quality"], tables["unit_slips"], month="2026-09")

    assert (
        found.alarm
        == "No unit mix-up detected in September 2026; 1 unit mix-up of other months is listed."
    )
    (slip,) = found.slips
    assert (slip.source, slip.month, slip.done) == ("laboratory LAB-B", "April 2026", "quarantined")


def test_a_slip_of_the_month_is_said_first(tables: Tables) -> None:
    found = describe(tables["quality"], tables["unit_slips"], month="2026-04")

    assert found.alarm == "1 unit mix-up found in April 2026."
    assert found.feeds == ()


def test_a_slip_after_the_month_is_not_known_in_it(tables: Tables) -> None:
    found = describe(tables["quality"], tables["unit_slips"], month="2026-03")

    assert (found.slips, found.alarm) == ((), "No unit mix-up detected.")
