"""Migration of a store that the code of schema version 1 wrote: ``v1/``."""

from __future__ import annotations

import json
import os
import random
import shlex
import shutil
import signal
import tarfile
import time
from collections.abc import Callable
from datetime import date
from hashlib import sha256
from multiprocessing import get_context
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from e2analytics.errors import StoreError
from e2analytics.run.job import Job, run_job
from e2analytics.run.monthly import pinned_tables
from e2analytics.settings import Settings
from e2analytics.store import history
from e2analytics.store.access import DeltaTables
from e2analytics.store.migrate import Plan, migrate
from e2analytics.store.migrations import SCHEMA_VERSION, is_changed
from e2analytics.store.store import Store
from e2analytics.tables.registry import CANONICAL, TABLES, schema_of
from tests.cli.command_line import call
from tests.store.conftest import unpack
from tests.store.killed import killed_at_write, killed_between_files, migrate_store

V1 = Path(__file__).parent / "v1"
RUNS = ("run-000001", "run-000002")
OLDER_MONTH = "2026-08"

OF_VERSION_1 = [table for table in CANONICAL if table != "lifestyle"]
# Said again, so that a step of ``migrations`` that renames something else is noticed.
RENAMED = {
    **{table: {"broken": "failed_rules"} for table in OF_VERSION_1},
    **{table: {"target": "table"} for table in ("files", "quarantine", "quality")},
    **{table: {"grounds": "rationale"} for table in ("cohort", "flags")},
    "own_levels": {"n_set_aside": "n_outliers"},
    "dose_effects": {"known_before_the_data": "prior_share"},
    "measures": {"n_apart": "n_reported_separately"},
}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of version 1 and its exports, not to be written to."""
    folder = tmp_path_factory.mktemp("v1")
    for name in ("store", "exports"):
        with tarfile.open(V1 / f"{name}.tar.xz") as archive:
            unpack(archive, folder)
    return folder


@pytest.fixture
def old(before: Path, tmp_path: Path) -> Store:
    """A store of version 1."""
    shutil.copytree(before / "store", tmp_path / "store")
    return Store(str(tmp_path / "store"))


@pytest.fixture(scope="module")
def migrated(before: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The same store, migrated; not to be written to."""
    folder = tmp_path_factory.mktemp("migrated") / "store"
    shutil.copytree(before / "store", folder)
    migrate_store(str(folder))
    return Store(str(folder))


def exported(before: Path, run_id: str, table: str) -> pl.DataFrame:
    """Return a table as the code of version 1 exported it, by the names of today."""
    file = before / "exports" / run_id / f"{table}.parquet"
    if not file.is_file():  # a table that came later
        return pl.DataFrame(schema=schema_of(table))
    return pl.read_parquet(file).rename(RENAMED.get(table, {}))


def without_json(table: str, rows: pl.DataFrame) -> pl.DataFrame:
    return rows.drop("parameters") if table == "models" else rows


def assert_holds(now: pl.DataFrame, then: pl.DataFrame, *, check_row_order: bool = True) -> None:
    """Compare a table with what it was; columns that are new since are null."""
    new = [name for name in now.columns if name not in then.columns]
    assert [name for name in new if now[name].null_count() < len(now)] == []
    assert_frame_equal(now.drop(new), then, check_row_order=check_row_order)


def assert_holds_what_it_held(store: Store, before: Path) -> None:
    """Compare every table of both runs with what the code of version 1 exported."""
    store.check()
    runs = {run["run_id"]: run for run in store.runs().iter_rows(named=True)}
    for run_id in RUNS:
        for table in TABLES:
            now, then = store.table(table, runs[run_id]), exported(before, run_id, table)
            assert_holds(without_json(table, now), without_json(table, then))


# --- before -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "verb",
    [
        ("status",),
        ("limits", "show"),
        ("limits", "adopt", "--reason", "a test"),
        ("export", "flags", "-o", "flags.csv"),
        ("worklist", "-o", "men.csv"),
        ("crosswalk", "-o", "names.csv"),
        ("returns", "--out", "returns"),
        ("report", "--month", OLDER_MONTH, "--out", "report"),
        ("fit",),
        ("flag",),
        ("flag", "--preview"),
        ("ingest", str(V1 / "drop")),
        ("run", "--drop", str(V1 / "drop")),
    ],
    ids=" ".join,
)
def test_every_other_verb_says_how_to_migrate(
    capsys: pytest.CaptureFixture[str], before: Path, verb: tuple[str, ...]
):
    uri = str(before / "store")

    code, _, err = call(capsys, *verb, "--store", uri)

    assert code == 13
    assert err.strip().endswith(
        f"StoreError: The store {uri} has schema version 1; this e2analytics reads version "
        f"{SCHEMA_VERSION}. Migrate it: e2analytics store migrate --store {uri}"
    )


# --- the migration ----------------------------------------------------------------------------


def test_every_table_of_every_run_is_as_it_was_but_for_its_names(migrated: Store, before: Path):
    assert_holds_what_it_held(migrated, before)


def test_frozen_models_keep_their_parameters(migrated: Store, before: Path):
    newest = migrated.published()
    assert newest is not None

    now = migrated.table("models", newest)["parameters"].to_list()

    for text, of_then in zip(now, exported(before, RUNS[1], "models")["parameters"], strict=True):
        then = json.loads(of_then)
        then["dose_response"]["prior_share"] = then["dose_response"].pop("known_before_the_data")
        assert json.loads(text) == then


@pytest.mark.parametrize("table", OF_VERSION_1)
def test_rows_in_quarantine_are_those_of_then(migrated: Store, before: Path, table: str):
    for run in migrated.runs().iter_rows(named=True):
        version = json.loads(run["table_versions"])[f"aside/{table}"]
        then = pl.read_delta(str(before / "store" / "aside" / table), version=version)

        now = migrated.pending(table, run)

        renamed = then.rename({"broken": "failed_rules", "apart": "excluded"})
        waited = renamed.filter(pl.col("fate") == "quarantined")
        assert_holds(now, waited, check_row_order=False)


def test_a_table_that_came_later_is_empty_in_older_runs(migrated: Store):
    for run in migrated.runs().iter_rows(named=True):
        assert migrated.table("lifestyle", run).is_empty()
        assert migrated.pending("lifestyle", run).is_empty()


@pytest.mark.slow
def test_the_report_of_an_older_month_is_made_from_the_same_figures(
    capsys: pytest.CaptureFixture[str], migrated: Store, before: Path, tmp_path: Path
):
    pinned = pinned_tables(migrated.uri, OLDER_MONTH)

    assert pinned["runs"]["run_id"].to_list() == [RUNS[0]]
    for table in TABLES:
        then = exported(before, RUNS[0], table)
        assert_holds(without_json(table, pinned[table]), without_json(table, then))
    code, _, err = call(
        capsys, "report", "--month", OLDER_MONTH, "--out", str(tmp_path), "--store", migrated.uri
    )
    assert code == 0, err
    assert (tmp_path / f"e2-report-{OLDER_MONTH}-internal.html").stat().st_size > 0


def test_a_migrated_store_takes_the_next_night(old: Store, before: Path):
    migrate_store(old.uri)
    job = Job(store=old.uri, as_of=date(2026, 9, 20), settings=Settings(), drop=V1 / "drop")

    done = run_job(job)

    assert done.manifest["run_id"] == "run-000003"
    # The model of the month goes on, and so do flags.
    assert done.manifest["model_id"] == old.runs()["model_id"][1]
    then = exported(before, RUNS[1], "flags").select("patient_id", "first_flagged_on")
    now = old.table("flags", done.manifest).select("patient_id", "first_flagged_on")
    assert then.join(now, on="patient_id", how="anti").is_empty()
    assert then.join(now, on=["patient_id", "first_flagged_on"], how="anti").is_empty()
    read = done.manifest["counts"]
    assert json.loads(read)["rows_read"] == 1_997 + json.loads(read)["rows_read_now"]
    assert_holds_what_it_held(old, before)


def test_the_plan_is_announced_before_anything_is_written(old: Store):
    files = contents(old)
    plans: list[Plan] = []
    written: list[str] = []

    def announce(plan: Plan) -> None:
        assert contents(old) == files
        plans.append(plan)

    migrate(old, announce=announce, report_progress=written.append)

    assert (plans[0].from_version, plans[0].to_version) == (1, SCHEMA_VERSION)
    assert list(plans[0].rows) == written
    assert {*RENAMED, "models"} <= set(written)
    assert plans[0].rows["patients"] == 50


def test_a_second_time_nothing_is_written(
    capsys: pytest.CaptureFixture[str], migrated: Store, before: Path
):
    files = contents(migrated)

    code, out, _ = call(capsys, "store", "migrate", "--store", migrated.uri)

    assert code == 0
    assert f"is already of version {SCHEMA_VERSION}; nothing was written." in out
    assert contents(migrated) == files


def test_the_verb_says_what_it_will_do_and_what_it_did(
    capsys: pytest.CaptureFixture[str], old: Store
):
    code, out, err = call(capsys, "store", "migrate", "--store", old.uri)

    assert code == 0
    assert err.startswith(
        f"The store {old.uri} has schema version 1. Migrating it to version {SCHEMA_VERSION} writes"
    )
    assert "Writing not_accepted/labs ..." in err
    assert f"now has schema version {SCHEMA_VERSION}" in out
    assert "A vacuum may remove them" in out


# --- what else may be there -------------------------------------------------------------------


def test_the_code_of_version_1_refuses_a_migrated_store(migrated: Store):
    # It looks at the first row only.
    first = pl.read_delta(f"{migrated.uri}/store_info").row(0, named=True)

    assert first["schema_version"] == SCHEMA_VERSION
    assert history.history(migrated.delta)["schema_version"].to_list() == [1, SCHEMA_VERSION]


def test_a_newer_store_is_refused(capsys: pytest.CaptureFixture[str], old: Store):
    history.add(old.delta, {"schema_version": SCHEMA_VERSION + 1, "key_check": "check"})

    for verb in (("status",), ("store", "migrate")):
        code, _, err = call(capsys, *verb, "--store", old.uri)

        assert code == 13
        assert err.strip() == (
            f"StoreError: The store {old.uri} has schema version {SCHEMA_VERSION + 1}; this e2analytics "
            f"reads version {SCHEMA_VERSION}. Use a newer e2analytics."
        )


def test_no_store_is_none_to_migrate(tmp_path: Path):
    with pytest.raises(StoreError, match="There is no store at"):
        migrate_store(str(tmp_path / "nothing"))
    assert not (tmp_path / "nothing").exists()


def test_after_a_failure_the_code_of_version_1_can_write_again(old: Store, before: Path):
    run = old.runs().row(-1, named=True)

    def full(table: str) -> None:
        if table == "quarantine":
            raise StoreError("The disk is full.")

    with pytest.raises(StoreError, match="full"):
        migrate(old, announce=lambda _: None, report_progress=full)

    assert old.schema_version() == 1
    for at in old.tables(run).values():
        assert newest_is_old(old, at.folder, at.version)
    migrate_store(old.uri)
    assert_holds_what_it_held(old, before)


def newest_is_old(store: Store, folder: str, version: int) -> bool:
    """Tell whether the newest version of a table has the columns that it has at ``version``."""
    newest = store.delta.scan(folder, store.delta.version(folder)).collect_schema()
    return newest == store.delta.scan(folder, version).collect_schema()


def test_if_the_switch_fails_the_tables_are_put_back(old: Store, monkeypatch: pytest.MonkeyPatch):
    tables = old.tables(old.runs().row(-1, named=True))

    def fails(*_: object) -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(history, "add", fails)

    with pytest.raises(StoreError, match="full"):
        migrate_store(old.uri)

    assert all(newest_is_old(old, at.folder, at.version) for at in tables.values())


def test_if_nothing_can_be_put_back_the_first_error_is_told(
    old: Store, before: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(table: str) -> None:
        if table == "labs":
            raise StoreError("The table labs: the disk is full.")

    def fails(*_: object) -> None:
        raise StoreError("The table cohort: the disk is full.")

    monkeypatch.setattr(DeltaTables, "put_back", fails)

    with pytest.raises(StoreError, match="labs"):
        migrate(old, announce=lambda _: None, report_progress=full)

    migrate_store(old.uri)
    assert_holds_what_it_held(old, before)


def test_tables_that_version_1_cannot_write_over_come_last(old: Store):
    plans: list[Plan] = []

    migrate(old, announce=plans.append, report_progress=lambda _: None)

    # It puts tables of source rows back itself.
    derived = [name.rpartition("/")[2] not in CANONICAL for name in plans[0].rows]
    assert derived == sorted(derived)
    assert any(derived)


def test_without_room_on_the_disk_nothing_is_written(
    capsys: pytest.CaptureFixture[str], old: Store, monkeypatch: pytest.MonkeyPatch
):
    files = contents(old)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000))

    code, _, err = call(capsys, "store", "migrate", "--store", old.uri)

    assert code == 13
    assert "MB more to be migrated; its disk has 0.0 MB. Make room" in err
    assert contents(old) == files


@pytest.mark.parametrize(
    "name", [pytest.param("the clinic's store", marks=pytest.mark.slow), "clínica ü"]
)
def test_a_folder_may_have_any_name(
    capsys: pytest.CaptureFixture[str], before: Path, tmp_path: Path, name: str
):
    folder = tmp_path / name
    shutil.copytree(before / "store", folder)

    _, _, err = call(capsys, "status", "--store", str(folder))
    told = shlex.split(err.partition("Migrate it: ")[2])

    assert told[1:] == ["store", "migrate", "--store", str(folder)]
    assert call(capsys, *told[1:])[0] == 0
    assert_holds_what_it_held(Store(str(folder)), before)


# --- killed -----------------------------------------------------------------------------------


def contents(store: Store) -> dict[str, str]:
    """Return a digest of every file of a store's tables."""
    folder = Path(store.uri)
    return {
        str(file.relative_to(folder)): sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file() and file.parent != folder
    }


def is_old(store: Store, files: dict[str, str]) -> bool:
    """Tell whether readers of version 1 find all that they found; else the store is the new one.

    Delta Lake changes no file: with all of them there and no new commit of ``runs`` and ``store_info``, the
    versions that a run names are what they were.
    """
    now = contents(store)
    assert files.items() <= now.items()
    commits = [name for name in now.keys() - files.keys() if name.endswith(".json")]
    assert not [name for name in commits if name.startswith("runs/")]
    old = not [name for name in commits if name.startswith("store_info/")]
    assert store.schema_version() == (1 if old else SCHEMA_VERSION)
    return old


def in_a_process(target: Callable[..., None], *arguments: Any) -> Any:
    """Start a process that has imported everything already."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.store.killed"])
    process = context.Process(target=target, args=arguments)
    process.start()
    return process


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_killed_at_any_write_it_is_the_old_store_or_the_new_one(
    old: Store, before: Path, every: int
):
    files = contents(old)
    tables = old.tables(old.runs().row(-1, named=True))
    last = 1 + sum(is_changed(at.folder, 1) for at in tables.values())  # store_info

    # Again and again on the same store, so that each one finds what the ones before left.
    for turn, number in enumerate([*range(1, last, every), last]):
        after = turn % 2 == 1 and number < last
        process = in_a_process(killed_at_write, old.uri, number, after)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert is_old(old, files), f"killed at write {number}"
    for number in (1, 8):
        process = in_a_process(killed_between_files, old.uri, number)
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert is_old(old, files)
    process = in_a_process(killed_at_write, old.uri, last, True)
    process.join()

    assert process.exitcode == -signal.SIGKILL
    assert not is_old(old, files)
    assert_holds_what_it_held(old, before)


def test_killed_at_any_time_it_is_the_old_store_or_the_new_one(old: Store, before: Path):
    files = contents(old)
    moments = random.Random(7)  # noqa: S311 - no secret

    for _ in range(4):
        process = in_a_process(migrate_store, old.uri)
        time.sleep(moments.uniform(0.1, 0.8))
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        if not is_old(old, files):
            break
    migrate_store(old.uri)

    assert not is_old(old, files)
    assert_holds_what_it_held(old, before)
