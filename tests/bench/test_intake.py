"""The benchmark of intake: both processes run on the same file, and the row says what they took."""

import pytest

from bench import intake


@pytest.mark.slow
def test_a_small_export_is_taken_in_and_compared():
    result = intake.measured(2_000)

    assert result["ours_seconds"] > 0
    assert result["polars_seconds"] > 0
    assert 0.05 < result["ours_peak_gb"] < 3


def test_the_row_gives_the_ratio_and_the_memory():
    row = {
        "rows": 10_000_000,
        "file_gb": 1.06,
        "ours_seconds": 30.0,
        "ours_cpu_seconds": 44.0,
        "ours_peak_gb": 2.7,
        "polars_seconds": 6.0,
        "polars_cpu_seconds": 7.0,
        "polars_peak_gb": 2.4,
    }

    said = " ".join(intake.line(row).split())

    assert "e2analytics 30.0 s 2.7 GB polars 6.0 s 2.4 GB (5.0 x; target 2.5 x, 3 GB; " in said
    assert "processor time 44.0 s and 7.0 s)" in said
