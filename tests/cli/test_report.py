"""``report`` on the command line."""

from pathlib import Path

import pytest

from tests.cli.command_line import call


def test_report_writes_its_files_and_says_where(
    capsys: pytest.CaptureFixture[str], store: str, tmp_path: Path
):
    code, out, _ = call(
        capsys, "report", "--month", "2026-09", "--store", store, "--out", str(tmp_path)
    )

    assert code == 0
    file = tmp_path / "e2-report-2026-09-internal.html"
    assert all(str(file.with_suffix(suffix)) in out for suffix in (".html", ".pdf", ".xlsx"))
    assert "men to review" in out
    # Of all clinics and of each, inside and outside, in three forms.
    assert len(list(tmp_path.iterdir())) == 2 * 3 * 3
    # The first run of that day only took rows in; the report is that of the first that judged them.
    assert "run-000002" in file.read_text(encoding="utf-8")


def test_report_compares_with_a_run_or_a_month(capsys: pytest.CaptureFixture[str], store: str):
    code, out, _ = call(
        capsys, "report", "--month", "2026-09", "--store", store, "--compare", "run-000002"
    )
    assert (code, out.splitlines()[-1]) == (0, "Nothing differs.")

    code, _, err = call(
        capsys, "report", "--month", "2026-09", "--store", store, "--compare", "yesterday"
    )
    assert code == 14
    assert "neither a month, YYYY-MM, nor a run" in err

    code, _, err = call(capsys, "report", "--month", "2026-09", "--store", store)
    assert code == 2
