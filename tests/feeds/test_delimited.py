"""Delimited text: what is read, and what is refused as a whole."""

import csv
import io

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2analytics.errors import RefusedFileError
from e2analytics.feeds import delimited
from tests.feeds.conftest import read_bytes


def read(content: bytes, **options: object) -> pl.DataFrame:
    return read_bytes(delimited, content, **options)


def test_rows_are_text_with_the_line_they_stand_on():
    rows = read(b"id,value\na,1.50\nb,\n")

    assert rows.to_dicts() == [
        {"id": "a", "value": "1.50", "source_line": 2, "short_line": False},
        {"id": "b", "value": None, "source_line": 3, "short_line": False},
    ]


def test_a_quoted_field_that_spans_lines_moves_the_lines_after_it():
    rows = read(b'id,note\na,"first\nsecond"\nb,x\n')

    assert rows["source_line"].to_list() == [2, 4]


def test_blank_lines_are_no_rows_and_are_counted_as_lines():
    rows = read(b"id,value\na,1\n\nb,2\n\n")

    assert rows["source_line"].to_list() == [2, 4]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b""])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_endings_and_a_byte_order_mark_make_no_difference(ending: bytes, mark: bytes):
    newline = ending or b"\n"
    content = mark + newline.join([b"id,value", b"a,1", b"b,2"]) + ending

    assert read(content).select("id", "value").rows() == [("a", "1"), ("b", "2")]


def test_a_header_alone_is_a_file_without_rows():
    assert read(b"id,value\n").columns == ["id", "value", "source_line", "short_line"]
    assert len(read(b"id,value\n")) == 0


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "empty_file"),
        (b"  \n\n", "empty_file"),
        (b"id,value\na,1\x00\n", "not_text"),
        (b"id,value\na,1\x1f2\n", "not_text"),
        ("id,value\nJosé,1\n".encode("latin-1"), "wrong_encoding"),
        (b"id,id\na,1\n", "duplicate_column"),
        (b"\nid,value\na,1\n", "missing_header"),
        (b"id,value\n" + b"a" * (1 << 21) + b",1\n", "line_too_long"),
        (",".join(f"c{n}" for n in range(10_001)).encode() + b"\n", "too_many_columns"),
        (b'"id,value\na,1\n', "not_rectangular"),
        (b"id,value\na,1,2\n", "not_rectangular"),
        (b"id,value\na,1\nb,1,2\n", "not_rectangular"),
        (b'id,value\na,"1\nb,2\n', "not_rectangular"),
        (b"id,value\na,1\nb", "truncated_file"),
        (b"id,day\na,2024-01-01\nb,2024-01-02\nc,2024-01-03\nd,2024-0", "truncated_file"),
    ],
)
def test_a_file_that_cannot_be_trusted_line_by_line_is_refused(content: bytes, rule: str):
    with pytest.raises(RefusedFileError) as refused:
        read(content)

    assert refused.value.rule == rule


def test_a_refusal_quotes_no_value():
    with pytest.raises(RefusedFileError) as refused:
        read(b"patient_id,value\nSECRET-1,1,2,3\n")

    assert "SECRET" not in str(refused.value)


def test_a_line_with_too_few_fields_is_marked():
    rows = read(b'id,value,unit\na\nb,2,x\nc,"1,5",\n\nd,1\n')

    assert rows.select("id", "source_line", "short_line").rows() == [
        ("a", 2, True),
        ("b", 3, False),
        ("c", 4, False),
        ("d", 6, True),
    ]


def test_a_quote_that_swallows_whole_lines_refuses_the_file():
    swallowed = b'id,clinic,sex\nM1,c,M\nM2,"c,M\nM3,c,M\nM4,c",M\nM5,c,M\n'
    with pytest.raises(RefusedFileError, match="not_rectangular"):
        read(swallowed)

    # A note that spans lines is no reason.
    assert len(read(b'id,note,sex\nM1,"well,\nand fine",M\n')) == 1


@given(st.one_of(st.binary(max_size=300), st.text('ab,"\n\r;', max_size=60).map(str.encode)))
def test_whatever_the_bytes_the_file_is_read_or_refused(content: bytes):
    try:
        rows = read(content)
    except RefusedFileError:
        return
    assert rows["source_line"].is_sorted()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "windows-1252"])
def test_the_encodings_of_scanners_and_laboratories_are_read(encoding: str):
    content = "id\tname\nä1\tÖstradiol\nb\t\n".encode(encoding)
    told = {"utf-8-sig": "utf-8"}.get(encoding, encoding)

    rows = read(content, delimiter="\t", encoding=told)

    assert rows.select("id", "name", "source_line").rows() == [
        ("ä1", "Östradiol", 2),
        ("b", None, 3),
    ]


def test_the_header_may_stand_on_a_later_line():
    rows = read(b"Export of 2024\n\nid;value\na;1,5\n", delimiter=";", header_line=3)

    assert rows.select("id", "value", "source_line").rows() == [("a", "1,5", 4)]


@pytest.mark.parametrize("size", [7, 16, 64])
def test_blocks_of_any_size_give_the_same_rows(size: int, monkeypatch: pytest.MonkeyPatch):
    content = b'id,note,value\na,"first\nsecond, third",1\n\nb,x\nc,"say ""no""",3\nd,y,4\n'
    whole = read(content)

    monkeypatch.setattr(delimited, "BLOCK_BYTES", size)

    assert read(content).equals(whole)
    assert whole["source_line"].to_list() == [2, 5, 6, 7]
    assert whole["short_line"].to_list() == [False, True, False, False]


@given(
    st.lists(
        st.lists(st.text('aé"\n ,;', max_size=6), min_size=3, max_size=3), min_size=1, max_size=6
    ),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["utf-8", "utf-16-le", "windows-1252"]),
)
def test_what_a_csv_writer_writes_is_read_back(
    table: list[list[str]], delimiter: str, encoding: str
):
    written = io.StringIO()
    writer = csv.writer(written, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerows([["one", "two", "three"], *table])
    # Fields that hold whole lines look like a quote that swallowed them.
    whole_lines = any(
        "\n" in field and field.count(delimiter) > 1 for row in table for field in row
    )
    if whole_lines:
        return
    rows = read(written.getvalue().encode(encoding), delimiter=delimiter, encoding=encoding)

    kept = [[field.strip() or None for field in row] for row in table]
    expected = [tuple(row) for row in kept if any(row)]
    assert rows.select("one", "two", "three").rows() == expected
