"""``fit`` on the command line."""

from pathlib import Path

import pytest

from tests.cli.command_line import call

KEY = "a key for the tests of the terminal"


def test_too_little_data_to_fit_is_exit_12(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("E2ANALYTICS_KEY", KEY)
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "patients.csv").write_text(
        "patient_id,clinic_id,sex,birth_date\nP1,C,M,1970-01-01\n"
    )
    address = str(tmp_path / "store")
    call(capsys, "ingest", str(tmp_path / "drop"), "--store", address)

    code, _, err = call(capsys, "fit", "--store", address)

    assert code == 12
    assert "No curve could be fitted" in err
