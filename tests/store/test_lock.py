"""The lock: one publisher at a time."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from e2analytics.errors import StoreError
from e2analytics.store.access import DeltaTables
from e2analytics.store.lock import writing
from e2analytics.store.store import Store

HOLDER = """
import sys, time
from e2analytics.store.access import DeltaTables
from e2analytics.store.lock import writing
with writing(DeltaTables(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_publisher_learns_who_holds_the_store(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("e2analytics.store.lock._WAIT_SECONDS", 0.2)
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", HOLDER, store.uri], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(StoreError, match=f"in use by process {holder.pid} on"),
            writing(store.delta),
        ):
            pass
        holder.kill()

    with writing(store.delta):
        pass


def test_a_store_that_cannot_be_made_is_an_error(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(StoreError, match="cannot be made"),
        writing(DeltaTables(f"{tmp_path}/file/store")),
    ):
        pass


def test_a_full_disk_is_an_error(store: Store, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as context:
        context.setattr(Path, "write_text", full)
        with (
            pytest.raises(StoreError, match=r"cannot be written \(No space left on device\)"),
            writing(store.delta),
        ):
            pass

    with writing(store.delta):
        pass


def test_a_holder_that_has_not_said_its_name_is_another_process(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("e2analytics.store.lock._WAIT_SECONDS", 0.2)
    with (
        FileLock(Path(store.uri) / ".lock"),
        pytest.raises(StoreError, match="in use by another process"),
        writing(store.delta),
    ):
        pass
