"""``status`` on the command line."""

import pytest

from tests.cli.command_line import call


def test_status_shows_runs_rows_limit_and_flags(capsys: pytest.CaptureFixture[str], store: str):
    code, out, _ = call(capsys, "status", "--store", store)

    assert code == 0
    assert "run-000002" in out
    assert "Limit in use:" in out
    assert "critical" in out
