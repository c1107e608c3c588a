"""``inspect`` on the command line."""

import pytest

from tests.cli.command_line import call


def test_inspect_shows_a_hundred_rows_at_the_most(capsys: pytest.CaptureFixture[str]):
    code, _, err = call(capsys, "inspect", "labs.csv", "--show-values", "--rows", "101")

    assert code == 2
    assert "equal to 100" in " ".join(err.split())
