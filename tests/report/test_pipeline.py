"""The report of a real run of a simulated clinic: what the page says is what the tables hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import polars as pl
import pytest

from e2analytics.report.content import Report, build
from e2analytics.report.formats.html import render_html
from e2analytics.report.sections.reasons import WORDS, split
from e2analytics.tables import registry
from e2analytics.tables.snapshot import Outputs

AS_OF = datetime(2026, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def report(outputs: Outputs) -> Report:
    run = {
        "run_id": "run-000001",
        "as_of": AS_OF.date(),
        "started_at": AS_OF,
        "finished_at": AS_OF,
        "simulated": False,
        "part": "all",
        "outcome": outputs.outcome,
        "package_version": "0.1.0",
        "model_id": outputs.model_id,
        "counts": json.dumps(dict(outputs.counts)),
        **dict.fromkeys(("inputs", "settings", "timings", "table_versions"), "{}"),
    }
    runs = pl.DataFrame([run], schema=registry.schema_of("runs"))
    return build({**outputs.tables, "runs": runs}, month="2026-09")


def test_every_chain_and_every_feed_adds_up(report: Report) -> None:
    assert [chain.adds_up for chain in report.ingest.chains] == [True] * 4
    assert report.ingest.total is not None
    assert all(feed.adds_up for feed in (*report.ingest.feeds, report.ingest.total))


def test_the_counts_are_those_of_the_manifest(report: Report, outputs: Outputs) -> None:
    counts = report.counts
    assert counts.n_known == outputs.counts["men"]
    assert counts.n_anastrozole + counts.n_other_inhibitor == outputs.counts["men_on_drug"]
    assert report.flagged.total.total == outputs.counts["men_flagged"] > 0
    assert report.ingest.total is not None
    assert report.ingest.total.n_rows == outputs.counts["rows_read"]


def test_every_reason_that_a_run_gives_has_words(outputs: Outputs) -> None:
    given = {name for text in outputs.tables["cohort"]["reasons"] for name in split(text)}
    given |= set(outputs.tables["exposures"]["why_not"].drop_nulls())
    assert given <= set(WORDS)


def test_every_flagged_man_is_on_the_page(report: Report, outputs: Outputs) -> None:
    page = render_html(report)
    flags = outputs.tables["flags"].filter(pl.col("state") != "resolved")
    critical = [man.patient_id for man in report.grounds]
    changed = [change.patient_id for change in report.de_escalations.newest]
    assert all(
        page.count(man) == 1 + (man in critical) + changed.count(man) for man in flags["patient_id"]
    )
    assert sorted(critical) == sorted(flags.filter(pl.col("tier") == "critical")["patient_id"])
    assert "None" not in page.replace("None of", "")
