"""The lease of a store in object storage: one publisher at a time, on whatever host."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import obstore
import polars as pl
import pytest
from deltalake import write_deltalake
from deltalake.exceptions import CommitFailedError
from obstore.store import from_url

from e2analytics.errors import StoreError
from e2analytics.store import lease, lock
from e2analytics.store.access import DeltaTables
from e2analytics.store.lock import writing
from tests.store.remote.gateway import Gateway

HOLDER = """
import sys, time
from e2analytics.store import lease
from e2analytics.store.access import DeltaTables
from e2analytics.store.lock import writing
lease._TERM_SECONDS, lease._RENEW_SECONDS = 2.0, 0.2
with writing(DeltaTables(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""
ROW = pl.DataFrame({"n": [1]})

pytestmark = pytest.mark.usefixtures("short_terms")


@contextmanager
def holder(uri: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, with another folder for temporary files, that holds the store."""
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", HOLDER, uri],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder)},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def silent(uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeltaTables]:
    """A holder that renews nothing, as one whose host is paused, and that another run takes over."""
    with monkeypatch.context() as patch:
        patch.setattr(lease, "_RENEW_SECONDS", 1e6)
        patch.setattr(lease, "_TERM_SECONDS", 0.3)
        paused = DeltaTables(uri)
        with writing(paused):
            yield paused


def file_of(uri: str) -> dict[str, object]:
    content = bytes(obstore.get(from_url(uri), "lease.json").bytes())
    found: dict[str, object] = json.loads(content)
    return found


def test_a_second_publisher_on_another_host_learns_who_holds_the_store(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lock, "_WAIT_SECONDS", 0.5)
    with holder(uri, tmp_path) as other:
        message = rf"{uri} is in use by process {other.pid} on .+ since 20\d\d-\d\d-\d\d .+ UTC"
        with pytest.raises(StoreError, match=message), writing(DeltaTables(uri)):
            pass
        before = file_of(uri)["token"]
        other.communicate("\n")

    began = time.monotonic()
    with writing(DeltaTables(uri)):
        # It was given back, so there is no term to wait for.
        assert time.monotonic() - began < 1.5
        assert file_of(uri)["token"] == before + 1  # type: ignore[operator]


def test_a_killed_holder_is_taken_over_once_its_term_is_over(uri: str, tmp_path: Path):
    with holder(uri, tmp_path) as other:
        other.send_signal(signal.SIGKILL)
        other.wait()
        before = file_of(uri)
        began = time.monotonic()
        with writing(DeltaTables(uri)):
            waited = time.monotonic() - began

    assert waited >= 2.0
    assert file_of(uri)["token"] == before["token"] + 1  # type: ignore[operator]


def test_a_holder_whose_store_was_taken_over_writes_no_more(
    uri: str, monkeypatch: pytest.MonkeyPatch
):
    with silent(uri, monkeypatch) as paused:
        paused.write("t", ROW, "append")
        other = DeltaTables(uri)
        with writing(other):
            with pytest.raises(StoreError, match="lost the store"):
                paused.write("t", ROW, "append")
            other.write("t", ROW, "append")

        assert other.version("t") == 1
        # What the other one left behind is given back; the lease of the one that lost it stays lost.
        with pytest.raises(StoreError, match="lost the store"):
            paused.write("t", ROW, "append")
        assert file_of(uri)["holder"] is None


def test_a_write_that_was_paused_just_before_its_commit_fails(
    uri: str, monkeypatch: pytest.MonkeyPatch
):
    with silent(uri, monkeypatch) as paused:
        paused.write("t", ROW, "append")
        table, commit = paused.newest("t"), paused.commit_properties()
        assert table is not None
        other = DeltaTables(uri)
        with writing(other):
            other.write("t", ROW, "overwrite")

        with pytest.raises(CommitFailedError):
            write_deltalake(table, ROW, mode="append", commit_properties=commit)
        # Even one that no longer looks at the lease is refused by the table.
        monkeypatch.setattr(lease.Fence, "check", lambda _: None)
        with pytest.raises(StoreError, match="lost the store"):
            paused.write("t", ROW, "append")

    assert other.version("t") == 1


def test_from_the_moment_it_is_taken_over_no_manifest_is_published(
    uri: str, monkeypatch: pytest.MonkeyPatch
):
    with silent(uri, monkeypatch) as paused:
        paused.write("runs", ROW, "append")
        table, commit = paused.newest("runs"), paused.commit_properties()
        assert table is not None
        with writing(DeltaTables(uri)):
            with pytest.raises(CommitFailedError):
                write_deltalake(table, ROW, mode="append", commit_properties=commit)
            assert DeltaTables(uri).read("runs").equals(ROW)


def test_two_writers_of_one_table_do_not_both_succeed(uri: str):
    tables = DeltaTables(uri)
    with writing(tables):
        tables.write("t", ROW, "append")
        first, second = tables.newest("t"), tables.newest("t")
        assert first is not None
        assert second is not None
        write_deltalake(first, ROW, mode="append", commit_properties=tables.commit_properties())
        with pytest.raises(CommitFailedError):
            write_deltalake(
                second, ROW, mode="overwrite", commit_properties=tables.commit_properties()
            )


def test_a_lease_outlives_a_network_that_is_away_for_longer_than_its_term(
    uri: str, gateway: Gateway
):
    tables = DeltaTables(uri)
    with writing(tables):
        gateway.mode = "cut"
        time.sleep(2.5)
        gateway.mode = "open"
        tables.write("t", ROW, "append")

    assert tables.read("t").equals(ROW)


def test_a_renewal_whose_answer_is_lost_keeps_the_lease(uri: str, gateway: Gateway):
    tables = DeltaTables(uri)
    with writing(tables):
        gateway.mode = "lose the next answer"
        while gateway.mode != "open":
            time.sleep(0.05)
        time.sleep(1.0)
        renewed = file_of(uri)["renewals"]
        time.sleep(1.0)
        assert file_of(uri)["renewals"] > renewed  # type: ignore[operator]
        tables.write("t", ROW, "append")


def test_a_commit_whose_answer_is_lost_is_no_failure(
    uri: str, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lease, "_RENEW_SECONDS", 1e6)
    tables = DeltaTables(uri)
    with writing(tables):
        tables.write("runs", ROW, "append")
        gateway.mode = "lose the next answer"
        tables.write("runs", ROW, "append")

        assert gateway.mode == "open"
        assert tables.version("runs") == 1
        assert len(tables.read("runs")) == 2


def test_a_storage_that_does_not_keep_conditions_is_refused(uri: str, gateway: Gateway):
    gateway.mode = "unconditional"

    with (
        pytest.raises(StoreError, match="does not refuse a write whose condition fails"),
        writing(DeltaTables(uri)),
    ):
        pass


def test_conditions_that_are_switched_off_are_refused(uri: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_CONDITIONAL_PUT", "disabled")

    with (
        pytest.raises(StoreError, match="does not refuse a write whose condition fails"),
        writing(DeltaTables(uri)),
    ):
        pass


def test_a_lease_that_was_removed_does_not_bring_a_smaller_token(uri: str):
    tables = DeltaTables(uri)
    for _ in range(2):
        with writing(tables):
            tables.write("t", ROW, "append")
    obstore.delete(from_url(uri), "lease.json")

    with writing(tables):
        tables.write("t", ROW, "append")
    assert len(tables.read("t")) == 3


def test_a_damaged_lease_is_an_error(uri: str):
    obstore.put(from_url(uri), "lease.json", b"{")

    with pytest.raises(StoreError, match=r"lease\.json .* damaged"), writing(DeltaTables(uri)):
        pass


@pytest.mark.parametrize("uri", ["ftp://host/store", "hdfs://host/store"])
def test_an_address_that_is_none_of_object_storage_is_refused(uri: str):
    with (
        pytest.raises(StoreError, match="s3://, gs://, az:// or abfss://"),
        writing(DeltaTables(uri)),
    ):
        pass


def test_an_address_with_a_secret_is_refused_without_repeating_it():
    with pytest.raises(StoreError, match="in the environment") as refused:
        DeltaTables("az://container/store?sig=abcdef")

    assert "abcdef" not in str(refused.value)
