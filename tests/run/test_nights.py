"""Nights that compute only what may have changed give every table that computing all men each night gives."""

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.read_drop import Sources
from e2analytics.run.frames import Run
from e2analytics.run.job import Job, run_job
from e2analytics.run.pipeline import run_steps
from e2analytics.store.store import Store
from e2analytics.tables.registry import TABLES, order_of
from e2analytics.tables.snapshot import Outputs, Snapshot
from tests.conftest import KEY, QUICK

SAMPLE = Path(__file__).parents[2] / "data" / "sample"
FIRST = date(2026, 9, 2)
KNOWN_ON = {
    "labs.csv": "reported_at",
    "dxa.csv": "scanned_on",
    "medications.csv": "started_on",
    "events.csv": "occurred_on",
}


class Night:
    """A night, as it goes on from the one before, and as it would be if all men were computed."""

    def __init__(self, as_of: date, going_on: Outputs, anew: Outputs, before: Snapshot) -> None:
        self.as_of = as_of
        self.men = going_on.men
        self.going_on = going_on.after(before)
        self.anew = anew

    def check(self) -> None:
        for name in TABLES:
            if name != "runs":
                assert_alike(name, self.going_on.tables[name], self.anew.tables[name])
        for name, rows in self.anew.not_accepted.items():
            assert_alike(name, self.going_on.not_accepted[name].select(rows.columns), rows)
        states = self.going_on.state, self.anew.state
        for name in states[1].sums:
            assert_frame_equal(states[0].sums[name], states[1].sums[name])
        assert states[0].basis == states[1].basis


def assert_alike(name: str, one: pl.DataFrame, other: pl.DataFrame) -> None:
    # Sums over men run in batches of all who are computed: the last digits are those of the batch.
    order = order_of(name)
    if name == "causes":
        # The share of a cause is its log ratio over their sum: where that is small, all last digits.
        one, other = (rows.drop("share") for rows in (one, other))
    assert_frame_equal(one.sort(order), other.sort(order), rel_tol=1e-9, abs_tol=1e-10)


def by_day(drop: Path, folder: Path, last: date) -> None:
    """Divide a drop into what was known on the first day, and what became known on each day after it."""
    for file in drop.glob("*.csv"):
        with file.open(newline="") as handle:
            rows = list(csv.DictReader(handle))
        days = defaultdict(list)
        for row in rows:
            known_on = row.get(KNOWN_ON.get(file.name, ""), "")[:10] or FIRST.isoformat()
            days[min(max(known_on, FIRST.isoformat()), last.isoformat())].append(row)
        for day, of_day in days.items():
            (folder / day).mkdir(parents=True, exist_ok=True)
            with (folder / day / file.name).open("w", newline="") as handle:
                writer = csv.DictWriter(handle, rows[0])
                writer.writeheader()
                writer.writerows(of_day)


def nights(
    folder: Path, days: list[date], spoil: Callable[[Path, date], None] = lambda *_: None
) -> Iterator[Night]:
    """Run the nights of some days, each going on from the one before."""
    before = Snapshot()
    for number, as_of in enumerate(days, start=1):
        run = Run(as_of=as_of, settings=QUICK, run_id=f"run-{number:06d}")
        drop = folder / as_of.isoformat()
        spoil(drop, as_of)

        def read(known: Snapshot, drop: Path = drop) -> Sources:
            if not drop.is_dir():
                return Sources()
            ledger = known.table("files")
            return Sources.from_drop(
                drop, load_feeds(), KEY, ledger=ledger, settings=QUICK, today=date(2026, 12, 31)
            )

        going_on = run_steps(read(before), before, run)
        if number > 1:
            anew = run_steps(read(before), replace(before, state=None), run)
            yield Night(as_of, going_on, anew, before)
        done = going_on.after(before)
        before = Snapshot(done.tables, done.not_accepted, done.state)


def days_from(first: date, n: int, step: int = 1) -> list[date]:
    return [first + timedelta(days=step * number) for number in range(n)]


def spoil_third_night(drop: Path, as_of: date) -> None:
    """Send a correction, a number of another man, a result of nobody and an unreadable line."""
    if as_of != FIRST + timedelta(days=2):
        return
    first, now = drop.parent / FIRST.isoformat() / "labs.csv", drop / "labs.csv"
    with first.open(newline="") as handle:
        known = [row for _, row in zip(range(40), csv.DictReader(handle), strict=False)]
    of_others = next(row for row in known if row["patient_id"] != known[0]["patient_id"])
    later = f"{as_of}T08:00:00"
    sent = [
        known[0] | {"status": "C", "value": "21.5", "reported_at": later},
        known[1] | {"patient_id": of_others["patient_id"], "reported_at": later},
        known[2] | {"result_id": "R-nobody", "patient_id": ""},
        known[3] | {"result_id": "", "value": "x"},
        known[4] | {"status": "X", "patient_id": "", "reported_at": later},
    ]
    drop.mkdir(exist_ok=True)
    is_new = not now.exists()
    with now.open("a", newline="") as handle:
        writer = csv.DictWriter(handle, known[0])
        if is_new:
            writer.writeheader()
        writer.writerows(sent)


def test_four_nights_are_as_if_all_men_were_computed_each_night(tmp_path: Path):
    days = days_from(FIRST, 5)
    by_day(SAMPLE, tmp_path, last=days[-1] + timedelta(days=30))

    made = list(nights(tmp_path, days, spoil_third_night))

    for night in made:
        night.check()
        assert night.men is not None
        assert 0 < len(night.men) < 250


def test_a_night_changes_the_store_as_computing_all_men_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("E2ANALYTICS_KEY", KEY.decode())
    days = days_from(FIRST, 2)
    by_day(SAMPLE, tmp_path, last=days[-1] + timedelta(days=30))
    first, night = (
        Job(
            store=str(tmp_path / "store"),
            as_of=day,
            settings=QUICK,
            drop=tmp_path / day.isoformat(),
        )
        for day in days
    )
    run_job(first)
    store = Store(first.store)
    before = store.snapshot(days[1])
    known = Snapshot(
        {name: before.tables[name] for name in before.tables}, dict(before.not_accepted)
    )
    versions = json.loads(store.runs()["table_versions"][-1])

    done = run_job(night)

    anew = run_steps(done.sources, known, night.as_run("run-000002"))
    for name in TABLES:
        if name != "runs":
            assert_alike(name, done.table(name), anew.tables[name])
    assert done.outputs.men is not None
    # Nothing was said of lifestyle, nor fitted: these files stay.
    now = json.loads(done.manifest["table_versions"])
    assert {
        name
        for name in ("lifestyle", "curve", "models", "precision")
        if now[name] != versions[name]
    } == set()
    assert now["labs"] > versions["labs"]


@pytest.mark.slow
def test_a_month_of_nights_is_as_if_all_men_were_computed_each_night(tmp_path: Path):
    days = days_from(FIRST, 31)
    by_day(SAMPLE, tmp_path, last=days[-1])

    for night in nights(tmp_path, days, spoil_third_night):
        night.check()
        # The last day of a month ends it: all men are counted.
        assert (night.men is None) == (night.as_of in (date(2026, 9, 30), date(2026, 10, 1)))


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("step", [1, 3])
def test_time_alone_changes_nobody_who_is_not_due(tmp_path: Path, step: int):
    days = days_from(FIRST, 100, step)
    by_day(SAMPLE, tmp_path, last=FIRST)

    for night in nights(tmp_path, days):
        night.check()
