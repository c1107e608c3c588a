"""HL7 v2: whole files, and what is refused."""

import logging
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2analytics.errors import RefusedFileError
from e2analytics.feeds.description import load_feed
from e2analytics.feeds.hl7v2 import reader as hl7v2
from e2analytics.feeds.mapping import to_table
from e2analytics.reference import schemas_folder
from tests.feeds.hl7v2.hl7_files import MSH, OBR, OBX, PID, a_message, fates, read

REAL = Path(__file__).parents[4] / "shared" / "data" / "hl7"


real_messages = pytest.mark.skipif(not REAL.is_dir(), reason="the public HL7 files are not here")


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

    assert first["result_id"] == third["result_id"] == "9700123^Lab-10368-9-1"
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
