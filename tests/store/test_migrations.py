"""Schema versions: a contract changes with a version and a step, and steps can be applied again."""

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from e2analytics.store.history import StoredTable, stored_tables
from e2analytics.store.migrations import (
    SCHEMA_VERSION,
    STEPS,
    Change,
    Step,
    is_changed,
    name_today,
    renamed,
    renamed_in_json,
    upgrade,
    with_null,
)
from e2analytics.tables.registry import CANONICAL, columns_of, contracts_digest
from e2analytics.tables.snapshot import empty_not_accepted

# One line per schema version of a store; lines of older versions stay.
CONTRACTS = {
    2: "a73f2545e2839141c956406f392b0d8633d1b4537ff375bc12023ece5fd0d5e0",
    3: "6e1267928f5730ca54451889c217cfd2474234512fe188205f868a8f342e4407",
}
RUNS_OF_VERSION_1 = [
    "run_id", "as_of", "started_at", "finished_at", "simulated", "part", "outcome", "package_version",
    "model_id", "inputs", "settings", "counts", "timings", "table_versions",
]  # fmt: skip

MADE_UP = (
    Step(2, {"labs": (renamed("old", "new"),)}, (renamed("apart", "excluded"),), {"aside": "not_accepted"}),
    Step(3, {"labs": (with_null("fasting", pl.Boolean()),)}),
)  # fmt: skip


def test_the_contracts_are_those_of_this_schema_version():
    assert contracts_digest() == CONTRACTS.get(SCHEMA_VERSION), (
        "The contracts of tables changed, so stores of this schema version cannot be read. Append a step to "
        "STEPS in src/e2analytics/store/migrations.py with the next version and what changed (a line for a "
        "renamed or a new, nullable column), and a line to CONTRACTS here: "
        f'{SCHEMA_VERSION + 1}: "{contracts_digest()}". If {SCHEMA_VERSION} was never released, add the '
        "change to its step instead, and replace its line."
    )


def test_rows_that_were_not_accepted_have_these_columns_beside_their_tables():
    for table in CANONICAL:
        assert list(empty_not_accepted(table).columns) == [
            *columns_of(table), "excluded", "reject", "fate", "why",
        ]  # fmt: skip


def test_runs_only_gain_columns():
    assert columns_of("runs")[: len(RUNS_OF_VERSION_1)] == RUNS_OF_VERSION_1
    assert not [step for step in STEPS if "runs" in step.tables]


def test_there_is_a_step_for_every_version():
    assert [step.version for step in STEPS] == list(range(2, SCHEMA_VERSION + 1))


def test_a_table_takes_the_steps_after_its_version():
    rows = pl.LazyFrame({"old": [1]})

    assert_frame_equal(
        upgrade("labs", rows, 1, MADE_UP).collect(),
        pl.DataFrame({"new": [1], "fasting": [None]}, schema_overrides={"fasting": pl.Boolean}),
    )
    assert upgrade("labs", rows, 2, MADE_UP).collect().columns == ["old", "fasting"]
    assert upgrade("labs", rows, 3, MADE_UP).collect().columns == ["old"]
    assert upgrade("dxa", rows, 1, MADE_UP).collect().columns == ["old"]


def test_rows_that_were_not_accepted_take_the_steps_of_their_table_too():
    rows = pl.LazyFrame({"old": [1], "apart": ["x"]})

    assert name_today("aside/labs", 1, MADE_UP) == "not_accepted/labs"
    assert upgrade("not_accepted/labs", rows, 1, MADE_UP).collect().columns == [
        "new", "excluded", "fasting",
    ]  # fmt: skip


def test_only_what_changed_is_written_anew():
    changed = [name for name in ("labs", "dxa", "aside/dxa") if is_changed(name, 1, MADE_UP)]

    assert changed == ["labs", "aside/dxa"]
    assert is_changed("labs", 2, MADE_UP)
    assert not is_changed("not_accepted/dxa", 2, MADE_UP)
    assert not is_changed("labs", 3, MADE_UP)


@pytest.mark.parametrize(
    "change",
    [
        renamed("old", "new"),
        with_null("fasting", pl.Boolean()),
        renamed_in_json("text", "part", "old", "new"),
    ],
    ids=["renamed", "with_null", "renamed_in_json"],
)
def test_a_step_applied_again_changes_nothing(change: Change):
    rows = pl.LazyFrame({"old": [1], "text": ['{"part": {"old": 1}}']})

    once = change(rows)

    assert_frame_equal(change(once), once)


def test_a_field_is_renamed_in_its_place_in_json():
    texts = ['{"part": {"a": 1, "old": 2, "b": 3}, "old": 4}', '{"part": null}', "{}"]

    rows = renamed_in_json("text", "part", "old", "new")(pl.LazyFrame({"text": texts})).collect()

    assert rows["text"].to_list() == [
        '{"part": {"a": 1, "new": 2, "b": 3}, "old": 4}', '{"part": null}', "{}",
    ]  # fmt: skip


def test_a_run_is_read_in_the_version_it_was_written_or_migrated_in():
    schema = pl.DataFrame(
        [(1, None, None), (2, "run-000002", '{"labs": 7}'), (3, "run-000003", '{"labs": 9}')],
        schema=["schema_version", "migrated_run_id", "table_versions"],
        orient="row",
    )

    def labs(run_id: str) -> StoredTable:
        run = {"run_id": run_id, "table_versions": '{"labs": 5}'}
        return stored_tables(run, schema)["labs"]

    assert labs("run-000001") == ("labs", 5, 1)
    assert labs("run-000002") == ("labs", 7, 2)
    assert labs("run-000003") == ("labs", 9, 3)
    assert labs("run-000004") == ("labs", 5, 3)


def test_a_run_that_was_migrated_twice_is_read_in_the_newest_version():
    schema = pl.DataFrame(
        [(2, None, None), (3, "run-000002", '{"labs": 7}'), (4, "run-000002", '{"labs": 9}')],
        schema=["schema_version", "migrated_run_id", "table_versions"],
        orient="row",
    )
    run = {"run_id": "run-000002", "table_versions": '{"labs": 5}'}

    assert stored_tables(run, schema)["labs"] == ("labs", 9, 4)
