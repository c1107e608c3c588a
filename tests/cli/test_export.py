"""``export`` on the command line."""

from pathlib import Path

import polars as pl
import pytest

from tests.cli.command_line import call


@pytest.mark.parametrize(
    ("format", "read"), [("csv", pl.read_csv), ("parquet", pl.read_parquet), ("json", pl.read_json)]
)
def test_export_writes_a_table(
    capsys: pytest.CaptureFixture[str], store: str, tmp_path: Path, format: str, read: object
):
    file = tmp_path / f"cohort.{format}"

    code, _, err = call(
        capsys, "export", "cohort", "--store", store, "--format", format, "-o", str(file)
    )

    assert code == 0
    assert callable(read)
    frame = read(file)
    assert f"{len(frame):,} rows of cohort, run-000002 as of 2026-09-30" in err
    assert {"patient_id", "status", "tier", "p_attributable"} <= set(frame.columns)
