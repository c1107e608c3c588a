"""Time the exposure of many scan intervals: each man's E2 along his own path, at the doses that he held.

In    simulated men (``e2analytics.simulate.dose_cohorts``): 100,000 with 1 M draws, as the frames of a run; three
      intervals each, one after the other; the parameters of a fit to fewer men
Out   wall and processor seconds of the step, from doses and draws to the E2 of each interval; the peak of memory

``python -m bench.scan_intervals`` is one process, so that memory is its own; ``python -m bench dose_response`` runs it.
"""

from __future__ import annotations

import json
import resource
import time
from datetime import date, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
import polars as pl

from e2analytics.exposure.dose_response.covariates import COVARIATE_PRIORS, COVARIATES, to_arrays
from e2analytics.exposure.dose_response.predict import interval_exposure
from e2analytics.exposure.episodes import doses_on_days
from e2analytics.models.dose_response.fit import PRIORS, fit
from e2analytics.models.dose_response.frozen import FrozenDoseResponse, Imputation
from e2analytics.models.random_intercept import RandomIntercept
from e2analytics.reference.names import ANASTROZOLE
from e2analytics.simulate import parameters as world
from e2analytics.simulate.dose_cohorts import CohortDesign, DoseCohort, simulate

N_MEN: Final = 100_000
DRAWS_OF_A_MAN: Final = (2, 6, 10, 14, 18)
N_FITTED: Final = 3_000
INTERVALS_OF_A_MAN: Final = 3
DAYS_OF_AN_INTERVAL: Final = 500
TARGET_SECONDS: Final = 10.0
_FIRST_DAY: Final = date(2018, 1, 1)


class Frames(NamedTuple):
    """What the step takes: tables of a run, as ``interval_exposure`` and ``doses_on_days`` want them."""

    draws: pl.DataFrame
    own_levels: pl.DataFrame
    changes: pl.DataFrame
    pairs: pl.DataFrame
    episodes: pl.DataFrame


def measured(n_men: int = N_MEN, n_fitted: int = N_FITTED) -> dict[str, Any]:
    """Find the exposure of all intervals once, and time it."""
    response = fitted(n_fitted)
    frames = as_frames(simulate(_design(n_men)))
    wall, processor = time.perf_counter(), time.process_time()
    doses = doses_on_days(frames.pairs, frames.episodes)
    found = interval_exposure(response, frames.own_levels, frames.draws, frames.changes, doses)
    return {
        "intervals": len(found.pairs),
        "men": n_men,
        "draws": len(frames.draws),
        "days": len(doses),
        "seconds": [time.perf_counter() - wall, time.process_time() - processor],
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def fitted(n_men: int) -> FrozenDoseResponse:
    """Fit the product's dose response to fewer men: the step does not depend on how many it was fitted to."""
    draws = to_arrays(as_frames(simulate(_design(n_men))).draws)
    model = fit(draws, COVARIATES, priors={**PRIORS, **COVARIATE_PRIORS})
    testosterone = RandomIntercept(0.0, world.TESTOSTERONE_BETWEEN_SD**2, 0.04)
    imputed = Imputation(testosterone, 0.0, 0.0, _FIRST_DAY, 1.0, 0.0)
    return FrozenDoseResponse(model, imputed)


def as_frames(men: DoseCohort) -> Frames:
    """Give a cohort's arrays as the tables of a run; a man's drug begins two months before his first draw on it."""
    draws, rng = men.draws, np.random.default_rng(1)
    names = pl.Series([f"p{number:06d}" for number in range(draws.n_men)])
    bmi, age = rng.normal(29, 4, draws.n_men), rng.normal(50, 10, draws.n_men)
    ever = (men.dose_mg_per_week > 0).astype(float)
    days = draws.day.round().astype(int)
    table = pl.DataFrame(
        {
            "patient_id": names.gather(draws.man),
            "collected_on": _dates(days),
            "value_low": draws.low_pg_ml,
            "value_high": draws.high_pg_ml,
            "assay": np.where(draws.ms, "ms", "ia"),
            "dose_mg_per_week": draws.dose_mg_per_week,
            "testosterone_changes": draws.segment,
            "same_day": draws.covariates[:, 1],
            "log_testosterone": men.usual[draws.man, 1],
            "bmi_kg_m2": bmi[draws.man],
            "age_years": age[draws.man],
            "ever_on_drug": ever[draws.man],
        }
    )
    own_levels = pl.DataFrame(
        {
            "patient_id": names,
            "log_testosterone": men.usual[:, 1],
            "log_testosterone_variance": np.full(draws.n_men, 0.005),
            "bmi_kg_m2": bmi,
            "age_years": age,
            "ever_on_drug": ever,
        }
    )
    first_after = (
        table.filter(pl.col("testosterone_changes") > 0)
        .group_by("patient_id")
        .agg(changed_on=pl.col("collected_on").min())
    )
    starts = (
        table.filter(pl.col("dose_mg_per_week") > 0)
        .group_by("patient_id")
        .agg(
            pl.col("dose_mg_per_week").first().alias("weekly_dose_mg"),
            started_on=pl.col("collected_on").min() - timedelta(days=60),
        )
    )
    episodes = starts.with_columns(drug=pl.lit(ANASTROZOLE), ended_on=pl.lit(None, dtype=pl.Date))
    return Frames(table, own_levels, first_after.sort("patient_id"), _pairs(names), episodes)


def lines(result: dict[str, Any]) -> list[str]:
    """Give the line of the table."""
    wall, processor = result["seconds"]
    return [
        f"exposure of {result['intervals']:,} scan intervals on {result['days']:,} days, {result['draws']:,} draws "
        f"of {result['men']:,} men; peak {result['peak_gb']:.2f} GB",
        f"  {'exposure':<12} {wall:7.2f} s, of the processors {processor:7.2f} s (target {TARGET_SECONDS:g} s)",
    ]


def _design(n_men: int) -> CohortDesign:
    return CohortDesign(n_men, DRAWS_OF_A_MAN, 0.35, drift_sd=0.25, step_share=0.2)


def _pairs(names: pl.Series) -> pl.DataFrame:
    """Return scans of one site, ``DAYS_OF_AN_INTERVAL`` apart, each with the next."""
    nth = pl.DataFrame({"nth": range(INTERVALS_OF_A_MAN)})
    length = pl.duration(days=DAYS_OF_AN_INTERVAL)
    first = pl.lit(_FIRST_DAY) + pl.col("nth") * length
    return (
        names.alias("patient_id")
        .to_frame()
        .join(nth, how="cross")
        .select(
            "patient_id",
            site=pl.lit("lumbar_spine"),
            scan_id=pl.format("{}-{}", "patient_id", "nth"),
            scanned_on=first,
            scanned_on_2=first + length,
        )
    )


def _dates(days: np.ndarray) -> pl.Series:
    start = (_FIRST_DAY - date(1970, 1, 1)).days
    return pl.Series((days + start).astype(np.int32)).cast(pl.Date)


if __name__ == "__main__":
    print(json.dumps(measured()))
