"""``limits`` on the command line."""

import re
import shutil
from pathlib import Path

import polars as pl
import pytest

from e2analytics.store.store import Store
from e2analytics.tables.registry import schema_of
from tests.cli.command_line import call


def test_adopting_a_limit_can_be_looked_at_first(capsys: pytest.CaptureFixture[str], store: str):
    runs = len(Store(store).runs())

    code, out, _ = call(capsys, "limits", "adopt", "--preview", "--store", store)

    assert (code, "nothing was published" in out) == (0, True)
    assert len(Store(store).runs()) == runs


def test_limits_are_shown_and_adopted_for_a_reason(
    capsys: pytest.CaptureFixture[str], store: str, tmp_path: Path
):
    store = shutil.copytree(store, tmp_path / "store").as_posix()
    code, out, _ = call(capsys, "limits", "show", "--store", store)
    assert code == 0
    assert "Limit in use: 16.0 pg/mL (literature)." in out
    assert "To take it into use: e2analytics limits adopt" in " ".join(out.split())

    code, _, _ = call(capsys, "limits", "adopt", "--reason", "  ", "--store", store)
    assert code == 2

    code, out, _ = call(
        capsys, "limits", "adopt", "--reason", "agreed", "--store", store, "--as-of", "2026-09-30"
    )
    assert code == 0
    assert "agreed" in out


def test_the_upper_end_of_the_sweet_spot_is_said_as_in_the_report(
    capsys: pytest.CaptureFixture[str], store: str, monkeypatch: pytest.MonkeyPatch
):
    _, out, _ = call(capsys, "limits", "show", "--store", store)

    assert (
        "Upper end of the sweet spot, information on which no flag rests: "
        "Not identifiable: no outcome beyond bone has enough first events."
    ) in " ".join(out.split())

    fluid = {
        "site": "whole_man",
        "outcome": "hazard_fluid_retention_1y",
        "verdict": "high_side_threshold",
        "upper_limit_pg_ml": 46.0,
        "upper_limit_ci_low": 43.0,
        "upper_limit_ci_high": 51.0,
        "upper_limit_supported": True,
    }
    earned = pl.DataFrame([fluid], schema=schema_of("curve_summary"))
    table = Store.table
    monkeypatch.setattr(
        Store,
        "table",
        lambda self, name, *of: earned if name == "curve_summary" else table(self, name, *of),
    )
    _, out, _ = call(capsys, "limits", "show", "--store", store)

    assert (
        "no flag rests: 46.0 pg/mL (95 % interval 43.0 to 51.0), from fluid retention, the first outcome whose risk "
        "is shown to rise towards high E2."
    ) in " ".join(out.split())


def test_it_is_said_why_the_fitted_limit_cannot_be_adopted(
    capsys: pytest.CaptureFixture[str], store: str, tmp_path: Path
):
    config = tmp_path / "e2analytics.toml"
    config.write_text("[flag]\nleast_limit_pg_ml = 10\ngreatest_limit_pg_ml = 10.5\n")

    code, out, _ = call(capsys, "limits", "show", "--store", store, "--config", str(config))

    assert code == 0
    assert " ".join(out.split()).endswith(
        "No limit is proposed: of the pooled curve, the limit lies outside 10 to 10.5 pg/mL."
    )


def test_another_limit_can_be_looked_at(capsys: pytest.CaptureFixture[str], store: str):
    runs = len(Store(store).runs())

    code, out, _ = call(capsys, "limits", "preview", "--limit", "20", "--store", store)

    assert code == 0
    assert "Preview, nothing was published. Limit 16.0 pg/mL, then 20.0." in " ".join(out.split())
    assert not re.search(r"\b0 would change", out)
    assert len(Store(store).runs()) == runs


def test_what_other_doses_would_do_is_said_as_information(
    capsys: pytest.CaptureFixture[str], store: str
):
    code, out, _ = call(
        capsys, "limits", "preview", "--what-if", "--times", "0.5", "--store", store
    )

    said = " ".join(out.split())
    assert code == 0
    assert "What if every dose were 0.5 of what it is?" in said
    assert "Information, no order" in said
    assert "between him and his clinician" in said


def test_a_rule_for_the_dose_without_what_if_is_a_wrong_use(
    capsys: pytest.CaptureFixture[str], store: str
):
    code, _, err = call(capsys, "limits", "preview", "--times", "0.5", "--store", store)

    assert code == 2
    assert "needs --what-if" in " ".join(err.split())
