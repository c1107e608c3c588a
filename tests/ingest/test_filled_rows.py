"""Entries of lifestyle: versions by man and day, what contradicts waits, what one leaves empty another fills."""

from datetime import date

import polars as pl
import pytest

from e2analytics.ingest import filled_rows
from e2analytics.ingest.normalise.tables import normalise
from e2analytics.ingest.reconcile import identity_status, reconcile
from e2analytics.ingest.rules.judge import judge
from tests.conftest import text_rows

MAN = {"patient_id": "p1", "clinic_id": "c", "sex": "M", "birth_date": "1970-01-01"}
ANSWER = {"patient_id": "p1", "recorded_on": "2024-03-01"}
TODAY = date(2024, 6, 1)


def read(table: str, files: list[list[dict[str, str]]]) -> pl.DataFrame:
    """Judge rows, each list a file of its own."""
    frames = [
        text_rows(table, *lines).with_columns(
            source_file=pl.lit(f"{table}-{place}"), source_order=pl.lit(place, pl.Int64)
        )
        for place, lines in enumerate(files)
    ]
    return judge(table, normalise(table, pl.concat(frames), timezone="UTC"), today=TODAY)


def reconciled(*files: list[dict[str, str]]) -> pl.DataFrame:
    people = identity_status(read("patients", [[MAN]]))
    rows = read("lifestyle", [[{**ANSWER, **line} for line in file] for file in files])
    return reconcile("lifestyle", rows, people)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([[{"calcium_mg_per_day": "900"}]], ["accepted"]),
        ([[{"calcium_mg_per_day": "900"}] * 2], ["accepted", "duplicate"]),
        # Another day is another row.
        (
            [[{"calcium_mg_per_day": "900"}, {"calcium_mg_per_day": "700", "recorded_on": "2024-04-01"}]],
            ["accepted", "accepted"],
        ),
        # Of one file nobody knows which is right; a later file corrects.
        (
            [[{"calcium_mg_per_day": "900"}, {"calcium_mg_per_day": "700"}]],
            ["quarantined", "quarantined"],
        ),
        ([[{"calcium_mg_per_day": "900"}], [{"calcium_mg_per_day": "700"}]], ["superseded", "accepted"]),
        (
            [
                [{"calcium_mg_per_day": "900"}, {"calcium_mg_per_day": "700"}],
                [{"calcium_mg_per_day": "700"}],
            ],
            ["superseded", "superseded", "accepted"],
        ),
        # What waits takes nothing away.
        (
            [
                [{"calcium_mg_per_day": "900"}],
                [{"calcium_mg_per_day": "800"}, {"calcium_mg_per_day": "700"}],
            ],
            ["accepted", "quarantined", "quarantined"],
        ),
        ([[{"calcium_mg_per_day": "900"}], [{"calcium_mg_per_day": "9"}]], ["accepted", "quarantined"]),
        # Two forms of one day.
        ([[{"calcium_mg_per_day": "900"}, {"protein_g_per_kg": "1.2"}]], ["superseded", "accepted"]),
        ([[{"calcium_mg_per_day": "900", "patient_id": "p9"}]], ["quarantined"]),
    ],
)  # fmt: skip
def test_every_line_has_its_fate(files: list[list[dict[str, str]]], expected: list[str]):
    assert reconciled(*files)["fate"].to_list() == expected


def test_lines_that_contradict_each_other_say_so():
    found = reconciled([{"calcium_mg_per_day": "900"}, {"calcium_mg_per_day": "700"}])

    assert found["why"].to_list() == ["contradicting_entries"] * 2


def test_what_the_newest_line_of_a_day_leaves_empty_is_filled_from_older_ones():
    found = filled_rows.known_entries(
        reconciled(
            [{"calcium_mg_per_day": "900", "impact_sessions_per_week": "2"}],
            [{"calcium_mg_per_day": "700", "protein_g_per_kg": "1.2"}],
        )
    )

    assert found.select(
        "calcium_mg_per_day", "protein_g_per_kg", "impact_sessions_per_week", "balance_sessions_per_week"
    ).rows() == [(700.0, 1.2, 2.0, None)]  # fmt: skip


def test_a_line_that_waited_fills_none():
    found = filled_rows.known_entries(
        reconciled(
            [{"calcium_mg_per_day": "900"}, {"calcium_mg_per_day": "700"}],
            [{"protein_g_per_kg": "1.2"}],
        )
    )

    assert found.select("calcium_mg_per_day", "protein_g_per_kg").rows() == [(None, 1.2)]
