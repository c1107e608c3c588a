"""The Report object: the right run, the right month, and five sentences whatever the data."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from e2analytics.errors import ConfigurationError, ContractError, TooLittleDataError
from e2analytics.report.content import Report, build
from e2analytics.tables import registry

Tables = dict[str, pl.DataFrame]
MONTH = "2026-09"


@pytest.fixture(scope="module")
def report(tables: Tables) -> Report:
    return build(tables, month=MONTH)


def without(tables: Tables, *names: str) -> Tables:
    return {**tables, **{name: registry.TABLES[name].empty() for name in names}}


def with_runs(tables: Tables, *changes: dict[str, Any]) -> Tables:
    types = tables["runs"].schema
    rows = [
        tables["runs"].with_columns(
            pl.lit(value, dtype=types[name]).alias(name) for name, value in change.items()
        )
        for change in changes
    ]
    return {**tables, "runs": pl.concat(rows)}


def test_the_header_names_month_day_run_model_and_version(report: Report) -> None:
    header = report.header
    assert (header.month_name, header.as_of) == ("September 2026", "30 September 2026")
    assert (header.run_id, header.package_version) == ("2026-09-30-7c1f", "0.1.0")
    assert header.model == "model-2026-09, fitted as of 30 September 2026"


def test_the_same_tables_give_the_same_report(tables: Tables, report: Report) -> None:
    assert build(tables, month=MONTH) == report


def test_row_order_of_the_tables_does_not_matter(tables: Tables, report: Report) -> None:
    shuffled = {
        name: frame if name == "limits" else frame.sample(fraction=1, shuffle=True, seed=1)
        for name, frame in tables.items()
    }
    assert build(shuffled, month=MONTH) == report


def test_the_first_run_published_for_the_last_day_of_the_month_is_reported(tables: Tables) -> None:
    later = tables["runs"]["finished_at"][0] + timedelta(days=1)
    runs = with_runs(
        tables, {"run_id": "again", "finished_at": later}, {}, {"as_of": date(2026, 8, 31)}
    )
    assert build(runs, month=MONTH).header.run_id == "2026-09-30-7c1f"


def test_a_month_without_a_run_says_which_run_is_missing(tables: Tables) -> None:
    with pytest.raises(TooLittleDataError, match="e2analytics run --as-of 2026-02-28"):
        build(tables, month="2026-02")


@pytest.mark.parametrize("month", ["2026", "2026-13", "2026-9", "september", "2026-09-30"])
def test_what_is_not_a_month_is_refused(tables: Tables, month: str) -> None:
    with pytest.raises(ConfigurationError, match="YYYY-MM"):
        build(tables, month=month)


@pytest.mark.parametrize("name", ["cohort", "flags"])
def test_tables_of_another_day_are_refused(tables: Tables, name: str) -> None:
    other_day = tables[name].with_columns(as_of=pl.lit(date(2026, 8, 31)))
    with pytest.raises(ContractError, match="as_of is the run's"):
        build({**tables, name: other_day}, month=MONTH)


def test_an_incomplete_run_says_how_many_files_are_missing(report: Report) -> None:
    assert not report.header.complete
    assert report.header.completeness == (
        "Incomplete: 1 file of this run could not be used as a whole; figures may change."
    )


def test_a_complete_run_still_tells_of_files_refused_before(tables: Tables) -> None:
    files = tables["files"].with_columns(run_id=pl.lit("an earlier run"))
    complete = with_runs({**tables, "files": files}, {"outcome": "complete"})
    assert build(complete, month=MONTH).header.completeness == (
        "Complete: every file of this run could be used. "
        "Refused in earlier runs and not sent again: 1 file."
    )


def test_the_five_things_carry_numbers_with_their_denominators(report: Report) -> None:
    flagged, low, quality, curve, data = report.headlines
    assert "171 of 200 (86 %) of them could be assessed" in low.sentence
    assert "9 men on such a drug died or left" in low.sentence
    assert quality.title.endswith("for the worse in 16 measures")
    assert "E2 below 10 pg/mL on the drug, harbour: " in quality.sentence
    assert "of 171 (23 %) assessed men, E2 is probably below 16 pg/mL" in low.sentence
    total, n_critical = report.flagged.total.total, report.flagged.total.by_tier[0]
    assert flagged.title == f"{total} men to review, {n_critical} critical"
    assert curve.title == "Faster bone loss at low E2, then a plateau"
    assert "The lower limit in use is 16 pg/mL" in curve.sentence
    assert data.title == "Incomplete: 1 file refused"
    assert "2 files belong to no feed and were not read." in data.sentence


def test_the_method_is_told_with_the_settings_that_were_in_force(tables: Tables) -> None:
    strict = with_runs(tables, {"settings": '{"flag": {"red_line_pg_ml": 12, "washout_days": 21}}'})
    found = build(strict, month=MONTH)
    told = " ".join(found.methods)
    assert "The red line is 12 pg/mL" in told
    assert "until 21 days after its end" in told
    assert ("flag.washout_days", "21") in found.settings
    assert (
        "critical (E2 probably, or a mass-spectrometry result, below 12 pg/mL)"
        in found.headlines[0].sentence
    )


@pytest.mark.parametrize(
    ("missing", "place", "headline"),
    [
        (("cohort", "flags"), 1, "No man on anastrozole"),
        (("flags",), 0, "No man is flagged"),
        (("measures",), 2, "No measure of quality"),
        (("curve", "curve_summary", "exposures"), 3, "No curve yet"),
        (("files", "quarantine", "attrition"), 4, "What was left out"),
    ],
)
def test_there_are_five_things_to_say_even_of_nothing(
    tables: Tables, missing: tuple[str, ...], place: int, headline: str
) -> None:
    headlines = build(without(tables, *missing), month=MONTH).headlines
    assert len(headlines) == 5
    assert headlines[place].title == headline


def test_a_limit_adopted_after_the_month_is_not_its_limit(tables: Tables) -> None:
    later = tables["limits"].with_columns(
        adopted_on=pl.lit(date(2026, 10, 15)), lower_limit_pg_ml=21.0, source=pl.lit("fitted")
    )
    both = {**without(tables, "cohort", "flags"), "limits": pl.concat([tables["limits"], later])}
    assert build(both, month=MONTH).curves.limit.lower_limit_pg_ml == 16.0


def test_a_curve_without_a_summary_still_gives_a_headline(tables: Tables) -> None:
    headline = build(without(tables, "curve_summary"), month=MONTH).headlines[3]
    assert headline.title == "No verdict"


def test_resolved_flags_are_told_even_where_none_is_open(tables: Tables) -> None:
    resolved = tables["flags"].with_columns(state=pl.lit("resolved"))
    headline = build({**tables, "flags": resolved}, month=MONTH).headlines[0]
    assert headline.sentence == f"No flag is open. {resolved.height} flags resolved."


def test_where_nobody_could_be_assessed_no_all_clear_is_given(tables: Tables) -> None:
    unassessed = tables["cohort"].with_columns(status=pl.lit("not_assessable"))
    headline = build({**tables, "cohort": unassessed}, month=MONTH).headlines[1]
    assert headline.title == "No man could be assessed"
    assert "none is called low or in range: that is no all-clear" in headline.sentence


def test_men_on_another_inhibitor_are_told_only_where_there_are_any(tables: Tables) -> None:
    anastrozole = tables["cohort"].filter(pl.col("reasons") != "other_aromatase_inhibitor")
    assert (
        "letrozole"
        not in build({**tables, "cohort": anastrozole}, month=MONTH).headlines[1].sentence
    )
