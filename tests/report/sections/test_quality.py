"""The quality of the data on the page: by feed, and slips of unit."""

from __future__ import annotations

import polars as pl

from e2analytics.report.sections.quality import describe

Tables = dict[str, pl.DataFrame]


def test_each_feed_of_the_month_stands_with_its_shares_and_its_grade_in_words(
    tables: Tables,
) -> None:
    found = describe(
        tables["quality"], tables["unit_slips"], tables["scanner_shifts"], month="2026-09"
    )

    assert [(feed.feed, feed.n_rows, feed.grade) for feed in found.feeds] == [
        ("dxa", 12, "Grade C (A best, D worst)"),
        ("labs", 1900, "Grade B (A best, D worst)"),
    ]
    assert found.feeds[0].completeness == "9 of 10 (90 %)"


def test_slips_of_unit_are_listed_with_source_month_and_what_became_of_them(
    tables: Tables,
) -> None:
    found = describe(
        tables["quality"], tables["unit_slips"], tables["scanner_shifts"], month="2026-09"
    )

    assert (
        found.alarm
        == "No unit mix-up detected in September 2026; 1 unit mix-up of other months is listed."
    )
    (slip,) = found.slips
    assert (slip.source, slip.month, slip.done) == ("laboratory LAB-B", "April 2026", "quarantined")


def test_a_slip_of_the_month_is_said_first(tables: Tables) -> None:
    found = describe(
        tables["quality"], tables["unit_slips"], tables["scanner_shifts"], month="2026-04"
    )

    assert found.alarm == "1 unit mix-up found in April 2026."
    assert found.feeds == ()


def test_a_slip_after_the_month_is_not_known_in_it(tables: Tables) -> None:
    found = describe(
        tables["quality"], tables["unit_slips"], tables["scanner_shifts"], month="2026-03"
    )

    assert (found.slips, found.alarm) == ((), "No unit mix-up detected.")


def test_a_shift_of_a_scanner_stands_with_its_days_size_evidence_and_what_is_done(
    tables: Tables,
) -> None:
    (shift,) = describe(
        tables["quality"], tables["unit_slips"], tables["scanner_shifts"], month="2026-09"
    ).shifts

    assert (shift.scanner, shift.clinic) == ("D2 (Hologic)", "C1")
    assert shift.began == "2024-03-04 to 2024-03-11"
    assert shift.sites == "lumbar spine, total hip"
    assert shift.step == "-6.2 % (-7.1 to -5.3)"
    assert shift.evidence == "21 changes across it, 40 beside it; p < 0.0001"
    assert shift.done == "scans before and after are not compared"
