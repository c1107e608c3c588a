"""The curve with 1,000 patient-cluster replicates, each with its own smoothing, and its limits.

In    simulated cohorts: 10 rows per man, 8 covariates
Out   seconds by number of rows, compared with the peers that are installed; one fit, memory, partitions

Ours does more than the peers are timed for: grid, intervals, band, verdict and limits are included. A
peer's 1,000 replicates are extrapolated from a few refits of resampled men. R's packages are found by
``Rscript``; pygam and statsmodels by the interpreter that ``BENCH_PEERS_PYTHON`` names, or by this one.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
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

from e2analytics.models import shape, smooth
from e2analytics.models.curve import (
    CurveFit,
    CurveSettings,
    fit_curve,
    fit_parts,
    plan_curve,
)
from e2analytics.models.gram_matrices import whole_gram
from e2analytics.models.rows import CurveData
from e2analytics.models.threads import one_blas_thread

SIZES = (1_000, 10_000, 100_000, 1_000_000)
ROWS_PER_MAN, N_COVARIATES, N_REPLICATES = 10, 8, 1_000
N_PEER_REFITS = 3
# Beyond this the peers are asked for one refit each, and the slow ones not at all.
MANY_ROWS = 1_000_000
PARTITIONS = (1, 2, 8, 64)
HERE = Path(__file__).parent


def measured() -> dict:
    """Measure everything and print a table as it grows."""
    # First: a process begins with the peak of the one that starts it.
    memory = peak_memory_gb(SIZES[-1])
    sizes = []
    for n_rows in SIZES:
        sizes.append(_of_size(n_rows))
        print(line(sizes[-1]), flush=True)
    most = simulated(SIZES[-1])
    one_fit = fastest(lambda: fit_once(most))
    differences = differences_of_partitions()
    print(f"one fit at {SIZES[-1]} rows {one_fit.wall:.3f} s; memory {memory:.2f} GB")
    print(f"curve over {PARTITIONS} partitions differs by at most {max(differences):.1e}")
    return {
        "replicates": N_REPLICATES,
        "sizes": sizes,
        "one_fit_seconds": one_fit.wall,
        "peak_memory_gb": memory,
        "partitions": dict(zip(map(str, PARTITIONS), differences, strict=True)),
    }


def _of_size(n_rows: int) -> dict:
    data = simulated(n_rows)
    settings = CurveSettings(n_replicates=N_REPLICATES)
    fit = fit_curve(data, settings)
    ours = fastest(lambda: fit_curve(data, settings))
    peers = {name: N_REPLICATES * each for name, each in peer_refits(data).items()}
    return {
        "rows": n_rows,
        "ours_seconds": ours.wall,
        "ours_processor_seconds": ours.processor,
        "of_these_verdict_seconds": fastest(lambda: weigh(fit)).wall,
        "peers_seconds": peers,
    }


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


class Seconds:
    """What a piece of work took on the clock and of the processors, undisturbed as far as may be."""

    def __init__(self, wall: float, processor: float) -> None:
        self.wall, self.processor = wall, processor


def fastest(work: Callable[[], object], n_times: int = 5) -> Seconds:
    """Return the least seconds of a few runs."""
    wall, processor = [], []
    for _ in range(n_times):
        start, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return Seconds(min(wall), min(processor))


def weigh(fit: CurveFit) -> shape.Evidence:
    """Work out what a verdict rests on."""
    supported = fit.supported
    return shape.weigh(
        np.log(fit.e2_pg_ml[supported]),
        fit.n_effective[supported].astype(float),
        fit.estimate[supported],
        fit.replicates[:, supported],
        CurveSettings().delta,
    )


def fit_once(data: CurveData) -> smooth.Point:
    """Fit one curve with REML, without replicates."""
    plan = plan_curve([data], CurveSettings())
    with one_blas_thread():
        gram = whole_gram(data, np.ones(len(data)), plan)
        return smooth.fit_point(*gram, plan.n_fixed)


def peak_memory_gb(n_rows: int) -> float:
    """Return the most memory that a process takes which does nothing but simulate and fit."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (n_rows,))


def _peak(n_rows: int) -> float:
    fit_curve(simulated(n_rows), CurveSettings(n_replicates=N_REPLICATES))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def differences_of_partitions(n_rows: int = 20_000) -> list[float]:
    """Return how far the curve over partitions is from the curve of all rows at once, at most."""
    data, settings = simulated(n_rows), CurveSettings(n_replicates=100)
    whole = fit_curve(data, settings).estimate
    return [
        float(np.abs(fit_parts(data.parts(n), settings).estimate - whole).max()) for n in PARTITIONS
    ]


def peer_refits(data: CurveData) -> dict[str, float]:
    """Time one refit of resampled men by each peer that is installed, seconds."""
    n_refits = N_PEER_REFITS if len(data) < MANY_ROWS else 1
    table = np.column_stack([data.patient, data.outcome, data.log_e2, data.covariates])
    python = os.environ.get("BENCH_PEERS_PYTHON", sys.executable)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.bin"
        table.astype(np.float64).tofile(file)
        asked = [str(file), str(table.shape[1]), str(n_refits)]
        return {
            "scikit-learn": scikit_learn_refit(data, n_refits),
            **asked_of([shutil.which("Rscript"), str(HERE / "mgcv_refits.R"), *asked]),
            **asked_of([python, str(HERE / "python_refits.py"), *asked]),
        }


def scikit_learn_refit(data: CurveData, n_refits: int) -> float:
    """Time one refit of ``SplineTransformer`` and ``RidgeCV``, seconds."""
    X = np.column_stack([data.log_e2, data.covariates])
    model = make_pipeline(SplineTransformer(n_knots=18), RidgeCV(np.geomspace(1e-3, 1e3, 13)))
    # One thread, as ours: on a busy machine two are slower for tables as narrow as these.
    with one_blas_thread():
        return fastest(lambda: model.fit(X, data.outcome), n_refits).wall


def asked_of(command: list[str | None]) -> dict[str, float]:
    """Return what a script of peers prints; nothing where there is no such language or package."""
    if command[0] is None:
        return {}
    run = subprocess.run(  # noqa: S603 - our own scripts
        [part for part in command if part], capture_output=True, text=True, check=False
    )
    return json.loads(run.stdout) if run.returncode == 0 else {}


def line(result: dict) -> str:
    """Give one line of the table: seconds, and how many times ours that is."""
    ours = result["ours_seconds"]
    peers = "   ".join(
        f"{name} {seconds:.1f} s ({seconds / ours:.0f} x)"
        for name, seconds in result["peers_seconds"].items()
    )
    return (
        f"{result['rows']:>8} rows   e2analytics {ours:6.3f} s "
        f"(processor {result['ours_processor_seconds']:.3f} s)   {peers}"
    )
