"""SAS transport: NHANES, where it is at hand."""

import sys
from pathlib import Path

import pytest

from e2analytics.errors import RefusedFileError
from e2analytics.feeds import sas
from tests.feeds.conftest import read_bytes

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
