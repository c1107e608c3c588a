"""``flag`` on the command line."""

import polars as pl
import pytest

from e2analytics.store.store import Store, open_published
from tests.cli.command_line import call


def test_a_preview_shows_whose_status_would_change_and_publishes_nothing(
    capsys: pytest.CaptureFixture[str], store: str, monkeypatch: pytest.MonkeyPatch
):
    runs = len(Store(store).runs())
    code, same, _ = call(capsys, "flag", "--preview", "--store", store)
    assert (code, "0 would change" in same) == (0, True)

    monkeypatch.setenv("E2ANALYTICS_FLAG__PROBABILITY", "0.9")
    code, out, _ = call(capsys, "flag", "--preview", "--store", store)

    assert code == 0
    assert "nothing was published" in out
    cohort = Store(store).table("cohort", open_published(store)[1])
    low = cohort.filter(pl.col("status") == "below_range", pl.col("p_attributable") < 0.9)
    assert len(low)
    assert all(patient_id in out for patient_id in low["patient_id"])
    assert len(Store(store).runs()) == runs
