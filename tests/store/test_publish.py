"""Publishing: idempotent, no more than what changed, and safe from a kill."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable
from polars.testing import assert_frame_equal

from e2analytics.ingest.read_drop import Sources
from e2analytics.run import run
from e2analytics.store import by_man
from e2analytics.store.access import DeltaTables
from e2analytics.store.by_man import put
from e2analytics.store.lock import writing
from e2analytics.store.store import Store
from e2analytics.tables.categoricals import to_contract_types
from e2analytics.tables.snapshot import Outputs, of_men
from tests.conftest import AS_OF, QUICK
from tests.store.conftest import labs_of, publish, versions


def test_what_has_rows_of_men_is_divided_by_them(store: Store):
    divided = {
        name: DeltaTable(f"{store.uri}/{name}").metadata().partition_columns
        for name in ("labs", "not_accepted/labs", "cohort", "curve")
    }

    assert divided == {
        "labs": ["bucket"],
        "not_accepted/labs": ["bucket"],
        "cohort": ["bucket"],
        "curve": [],
    }


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


KILLED = """
import os, pickle, signal, sys
from datetime import UTC, date, datetime
from e2analytics.store import publish
from e2analytics.store.lock import writing
from e2analytics.store.store import Store
outputs, at = pickle.load(open(sys.argv[2], "rb")), sys.argv[3]
store = Store(sys.argv[1])
def killed(write):
    def killed_at(delta, name, *args, **kwargs):
        if name == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return write(delta, name, *args, **kwargs)
    return killed_at
publish.replace, publish.put = killed(publish.replace), killed(publish.put)
with writing(store.delta):
    publish.publish(store, outputs, run_id="run-000002", as_of=date(2026, 10, 31), part="all", key_check="check",
                  started_at=datetime.now(UTC), settings={}, inputs={})
"""


@pytest.mark.parametrize("at", [pytest.param("files", marks=pytest.mark.slow), "cohort"])
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
    assert_frame_equal(
        labs_of(store), to_contract_types(before.tables["labs"], "labs"), check_row_order=False
    )
    # The lock went with its process, and the next run puts the leftovers back.
    publish(store, outputs)
    after = store.snapshot()
    for name, frame in before.tables.items():
        if name != "runs":
            assert_frame_equal(after.tables[name], frame, check_row_order=False)


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


def test_the_first_run_may_be_killed_too(outputs: Outputs, tmp_path: Path):
    store = Store(str(tmp_path / "store"))
    with writing(store.delta):
        labs = outputs.tables["labs"].head(3)
        put(store.delta, "labs", labs, "labs", men=None, published=None, n_buckets=1)
    assert not store.exists()

    publish(store, outputs)

    assert len(store.snapshot().tables["labs"]) == len(outputs.tables["labs"])


def files_of(store: Store, table: str) -> set[str]:
    return {*DeltaTable(f"{store.uri}/{table}").file_uris()}


def test_rows_that_are_only_added_are_one_more_file(store: Store, outputs: Outputs):
    labs = outputs.tables["labs"]
    publish(store, with_labs(outputs, labs.head(len(labs) - 3)))
    before = files_of(store, "labs")

    publish(store, outputs)

    assert before < files_of(store, "labs")
    assert len(files_of(store, "labs") - before) == 1
    assert_frame_equal(labs_of(store), labs, check_row_order=False)


def test_a_bucket_is_written_again_where_a_row_changes(store: Store, outputs: Outputs):
    labs = outputs.tables["labs"]
    before = files_of(store, "labs")
    first = pl.int_range(pl.len()) == 0
    changed = labs.with_columns(
        value_low=pl.when(first).then(pl.col("value_low") + 1).otherwise("value_low")
    )

    publish(store, with_labs(outputs, changed))

    assert not before & files_of(store, "labs")
    assert_frame_equal(labs_of(store), changed, check_row_order=False)


def test_a_bucket_of_many_files_becomes_one_again(
    store: Store, outputs: Outputs, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(by_man, "_MOST_FILES", 3)
    labs = outputs.tables["labs"]
    counts = []
    for left_out in (9, 7, 5, 3, 1):
        publish(store, with_labs(outputs, labs.head(len(labs) - left_out)))
        counts.append(len(files_of(store, "labs")))

    assert counts == [1, 2, 3, 1, 2]
    assert_frame_equal(labs_of(store), labs.head(len(labs) - 1), check_row_order=False)


def with_labs(outputs: Outputs, labs: pl.DataFrame) -> Outputs:
    tables = {**outputs.tables, "labs": labs}
    return Outputs(tables, outputs.not_accepted, "complete", "m", {}, {})


def test_rows_that_name_no_patient_and_rows_of_some_men_are_put_in_their_buckets(tmp_path: Path):
    delta = DeltaTables(str(tmp_path))
    men = [f"p{number * 16_777_619 % 16**7:07x}{0:013}" for number in range(1, 40)]
    rows = pl.DataFrame({"patient_id": men, "clinic_id": ["c"] * 39})
    nobody = pl.DataFrame({"patient_id": [None], "clinic_id": ["n"]}, schema=rows.schema)
    told = pl.concat([rows, nobody])
    options = {"table": "context", "n_buckets": 8}

    def put_in(frame: pl.DataFrame, men: pl.Series | None, version: int | None) -> int:
        return put(delta, "t", frame, men=men, published=version, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(by_man, "order_of", lambda _: ["patient_id"])
        patch.setattr(by_man, "to_contract_types", lambda frame, _: frame)
        first = put_in(told, None, None)
        files = {*DeltaTable(delta.path("t")).file_uris()}
        his = pl.Series("patient_id", [men[4]])
        changed = pl.DataFrame({"patient_id": [men[4]], "clinic_id": ["d"]})
        second = put_in(pl.concat([changed, nobody]), his, first)
        again = put_in(pl.concat([changed, nobody]), his, second)
        gone = put_in(nobody, his, again)

    kept = files & {*DeltaTable(delta.path("t"), version=second).file_uris()}
    assert len(files) == 9
    assert len(kept) == 8
    assert again == second
    now = delta.read("t", gone).select(rows.columns)
    expected = told.filter(pl.col("patient_id").ne_missing(pl.lit(men[4])))
    assert_frame_equal(now, expected, check_row_order=False)
    was = delta.read("t", second).filter(patient_id=men[4])
    assert was["clinic_id"].to_list() == ["d"]


def test_a_store_that_never_wrote_down_its_buckets_keeps_one(store: Store, outputs: Outputs):
    rows = store.delta.read("store_info").drop("n_buckets")
    store.delta.write("store_info", rows, "overwrite")
    later = Store(store.uri)
    assert later.n_buckets() is None
    his = outputs.tables["patients"]["patient_id"].head(1)
    few = {name: of_men(name, rows, his) for name, rows in outputs.tables.items()}
    waiting = {name: of_men(name, rows, his) for name, rows in outputs.not_accepted.items()}

    publish(later, replace(outputs, tables=few, not_accepted=waiting, men=his))

    assert_frame_equal(labs_of(later), outputs.tables["labs"], check_row_order=False)
