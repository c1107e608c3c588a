"""The lock: one publisher at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from e2analytics.errors import StoreError
from e2analytics.store.lock import writing
from e2analytics.store.store import Store

HOLDER = """
import sys, time
from e2analytics.store.lock import writing
with writing(sys.argv[1]):
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
            writing(store.uri),
        ):
            pass
        holder.kill()

    with writing(store.uri):
        pass


def test_a_store_that_cannot_be_made_is_an_error(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(StoreError, match="cannot be made"),
        writing(f"{tmp_path}/file/store"),
    ):
        pass
