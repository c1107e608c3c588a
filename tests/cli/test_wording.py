"""Words that several verbs print."""

import polars as pl
import pytest

from e2analytics.cli.run_view import curves, print_what_to_do
from e2analytics.cli.wording import by_site, news


def test_curves_are_shown_in_one_order_fitted_now_or_read_from_the_store():
    summary = pl.DataFrame(
        {"site": ["femoral_neck", "lumbar_spine", "pooled", "total_hip"], "outcome": ["change"] * 4}
    )

    shown = by_site(summary)["site"].to_list()

    assert shown == ["lumbar_spine", "total_hip", "femoral_neck", "pooled"]


def test_news_count_what_a_run_opened_resolved_and_moved_and_nothing_of_other_runs():
    events = pl.DataFrame(
        [
            ("run-1", "new"),
            ("run-2", "new"),
            ("run-2", "new"),
            ("run-2", "reopened"),
            ("run-2", "resolved"),
            ("run-2", "status_changed"),
            ("run-2", "tier_changed"),
        ],
        schema=["run_id", "event"],
        orient="row",
    )

    assert news(events, "run-1") == "1 flag opened, 0 resolved"
    assert news(events, "run-2") == (
        "3 flags opened (1 of them again), 1 resolved, 1 of another tier than before"
    )
    assert news(events, "run-3") == "no flag opened or resolved"


def test_curves_that_were_not_fitted_for_one_reason_are_said_once():
    few = {"verdict": None, "why_not": "there are too few men.", "n_intervals": 0, "n_patients": 0}
    nothing = {"lower_limit_pg_ml": None, "upper_limit_pg_ml": None, "outcome": "change"}
    flat = {"verdict": "flat", "why_not": None, "n_intervals": 90, "n_patients": 40}
    hip, spine = {"site": "total_hip"}, {"site": "lumbar_spine"}
    schema = {"verdict": pl.String, "why_not": pl.String}

    one = pl.DataFrame([hip | flat | nothing, spine | few | nothing], schema_overrides=schema)
    none = pl.DataFrame([hip | few | nothing, spine | few | nothing], schema_overrides=schema)

    assert curves(one) == [
        "total hip, change: flat (90 rows of 40 men).",
        "Not fitted: lumbar spine, change. There are too few men.",
    ]
    assert curves(none) == ["Not fitted: any curve. There are too few men."]


def test_what_waits_is_said_with_the_next_step(capsys: pytest.CaptureFixture[str]):
    print_what_to_do({"files_refused_now": 0, "files_unmatched": 0, "quarantined": 66}, "my store")

    assert "66 row(s) wait: e2analytics returns --store 'my store' --out FOLDER" in (
        capsys.readouterr().err
    )
