"""Increments: in how many drops, and in which order, rows come in does not matter."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from e2analytics.errors import RefusedFileError
from e2analytics.ingest.read_drop import Sources, judged
from e2analytics.ingest.source_file import SourceFile
from e2analytics.run import run
from e2analytics.tables.snapshot import Outputs, Snapshot
from tests.conftest import AS_OF, QUICK, text_rows

PATIENTS = [
    {"patient_id": "p1", "clinic_id": "c", "sex": "M", "birth_date": "1970-01-01"},
    {"patient_id": "p2", "clinic_id": "c", "sex": "F", "birth_date": "1970-01-01"},
    {"patient_id": "p3", "clinic_id": "c", "sex": "M", "birth_date": "1970-02-30"},
]

results = st.fixed_dictionaries(
    {
        "result_id": st.sampled_from(["r1", "r2", "r3"]),
        "patient_id": st.sampled_from(["p1", "p2", "p3", "nobody"]),
        "value": st.sampled_from(["20", "<5", "QNS"]),
        "status": st.sampled_from(["F", "C", "P", "X"]),
    }
)


def file(table: str, order: int, rows: list[dict[str, str]]) -> tuple[SourceFile, pl.DataFrame]:
    name = f"{table}-{order}"
    text = text_rows(table, *rows).with_columns(
        source_file=pl.lit(name), source_order=pl.lit(order, dtype=pl.Int64)
    )
    rows_read = judged(table, text, timezone="UTC", today=AS_OF)
    return SourceFile(Path(name), name, name, "test", table, order, "", name, len(rows)), rows_read


def add(before: Outputs | None, *files: tuple[SourceFile, pl.DataFrame]) -> Outputs:
    rows: dict[str, list[pl.DataFrame]] = {}
    for source, text in files:
        rows.setdefault(source.table, []).append(text)
    sources = Sources(
        {table: pl.concat(frames) for table, frames in rows.items()},
        tuple(source for source, _ in files),
    )
    known = Snapshot(before.tables, before.not_accepted) if before else None
    return run(sources, QUICK, as_of=AS_OF, before=known, scope="ingest")


def current(outputs: Outputs) -> list[tuple[object, ...]]:
    labs = outputs.tables["labs"]
    return (
        labs.select("result_id", "patient_id", "value_high", "status", "reported_at")
        .sort("result_id")
        .rows()
    )


DRAWN = (st.lists(results, max_size=8), st.integers(0, 8), st.booleans(), st.booleans())


@settings(max_examples=5)
@given(*DRAWN)
def test_two_drops_come_to_the_same_as_one(
    drawn: list[dict[str, str]], cut: int, backwards: bool, patients_last: bool
):
    check(drawn, cut, backwards, patients_last)


@pytest.mark.slow
@settings(max_examples=40)
@given(*DRAWN)
def test_two_drops_come_to_the_same_as_one_however_often(
    drawn: list[dict[str, str]], cut: int, backwards: bool, patients_last: bool
):
    check(drawn, cut, backwards, patients_last)


def check(drawn: list[dict[str, str]], cut: int, backwards: bool, patients_last: bool) -> None:
    """Take the results in at once, and in two drops cut anywhere, and compare."""
    # Every report has a time of its own: where two are of one time, the later file counts.
    reports = [
        {
            **row,
            "collected_at": "2024-03-01",
            "test_name": "estradiol",
            "unit": "pg/mL",
            "reported_at": f"2024-03-02T08:{minute:02}",
        }
        for minute, row in enumerate(drawn)
    ]
    first, second = reports[:cut], reports[cut:]
    if backwards:
        first, second = second, first

    at_once = add(None, file("patients", 0, PATIENTS), file("labs", 1, reports))
    people, one, other = (
        file("patients", 0, PATIENTS),
        file("labs", 1, first),
        file("labs", 2, second),
    )
    if patients_last:
        in_two = add(add(None, one), other, people)
    else:
        in_two = add(add(None, people, one), other)

    assert current(in_two) == current(at_once)
    assert in_two.counts["rows_read"] == at_once.counts["rows_read"] == len(reports) + 3
    for made in (at_once, in_two):
        files = made.tables["files"]
        fates = ["accepted", "duplicate", "superseded", "withdrawn", "set_apart", "quarantined"]
        assert files["rows_read"].sum() == sum(files[fate].sum() for fate in fates)


def test_a_refused_file_is_mended_under_another_hash_and_counts_once():
    refused = SourceFile(
        file("labs", 0, [])[0].path,
        "labs-bad",
        "bad",
        "test",
        "labs",
        0,
        "",
        "labs.csv",
        refused=RefusedFileError("empty_file", "it holds nothing"),
    )
    first = run(Sources(files=(refused,)), QUICK, as_of=AS_OF, scope="ingest")

    second = add(first, file("patients", 1, PATIENTS[:1]))

    assert first.outcome == "incomplete"
    assert second.outcome == "complete"
    assert second.counts["rows_read"] == 1
    assert second.tables["quarantine"]["rule"].to_list() == ["empty_file"]
