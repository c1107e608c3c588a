"""``worklist`` on the command line."""

from pathlib import Path

import pytest

from tests.cli.command_line import call


@pytest.mark.parametrize("ending", ["csv", "xlsx"])
def test_the_worklist_is_written(
    capsys: pytest.CaptureFixture[str], store: str, tmp_path: Path, ending: str
):
    file = tmp_path / f"list.{ending}"

    code, _, err = call(capsys, "worklist", "--store", store, "-o", str(file))

    assert (code, file.exists()) == (0, True)
    assert "men with an open flag" in err
    assert call(capsys, "worklist", "--store", store, "-o", str(tmp_path / "list.txt"))[0] == 2
