"""HL7 v2: where a message begins and ends, and which lines are counted."""

import pytest
from polars.testing import assert_frame_equal

from e2analytics.errors import RefusedFileError
from e2analytics.feeds.hl7v2 import messages as hl7_messages
from e2analytics.feeds.hl7v2 import reader as hl7v2
from tests.feeds.hl7v2.hl7_files import MSH, OBR, OBX, PID, a_message, fates, read


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\n\r", "\r\r\n"])
@pytest.mark.parametrize(
    ("before", "after"),
    [("", ""), ("\x0b", "\x1c\r"), ("\ufeff", ""), ("", "\x1a"), ("\n\n", "--")],
)
def test_line_ends_framing_and_byte_order_marks_make_no_difference(
    end: str, before: str, after: str
):
    plain = read(a_message(MSH, PID, OBR, OBX))
    other = read(before + end.join([MSH, PID, OBR, OBX]) + end + after)

    for record, rows in plain.items():
        assert_frame_equal(other[record], rows)


def test_a_batch_of_messages_is_counted_segment_by_segment():
    message = a_message(MSH, PID, "ZXX|1|a", OBR, OBX)
    rows = read("FHS|^~\\&\rBHS|^~\\&\r" + message * 2 + "BTS|2\rFTS|1\r")

    assert rows["PID"]["source_line"].to_list() == [4, 9]
    assert rows["OBX"]["source_line"].to_list() == [7, 12]
    assert set(rows) == {"PID", "OBX"}


def test_messages_that_were_put_together_without_a_line_end_are_two():
    rows = read(a_message(MSH, PID, OBR, OBX).rstrip("\r") + a_message(MSH, PID, OBR, OBX))

    assert rows["OBX"].select("status", "source_line").rows() == [("F", 4), ("F", 8)]


def test_a_batch_that_holds_fewer_messages_than_it_says_is_cut_off():
    with pytest.raises(RefusedFileError) as refused:
        read("BHS|^~\\&\r" + a_message(MSH, PID) + "BTS|2\r")

    assert refused.value.rule == "truncated_file"


def test_a_text_that_was_broken_by_bare_line_ends_is_put_together():
    broken = "OBX|1|TX|x||first\nsecond\nlast|pg/mL|||||C"
    rows = read("\r".join([MSH, PID, OBR, broken, "NTE|1|L|by LC/\nMS/MS", OBX]))

    assert rows["OBX"].select("value", "status", "comment", "source_line").rows() == [
        ("first second last", "C", "by LC/ MS/MS", 4),
        ("23.4", "F", None, 9),
    ]


def test_a_line_of_fields_that_is_no_segment_is_a_row():
    damaged = OBX.replace("OBX", "OB")

    assert read(a_message(MSH, PID, OBR, OBX, damaged, OBX))["damaged"].rows() == [(5, False)]


@pytest.mark.parametrize(
    "damaged",
    [OBX.replace("|", "!"), OBX.replace("|", "\t"), OBX.replace("|", ""), "OBX", OBX.lower()],
)
def test_a_result_without_its_separators_is_a_damaged_line(damaged: str):
    assert read(a_message(MSH, PID, OBR, damaged, OBX))["damaged"]["source_line"].to_list() == [4]


def test_a_segment_that_the_end_of_the_file_cut_in_its_name_is_a_damaged_line():
    assert fates(a_message(MSH, PID, OBR, OBX) + "OB") == {"PID": 1, "OBX": 1, "damaged": 1}
    assert fates(a_message(MSH, PID, OBR, OBX) + "\x1c\r") == {"PID": 1, "OBX": 1}


def test_segments_outside_of_any_message_are_one_row():
    lost = a_message(PID, OBR, OBX)
    rows = read(lost + a_message(MSH, PID) + "BTS|1\r" + lost)

    assert rows["damaged"]["source_line"].to_list() == [1, 7]
    assert rows["PID"]["source_line"].to_list() == [5]


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (b"", "empty_file"),
        (b"\xef\xbb\xbf \r\n", "empty_file"),
        (b"patient_id,value\nM001,5\n", "not_hl7"),
        (a_message(PID, OBX).encode(), "not_hl7"),
        (a_message(MSH, PID, OBX).encode("utf-16"), "not_hl7"),
    ],
)
def test_a_file_without_a_message_is_refused(content: bytes, rule: str):
    with pytest.raises(RefusedFileError) as refused:
        read(content)

    assert refused.value.rule == rule


@pytest.mark.parametrize("between", [b"", b"\r"])
def test_a_message_too_long_to_be_one_is_refused(monkeypatch: pytest.MonkeyPatch, between: bytes):
    monkeypatch.setattr(hl7_messages, "MOST_BYTES", 10_000)
    monkeypatch.setattr(hl7_messages, "_CHUNK", 1_000)
    with pytest.raises(RefusedFileError, match="line_too_long"):
        read(a_message(MSH, PID).encode() + (b"NTE|1|L|" + b"x" * 900 + between) * 20)


def test_a_message_of_too_many_lines_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hl7_messages, "MOST_LINES", 100)
    whole = a_message(MSH, PID, OBR, *[OBX] * 97)

    assert fates(whole * 2) == {"PID": 2, "OBX": 194}
    for line in (OBX, "|", "ZZZ|1"):
        with pytest.raises(RefusedFileError, match="line_too_long"):
            read(whole + line)


def test_the_size_of_chunks_and_batches_makes_no_difference(monkeypatch: pytest.MonkeyPatch):
    content = (a_message(MSH, PID, OBR, OBX) + "\x1c\r\n\x0b") * 7
    plain = read(content)
    monkeypatch.setattr(hl7_messages, "_CHUNK", 5)
    monkeypatch.setattr(hl7v2, "_ROWS_AT_ONCE", 3)

    for record, rows in read(content).items():
        assert_frame_equal(rows, plain[record])
