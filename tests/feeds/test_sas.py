"""SAS transport: a small file made here, and NHANES where it is at hand."""

import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2analytics.errors import RefusedFileError
from e2analytics.feeds import sas
from tests.feeds.conftest import read_bytes
from tests.feeds.transport import Column
from tests.feeds.transport import transport as written_as_transport

NHANES = Path(__file__).parents[3] / "shared" / "data" / "nhanes_2017_2020"


@pytest.mark.skipif(not NHANES.is_dir(), reason="the public NHANES files are not here")
def test_zeros_are_zeros_whole_numbers_have_no_point_and_missing_is_null():
    rows = read_bytes(sas, (NHANES / "P_TST.xpt").read_bytes())

    assert len(rows) == 12_198
    assert set(rows["LBDESTLC"].unique()) == {"0", "1", None}
    assert rows["SEQN"].str.contains(r"^\d+$").all()
    assert rows["LBXEST"].null_count() == 3_003
    assert rows["source_line"].to_list()[:2] == [2, 3]


@pytest.mark.skipif(not NHANES.is_dir(), reason="the public NHANES files are not here")
def test_a_file_cut_off_is_refused():
    with pytest.raises(RefusedFileError, match="truncated_file"):
        read_bytes(sas, (NHANES / "P_TST.xpt").read_bytes()[:100_010])


def test_whoever_has_no_sas_need_not_wait_for_its_reader(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "pandas", None)  # importing it would now fail
    (tmp_path / "a.xpt").write_bytes(b"patient_id,value\n")

    assert sas.header(tmp_path / "a.xpt", sas.Options()) == {}
    with pytest.raises(RefusedFileError, match="not_sas_transport"):
        list(sas.read(tmp_path / "a.xpt", sas.Options()))


@pytest.mark.parametrize(
    ("content", "rule"), [(b"", "empty_file"), (b"patient_id,value\n", "not_sas_transport")]
)
def test_what_is_not_sas_transport_is_refused(content: bytes, rule: str):
    with pytest.raises(RefusedFileError, match=rule):
        read_bytes(sas, content)


def transport(rows: list[tuple[float, str]], width: int = 8) -> bytes:
    """Return a table of a number and a text, as the specification of XPORT version 5 lays it out."""

    def header(kind: str, numbers: str = "0" * 30) -> str:
        return f"HEADER RECORD*******{kind:<8}HEADER RECORD!!!!!!!{numbers}  "

    saved = "01JAN26:00:00:00"
    fields = b"".join(
        struct.pack(
            ">hhhh8s40s8shhh2s8shhl52s",
            *(kind, 0, length, place, name.ljust(8), b" " * 40, b" " * 8),
            *(0, 0, 0, b"  ", b" " * 8, 0, 0, position, b""),
        )
        for kind, length, place, name, position in (
            (1, 8, 1, b"SEQN", 0),
            (2, width, 2, b"TEXT", 8),
        )
    )
    head = [
        header("LIBRARY"),
        f"{'SAS     SAS     SASLIB  6.06    bsd4.2':<64}{saved}",
        f"{saved:<80}",
        header("MEMBER", "000000000000000001600000000140"),
        header("DSCRPTR"),
        f"{'SAS     TABLE   SASDATA 6.06    bsd4.2':<64}{saved}",
        f"{saved:<80}",
        header("NAMESTR", "000000000200000000000000000000"),
    ]
    body = b"".join(ibm(number) + text.encode().ljust(width) for number, text in rows)
    parts = ["".join(head).encode(), fields, header("OBS").encode(), body]
    return b"".join(part + b" " * (-len(part) % 80) for part in parts)


def ibm(number: float) -> bytes:
    """Return a whole number from 0 to 15 as IBM's floating point has it."""
    return struct.pack(">BB6x", 0x41, int(number) << 4) if number else bytes(8)


@pytest.mark.parametrize("n_rows", range(1, 12))
@pytest.mark.parametrize("width", [8, 16, 90])
def test_no_observation_is_lost_whose_texts_are_empty(n_rows: int, width: int):
    rows = read_bytes(sas, transport([(each, "") for each in range(n_rows)], width))

    assert rows["SEQN"].to_list() == [str(each) for each in range(n_rows)]
    assert rows["TEXT"].null_count() == n_rows


def test_a_large_file_is_read_some_at_a_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(sas, "BATCH_ROWS", 4)
    (tmp_path / "a.xpt").write_bytes(transport([(each, f"t{each}") for each in range(10)]))

    batches = [batch.rows for batch in sas.read(tmp_path / "a.xpt", sas.Options())]

    assert [batch["source_line"].to_list() for batch in batches] == [
        [2, 3, 4, 5],
        [6, 7, 8, 9],
        [10, 11],
    ]
    assert batches[2]["TEXT"].to_list() == ["t8", "t9"]


def test_a_table_without_observations_has_its_columns():
    rows = read_bytes(sas, transport([]))

    assert rows.is_empty()
    assert rows.columns == ["SEQN", "TEXT", "source_line", "short_line"]


@given(st.integers(0, 1_300), st.binary(min_size=1, max_size=4))
def test_a_damaged_file_is_read_or_refused(place: int, damage: bytes):
    whole = transport([(1, "one"), (2, "two"), (3, "three")])
    damaged = whole[:place] + damage + whole[place + len(damage) :]
    try:
        rows = read_bytes(sas, damaged[: len(whole)])
    except RefusedFileError:
        return
    assert rows.columns[-2:] == ["source_line", "short_line"]


def test_dates_and_times_of_a_sas_format_are_written_as_such():
    columns = [
        Column("DRAWN", "Date of draw", "DATE"),
        Column("AT", "Time of draw", "DATETIME"),
        Column("DAYS", "Days since the first visit"),
    ]
    rows: list[list[float | None]] = [
        [24_181, 24_181 * 86_400 + 7 * 3600, 24_181],
        [-1, None, 0],
        [24_181.5, 0.5, 1.5],
        [9_999_999, 1e15, 1],
    ]

    read = read_bytes(sas, written_as_transport(columns, rows))

    assert read.select("DRAWN", "AT", "DAYS").rows() == [
        ("2026-03-16", "2026-03-16T07:00:00", "24181"),
        ("1959-12-31", None, "0"),
        # No whole day or second, or not within five centuries: as it is, to be rejected.
        ("24181.5", "0.5", "1.5"),
        ("9999999", "1000000000000000", "1"),
    ]


def test_labels_are_what_the_file_says_of_its_columns(tmp_path: Path):
    path = tmp_path / "lb.xpt"
    path.write_bytes(
        written_as_transport([Column("LBORRES", "Result", width=8), Column("X")], [["5.1", 1.0]])
    )

    assert sas.labels(path) == {"LBORRES": "Result"}
    path.write_bytes(b"no such file")
    assert sas.labels(path) == {}


def test_what_a_format_says_beside_a_number_is_read():
    columns = [Column("ID", format="Z", shown=7), Column("FAT", format="PERCENT", shown=8)]

    read = read_bytes(sas, written_as_transport(columns, [[123, 0.452], [None, None]]))

    assert read.select("ID", "FAT").rows() == [("0000123", "45.2%"), (None, None)]
