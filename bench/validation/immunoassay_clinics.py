"""Clinics with immunoassay alone, each reading E2 in its own way: whether probabilities hold over all of them.

In    cohorts of ``e2analytics.simulate.dose_cohorts`` without mass spectrometry; slope and constant of their assay drawn
      from the priors of the dose response, or the same for all
Out   calibration over all clinics together and in single ones, and coverage of E2 now
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import polars as pl

from bench.validation.dose_recovery import WITHIN_95, calibration, with_error
from bench.validation.section import Section, in_parallel
from e2analytics.errors import TooLittleDataError
from e2analytics.models.dose_response.exceedance import Levels, probabilities
from e2analytics.models.dose_response.fit import PRIORS, fit
from e2analytics.models.dose_response.predict import ahead, predict, random_effects
from e2analytics.simulate import parameters as world
from e2analytics.simulate.dose_cohorts import COVARIATES, CohortDesign, simulate

NAME: Final = "immunoassay_clinics"
TITLE: Final = "Clinics with immunoassay alone"
REPLICATES: Final = 100
N_MEN: Final = 600
DRAWN: Final = "each clinic's assay drawn from the priors"
SAME: Final = "every clinic's assay reads slope 1.08, constant 4 pg/mL"
WORLDS: Final = (DRAWN, SAME)
_SEEDS_OF_A_RUN: Final = 100_000
_RESAMPLES: Final = 400
_TEXT: Final = f"""\
Clinics of {N_MEN} men without a result by mass spectrometry, half of the men on the drug. Nothing in a clinic's data says how
far its assay reads above mass spectrometry; priors stand in for that (slope {np.exp(PRIORS["log_ia_slope"].mean):.1f}, 95 %
0.75-1.34; constant {PRIORS["ia_constant_pg_ml"].mean:g} pg/mL, -3.4 to 8.4), and all men of a clinic are off by the same. A
single clinic therefore shows a slope that is not 1: above it where its assay is near the middle of the prior, below it
where it is far off. What can be asked is that probabilities are right over clinics that differ as the priors say. Mean
± standard error over clinics; of the calibration over all, by resampling clinics.
"""


class Clinic(NamedTuple):
    """What was said of a clinic's men on the drug, what is so, and how many intervals of all men hold E2 now.

    A clinic whose results do not determine a dose response has no men here.
    """

    world: str
    said: np.ndarray
    is_so: np.ndarray
    now_in_95: float


def run(replicates: int, seed: int) -> Section:
    """Simulate clinics of both worlds and ask whom the drug pushes below."""
    first = seed * _SEEDS_OF_A_RUN
    jobs = [(name, first + each) for each in range(replicates) for name in WORLDS]
    return Section((_TEXT, table(in_parallel(ask, jobs, "clinics"))))


def design(name: str, seed: int) -> CohortDesign:
    """Return a clinic's plan."""
    if name == SAME:
        return CohortDesign(N_MEN, ms_share=0.0, seed=seed)
    rng = np.random.default_rng(seed)
    slope, constant = (PRIORS[which] for which in ("log_ia_slope", "ia_constant_pg_ml"))
    return CohortDesign(
        N_MEN,
        ms_share=0.0,
        ia_slope=float(np.exp(rng.normal(slope.mean, slope.sd))),
        ia_constant_pg_ml=float(rng.normal(constant.mean, constant.sd)),
        seed=seed,
    )


def ask(job: tuple[str, int]) -> Clinic:
    """Fit a clinic and ask about its men."""
    name, seed = job
    men = simulate(design(name, seed))
    try:
        model = fit(men.draws, COVARIATES)
    except TooLittleDataError:
        return Clinic(name, np.zeros(0), np.zeros(0, np.bool_), np.nan)
    now = ahead(model, random_effects(model, men.draws), men.day, men.segment)
    found = predict(model, now, men.usual, np.column_stack([np.zeros(N_MEN), men.dose_mg_per_week]))
    takes = men.dose_mg_per_week > 0
    log_limit = np.log(world.RANGE_LIMIT_PG_ML)
    (off_mean, on_mean), (off_sd, on_sd) = found.mean.T, found.sd.T
    levels = Levels(off_mean, off_sd, on_mean, on_sd, found.covariance[:, 0, 1])
    said = probabilities(levels, np.array([world.RANGE_LIMIT_PG_ML])).attributable
    is_so = (men.now_log_e2 < log_limit) & (men.off_log_e2 >= log_limit)
    held = np.abs(men.now_log_e2 - on_mean) < WITHIN_95 * on_sd
    return Clinic(name, said[takes], is_so[takes], float(held.mean()))


def table(clinics: list[Clinic]) -> pl.DataFrame:
    """Lay out calibration and coverage of both worlds."""
    rows = []
    for name in WORLDS:
        of_world = [each for each in clinics if each.world == name]
        own = [each for each in of_world if len(each.said)]
        slope, intercept = _over_all(own)
        rng = np.random.default_rng(0)
        again = np.array(
            [
                _over_all([own[i] for i in rng.integers(0, len(own), len(own))])
                for _ in range(_RESAMPLES)
            ]
        ).std(axis=0)
        single = np.array([calibration(each.said, each.is_so)[0] for each in own])
        rows.append(
            {
                "world": name,
                "clinics": len(own),
                "refused": len(of_world) - len(own),
                "now, 95 %": with_error(np.array([each.now_in_95 for each in own])),
                "calibration slope, all clinics": f"{slope:.3f} ± {again[0]:.3f}",
                "intercept, all clinics": f"{intercept:+.3f} ± {again[1]:.3f}",
                "men on the drug said and so, %": f"{_mean_percent(own, 'said')} and {_mean_percent(own, 'is_so')}",
                "slope, middle of single clinics": f"{np.median(single):.2f}",
                "slope, 5th to 95th of 100 clinics": f"{np.quantile(single, 0.05):.2f} to {np.quantile(single, 0.95):.2f}",
            }
        )
    return pl.DataFrame(rows)


def _over_all(clinics: list[Clinic]) -> tuple[float, float]:
    return calibration(
        np.concatenate([each.said for each in clinics]),
        np.concatenate([each.is_so for each in clinics]),
    )


def _mean_percent(clinics: list[Clinic], of: str) -> str:
    return f"{100 * np.concatenate([getattr(each, of) for each in clinics]).mean():.1f}"
