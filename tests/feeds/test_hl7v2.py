"""HL7 v2: which rows a file holds, what they say, and what is refused."""

import logging
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from e2analytics.errors import RefusedFileError
from e2analytics.feeds import hl7_messages, hl7v2
from e2analytics.feeds.description import load_feed
from e2analytics.feeds.mapping import to_table
from e2analytics.reference import schemas_folder

REAL = Path(__file__).parents[3] / "shared" / "data" / "hl7"
real_messages = pytest.mark.skipif(not REAL.is_dir(), reason="the public HL7 files are not here")

MSH = "MSH|^~\\&|LIS|LAB|EHR|CLINIC|20240306090000-0500||ORU^R01^ORU_R01|M1|P|2.5.1"
PID = "PID|1||M001^^^CLINIC^MR||DOE^JOHN||19700131|M"
OBR = "OBR|1|PL1|F1|E2^Estradiol^L|||20240305080000-0500|||||||||||||||20240306080000-0500|||F"
OBX = "OBX|1|NM|2243-4^Estradiol^LN^E2^ESTRADIOL^L||23.4|pg/mL^^UCUM|10-40||||F"


def read(content: str | bytes) -> dict[str, pl.DataFrame]:
    """Return all rows of each record of a file."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "results.hl7"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        found: dict[str, list[pl.DataFrame]] = {}
        for record, rows in hl7v2.read(file, hl7v2.Options()):
            found.setdefault(record, []).append(rows)
    return {record: pl.concat(frames, how="diagonal") for record, frames in found.items()}


def a_message(*segments: str) -> str:
    return "\r".join(segments) + "\r"


def result(*segments: str) -> dict[str, Any]:
    """Return the only result of a message; its segments are given after MSH and PID."""
    return read(a_message(MSH, PID, *segments))["OBX"].row(0, named=True)


def fates(content: str | bytes) -> dict[str, int]:
    return {record: len(rows) for record, rows in read(content).items()}


def test_a_result_says_what_its_order_and_message_say_of_it():
    note = "NTE|1|L|Performed by LC/MS/MS"

    assert result(OBR, OBX, note) == {
        "patient_id": "M001",
        "assigning_authority": "CLINIC",
        "placer": "PL1",
        "filler": "F1",
        "result_id": "F1-2243-4",
        "code": "2243-4",
        "name": "Estradiol",
        "code_system": "LN",
        "alternate_code": "E2",
        "alternate_name": "ESTRADIOL",
        "alternate_code_system": "L",
        "loinc": "2243-4",
        "test_name": "Estradiol",
        "value_type": "NM",
        "value": "23.4",
        "unit": "pg/mL",
        "reference_range": "10-40",
        "status": "F",
        "order_status": "F",
        "collected_at": "2024-03-05T08:00:00-0500",
        "reported_at": "2024-03-06T08:00:00-0500",
        "method": None,
        "performing_lab": "LAB",
        "comment": "Performed by LC/MS/MS",
        "sending_facility": "LAB",
        "message_id": "M1",
        "processing_id": "P",
        "source_line": 4,
        "short_line": False,
    }


def test_a_patient_is_a_row_without_name_or_address():
    patient = read(a_message(MSH, PID, OBR, OBX))["PID"]

    assert patient.to_dicts() == [
        {
            "patient_id": "M001",
            "assigning_authority": "CLINIC",
            "birth_date": "1970-01-31",
            "sex": "M",
            "clinic": "CLINIC",
            "message_at": "2024-03-06T09:00:00-0500",
            "processing_id": "P",
            "source_line": 2,
            "short_line": False,
        }
    ]


@pytest.mark.parametrize(
    ("type_and_value", "value"),
    [
        ("NM|x||23.4", "23.4"),
        ("NM|x||<5", "<5"),
        ("NM|x||<^5", "<5"),
        ("SN|x||<^5", "<5"),
        ("SN|x||>=^32", ">=32"),
        ("SN|x||=^0.5", "0.5"),
        ("SN|x||^0.5", "0.5"),
        ("SN|x||23.4", "23.4"),
        ("SN|x||10^-^20", "10-20"),
        ("SN|x||^10^-^20", "10-20"),
        ("SN|x||1^:^128", "1:128"),
        ("SN|x||^2^+", "2+"),
        ("SN|x||5^10", "5^10"),  # not 510
        ("SN|x||^5^^20", "^5^^20"),  # not 520
        ("SN|x||^^^", None),
        ("ST|x||<0.10", "<0.10"),
        ("ST|x|| < 0.10 ", "< 0.10"),
        ("|x||<5.0", "<5.0"),
        ("|x||<^5.0", "<5.0"),
        ("ST|x||QNS", "QNS"),
        ("ST|x||a\\T\\b\\F\\c", "a&b|c"),
        ("ST|x||a\\.br\\b\\X0D0A\\c", "a b c"),
        ("ST|x||\\H\\5.1\\N\\", "5.1"),
        ("ST|x||C:\\temp", "C:\\temp"),  # a backslash that escapes nothing
        ("ST|x||\\Z99\\5", "\\Z99\\5"),  # nobody knows what it stands for
        ("ST|x||\\.sp999999999999\\5", "\\.sp999999999999\\5"),
        ("ST|x||a & b", "a & b"),
        ("TX|x||first~second", "first; second"),
        ("CE|x||ND^Not detected^L", "Not detected"),
        ("CWE|x||ND", "ND"),
        ("ED|x||^application^pdf^Base64^JVBERi0x", None),
        ('NM|x||""', None),
        ("NM|x||", None),
    ],
)
def test_values_of_every_type_become_one_text(type_and_value: str, value: str | None):
    assert result(OBR, f"OBX|1|{type_and_value}|pg/mL|||||F")["value"] == value


@pytest.mark.parametrize(
    ("code", "loinc", "test_name"),
    [
        ("2243-4^Estradiol^LN", "2243-4", "Estradiol"),
        ("E2^^L^2243-4^Estradiol^LN", "2243-4", "Estradiol"),
        ("E2^Estradiol, sensitive^L", None, "Estradiol, sensitive"),
        ("2243-4^Estradiol^L", None, "Estradiol"),
        ("E2", None, "Hormones"),
        ("", None, "Hormones"),
        ("E2^A & B^L", None, "A & B"),
    ],
)
def test_a_code_is_of_loinc_only_if_it_says_so(code: str, loinc: str | None, test_name: str):
    order = "OBR|1||F1|H^Hormones^L"
    obx = result(order, f"OBX|1|NM|{code}||23.4|pg/mL|||||F")

    assert (obx["loinc"], obx["test_name"]) == (loinc, test_name)


def test_the_name_of_an_order_is_not_that_of_each_of_its_results():
    order = "OBR|1||F1|T^Testosterone^L"
    shbg, other = "OBX|1|NM|SHBG||30|nmol/L|||||F", "OBX|2|NM|TT||20|nmol/L|||||F"

    assert read(a_message(MSH, PID, order, shbg, other))["OBX"]["test_name"].to_list() == [
        "SHBG",
        "TT",
    ]


@pytest.mark.parametrize(
    ("order", "sub_id", "result_id"),
    [
        ("ORC|RE|PL9|F9\rOBR|1|PL1|F1", "", "F1-E2"),
        ("ORC|RE|PL9|F9\rOBR|1|PL1|", "", "PL1-E2"),
        ("ORC|RE|PL9|F9\rOBR|1||", "", "F9-E2"),
        ("OBR|1||F1^LAB^1.2.3^ISO", "2", "F1-E2-2"),
        ("OBR|1||", "", None),
    ],
)
def test_a_result_is_known_by_its_order_and_code(order: str, sub_id: str, result_id: str | None):
    assert result(order, f"OBX|1|NM|E2|{sub_id}|23.4|pg/mL|||||F")["result_id"] == result_id


def test_an_orc_is_of_the_next_order_only():
    orders = ("ORC|RE|P1|F1", "OBR|1", OBX, "OBR|2", OBX)

    assert read(a_message(MSH, PID, *orders))["OBX"]["filler"].to_list() == ["F1", None]


def test_times_are_as_exact_as_they_were_written():
    def collected(written: str) -> str | None:
        return result("OBR|1||F1", OBX + f"|||{written}")["collected_at"]

    assert collected("20240305") == "2024-03-05"
    assert collected("2024030514") == "2024-03-05T14:00"
    assert collected("202403051407") == "2024-03-05T14:07"
    assert collected("20240305140709.1234+0100") == "2024-03-05T14:07:09.1234+0100"
    assert collected("20240305-0500") == "2024-03-05"
    # No day, no time: left for the rules to find.
    assert collected("202403") == "202403"
    assert collected("yesterday") == "yesterday"
    assert collected("") is None


def test_the_time_of_the_draw_is_that_of_the_result_else_of_the_order_else_of_the_specimen():
    specimen = "SPM|1||||||||||||||||20240303^20240304"
    order = "OBR|1||F1|E2|||20240302"

    assert result(order, OBX + "|||20240301", specimen)["collected_at"] == "2024-03-01"
    assert result(order, OBX, specimen)["collected_at"] == "2024-03-02"
    assert result("OBR|1||F1|E2", OBX, specimen)["collected_at"] == "2024-03-03"


def test_the_time_of_the_report_is_the_change_of_status_else_the_analysis_else_the_message():
    analysed = OBX + "||||||||20240304"

    assert result(OBR, analysed)["reported_at"] == "2024-03-06T08:00:00-0500"
    assert result("OBR|1||F1", analysed)["reported_at"] == "2024-03-04"
    assert result("OBR|1||F1", OBX)["reported_at"] == "2024-03-06T09:00:00-0500"


def test_a_method_and_a_laboratory_are_taken_from_where_they_are():
    with_method = OBX + "||||05D1^Reference Lab||LCMS^LC/MS/MS^L"

    assert result(OBR, with_method)["method"] == "LC/MS/MS LCMS"
    assert result(OBR, with_method)["performing_lab"] == "05D1"
    assert result(OBR, with_method + "||||||Far Lab^L")["performing_lab"] == "Far Lab"


def test_a_unit_may_be_a_text_only():
    assert result(OBR, "OBX|1|NM|x||5|^pg/mL|||||F")["unit"] == "pg/mL"


def test_notes_belong_to_what_stands_before_them():
    rows = read(
        a_message(
            MSH,
            PID,
            "NTE|1||of the patient",
            OBR,
            "NTE|1||of the order",
            OBX,
            "NTE|1||of the first",
            "NTE|2||and more",
            OBX,
            "SPM|1",
            "NTE|1||of the specimen",
        )
    )

    assert rows["OBX"]["comment"].to_list() == [
        "of the first | and more | of the order",
        "of the order",
    ]


@pytest.mark.parametrize(
    ("numbers", "patient_id"),
    [
        ("M1", "M1"),
        ("X1^^^A^PI~M1^^^CLINIC&1.2&ISO^MR~S1^^^S^SS", "M1"),
        ("X1^^^CLINIC^PI~Y1^^^B^AN", "X1"),
        ("", None),
    ],
)
def test_the_medical_record_number_comes_first(numbers: str, patient_id: str | None):
    rows = read(a_message(MSH, f"PID|1||{numbers}||DOE", OBR, OBX))

    assert rows["PID"]["patient_id"].to_list() == [patient_id]
    assert rows["OBX"]["patient_id"].to_list() == [patient_id]


def test_every_patient_of_a_message_has_his_own_results():
    second = PID.replace("M001", "M002")
    rows = read(a_message(MSH, PID, OBR, OBX, second, "PV1|1||^^^WARD", OBR, OBX))

    assert rows["PID"].select("patient_id", "source_line").rows() == [("M001", 2), ("M002", 5)]
    assert rows["OBX"].select("patient_id", "source_line").rows() == [("M001", 4), ("M002", 8)]


def test_a_clinic_is_the_receiver_else_the_ward_else_the_sender():
    no_receiver = MSH.replace("CLINIC", "")
    ward = "PV1|1|O|^^^WARD&1.2&ISO"

    assert read(a_message(MSH, PID, ward))["PID"]["clinic"].to_list() == ["CLINIC"]
    assert read(a_message(no_receiver, PID, ward))["PID"]["clinic"].to_list() == ["WARD"]
    assert read(a_message(no_receiver, PID))["PID"]["clinic"].to_list() == ["LAB"]


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


def test_a_result_that_the_end_of_the_file_cut_is_a_short_line():
    whole = a_message(MSH, PID, OBR, OBX).rstrip("\r")

    assert read(whole)["OBX"]["short_line"].to_list() == [False]
    assert read(whole.removesuffix(".4|pg/mL^^UCUM|10-40||||F"))["OBX"]["short_line"].to_list() == [
        True
    ]


@pytest.mark.parametrize(
    ("damaged", "why"),
    [
        ("MSH", "no delimiters"),
        ("MSH|||||", "one delimiter twice"),
        ("MSH|^~\\&", "nothing after the delimiters"),
        (a_message(MSH, PID, OBR, OBX + "|\x00"), "a control byte"),
        (a_message(MSH, PID, OBR, "OBX|1|NM|x||" + "~" * 500_001), "a million parts"),
    ],
)
def test_a_message_that_cannot_be_parsed_costs_only_itself(damaged: str, why: str):
    good = a_message(MSH, PID, OBR, OBX)
    counts = fates(good + damaged.rstrip("\r") + "\r" + good)

    assert counts == {"PID": 2, "OBX": 2, "damaged": 1}, why


@pytest.mark.parametrize(
    "segments",
    [
        (MSH.replace("ORU^R01^ORU_R01", "ADT^A01"), PID, OBX),
        (MSH.replace("ORU^R01^ORU_R01", "OUL^R22"), PID, OBR, OBX),
        (MSH.replace("ORU^R01^ORU_R01", ""), PID),
        (MSH, OBR),
    ],
)
def test_a_message_of_another_kind_is_one_row(segments: tuple[str, ...]):
    assert fates(a_message(*segments)) == {"other": 1}


@pytest.mark.parametrize(
    "segments",
    [(MSH, OBR, OBX), (MSH.replace("ORU^R01^ORU_R01", ""), PID, OBR, OBX)],
)
def test_a_message_with_results_of_nobody_knows_whom_is_damaged(segments: tuple[str, ...]):
    assert fates(a_message(*segments)) == {"damaged": 1}


def test_results_of_the_first_releases_are_results():
    assert fates(a_message(MSH.replace("ORU^R01^ORU_R01", "ORU"), PID, OBX)) == {"PID": 1, "OBX": 1}


def test_segments_outside_of_any_message_are_one_row():
    lost = a_message(PID, OBR, OBX)
    rows = read(lost + a_message(MSH, PID) + "BTS|1\r" + lost)

    assert rows["damaged"]["source_line"].to_list() == [1, 7]
    assert rows["PID"]["source_line"].to_list() == [5]


def test_an_order_cancelled_without_a_result_is_told():
    cancelled = OBR.removesuffix("F") + "X"

    rows = read(a_message(MSH, PID, cancelled, OBR))

    assert rows["cancelled_order"].rows() == [("M001", "PL1", "F1", "X", 3, False)]


def test_delimiters_are_those_of_the_message():
    strange = a_message(
        MSH.replace("|", "#").replace("^~\\&", "*!$%").replace("^", "*"),
        "PID#1##M7***CLINIC*MR",
        "OBR#1##F1",
        "OBX#1#SN#E2*Estradiol$S$free*L##<*5#pg/mL#####F",
    )
    obx = read(strange)["OBX"].row(0, named=True)

    assert (obx["patient_id"], obx["value"], obx["name"]) == ("M7", "<5", "Estradiol*free")


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("", "utf-8"),
        ("", "cp1252"),
        ("UNICODE UTF-8", "utf-8"),
        ("8859/1", "cp1252"),
        ("8859/15", "iso8859-15"),
        ("ASCII", "utf-8"),
        ("8859/99", "utf-8"),
    ],
)
def test_a_unit_is_read_in_the_character_set_of_its_message(declared: str, encoding: str):
    content = a_message(f"{MSH}||||||{declared}", PID, OBR, "OBX|1|NM|x||5|µg/L|||||F")

    assert read(content.encode(encoding))["OBX"]["unit"].to_list() == ["µg/L"]


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


def test_what_an_order_says_at_length_is_not_repeated_in_full():
    remarks = [f"NTE|{number}|L|{'x' * 90}" for number in range(500)]
    rows = read(a_message(MSH, PID, OBR, *remarks, OBX, OBX))["OBX"]

    assert rows["comment"].str.len_chars().to_list() == [4_000, 4_000]


def test_a_file_that_is_gone_is_refused(tmp_path: Path):
    with pytest.raises(RefusedFileError, match="unreadable_file"):
        list(hl7v2.read(tmp_path / "gone.hl7", hl7v2.Options()))
    assert hl7v2.header(tmp_path / "gone.hl7", hl7v2.Options()) == {}


def test_a_feed_is_recognised_by_the_columns_of_its_records(tmp_path: Path):
    file = tmp_path / "results.hl7"
    file.write_text(a_message(MSH, PID, OBR, OBX))
    header = hl7v2.header(file, hl7v2.Options())

    assert read(a_message(MSH, PID, OBR, OBX))["OBX"].columns == [
        *header["OBX"],
        "source_line",
        "short_line",
    ]
    file.write_text("patient_id,value\n")
    assert hl7v2.header(file, hl7v2.Options()) == {}


def test_nothing_of_a_patient_is_logged(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG):
        read(a_message(MSH, PID, OBR, "OBX|1|ST|x||SECRET\\\\\\Q\\\\XGG\\\\.spx\\|u|||||F"))

    assert caplog.text == ""


def test_the_size_of_chunks_and_batches_makes_no_difference(monkeypatch: pytest.MonkeyPatch):
    content = (a_message(MSH, PID, OBR, OBX) + "\x1c\r\n\x0b") * 7
    plain = read(content)
    monkeypatch.setattr(hl7_messages, "_CHUNK", 5)
    monkeypatch.setattr(hl7v2, "_ROWS_AT_ONCE", 3)

    for record, rows in read(content).items():
        assert_frame_equal(rows, plain[record])


# Each with the rows that it is.
MESSAGES = {
    a_message(MSH, PID, OBR, OBX): Counter(PID=1, OBX=1),
    a_message(MSH, PID, OBR, OBX, OBX, "ZZZ|1|x", PID, OBX): Counter(PID=2, OBX=3),
    a_message(MSH, PID): Counter(PID=1),
    a_message(MSH.replace("ORU^R01^ORU_R01", "ADT^A01"), PID): Counter(other=1),
    a_message(MSH, OBR, OBX): Counter(damaged=1),
    a_message("MSH|^^^^|", PID, OBX): Counter(damaged=1),
    a_message(MSH, PID, OBR.removesuffix("F") + "X"): Counter(PID=1, cancelled_order=1),
}


@given(
    st.lists(st.sampled_from(sorted(MESSAGES)), min_size=1, max_size=8),
    st.sampled_from(["\r", "\n", "\r\n"]),
)
def test_every_row_of_a_file_is_found_once(parts: list[str], end: str):
    rows = read("".join(parts).replace("\r", end))

    assert {record: len(frame) for record, frame in rows.items()} == sum(
        (MESSAGES[part] for part in parts), Counter()
    )
    lines = pl.concat([frame["source_line"] for frame in rows.values()])
    assert lines.n_unique() == len(lines)
    assert lines.max() <= sum(part.count("\r") for part in parts)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    content = bytearray(
        "".join(draw(st.lists(st.sampled_from(sorted(MESSAGES)), max_size=3))).encode()
    )
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(content)))
        content[at : at + draw(st.integers(0, 4))] = draw(
            st.sampled_from(
                [b"", b"|", b"^", b"~", b"\\", b"&", b"\r", b"\n", b"\x00", b"\xe9", b"MSH"]
            )
        )
    return bytes(content)


@given(st.one_of(mutated(), st.binary(max_size=200)))
def test_whatever_the_bytes_the_file_is_read_or_refused(content: bytes):
    try:
        rows = read(content)
    except RefusedFileError:
        return
    lines = pl.concat([frame["source_line"] for frame in rows.values()])
    assert lines.n_unique() == len(lines)
    assert lines.min() >= 1
    # No result is lost: it is a row, or it is in something that is one.
    whole = {"other", "damaged"} & set(rows)
    assert whole or len(rows.get("OBX", [])) == sum(
        line.startswith(b"OBX|") for line in content.replace(b"\n", b"\r").split(b"\r")
    )


@real_messages
@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("cdc_rs_valid_hl7.hl7", {"PID": 1, "OBX": 26}),
        ("nodehl7_ORU_R01_2.5.1_SampleTestCase1.hl7", {"PID": 1, "OBX": 1}),
        ("nodehl7_ORU_R01_2.5.1_SampleTestCase2.hl7", {"PID": 1, "OBX": 1}),
        ("nodehl7_ORU_R01_2.5.1_SampleTestCase3.hl7", {"PID": 1, "OBX": 1}),
    ],
)
def test_messages_that_somebody_else_wrote_are_read(name: str, counts: dict[str, int]):
    assert fates((REAL / name).read_bytes()) == counts


@real_messages
def test_a_correction_has_the_number_of_what_it_corrects():
    first, _, third = (
        read(file.read_bytes())["OBX"].row(0, named=True) for file in sorted(REAL.glob("nodehl7*"))
    )

    assert first["result_id"] == third["result_id"] == "9700123-10368-9-1"
    assert (first["value"], first["unit"], first["status"]) == ("50", "ug/dL", "F")
    assert (third["value"], third["unit"], third["status"]) == ("25", "ug/dl", "C")


@real_messages
def test_the_status_of_a_result_is_its_own_and_values_lose_their_equals_sign():
    rows = read((REAL / "cdc_rs_valid_hl7.hl7").read_bytes())["OBX"]

    assert rows.filter(status="C", order_status="P").height == 10
    assert rows.filter(value_type="SN")["value"].to_list() == ["0.5", "16", "2", ">=32"]
    assert rows["unit"].drop_nulls().unique().to_list() == ["ug/mL"]


@pytest.mark.parametrize(
    ("status", "order_status", "ours"),
    [
        ("F", "F", "F"),
        ("C", "P", "C"),
        ("P", "F", "P"),
        ("R", "F", "P"),
        ("W", "F", "X"),
        ("D", "F", "X"),
        ("X", "F", "X"),
        ("U", "F", "F"),
        ("", "X", "X"),
        ("", "C", "C"),
        ("", "A", "P"),
        ("", "", None),
        ("Q", "F", "Q"),  # of no table: for the rules to find
    ],
)
def test_the_feed_knows_the_statuses_of_both_tables(
    status: str, order_status: str, ours: str | None
):
    feed = load_feed(schemas_folder() / "feeds" / "hl7_oru.yaml")
    kind = next(kind for kind in feed.files if kind.takes("OBX"))
    order = OBR.removesuffix("F") + order_status
    raw = read(a_message(MSH, PID, order, OBX.removesuffix("F") + status))["OBX"]

    table = to_table(raw, feed, kind, source_file="f", source_order=0)

    assert table["status"].to_list() == [ours]
    assert table["result_id"].to_list() == ["F1-2243-4"]
    assert table["excluded"].to_list() == [None]


def test_the_feed_takes_every_record():
    feed = load_feed(schemas_folder() / "feeds" / "hl7_oru.yaml")
    taken = {
        record: [kind.set_apart or kind.unreadable for kind in feed.files if kind.takes(record)]
        for record in ("PID", "OBX", "cancelled_order", "other", "damaged")
    }

    assert taken == {
        "PID": [None],
        "OBX": [None],
        "cancelled_order": ["cancelled_order"],
        "other": ["other_message"],
        "damaged": ["unreadable_segment"],
    }
    for name in ("results.hl7", "RESULTS.ORU"):
        assert all(kind.matches(name) for kind in feed.files)
