"""``simulate`` on the command line: what it writes, ``inspect`` and ``ingest`` read."""

import subprocess
import sys
from pathlib import Path

import pytest

from e2analytics.reference.simulation_marker import MARKER_NAME
from e2analytics.simulate.exports import FORMATS
from tests.cli.command_line import call

# That a feed knows each format's files is tried with `recognise` in tests/simulate/test_exports.py.
QUICK_TO_INSPECT = ("european_csv", "fhir", "lunar_like")


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred men in every format, written by the command."""
    folder = tmp_path_factory.mktemp("simulated")
    asked = [word for name in FORMATS for word in ("--format", name)]
    command = [sys.executable, "-m", "e2analytics", "simulate", str(folder), *asked]
    made = subprocess.run([*command, "--patients", "100"], capture_output=True, check=False)  # noqa: S603
    assert made.returncode == 0, made.stderr
    return folder / "exports"


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK_TO_INSPECT else pytest.param(name, marks=pytest.mark.slow)
        for name in FORMATS
    ],
)
def test_what_simulate_writes_in_any_format_is_known_to_inspect(
    capsys: pytest.CaptureFixture[str], exports: Path, name: str
):
    entries = sorted((exports / name).iterdir())

    code, out, _ = call(capsys, "inspect", *map(str, entries))

    assert MARKER_NAME in {entry.name for entry in entries}
    assert (code, out.count("\n  Feed: ")) == (0, len(entries) - 1)


@pytest.mark.parametrize("name", ["european_csv", pytest.param("hl7v2", marks=pytest.mark.slow)])
def test_what_simulate_writes_in_a_format_is_read_by_ingest(
    capsys: pytest.CaptureFixture[str], exports: Path, tmp_path: Path, name: str
):
    drop, store = exports / name, str(tmp_path / "store")

    code, out, err = call(capsys, "ingest", str(drop), "--store", store, "--as-of", "2026-09-30")

    assert (code, "Not read" in err) == (0, False)
    assert f"Read {len(list(drop.iterdir())) - 1} file(s)" in out


def test_simulate_writes_the_same_bytes_for_the_same_seed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    for folder in ("a", "b"):
        code, _, _ = call(
            capsys,
            "simulate",
            str(tmp_path / folder),
            "--patients",
            "120",
            "--shape",
            "u",
            "--seed",
            "3",
        )
        assert code == 0

    files = [
        path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file()
    ]
    assert files
    assert all(
        (tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files
    )
