"""The store: published by run, idempotent, as it was, and safe from a kill."""

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

from e2analytics.errors import ConfigurationError, StoreError, TooLittleDataError
from e2analytics.ingest.read_drop import Sources
from e2analytics.run.pipeline import run
from e2analytics.store.store import SCHEMA_VERSION, Store, open_published
from e2analytics.tables.categoricals import plain
from e2analytics.tables.snapshot import Outputs
from tests.conftest import AS_OF, QUICK


def publish(store: Store, outputs: Outputs, as_of: date = AS_OF) -> dict[str, object]:
    with store.writing():
        return store.publish(
            outputs,
            run_id=store.next_run_id(),
            as_of=as_of,
            part="all",
            key_check="check",
            started_at=datetime.now(UTC),
            settings={},
            inputs={},
        )


@pytest.fixture
def store(tmp_path: Path, outputs: Outputs) -> Store:
    made = Store(str(tmp_path / "store"))
    publish(made, outputs)
    return made


def versions(store: Store) -> dict[str, int]:
    published = store.published()
    assert published is not None
    return dict(json.loads(published["table_versions"]))


def labs_of(store: Store) -> pl.DataFrame:
    return plain(store.snapshot().tables["labs"], "labs")


def test_tables_come_back_as_they_went_in(store: Store, outputs: Outputs):
    published = store.published()
    assert published is not None

    for name, frame in outputs.tables.items():
        assert_frame_equal(store.table(name, published), frame, check_row_order=False)
    back = store.snapshot()
    for name, frame in outputs.not_accepted.items():
        assert_frame_equal(
            plain(back.not_accepted[name], name),
            frame,
            check_row_order=False,
            check_column_order=False,
        )


def test_labs_are_partitioned_by_month(store: Store):
    assert DeltaTable(f"{store.uri}/labs").metadata().partition_columns == ["month"]


def test_the_same_again_writes_nothing_but_its_manifest(store: Store):
    first = versions(store)
    again = run(Sources(), QUICK, as_of=AS_OF, before=store.snapshot(), run_id="run-000001")

    publish(store, again)

    assert versions(store) == first
    assert len(store.runs()) == 2


def test_a_change_touches_its_own_table_only(store: Store, outputs: Outputs):
    first = versions(store)
    labs = outputs.tables["labs"]
    fewer = {**outputs.tables, "labs": labs.head(len(labs) - 3)}

    publish(store, Outputs(fewer, outputs.not_accepted, "complete", "m", {}, {}))

    assert {name for name, version in versions(store).items() if version != first[name]} == {"labs"}
    assert len(store.snapshot().tables["labs"]) == len(labs) - 3


def test_a_row_read_again_in_another_month_stands_once(store: Store, outputs: Outputs):
    labs = outputs.tables["labs"]
    moved = labs.with_columns(
        collected_on=pl.when(pl.int_range(pl.len()) == 0)
        .then(pl.col("collected_on").dt.offset_by("-2mo"))
        .otherwise("collected_on")
    )

    publish(
        store,
        Outputs({**outputs.tables, "labs": moved}, outputs.not_accepted, "complete", "m", {}, {}),
    )

    assert_frame_equal(labs_of(store), moved, check_row_order=False)


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


KILLED = """
import os, pickle, signal, sys
from datetime import UTC, date, datetime
from e2analytics.store.store import Store
outputs, at = pickle.load(open(sys.argv[2], "rb")), sys.argv[3]
store, replace = Store(sys.argv[1]), Store._replace
def killed_at(self, name, frame, versions):
    if name == at:
        os.kill(os.getpid(), signal.SIGKILL)
    return replace(self, name, frame, versions)
Store._replace = killed_at
with store.writing():
    store.publish(outputs, run_id="run-000002", as_of=date(2026, 10, 31), part="all", key_check="check",
                  started_at=datetime.now(UTC), settings={}, inputs={})
"""


@pytest.mark.parametrize("at", ["files", "cohort"])
def test_a_killed_run_leaves_the_last_published_state(
    store: Store, outputs: Outputs, tmp_path: Path, at: str
):
    import pickle

    before = store.snapshot()
    labs = outputs.tables["labs"]
    spoilt = {
        **outputs.tables,
        "labs": labs.with_columns(value_low=pl.lit(1.0)),
        "quarantine": outputs.tables["quarantine"].head(1),
    }
    (tmp_path / "outputs").write_bytes(
        pickle.dumps(Outputs(spoilt, dict(outputs.not_accepted), "complete", "m", {}, {}))
    )

    killed = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", KILLED, store.uri, str(tmp_path / "outputs"), at],
        check=False,
        env={**os.environ},
    )

    assert killed.returncode == -signal.SIGKILL
    # Readers see the run before, though labs were written.
    assert DeltaTable(f"{store.uri}/labs").version() > versions(store)["labs"]
    assert_frame_equal(labs_of(store), plain(before.tables["labs"], "labs"), check_row_order=False)
    # The lock went with its process, and the next run puts the leftovers back.
    publish(store, outputs)
    for name, frame in before.tables.items():
        if name != "runs":
            assert_frame_equal(store.snapshot().tables[name], frame, check_row_order=False)


def test_the_first_run_may_be_killed_too(outputs: Outputs, tmp_path: Path):
    store = Store(str(tmp_path / "store"))
    with store.writing():
        store._merge("labs", {"labs": outputs.tables["labs"].head(3)}, "labs", {})
    assert not store.exists()

    publish(store, outputs)

    assert len(store.snapshot().tables["labs"]) == len(outputs.tables["labs"])


HOLDER = """
import sys, time
from e2analytics.store.store import Store
with Store(sys.argv[1]).writing():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_publisher_is_told_who_holds_the_store(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("e2analytics.store.store._WAIT_SECONDS", 0.2)
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", HOLDER, store.uri], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StoreError, match=f"in use by process {holder.pid} on"), store.writing():
            pass
        holder.kill()

    with store.writing():
        pass


def test_another_key_is_refused(store: Store):
    store.check("check")
    with pytest.raises(ConfigurationError, match="written under another key"):
        store.check("another")


def test_another_version_is_refused(store: Store):
    info = pl.DataFrame({"schema_version": [SCHEMA_VERSION + 1], "key_check": ["check"]})
    info.write_delta(f"{store.uri}/store_info", mode="overwrite")

    with pytest.raises(StoreError, match=f"schema version {SCHEMA_VERSION + 1}"):
        store.check("check")


def test_no_store_is_told_with_what_to_do(tmp_path: Path):
    with pytest.raises(StoreError, match="Make one: e2analytics run"):
        open_published(str(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()


def test_a_store_that_cannot_be_made_is_told(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with (
        pytest.raises(StoreError, match="cannot be made"),
        Store(f"{tmp_path}/file/store").writing(),
    ):
        pass


def test_a_damaged_table_is_told_by_name(store: Store):
    for file in Path(store.uri, "dxa").glob("*.parquet"):
        file.unlink()

    with pytest.raises(StoreError, match="The table dxa of the store"):
        store.snapshot()
