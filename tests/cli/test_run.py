"""``run`` on the command line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from e2analytics.store.store import Store


def test_a_prefect_server_that_is_not_there_is_said_so_before_anything_is_read(
    clinic: Path, tmp_path: Path
):
    unreachable = {**os.environ, "PREFECT_API_URL": "http://127.0.0.1:9/api"}
    command = [sys.executable, "-m", "e2analytics", "run", "--drop", str(clinic / "drop")]
    command += ["--store", str(tmp_path / "store")]

    done = subprocess.run(command, env=unreachable, capture_output=True, text=True, check=False)  # noqa: S603

    assert done.returncode == 14
    assert "No Prefect server answers at the address in PREFECT_API_URL." in done.stderr
    assert not (tmp_path / "store").exists()


@pytest.mark.slow
def test_a_run_that_a_scheduler_ends_publishes_nothing_and_shows_no_error(
    clinic: Path, tmp_path: Path
):
    store = tmp_path / "store"
    command = [sys.executable, "-m", "e2analytics", "run", "--drop", str(clinic / "drop")]
    command += ["--store", str(store), "--as-of", "2026-09-30"]
    own_server = {**os.environ, "PREFECT_HOME": str(tmp_path / "prefect")}
    own_server.pop("PREFECT_API_URL", None)

    with subprocess.Popen(command, env=own_server, stderr=subprocess.PIPE, text=True) as started:  # noqa: S603
        assert started.stderr is not None
        printed = "".join(iter(started.stderr.readline, "Reading the drop ...\n"))
        started.terminate()
        printed += started.stderr.read()

    assert started.returncode == 143
    assert "Error" not in printed
    assert not Store(str(store)).exists()
