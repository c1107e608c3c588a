"""Numbers as a clinician reads them; the plain cases are doctests of ``words``."""

from __future__ import annotations

from datetime import date

import pytest

from e2analytics.report import formatting
from e2analytics.report.sections import reasons


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        (0.0, 5.0, "<5.0"),
        (None, 5.0, "<5.0"),
        (5.0, 10.0, "5.0 to 10.0"),
        (9.96, 9.96, "10.0"),
        (1500.0, None, ">1,500.0"),
        (0.0, None, ">0.0"),
    ],
)
def test_a_result_is_said_as_the_laboratory_did(
    low: float | None, high: float | None, said: str
) -> None:
    assert formatting.measured(low, high) == said


def test_what_is_not_there_is_a_dash_and_not_a_number() -> None:
    missing = float("nan")
    assert formatting.number(None) == formatting.number(missing) == "–"
    assert formatting.signed(missing) == formatting.chance(missing) == "–"
    assert formatting.interval(1.0, None) == formatting.interval(missing, 2.0) == "–"
    assert formatting.day(None) == "–"


def test_a_small_share_keeps_a_decimal_and_none_of_nothing_is_a_dash() -> None:
    assert formatting.percent(168, 16_894) == "1.0 %"
    assert formatting.percent(0, 10) == "0 %"
    assert formatting.percent(1, 0) == "–"


def test_a_limit_is_said_as_shortly_as_it_was_chosen() -> None:
    assert [formatting.level(e2) for e2 in (16.0, 17.25, 10.0)] == ["16", "17.2", "10"]


def test_dates_and_lists_read_as_prose() -> None:
    assert formatting.day(date(2026, 9, 30)) == "30 September 2026"
    assert formatting.listing(["a", "b", "c"]) == "a, b and c"
    assert formatting.listing(["a"]) == "a"
    assert formatting.listing([]) == ""


def test_a_reason_nobody_put_into_words_is_shown_by_its_name() -> None:
    said = reasons.in_words("old_order; something_new")
    assert said == "order not renewed for long; something new"
    assert reasons.in_words("") == ""
