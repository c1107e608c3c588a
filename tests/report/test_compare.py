"""What differs between two reports: literal changes, each told with its reason."""

from __future__ import annotations

import json

import polars as pl
import pytest

from e2analytics.report.compare import Comparison, Difference, compare

Tables = dict[str, pl.DataFrame]


def changed(tables: Tables, name: str, **columns: pl.Expr) -> Tables:
    return {**tables, name: tables[name].with_columns(**columns)}


def told(comparison: Comparison) -> dict[str, tuple[str, str]]:
    return {each.name: (each.there, each.here) for each in comparison.numbers}


def test_a_report_does_not_differ_from_itself(tables: Tables):
    assert compare(tables, tables).same


def test_software_and_settings_that_differ_are_named(tables: Tables):
    settings = json.dumps({"flag": {"probability": 0.6}, "identities_settled": ["p1", "p2"]})
    was = changed(tables, "runs", settings=pl.lit('{"flag": {"probability": 0.5}}'))
    now = changed(tables, "runs", settings=pl.lit(settings), package_version=pl.lit("0.2.0"))

    assert compare(now, was).making == (
        Difference("Software", "e2analytics 0.1.0", "e2analytics 0.2.0"),
        # How many, never whose.
        Difference("Setting identities_settled", "0 patients", "2 patients"),
        Difference("Setting flag.probability", "0.5", "0.6"),
    )


def test_new_files_and_corrected_rows_are_counted(tables: Tables):
    was = {**tables, "files": tables["files"].filter(pl.col("feed") != "medications")}
    once = pl.col("source_order") == 1
    now = changed(
        tables,
        "files",
        accepted=pl.col("accepted") - 5 * once,
        superseded=pl.col("superseded") + 5 * once,
    )

    assert compare(now, was).data == (
        "New data: 1 file with 1,388 rows.",
        "Corrected data: of the rows that both know, -5 accepted, +5 superseded.",
    )


def test_numbers_that_differ_are_told_with_what_they_were(tables: Tables):
    was = {**tables, "patients": tables["patients"].head(590)}

    assert told(compare(tables, was)) == {"Men known": ("590", "600")}


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("results_digest", pl.lit("other"), "a laboratory result"),
        ("model_id", pl.lit("model-2026-08"), "the model of the month is a new one"),
        ("rules_id", pl.lit("other"), "a rule or a threshold was changed"),
        ("lower_limit_pg_ml", pl.lit(14.0), "another limit is in use"),
    ],
)
def test_men_who_are_judged_otherwise_are_counted_by_reason(
    tables: Tables, column: str, value: pl.Expr, words: str
):
    critical = tables["cohort"].filter(pl.col("tier") == "critical").head(3)["patient_id"]
    them = pl.col("patient_id").is_in(critical.to_list())
    was = changed(
        tables,
        "cohort",
        tier=pl.when(them).then(pl.lit("high")).otherwise("tier"),
        **{
            column: pl.when(them)
            .then(value.cast(tables["cohort"].schema[column]))
            .otherwise(column)
        },
    )

    (reason,) = compare(tables, was).reasons

    assert reason.n_men == 3
    assert reason.words.startswith(words)


def test_a_man_is_never_named(tables: Tables):
    was = changed(tables, "cohort", tier=pl.lit("none"), results_digest=pl.lit("other"))

    said = str(compare(tables, was))

    assert [man for man in tables["patients"]["patient_id"] if man in said] == []
