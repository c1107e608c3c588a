"""The curve compared with its peers on the same cohorts.

In    cohorts of ``cohorts``, shape ``threshold``, strong effect, 1,000 men; the same rows for all
Out   coverage, error and width of each peer that is installed

A peer takes one E2 for a pair, the mean of the product's posterior, and the same weights and covariates.
R's packages are found by ``Rscript``; pygam and statsmodels by the interpreter that
``BENCH_PEERS_PYTHON`` names, or by this one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from bench.validation import cohorts
from bench.validation.curve_cells import SETTINGS
from bench.validation.curve_shares import binomial, mean_share
from bench.validation.curve_tables import STRONG
from bench.validation.section import Section, in_parallel
from e2analytics.models.curve import fit_curve
from e2analytics.simulate import parameters as world
from e2analytics.simulate.cohort import Vector

NAME: Final = "curve_peers"
TITLE: Final = "The curve beside its peers"
REPLICATES: Final = 200
N_MEN: Final = 1_000
HERE: Final = Path(__file__).parent
OURS: Final = "e2analytics"

ABOUT: Final = """
The same cohorts for all: `threshold`, strong effect, 1,000 men, about 1.35 scan pairs a man whose
neighbours share a scan and its error. Peers take the mean of the product's posterior of E2 as the E2 of a
pair; weights and covariates are the same. Points are those that e2analytics supports; coverage is of nominal
95 % pointwise intervals, the same world as above. mgcv: `gam`, `bs = "ps"`, 20 splines, REML, its default
(Bayesian) intervals. rms: `ols` with `rcs` of five knots and `bootcov` by man. pygam: 20 splines, grid search.
GLMGam: 20 splines, penalty by AIC; it warns itself that its clustered errors are not made for weights.
"""


@dataclass(frozen=True)
class Job:
    """One cohort, and where its rows are left for the peers."""

    seed: int
    folder: str


def run(replicates: int, seed: int) -> Section:
    """Let everyone fit ``replicates`` cohorts."""
    with tempfile.TemporaryDirectory() as folder:
        jobs = [Job(seed * 1_000_000 + number, folder) for number in range(replicates)]
        rows = in_parallel(repeat, jobs, "cohorts for peers")
        python = os.environ.get("BENCH_PEERS_PYTHON", sys.executable)
        _ask([shutil.which("Rscript"), str(HERE / "curve_peers.R"), folder])
        _ask([python, str(HERE / "curve_peers_python.py"), folder])
        rows += [row for job in jobs for row in _said_by_peers(job)]
    return tell(pl.DataFrame(rows))


def repeat(job: Job) -> dict[str, object]:
    """Fit one cohort ourselves, and leave its rows, the points and the truth."""
    exposed = cohorts.exposed(N_MEN, job.seed)
    measured = cohorts.outcome(exposed, "threshold", STRONG)
    data = cohorts.curve_data(exposed, measured)
    fit = fit_curve(data, SETTINGS)
    grid = np.log(fit.e2_pg_ml)[fit.supported]
    true = cohorts.true_level(exposed, "threshold", STRONG, grid)
    weight = 1 / (data.sampling_variance + world.INTERVAL_SD_PCT_PER_YEAR**2)
    rows = np.column_stack([data.patient, measured, data.log_e2, weight, data.covariates])
    for name, values in (("rows", rows), ("grid", grid), ("true", true)):
        values.astype(np.float64).tofile(_file(job, name))
    supported = fit.supported
    return _row(OURS, np.stack([fit.estimate, fit.ci_low, fit.ci_high])[:, supported], true)


def _file(job: Job, name: str) -> Path:
    return Path(job.folder, f"{job.seed}.{name}")


def _ask(command: list[str | None]) -> None:
    """Run a script of peers; without its language or packages it leaves nothing."""
    if command[0] is not None:
        subprocess.run(  # noqa: S603 - our own scripts
            [part for part in command if part], capture_output=True, check=False
        )


def _said_by_peers(job: Job) -> list[dict[str, object]]:
    true = np.fromfile(_file(job, "true"))
    return [
        _row(file.suffixes[-2][1:].replace("_", " "), np.fromfile(file).reshape(3, -1), true)
        for file in sorted(Path(job.folder).glob(f"{job.seed}.*.fit"))
    ]


def _row(name: str, curve: Vector, true: Vector) -> dict[str, object]:
    estimate, low, high = curve
    return {
        "who": name,
        "covers": float(np.mean((low <= true) & (true <= high))),
        "whole": bool(np.all((low <= true) & (true <= high))),
        "rmse": float(np.sqrt(np.mean((estimate - true) ** 2))),
        "width": float(np.mean(high - low)),
    }


def tell(rows: pl.DataFrame) -> Section:
    """Put who said what into one table."""
    lines = []
    for name in sorted(rows["who"].unique(), key=lambda name: (name != OURS, name)):
        his = rows.filter(pl.col("who") == name)
        lines.append(
            {
                "who": name,
                "cohorts": len(his),
                "pointwise coverage": str(mean_share(his["covers"])),
                "all points at once": str(binomial(his["whole"])),
                "root mean squared error, %/year": his["rmse"].mean(),
                "mean width, %/year": his["width"].mean(),
            }
        )
    return Section((ABOUT, pl.DataFrame(lines), AFTER))


AFTER: Final = """
`all points at once` is what the pointwise intervals hold when read as a band, as they often are; the band of
e2analytics is in the section above. An interval can also cover by being wide: the width is beside it. e2analytics smooths less so that its
intervals hold, and pays with a larger error of the estimate than the peers', who smooth for the least error.
"""
