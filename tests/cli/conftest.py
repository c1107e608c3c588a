"""A store that the verbs are tried on."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def store(clinic: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store made by ingest and fit; a test that publishes takes a copy."""
    address = str(tmp_path_factory.mktemp("cli") / "store")
    for arguments in (
        ["ingest", str(clinic / "drop"), "--store", address, "--as-of", "2026-09-30"],
        ["fit", "--store", address, "--as-of", "2026-09-30"],
    ):
        command = [sys.executable, "-m", "e2analytics", *arguments]
        made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
        assert made.returncode == 0, made.stderr
    return address
