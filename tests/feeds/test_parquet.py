"""Parquet: typed columns as text, and what is refused."""

import io
from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2analytics.errors import RefusedFileError
from e2analytics.feeds import parquet
from tests.feeds.conftest import read_bytes


def written(frame: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


def test_values_become_text_as_a_person_would_write_them():
    frame = pl.DataFrame(
        {
            "id": ["a", " b ", ""],
            "value": [23.4, 12.0, None],
            "n": [1, 2, 3],
            "day": [date(2024, 3, 5), None, None],
            "at": [datetime(2024, 3, 5, 8, 30, tzinfo=UTC), None, None],
        }
    )

    rows = read_bytes(parquet, written(frame))

    assert rows.select("id", "value", "n", "source_line").rows() == [
        ("a", "23.4", "1", 2),
        ("b", "12", "2", 3),
        (None, None, "3", 4),
    ]
    assert rows["day"][0] == "2024-03-05"
    assert rows["at"][0].startswith("2024-03-05T08:30")


def test_a_file_without_rows_has_its_columns():
    rows = read_bytes(parquet, written(pl.DataFrame(schema={"id": pl.String})))

    assert rows.is_empty()
    assert "id" in rows.columns


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "empty_file"),
        (b"id,value\n", "not_parquet"),
        (written(pl.DataFrame({"id": ["a"]}))[:-20], "not_parquet"),
    ],
)
def test_what_is_not_parquet_is_refused(content: bytes, rule: str):
    with pytest.raises(RefusedFileError) as refused:
        read_bytes(parquet, content)

    assert refused.value.rule == rule


@given(st.integers(0, 2_000), st.integers(0, 255))
def test_a_damaged_file_is_read_or_refused(place: int, byte: int):
    content = bytearray(written(pl.DataFrame({"id": ["a", "b"], "value": [1.5, None]})))
    content[place % len(content)] = byte
    try:
        read_bytes(parquet, bytes(content))
    except RefusedFileError:
        return
