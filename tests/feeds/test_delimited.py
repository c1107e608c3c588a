"""Delimited text: what is read, and what is refused as a whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2analytics.errors import RefusedFileError
from e2analytics.feeds import delimited


def test_rows_are_text_with_the_line_they_stand_on():
    rows = delimited.read(b"id,value\na,1.50\nb,\n")

    assert rows.to_dicts() == [
        {"id": "a", "value": "1.50", "source_line": 2, "short_line": False},
        {"id": "b", "value": None, "source_line": 3, "short_line": False},
    ]


def test_a_quoted_field_that_spans_lines_moves_the_lines_after_it():
    rows = delimited.read(b'id,note\na,"first\nsecond"\nb,x\n')

    assert rows["source_line"].to_list() == [2, 4]


def test_blank_lines_are_no_rows_and_are_counted_as_lines():
    rows = delimited.read(b"id,value\na,1\n\nb,2\n\n")

    assert rows["source_line"].to_list() == [2, 4]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b""])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_endings_and_a_byte_order_mark_make_no_difference(ending: bytes, mark: bytes):
    newline = ending or b"\n"
    content = mark + newline.join([b"id,value", b"a,1", b"b,2"]) + ending

    assert delimited.read(content).select("id", "value").rows() == [("a", "1"), ("b", "2")]


def test_a_header_alone_is_a_file_without_rows():
    assert delimited.read(b"id,value\n").columns == ["id", "value", "source_line", "short_line"]
    assert len(delimited.read(b"id,value\n")) == 0


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "empty_file"),
        (b"  \n\n", "empty_file"),
        (b"id,value\na,1\x00\n", "not_text"),
        (b"id,value\na,1\x1f2\n", "not_text"),
        ("id,value\na,1\n".encode("utf-16"), "not_text"),
        ("id,value\nJosé,1\n".encode("latin-1"), "wrong_encoding"),
        (b"id,id\na,1\n", "duplicate_column"),
        (b"\nid,value\na,1\n", "missing_column"),
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
        delimited.read(content)

    assert refused.value.rule == rule


def test_a_refusal_quotes_no_value():
    with pytest.raises(RefusedFileError) as refused:
        delimited.read(b"patient_id,value\nSECRET-1,1,2,3\n")

    assert "SECRET" not in str(refused.value)


def test_a_line_with_too_few_fields_is_marked():
    rows = delimited.read(b'id,value,unit\na\nb,2,x\nc,"1,5",\n\nd,1\n')

    assert rows.select("id", "source_line", "short_line").rows() == [
        ("a", 2, True),
        ("b", 3, False),
        ("c", 4, False),
        ("d", 6, True),
    ]


def test_a_quote_that_swallows_whole_lines_refuses_the_file():
    swallowed = b'id,clinic,sex\nM1,c,M\nM2,"c,M\nM3,c,M\nM4,c",M\nM5,c,M\n'
    with pytest.raises(RefusedFileError, match="not_rectangular"):
        delimited.read(swallowed)

    # A note that spans lines is no reason.
    assert len(delimited.read(b'id,note,sex\nM1,"well,\nand fine",M\n')) == 1


@given(st.one_of(st.binary(max_size=300), st.text('ab,"\n\r;', max_size=60).map(str.encode)))
def test_whatever_the_bytes_the_file_is_read_or_refused(content: bytes):
    try:
        rows = delimited.read(content)
    except RefusedFileError:
        return
    assert rows["source_line"].is_sorted()
