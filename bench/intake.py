"""Time taking in a large laboratory export, compared with polars reading and writing the same file.

In    a file of :mod:`bench.large_export`: mixed units and comparators, 100 results a man
Out   wall time, processor time and peak memory of two processes on the same file: ``e2analytics ingest``, which reads,
      validates and stores it, and polars alone, which reads it and writes it as Parquet

Run alone: ``python -m bench.intake [ROWS]``. Polars is timed before and after ours, and the mean taken:
both then meet the same machine.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from bench import large_export

ROWS = 10_000_000
TARGET_RATIO, TARGET_GB = 2.5, 3.0
_KEY = "a key for men who do not exist"
# As text: "<5.0" is no number, and with types it takes as long.
_POLARS = (
    "import sys, polars; "
    "polars.read_csv(sys.argv[1], infer_schema=False).write_parquet(sys.argv[2])"
)


class Cost(NamedTuple):
    """What a process took."""

    seconds: float
    cpu_seconds: float
    peak_gb: float


def measured(rows: int = ROWS) -> dict[str, Any]:
    """Write the file, take it in, and return what that and polars alone took."""
    with tempfile.TemporaryDirectory() as place:
        drop = Path(place) / "drop"
        drop.mkdir()
        # Apart: a process begins with the peak of the one that starts it.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            _, labs = pool.apply(large_export.write, (drop, rows))
        polars = [sys.executable, "-c", _POLARS, str(labs), f"{place}/labs.parquet"]
        ingest = [sys.executable, "-m", "e2analytics", "ingest", str(drop)]
        options = ["--store", f"{place}/store", "--as-of", "2026-09-30"]
        before, ours, after = cost(polars), cost([*ingest, *options]), cost(polars)
        size = labs.stat().st_size
    return {
        "rows": rows,
        "file_gb": size / 1e9,
        "ours_seconds": ours.seconds,
        "ours_cpu_seconds": ours.cpu_seconds,
        "ours_peak_gb": ours.peak_gb,
        "polars_seconds": (before.seconds + after.seconds) / 2,
        "polars_cpu_seconds": (before.cpu_seconds + after.cpu_seconds) / 2,
        "polars_peak_gb": max(before.peak_gb, after.peak_gb),
    }


def cost(command: list[str]) -> Cost:
    """Run a command to its end and return its wall time and the most memory that it held."""
    start = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603 - our own commands
        command, env=os.environ | {"E2ANALYTICS_KEY": _KEY}, stdout=subprocess.DEVNULL
    )
    # Not process.wait(): it does not tell what the process used.
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with exit code {process.returncode}")
    kilobytes = used.ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    return Cost(seconds, used.ru_utime + used.ru_stime, kilobytes * 1024 / 1e9)


def line(result: dict[str, Any]) -> str:
    """Give the row of the table."""
    ratio = result["ours_seconds"] / result["polars_seconds"]
    return (
        f"{result['rows']:>10,} rows, {result['file_gb']:.2f} GB   "
        f"e2analytics {result['ours_seconds']:6.1f} s {result['ours_peak_gb']:.1f} GB   "
        f"polars {result['polars_seconds']:6.1f} s {result['polars_peak_gb']:.1f} GB   "
        f"({ratio:.1f} x; target {TARGET_RATIO:g} x, {TARGET_GB:g} GB; "
        f"processor time {result['ours_cpu_seconds']:.1f} s and {result['polars_cpu_seconds']:.1f} s)"
    )


if __name__ == "__main__":
    print(line(measured(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)))
