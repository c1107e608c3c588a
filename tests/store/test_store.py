"""The store: read by run, as it was, and refused with what to do."""

from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from e2analytics.errors import ConfigurationError, StoreError, TooLittleDataError
from e2analytics.ingest.read_drop import Sources
from e2analytics.run import run
from e2analytics.store import history
from e2analytics.store.migrations import SCHEMA_VERSION
from e2analytics.store.store import Store, open_published
from e2analytics.tables.categoricals import to_contract_types
from e2analytics.tables.snapshot import Outputs
from tests.conftest import AS_OF, QUICK
from tests.store.conftest import publish


def test_tables_come_back_as_they_went_in(store: Store, outputs: Outputs):
    published = store.published()
    assert published is not None

    for name, frame in outputs.tables.items():
        assert_frame_equal(store.table(name, published), frame, check_row_order=False)
    back = store.snapshot()
    for name, frame in outputs.not_accepted.items():
        assert_frame_equal(
            to_contract_types(back.not_accepted[name], name),
            frame,
            check_row_order=False,
            check_column_order=False,
        )


def test_a_version_is_read_as_it_was_as_of_a_day(store: Store, outputs: Outputs):
    labs = outputs.tables["labs"]
    corrected = labs.with_columns(value_low=pl.col("value_low") + 1)
    later = date(2026, 10, 31)
    publish(
        store,
        Outputs(
            {**outputs.tables, "labs": corrected}, outputs.not_accepted, "complete", "m", {}, {}
        ),
        later,
    )

    then, now = open_published(store.uri, AS_OF)[1], open_published(store.uri)[1]

    assert_frame_equal(store.table("labs", then), labs, check_row_order=False)
    assert_frame_equal(store.table("labs", now), corrected, check_row_order=False)
    assert open_published(store.uri, date(2026, 10, 15))[1]["run_id"] == "run-000001"
    with pytest.raises(
        TooLittleDataError, match="no run up to 2020-01-01; its first is as of 2026-09-30"
    ):
        open_published(store.uri, date(2020, 1, 1))


@pytest.mark.slow
def test_a_run_as_of_an_earlier_day_sees_and_changes_nothing_that_comes_after(
    store: Store, outputs: Outputs
):
    earlier, later = date(2025, 3, 31), date(2026, 10, 1)
    first = store.snapshot(later).tables

    def night(as_of: date) -> Outputs:
        before = store.snapshot(as_of)
        made = run(Sources(), QUICK, as_of=as_of, before=before, run_id=store.next_run_id())
        publish(store, made, as_of)
        return made

    back = night(earlier)
    forth = night(later)

    # The earlier day has a model, curves and flags of its own ...
    assert back.tables["curve"]["model_id"].unique().to_list() == [back.model_id]
    assert back.model_id.startswith("2025-03-31")
    assert back.tables["flags"]["first_flagged_on"].unique().to_list() == [earlier]
    # ... and the later one goes on from the last day before it.
    known = forth.tables["flags"].join(first["flags"], on="patient_id", suffix="_before")
    assert (known["first_flagged_on"] == known["first_flagged_on_before"]).all()
    assert len(known) == len(first["flags"])


def test_a_report_pins_the_first_run_of_its_day(store: Store, outputs: Outputs):
    publish(store, outputs)

    pinned = store.first_as_of(AS_OF)

    assert pinned is not None
    assert pinned["run_id"] == "run-000001"
    assert store.first_as_of(date(2026, 8, 31)) is None


def test_another_key_is_refused(store: Store):
    store.check("check")
    with pytest.raises(ConfigurationError, match="written under another key"):
        store.check("another")


def test_another_version_is_refused(store: Store):
    history.add(store.delta, {"schema_version": SCHEMA_VERSION + 1, "key_check": "check"})

    with pytest.raises(StoreError, match=f"schema version {SCHEMA_VERSION + 1}"):
        store.check("check")


def test_a_missing_store_is_an_error_that_says_what_to_do(tmp_path: Path):
    with pytest.raises(StoreError, match="Make one: e2analytics run"):
        open_published(str(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()


def test_a_damaged_table_is_named(store: Store):
    for file in Path(store.uri, "dxa").rglob("*.parquet"):
        file.unlink()

    with pytest.raises(StoreError, match="The table dxa of the store"):
        store.snapshot().table("dxa")


@pytest.mark.parametrize(
    "content",
    [
        pl.DataFrame({"other": [1]}),
        pl.DataFrame({"schema_version": ["1"], "key_check": ["check"]}),
        pl.DataFrame({"schema_version": pl.Series([None], dtype=pl.Int64), "key_check": ["check"]}),
        pl.DataFrame(schema={"schema_version": pl.Int64, "key_check": pl.String}),
    ],
    ids=["other columns", "text", "null", "no row"],
)  # fmt: skip
def test_a_damaged_schema_version_is_said(store: Store, content: pl.DataFrame):
    store.delta.write(history.STORE_INFO, content, "overwrite")

    with pytest.raises(StoreError, match=r"store_info of the store .* is damaged\. Restore"):
        store.check()


def test_columns_of_a_newer_version_are_no_damage(store: Store):
    rows = history.history(store.delta).with_columns(schema_version=99, later=pl.lit("more"))
    store.delta.write(history.STORE_INFO, rows.cast({"schema_version": pl.Int64}), "overwrite")

    with pytest.raises(StoreError, match="has schema version 99"):
        store.check()


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("the clinic's store", marks=pytest.mark.slow),
        pytest.param("clínica ü", marks=pytest.mark.slow),
        "(1) a+b, c",
    ],
)
def test_a_store_may_have_any_name(tmp_path: Path, outputs: Outputs, name: str):
    named = Store(str(tmp_path / name))
    publish(named, outputs)
    labs = outputs.tables["labs"].with_columns(value_low=pl.col("value_low") + 1)
    changed = {**outputs.tables, "labs": labs}
    publish(named, Outputs(changed, outputs.not_accepted, "complete", "m", {}, {}))

    then, now = named.runs().iter_rows(named=True)

    assert_frame_equal(named.table("labs", then), outputs.tables["labs"], check_row_order=False)
    assert_frame_equal(named.table("labs", now), labs, check_row_order=False)


def test_the_address_of_a_folder_is_the_folder(tmp_path: Path):
    assert Store(f"file://{tmp_path}/a%20b/").uri == Store(f"{tmp_path}/a b").uri
    assert Store("s3://bucket/a%20b").uri == "s3://bucket/a%20b"


def test_a_run_as_of_another_day_does_not_go_on_from_the_last_one(store: Store, outputs: Outputs):
    earlier = date(2026, 9, 1)
    publish(store, outputs, earlier)

    assert store.snapshot(earlier).state is not None
    assert store.snapshot(AS_OF).state is None


def test_a_damaged_table_is_named_where_a_part_of_it_is_asked_for(store: Store):
    for file in Path(store.uri, "labs").rglob("*.parquet"):
        file.unlink()
    before = store.snapshot()

    with pytest.raises(StoreError, match="The table labs of the store"):
        before.rows_where("labs", ["patient_id"], pl.col("fate") == "accepted")
