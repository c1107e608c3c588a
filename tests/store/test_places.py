"""Where a store may lie: paths that work, and paths that are refused before anything is written."""

from pathlib import Path

import polars as pl
import pytest

from e2analytics.errors import StoreError
from e2analytics.store.access import DeltaTables


@pytest.mark.parametrize(
    "name", ["a b", "Praxis Müller é", "k=v", "x=1/y=2", "50%", "100 % done", "q?m#x", "{b}*"]
)
def test_a_store_under_such_a_path_is_written_there_and_read_again(tmp_path: Path, name: str):
    tables = DeltaTables(str(tmp_path / name))
    for n in (1, 2):
        tables.write("t", pl.DataFrame({"n": [n]}), "append")

    assert sorted(tables.read("t")["n"]) == [1, 2]
    assert (tmp_path / name / "t" / "_delta_log").is_dir()


@pytest.mark.parametrize(
    "name", ["[x]", "a[0-9]", "a]b", "a%20b", "100%25", "a%2Fb", "back\\s", "a\tb", "a\udcfcb"]
)
def test_a_path_that_delta_lake_fails_on_is_refused_before_anything_is_written(
    tmp_path: Path, name: str
):
    with pytest.raises(StoreError, match="nothing was written") as refused:
        DeltaTables(str(tmp_path / name))

    assert str(refused.value).isascii()
    assert list(tmp_path.iterdir()) == []


def test_a_short_address_is_refused_for_the_folder_that_it_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "[clinic]").mkdir()
    monkeypatch.chdir(tmp_path / "[clinic]")

    with pytest.raises(StoreError, match=r"with '\['"):
        DeltaTables("./store")


def test_addresses_of_object_storage_are_left_to_delta_lake():
    assert DeltaTables("s3://bucket/a%20b").uri == "s3://bucket/a%20b"
