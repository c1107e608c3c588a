"""Sums: counts by key that add up to the whole, and can be taken away again."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from e2analytics.tables.sums import SUMS, Sums, minus, none, plus

DAY = date(2026, 9, 30)


def sent(*rows: tuple[str, date | None, int]) -> Sums:
    """Return the sums of what clinic c1 sent: source, day and how many."""
    return Sums(
        {
            "clinic_rows": pl.DataFrame(
                [("c1", *row) for row in rows],
                schema=["clinic_id", "source", "on", "n"],
                schema_overrides={"clinic_id": pl.String, "source": pl.String, "on": pl.Date},
                orient="row",
            )
        }
    )


def counted(sums: Sums) -> list[tuple[str, date | None, int]]:
    return sums["clinic_rows"].select("source", "on", "n").rows()


def test_a_key_that_occurs_twice_is_one_row_and_rows_come_in_order_of_their_key():
    sums = sent(("psa", DAY, 2), ("man", None, 3), ("psa", DAY, 5), ("dxa", DAY, 1))

    assert counted(sums) == [("dxa", DAY, 1), ("man", None, 3), ("psa", DAY, 7)]


def test_what_is_taken_away_to_the_last_row_is_gone():
    whole = sent(("psa", DAY, 2), ("man", None, 3))

    assert counted(minus(whole, sent(("psa", DAY, 2), ("man", None, 1)))) == [("man", None, 2)]
    assert minus(whole, whole)["clinic_rows"].is_empty()


def test_a_sum_that_nobody_counted_has_its_columns_and_no_rows():
    for name, frame in none().items():
        assert frame.is_empty()
        assert dict(frame.schema) == SUMS[name].schema


def test_a_sum_that_is_not_registered_is_refused():
    with pytest.raises(KeyError, match="there is no sum rows_of_clinic"):
        Sums({"rows_of_clinic": pl.DataFrame()})


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["psa", "dxa", "man"]),
        st.none() | st.just(DAY),
        st.integers(0, 2**40),
    ),
    max_size=8,
)


@given(ROWS, ROWS)
def test_minus_undoes_plus_and_their_order_does_not_matter(a, b):
    one, other = sent(*a), sent(*b)

    together = plus(one, other)

    assert counted(together) == counted(plus(other, one)) == counted(sent(*a, *b))
    assert_frame_equal(minus(together, other)["clinic_rows"], one["clinic_rows"])
