"""Time the curve with 1,000 patient-cluster replicates, and intake, beside what others need for the same.

In    simulated cohorts: 10 rows per man, 8 covariates; a laboratory export of 1 GB (``bench.intake``)
Out   a table on the terminal and ``bench/results/latest.json``

``python -m bench curve`` or ``python -m bench intake`` runs one section and prints it, no more.

Ours does more than the peers are timed for: grid, intervals, band, verdict and limits are
included. A peer's 1,000 replicates are extrapolated from a few refits of resampled men; a peer
that is not installed is left out.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer
from threadpoolctl import threadpool_limits

from bench import intake
from e2analytics.models.curve import CurveData, CurveSettings, fit_curve

SIZES = (1_000, 10_000, 100_000)
ROWS_PER_MAN, N_COVARIATES, N_REPLICATES = 10, 8, 1_000
N_PEER_REFITS = 3
HERE = Path(__file__).parent


def main(sections: list[str]) -> None:
    """Run the sections named, print their tables, and keep the numbers if it was all of them."""
    results = {name: SECTIONS[name]() for name in sections or SECTIONS}
    if results.keys() == SECTIONS.keys():
        keep(results)


def curve() -> list[dict]:
    """Run every size and print the table."""
    print(f"curve with {N_REPLICATES} replicates; peers extrapolated from {N_PEER_REFITS} refits")
    results = []
    for n_rows in SIZES:
        data = simulated(n_rows)
        ours = fastest(lambda data=data: fit_curve(data, CurveSettings(n_replicates=N_REPLICATES)))
        peers = {"scikit-learn": scikit_learn_refit(data), **mgcv_refits(data)}
        results.append(
            {
                "rows": n_rows,
                "ours_seconds": ours,
                "peers_seconds": {name: N_REPLICATES * each for name, each in peers.items()},
            }
        )
        print(line(results[-1]), flush=True)
    return results


def taking_in() -> dict:
    """Take in the large export and print the row."""
    print("taking in a laboratory export: read, validate, store; polars only reads and writes it")
    result = intake.measured()
    print(intake.line(result), flush=True)
    return result


def simulated(n_rows: int) -> CurveData:
    """Simulate a threshold at 20 pg/mL."""
    rng = np.random.default_rng(0)
    log_e2 = rng.normal(np.log(30), 0.5, n_rows)
    covariates = rng.normal(size=(n_rows, N_COVARIATES))
    change = (
        np.minimum(0, 3.6 * (log_e2 - np.log(20)))
        + covariates.sum(axis=1) / 10
        + rng.normal(0, 2, n_rows)
    )
    return CurveData.at_points(log_e2, change, np.arange(n_rows) // ROWS_PER_MAN, covariates)


def fastest(work: Callable[[], object], n_times: int = 5) -> float:
    """Return the least time of a few runs, seconds: what the work takes when undisturbed."""
    times = []
    for _ in range(n_times):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def scikit_learn_refit(data: CurveData) -> float:
    """Time one refit of ``SplineTransformer`` and ``RidgeCV``, seconds."""
    X = np.column_stack([data.log_e2, data.covariates])
    model = make_pipeline(SplineTransformer(n_knots=10), RidgeCV(np.geomspace(1e-3, 1e3, 13)))
    # One thread, as ours: on a busy machine two are slower for tables as narrow as these.
    with threadpool_limits(limits=1):
        return fastest(lambda: model.fit(X, data.outcome), N_PEER_REFITS)


def mgcv_refits(data: CurveData) -> dict[str, float]:
    """Time one refit of resampled men by mgcv's ``gam`` and ``bam``, seconds; empty without R."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "rows.csv"
        columns = np.column_stack([data.patient, data.outcome, data.log_e2, data.covariates])
        np.savetxt(table, columns, delimiter=",")
        command = [rscript, str(HERE / "mgcv_refits.R"), str(table), str(N_PEER_REFITS)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own script
    # R without mgcv is a peer that is not installed.
    return json.loads(run.stdout) if run.returncode == 0 else {}


def line(result: dict) -> str:
    """Give one line of the table: seconds, and how many times ours that is."""
    ours = result["ours_seconds"]
    peers = "   ".join(
        f"{name} {seconds:8.1f} s ({seconds / ours:6.0f} x)"
        for name, seconds in result["peers_seconds"].items()
    )
    return f"{result['rows']:>7} rows   e2analytics {ours:6.3f} s   {peers}"


def keep(results: dict) -> None:
    """Write the numbers, and what they were measured on."""
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    report = {
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "replicates": N_REPLICATES,
        **results,
    }
    (folder / "latest.json").write_text(json.dumps(report, indent=2) + "\n")


SECTIONS = {"curve": curve, "intake": taking_in}

if __name__ == "__main__":
    main(sys.argv[1:])
