"""A store in object storage: published, read, migrated; with its network lost, or two runs at once."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tarfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import obstore
import polars as pl
import pytest
from deltalake import DeltaTable
from obstore.store import from_url
from polars.testing import assert_frame_equal

from e2analytics.errors import StoreError
from e2analytics.store import crosswalk
from e2analytics.store.lock import writing
from e2analytics.store.migrations import SCHEMA_VERSION
from e2analytics.store.store import Store
from e2analytics.tables.registry import OF_THE_DAY
from e2analytics.tables.snapshot import Outputs
from tests.cli.command_line import call
from tests.conftest import AS_OF, KEY
from tests.store.conftest import labs_of, publish, unpack, versions
from tests.store.killed import migrate_store
from tests.store.remote.gateway import Gateway

V1 = Path(__file__).parent.parent / "v1"
LATER = date(2026, 10, 31)

# Publishes a second run, and is paused by itself where argument 3 says; argument 4 is the term.
PUBLISHER = """
import os, pickle, signal, sys
from datetime import UTC, date, datetime
from e2analytics.errors import StoreError
from e2analytics.store import access, by_man, lease, publish
from e2analytics.store.lock import writing
from e2analytics.store.store import Store
uri, outputs, pause_at, term = sys.argv[1], pickle.load(open(sys.argv[2], "rb")), sys.argv[3], float(sys.argv[4])
lease._TERM_SECONDS, lease._RENEW_SECONDS = term, term / 10
write = access.write_deltalake
def paused(table, *args, **kwargs):
    name = (table if isinstance(table, str) else table.table_uri).rstrip("/")
    if name.endswith("/" + pause_at):
        os.kill(os.getpid(), signal.SIGSTOP)
    write(table, *args, **kwargs)
access.write_deltalake = by_man.write_deltalake = paused
store = Store(uri)
try:
    with writing(store.delta):
        publish.publish(store, outputs, run_id=store.next_run_id(), as_of=date(2026, 10, 31), part="all",
                        key_check="check", started_at=datetime.now(UTC), settings={}, inputs={})
except StoreError as error:
    print(error)
    sys.exit(13)
"""


def without_last_labs(outputs: Outputs, number: int) -> Outputs:
    labs = outputs.tables["labs"]
    fewer = {**outputs.tables, "labs": labs.head(len(labs) - number)}
    return Outputs(fewer, dict(outputs.not_accepted), "complete", "m", {}, {})


def a_month_later(outputs: Outputs) -> Outputs:
    """Return the outputs as those of a run as of a later day in which no man's answers differ."""
    later = {
        name: outputs.tables[name].with_columns(
            pl.when(pl.col(day) == AS_OF).then(LATER).otherwise(day).alias(day) for day in days
        )
        for name, days in OF_THE_DAY.items()
    }
    return replace(outputs, tables={**outputs.tables, **later})


def publisher(
    uri: str, outputs: Outputs, folder: Path, *, pause_at: str = "", term: float = 60
) -> subprocess.Popen[str]:
    """Publish in a process of its own, with its own folder for temporary files."""
    folder.mkdir()
    (folder / "outputs").write_bytes(pickle.dumps(outputs))
    arguments = [uri, f"{folder / 'outputs'}", pause_at, f"{term}"]
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", PUBLISHER, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": f"{folder}"},
    )


@pytest.fixture(scope="session")
def outputs(outputs: Outputs) -> Outputs:
    """Those of the clinic, with the results of two months: each month is a file, and a file is a request."""
    newest = pl.col("collected_on") >= date(2026, 8, 1)
    few = {"labs": outputs.tables["labs"].filter(newest)}
    few_waiting = {"labs": outputs.not_accepted["labs"].filter(newest)}
    tables, not_accepted = {**outputs.tables, **few}, {**outputs.not_accepted, **few_waiting}
    return Outputs(tables, not_accepted, "complete", "m", {}, {})


@pytest.fixture
def published(store: Store, outputs: Outputs) -> Store:
    """A store with one run."""
    publish(store, outputs)
    return store


def test_what_was_published_is_read_as_it_is_and_as_it_was(published: Store, outputs: Outputs):
    first = versions(published)
    publish(published, a_month_later(without_last_labs(outputs, 3)), LATER)

    changed = {name for name, version in versions(published).items() if version != first[name]}
    assert changed == {"labs"}
    labs = outputs.tables["labs"]
    assert_frame_equal(labs_of(published), labs.head(len(labs) - 3), check_row_order=False)
    then = published.published(AS_OF)
    assert then is not None
    assert_frame_equal(published.table("labs", then), labs, check_row_order=False)
    for name in ("cohort", "curve", "measures"):
        stored = published.table(name, then)
        assert_frame_equal(
            stored, outputs.tables[name].select(stored.columns), check_row_order=False
        )


def test_rows_that_are_only_added_come_beside_the_others(store: Store, outputs: Outputs):
    publish(store, without_last_labs(outputs, 3))
    files = {*DeltaTable(f"{store.uri}/labs").file_uris()}

    publish(store, outputs)

    assert files < {*DeltaTable(f"{store.uri}/labs").file_uris()}
    assert_frame_equal(labs_of(store), outputs.tables["labs"], check_row_order=False)


@pytest.mark.slow
@pytest.mark.usefixtures("short_terms")
def test_a_network_lost_midway_leaves_the_last_published_state(
    published: Store, outputs: Outputs, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
):
    from e2analytics.store import publish as publishing

    before, fewer = versions(published), without_last_labs(outputs, 3)
    put = publishing.put

    def cut_at(delta: Any, name: str, *args: Any, **kwargs: Any) -> int:
        if name == "cohort":
            gateway.mode = "cut"
        return put(delta, name, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "put", cut_at)
        with pytest.raises(StoreError, match=r"cohort|cannot be reached"):
            publish(published, fewer, LATER)
    gateway.mode = "open"

    assert len(published.runs()) == 1
    assert versions(published) == before
    assert published.delta.version("labs") > before["labs"]
    assert len(labs_of(published)) == len(outputs.tables["labs"])

    # The lease could not be given back, and goes with its term.
    publish(published, fewer, LATER)
    assert len(published.runs()) == 2
    assert len(labs_of(published)) == len(outputs.tables["labs"]) - 3


def test_the_crosswalk_is_kept_and_opened(store: Store, tmp_path: Path):
    from e2analytics.key import key_check

    names = pl.DataFrame(
        {"patient_id": ["p1"], "source_patient_id": ["MRN-0001"], "namespace": ["default"]}
    )
    info = {"schema_version": [SCHEMA_VERSION], "key_check": [key_check(KEY)]}
    with writing(store.delta):
        store.delta.write("store_info", pl.DataFrame(info), "overwrite")
        store.delta.write("runs", pl.DataFrame({"run_id": ["run-000001"]}), "append")
        assert crosswalk.add(store, names, KEY) == 1
        assert crosswalk.add(store, names, KEY) == 0

    assert crosswalk.export(store, KEY, tmp_path / "names.csv") == 1
    assert "MRN-0001" in (tmp_path / "names.csv").read_text()
    assert store.delta.read("audit")["rows"].to_list() == [1]


@pytest.mark.slow
def test_a_store_of_version_1_is_migrated_where_it_lies(uri: str, tmp_path: Path):
    with tarfile.open(V1 / "store.tar.xz") as archive:
        unpack(archive, tmp_path)
    migrate_store(f"{tmp_path / 'store'}")
    local = Store(f"{tmp_path / 'store'}")
    with tarfile.open(V1 / "store.tar.xz") as archive:
        unpack(archive, tmp_path / "again")
    objects = from_url(uri)
    old = tmp_path / "again" / "store"
    for file in (path for path in old.rglob("*") if path.is_file()):
        obstore.put(objects, file.relative_to(old).as_posix(), file)

    migrate_store(uri)

    store = Store(uri)
    store.check()
    run = store.published()
    assert run is not None
    assert run["run_id"] == "run-000002"
    for name in ("labs", "dxa", "cohort", "files", "measures"):
        assert_frame_equal(store.table(name, run), local.table(name, run))


def test_a_run_whose_host_was_paused_while_another_took_over_does_not_publish(
    published: Store, outputs: Outputs, tmp_path: Path
):
    # Just before the commit that would make the run visible, all its checks done.
    with publisher(
        published.uri, without_last_labs(outputs, 5), tmp_path / "a", pause_at="runs", term=2
    ) as paused:
        os.waitid(os.P_PID, paused.pid, os.WSTOPPED)
        publish(published, without_last_labs(outputs, 3), LATER)
        published_by_the_other = versions(published)
        paused.send_signal(signal.SIGCONT)
        said, _ = paused.communicate(timeout=60)

    assert paused.returncode == 13
    assert "nothing was published" in said
    assert len(published.runs()) == 2
    assert versions(published) == published_by_the_other
    assert len(labs_of(published)) == len(outputs.tables["labs"]) - 3


@pytest.mark.slow
def test_a_run_that_was_paused_earlier_learns_that_it_lost_the_store(
    published: Store, outputs: Outputs, tmp_path: Path
):
    changed = without_last_labs(outputs, 5)
    cohort = changed.tables["cohort"]
    tables = {**changed.tables, "cohort": cohort.head(len(cohort) - 1)}
    changed = Outputs(tables, changed.not_accepted, "complete", "m", {}, {})
    with publisher(published.uri, changed, tmp_path / "a", pause_at="cohort", term=2) as paused:
        os.waitid(os.P_PID, paused.pid, os.WSTOPPED)
        publish(published, a_month_later(without_last_labs(outputs, 3)), LATER)
        paused.send_signal(signal.SIGCONT)
        said, _ = paused.communicate(timeout=60)

    assert paused.returncode == 13
    assert "lost the store" in said
    assert len(published.runs()) == 2
    run = published.published()
    assert run is not None
    assert len(published.table("cohort", run)) == len(cohort)


def test_of_two_runs_at_once_none_is_lost(published: Store, outputs: Outputs, tmp_path: Path):
    runs = [
        publisher(published.uri, without_last_labs(outputs, n), tmp_path / f"host-{n}", term=10)
        for n in (3, 5)
    ]
    said = [run.communicate(timeout=120)[0] for run in runs]

    codes = [run.returncode for run in runs]
    assert set(codes) <= {0, 13}
    assert 0 in codes
    assert all(
        "is in use by process" in each for each, code in zip(said, codes, strict=True) if code
    )
    assert len(published.runs()) == 1 + codes.count(0)
    assert published.runs()["run_id"].is_unique().all()


@pytest.mark.slow
def test_the_command_line_runs_reports_and_exports(
    uri: str, clinic: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    drop = str(clinic / "drop")
    first = call(capsys, "ingest", drop, "--store", uri, "--as-of", f"{AS_OF}")
    assert first[0] in (0, 11), first
    fitted = call(capsys, "fit", "--store", uri, "--as-of", f"{AS_OF}")
    assert fitted[0] == 0, fitted
    night = call(capsys, "flag", "--store", uri, "--as-of", "2026-10-01")
    assert night[0] == 0, night
    out, table = str(tmp_path / "report"), tmp_path / "cohort.csv"
    report = call(capsys, "report", "--month", "2026-09", "--store", uri, "--out", out)
    assert report[0] == 0, report
    arguments = ("--format", "csv", "-o", str(table), "--as-of", f"{AS_OF}")
    export = call(capsys, "export", "cohort", "--store", uri, *arguments)
    assert export[0] == 0, export
    assert "run-000002" in export[2]
    assert set(pl.read_csv(table, try_parse_dates=True)["as_of"]) == {AS_OF}
    for verb in (["status"], ["limits", "show"], ["worklist", "-o", str(tmp_path / "w.csv")]):
        answered = call(capsys, *verb, "--store", uri)
        assert answered[0] == 0, answered
