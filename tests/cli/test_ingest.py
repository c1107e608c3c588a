"""``ingest`` on the command line."""

from pathlib import Path

import pytest

from tests.cli.command_line import call

KEY = "a key for the tests of the terminal"


def test_real_files_need_a_key(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    (tmp_path / "patients.csv").write_text("patient_id,clinic_id,sex,birth_date\n")

    code, _, err = call(capsys, "ingest", str(tmp_path), "--store", str(tmp_path / "store"))

    assert code == 14
    assert "There is no key" in err


def test_another_key_is_refused_before_anything_is_written(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    clinic: Path,
    store: str,
):
    monkeypatch.setenv("E2ANALYTICS_KEY", KEY)

    code, _, err = call(capsys, "ingest", str(clinic / "drop"), "--store", store)

    assert code == 14
    assert "written under another key" in err


def test_a_refused_file_is_exit_11_and_named_on_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("E2ANALYTICS_KEY", KEY)
    drop = tmp_path / "drop"
    drop.mkdir()
    (drop / "patients.csv").write_text("patient_id,clinic_id,sex,birth_date\nP1,C,M,1970-01-01\n")
    (drop / "labs.csv").write_text("")

    code, out, err = call(
        capsys, "ingest", str(drop), "--store", str(tmp_path / "store"), "--as-of", "2024-01-01"
    )

    assert code == 11
    assert "incomplete" in out
    assert f"REFUSED {drop / 'labs.csv'}: empty_file" in err
