"""Time the dose response: a large fit, all men's posteriors, a night's changed men; and nlme, lme4, statsmodels.

In    simulated men (``e2analytics.simulate.dose_cohorts``): 100,000 with 1 M draws, a tenth of them censored; three
      scan intervals of each (``bench.scan_intervals``); and the linear special case that the peers can fit: one dose,
      exact results of mass spectrometry
Out   wall and processor seconds and the peak of memory; seconds of maximum likelihood, compared with the peers'

Run alone: ``python -m bench dose_response``. A peer that is not installed is left out.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from bench import scan_intervals
from e2analytics.models.dose_response.fit import PRIORS, Prior, fit
from e2analytics.models.dose_response.predict import predict, random_effects
from e2analytics.models.dose_response.types import Draws
from e2analytics.simulate.dose_cohorts import COVARIATES, CohortDesign, simulate

N_MEN, N_CHANGED = 100_000, 1_000
DRAWS_OF_A_MAN = (2, 6, 10, 14, 18)
MS_SHARE = 0.35  # censors a tenth
LINEAR_MEN = (2_000, 10_000)
TARGETS_SECONDS = {"fit": 30.0, "posterior": 3.0, "changed men": 0.2}
TARGET_GB = 2.0
HERE = Path(__file__).parent
# One dose for all, so that Emax says what it does; immunoassay has no draw. All else is flat, as with the peers.
HELD = {
    "log_ed50": Prior(-3.0, 1e-6, "held"),
    **{name: prior for name, prior in PRIORS.items() if "ia_" in name},
    # The peers know nothing that moves.
    "log_sd_movement": Prior(float(np.log(1e-6)), 1e-6, "held"),
    "log_days_movement": PRIORS["log_days_movement"],
    "log_sd_jump": Prior(float(np.log(1e-6)), 1e-6, "held"),
}


def measured() -> dict[str, Any]:
    """Time all of it, the large cohorts in processes of their own, so that memory is theirs."""
    return {
        "large": in_own_process("bench.dose_response"),
        "intervals": in_own_process("bench.scan_intervals"),
        "linear": [linear(n_men) for n_men in LINEAR_MEN],
    }


def in_own_process(module: str) -> dict[str, Any]:
    """Return what a module prints."""
    command = [sys.executable, "-m", module]
    run = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - ourselves
    printed: dict[str, Any] = json.loads(run.stdout)
    return printed


def large() -> dict[str, Any]:
    """Fit 1 M draws, find all men's posteriors, and those of a night's changed men at fixed parameters."""
    men = simulate(CohortDesign(N_MEN, DRAWS_OF_A_MAN, MS_SHARE, drift_sd=0.25, step_share=0.2))
    doses = np.column_stack([men.dose_mg_per_week, np.zeros(N_MEN)])
    model, of_fit = timed(lambda: fit(men.draws, COVARIATES))

    def posterior(draws: Draws, usual: np.ndarray, at: np.ndarray) -> object:
        return predict(model, random_effects(model, draws), usual, at)

    _, of_all = timed(lambda: posterior(men.draws, men.usual, doses))
    few = men.draws.take(men.draws.man < N_CHANGED)
    changed = replace(few, n_men=N_CHANGED)
    some = slice(N_CHANGED)
    of_few = min(timed(lambda: posterior(changed, men.usual[some], doses[some]))[1] for _ in "123")
    return {
        "men": N_MEN,
        "draws": len(men.draws.man),
        "censored_share": float(np.mean(~men.draws.is_exact)),
        "seconds": {"fit": of_fit, "posterior": of_all, "changed men": of_few},
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def timed(work: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """Return what the work gives, and its wall and processor seconds: on a busy machine they differ."""
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    return result, (time.perf_counter() - wall, time.process_time() - processor)


def linear(n_men: int) -> dict[str, Any]:
    """Time maximum likelihood of the linear special case, ours and the peers'."""
    men = simulate(CohortDesign(n_men, (2, 4, 6, 8), ms_share=1.0))
    exact = men.draws.take(men.draws.is_exact)
    draws = replace(exact, dose_mg_per_week=(exact.dose_mg_per_week > 0).astype(float))
    model, (ours, _) = timed(lambda: fit(draws, COVARIATES, priors=HELD))
    columns = [draws.man, draws.covariates[:, 1], draws.dose_mg_per_week, np.log(draws.low_pg_ml)]
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "draws.csv"
        np.savetxt(table, np.column_stack(columns), delimiter=",", fmt="%.10g")
        peers = by_r(table)
    if n_men == LINEAR_MEN[0]:
        peers |= by_statsmodels(*columns)
    return {
        "draws": len(draws.man),
        "ours_seconds": ours,
        "log_likelihood": model.log_likelihood,
        "peers": peers,
    }


def by_r(table: Path) -> dict[str, dict[str, float]]:
    """Time nlme and lme4; empty without R or without them."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return {}
    command = [rscript, str(HERE / "lme_fits.R"), str(table)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own script
    return json.loads(run.stdout) if run.returncode == 0 else {}


def by_statsmodels(
    man: np.ndarray, x: np.ndarray, on: np.ndarray, log_e2: np.ndarray
) -> dict[str, dict[str, float]]:
    """Time MixedLM, if it is installed: it takes minutes where others take seconds, so the smaller case only."""
    try:
        from statsmodels.regression.mixed_linear_model import MixedLM
    except ImportError:
        return {}
    ones = np.ones_like(x)
    model = MixedLM(
        log_e2, np.column_stack([ones, x, on]), man, exog_re=np.column_stack([ones, on])
    )
    result, (seconds, _) = timed(lambda: model.fit(reml=False, method="lbfgs"))
    return {"statsmodels": {"seconds": seconds, "log_likelihood": float(result.llf)}}


def lines(result: dict[str, Any]) -> list[str]:
    """Give the lines of the table."""
    large = result["large"]
    said = [
        f"{large['draws']:,} draws of {large['men']:,} men, {large['censored_share']:.0%} censored; "
        f"peak {large['peak_gb']:.2f} GB (target {TARGET_GB:g})"
    ]
    for name, (wall, processor) in large["seconds"].items():
        said.append(
            f"  {name:<12} {wall:7.2f} s, of the processors {processor:7.2f} s (target {TARGETS_SECONDS[name]:g} s)"
        )
    said += scan_intervals.lines(result["intervals"])
    for case in result["linear"]:
        ours = case["ours_seconds"]
        peers = "   ".join(
            f"{name} {peer['seconds']:.2f} s ({peer['seconds'] / ours:.0f} x, log-likelihood "
            f"{peer['log_likelihood'] - case['log_likelihood']:+.4f})"
            for name, peer in case["peers"].items()
        )
        said.append(f"linear, {case['draws']:,} draws   e2analytics {ours:.2f} s   {peers}")
    return said


if __name__ == "__main__":
    print(json.dumps(large()))
