"""What nights cost: a first run, a night with nothing new, one with 1 % of new rows, the end of a month.

In    a clinic of ``e2analytics.simulate``; of a hundredth of its rows it is known a night later
Out   processor time, wall time and peak memory of each, and their share of the first run without its fits

Run alone: ``python -m bench.scale [MEN]``. Each run is a process of its own, without Prefect.
"""

from __future__ import annotations

import csv
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from functools import wraps
from pathlib import Path
from typing import Any, Final

from bench.intake import cost

MEN: Final = 24_000
FIRST: Final = date(2026, 9, 8)
NIGHTS: Final = {
    "first run": FIRST,
    "nothing new": FIRST + timedelta(days=1),
    "1 % new rows": FIRST + timedelta(days=2),
    "nothing new again": FIRST + timedelta(days=3),
    "end of the month": date(2026, 9, 30),
    "next month's fit": date(2026, 10, 1),
}
"""What is run, in this order, and as of which day."""
SHARE_LATE: Final = 0.01
FITS: Final = ("respond_to_dose", "measure_for_curves", "follow_up", "fit", "sensitivity")
"""Steps of a run that fits; a night does the first of them at frozen parameters."""
TARGETS: Final = {"nothing new": 0.03, "1 % new rows": 0.10}
_DAY_OF: Final = {
    "labs.csv": "reported_at",
    "dxa.csv": "scanned_on",
    "medications.csv": "started_on",
    "events.csv": "occurred_on",
}
_LATE_DAYS: Final = 120


def measured(men: int = MEN) -> dict[str, Any]:
    """Simulate a clinic, run its nights, and return what each took."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        simulated = [sys.executable, "-m", "e2analytics", "simulate", str(folder / "clinic")]
        cost([*simulated, "--patients", str(men), "--seed", "5"])
        rows = divide(folder / "clinic" / "drop", folder)
        results = {name: run(folder, name) for name in NIGHTS}
    first = results["first run"]
    without_fits = first["cpu_seconds"] - sum(first["steps"].get(step, 0.0) for step in FITS)
    for result in results.values():
        result["share_of_first_without_fits"] = result["cpu_seconds"] / without_fits
    return {"men": men, "rows": rows, "first_without_fits_cpu_seconds": without_fits, **results}


def divide(drop: Path, folder: Path) -> int:
    """Write what is known on the first day, and a hundredth of the rows of some men's last months for later.

    Returns the number of rows.
    """
    draw = random.Random(5)  # noqa: S311 - who is late is no secret
    tables = {file.name: list(_rows(file)) for file in drop.glob("*.csv")}
    n_rows = sum(map(len, tables.values()))
    men = [row["patient_id"] for row in tables["patients.csv"]]
    draw.shuffle(men)
    since, until = FIRST - timedelta(days=_LATE_DAYS), FIRST.isoformat()
    of_man: dict[str, int] = dict.fromkeys(men, 0)
    for name, day in _DAY_OF.items():
        for row in tables[name]:
            of_man[row["patient_id"]] = of_man.get(row["patient_id"], 0) + (
                since.isoformat() <= row[day][:10] <= until
            )
    late_men: set[str] = set()
    n_late = 0
    for man in men:
        if n_late >= SHARE_LATE * n_rows:
            break
        late_men.add(man)
        n_late += of_man[man]
    for name, rows in tables.items():
        day = _DAY_OF.get(name)
        known = [row for row in rows if day is None or row[day][:10] <= until]
        is_late = [
            day is not None and row["patient_id"] in late_men and row[day][:10] >= since.isoformat()
            for row in known
        ]
        for part, wanted in (("first run", False), ("1 % new rows", True)):
            chosen = [row for row, late in zip(known, is_late, strict=True) if late == wanted]
            _write(folder / part / name, chosen)
    return n_rows


def _rows(file: Path) -> Iterator[dict[str, str]]:
    with file.open(newline="") as handle:
        yield from csv.DictReader(handle)


def _write(file: Path, rows: list[dict[str, str]]) -> None:
    if rows:
        file.parent.mkdir(exist_ok=True)
        with file.open("w", newline="") as handle:
            writer = csv.DictWriter(handle, rows[0])
            writer.writeheader()
            writer.writerows(rows)


def run(folder: Path, name: str) -> dict[str, Any]:
    """Run one night in a process of its own; return what it took."""
    said = folder / "said.json"
    took = cost([sys.executable, "-m", "bench.scale", "--night", str(folder), name, str(said)])
    return took._asdict() | json.loads(said.read_text())


def night(folder: Path, name: str, said: Path) -> None:
    """Run one night here, and write down what its steps took and how many men it computed."""
    from e2analytics.run.job import Job, run_job
    from e2analytics.settings import Settings

    steps: dict[str, float] = {}

    def timed(step: Callable[..., Any], /) -> Callable[..., Any]:
        @wraps(step)
        def one(*args: Any, **kwargs: Any) -> Any:
            with _added_to(steps, step.__name__):
                return step(*args, **kwargs)

        return one

    drop = folder / name
    job = Job(
        store=str(folder / "store"),
        as_of=NIGHTS[name],
        settings=Settings(),
        drop=drop if drop.is_dir() else None,
    )
    outputs = run_job(job, wrap=timed).outputs
    men = None if outputs.men is None else len(outputs.men)
    said.write_text(json.dumps({"men_computed": men, "steps": steps}))


@contextmanager
def _added_to(steps: dict[str, float], name: str) -> Iterator[None]:
    began = time.process_time()
    yield
    steps[name] = steps.get(name, 0.0) + time.process_time() - began


def lines(result: dict[str, Any]) -> Iterator[str]:
    """Give the rows of the table."""
    yield (
        f"{result['men']:,} men, {result['rows']:,} rows; the first run without its fits takes "
        f"{result['first_without_fits_cpu_seconds']:.1f} s of processor"
    )
    for name in NIGHTS:
        of = result[name]
        men = "all" if of["men_computed"] is None else f"{of['men_computed']:,}"
        target = f" (target {TARGETS[name]:.0%})" if name in TARGETS else ""
        yield (
            f"{name:<18} {of['cpu_seconds']:7.1f} s of processor {of['seconds']:7.1f} s "
            f"{of['peak_gb']:5.1f} GB   {men:>7} men   "
            f"{of['share_of_first_without_fits']:6.1%}{target}"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--night"]:
        night(Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
    else:
        print("\n".join(lines(measured(int(sys.argv[1]) if len(sys.argv) > 1 else MEN))))
