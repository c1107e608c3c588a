"""``init`` on the command line: what a new clinic gets, and what is never touched."""

import stat
from pathlib import Path

import pytest

from e2analytics.key import KEY_FILE_VARIABLE, read_key
from e2analytics.settings import read_settings
from tests.cli.command_line import call

MADE = ["drop", "e2.key", "e2analytics.toml", "feeds", "reports", "store"]


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.name: (path.stat().st_mode, path.read_bytes() if path.is_file() else b"")
        for path in folder.iterdir()
    }


def test_a_new_clinic_gets_key_configuration_and_folders(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "my clinic"

    code, out, _ = call(capsys, "init", f"{folder}")

    assert code == 0
    assert sorted(path.name for path in folder.iterdir()) == MADE
    assert stat.S_IMODE((folder / "e2.key").stat().st_mode) == 0o600
    monkeypatch.setenv(KEY_FILE_VARIABLE, f"{folder / 'e2.key'}")
    assert len(read_key()) == 64
    assert read_settings(folder / "e2analytics.toml").feeds_folder == Path("feeds")
    # The next steps can be copied: the folder has a blank in its name.
    assert f"  cd '{folder}'\n" in out
    assert f"  export E2ANALYTICS_KEY_FILE='{folder / 'e2.key'}'\n" in out
    assert "  e2analytics run --drop drop" in out
    assert read_key().decode() not in out


def test_a_second_time_changes_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    call(capsys, "init")
    (tmp_path / "e2analytics.toml").write_text('timezone = "Europe/Berlin"\n')
    before = contents(tmp_path)

    code, out, _ = call(capsys, "init")

    assert code == 0
    assert contents(tmp_path) == before
    assert "Made" not in out
    assert "Kept  e2.key" in out


def test_what_is_missing_is_made_beside_what_is_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    (tmp_path / "e2.key").write_text("a key from before, long enough\n")
    (tmp_path / "e2.key").chmod(0o644)

    code, out, err = call(capsys, "init", f"{tmp_path}")

    assert code == 0
    assert (tmp_path / "e2.key").read_text() == "a key from before, long enough\n"
    assert "Made  e2analytics.toml" in out
    assert "Others can read the key. Make it yours alone: chmod 600" in err


def test_a_store_with_runs_gets_no_second_key(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, store: str
):
    (tmp_path / "store").symlink_to(store)

    code, _, err = call(capsys, "init", f"{tmp_path}")

    assert code == 0
    assert not (tmp_path / "e2.key").exists()
    assert "No key was made: store/ holds runs that were made with another." in err


def test_a_folder_that_cannot_be_made_is_said_so(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    (tmp_path / "file").touch()

    code, _, err = call(capsys, "init", f"{tmp_path / 'file'}")

    assert code == 10
    assert "Give a folder that you may write to." in err


def test_the_zone_is_that_of_the_machine(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TZ", "America/New_York")

    call(capsys, "init", f"{tmp_path}")

    assert read_settings(tmp_path / "e2analytics.toml").timezone == "America/New_York"
