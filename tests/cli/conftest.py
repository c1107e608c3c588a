"""A store that the verbs are tried on."""

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from e2analytics.simulate import SimulationSettings, simulate


@pytest.fixture(scope="session")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six hundred men of two clinics: a report of each takes a while."""
    folder = tmp_path_factory.mktemp("clinic")
    simulate(folder, SimulationSettings(patients=600, shape="threshold", seed=7, clinics=2))
    return folder


@pytest.fixture(scope="session")
def store(clinic: Path, tmp_path_factory: pytest.TempPathFactory, testrun_uid: str) -> str:
    """A store made by ingest and fit, once for all workers; a test that publishes takes a copy."""
    folder = tmp_path_factory.getbasetemp().parent / f"cli-{testrun_uid}"
    address, is_made = str(folder / "store"), folder / "made"
    with FileLock(f"{folder}.lock"):
        if is_made.exists():
            return address
        for arguments in (
            ["ingest", str(clinic / "drop"), "--store", address, "--as-of", "2026-09-30"],
            ["fit", "--store", address, "--as-of", "2026-09-30"],
        ):
            command = [sys.executable, "-m", "e2analytics", *arguments]
            made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
            assert made.returncode == 0, made.stderr
        is_made.touch()
    return address
