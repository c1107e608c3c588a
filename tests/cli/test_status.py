"""``status`` on the command line."""

import re

import pytest

from tests.cli.command_line import call


def test_status_shows_runs_rows_limit_and_flags(capsys: pytest.CaptureFixture[str], store: str):
    code, out, _ = call(capsys, "status", "--store", store)

    assert code == 0
    assert "run-000002" in out
    assert "Limit in use:" in out
    assert "critical" in out
    # Nobody was flagged before the first run that judged.
    assert re.search(r"New in run-000002 as of 2026-09-30: [0-9]+ flags opened, 0 resolved\.", out)
