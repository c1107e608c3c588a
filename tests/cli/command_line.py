"""Calls the command line in process."""

import sys

import pytest

from e2analytics.cli import main


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run the command line in process; return exit code, standard output, standard error."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["e2analytics", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main.main()
    printed = capsys.readouterr()
    code = stopped.value.code
    return (code if isinstance(code, int) else 0), printed.out, printed.err
