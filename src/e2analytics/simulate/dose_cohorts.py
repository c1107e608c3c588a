"""Men and their E2 draws as arrays: a world that the dose response knows, or one that it does not.

In    a plan: men, draws, assays, doses, and in what the world differs from the model
Out   the draws as the model takes them, and every man's true log E2 off the drug and at his dose

Fast, for thousands of cohorts; the clinics of ``generate`` have calendars, orders and defects as well.
"""

from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from e2analytics.models.dose_response.assay import Assays
from e2analytics.models.dose_response.types import Draws, Population
from e2analytics.simulate import parameters as world

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]

COVARIATES: Final = ("constant", "log_testosterone")
_NOTHING: Final = 1e-6
TRUE: Final = Population(
    coefficients=np.array([np.log(world.E2_OFF_DRUG_PG_ML), world.E2_PER_LOG_TESTOSTERONE]),
    logit_emax=float(np.log(world.EMAX / (1 - world.EMAX))),
    log_ed50=float(np.log(world.ED50_MG_PER_WEEK)),
    log_sd_level=float(np.log(world.E2_BETWEEN_SD)),
    response_per_level=-0.1,  # assumption: high men fall a little further
    log_sd_response=float(np.log(world.RESPONSE_SD)),
    log_sd_movement=float(np.log(_NOTHING)),
    log_days_movement=float(np.log(world.DRIFT_DAYS)),
    log_sd_jump=float(np.log(_NOTHING)),
    assays=Assays(
        sd_ms=float(np.hypot(world.E2_WITHIN_SD, world.MS_CV)),
        ia_slope=world.IA_SLOPE,
        ia_constant_pg_ml=world.IA_OFFSET_PG_ML,
        ia_cv=float(np.hypot(world.E2_WITHIN_SD, world.IA_CV)),
        ia_sd_pg_ml=world.IA_SCATTER_PG_ML,
    ),
)
"""Parameters common to the men of a plan, where nothing moves."""
DOSES_MG_PER_WEEK: Final = (0.25, 0.5, 1.0, 1.5, 3.0)
DRAWS_OF_A_MAN: Final = (1, 2, 4, 8, 16)
_LIMITS_PG_ML: Final = {"ms": (2.0, 5.0), "ia": (15.0, 24.0)}
# By log-linear dose, E2 falls by the same share (39 %) with every mg: at 3 mg a week about as far as by Emax.
_LOG_E2_PER_MG: Final = -0.5
_TAILS: Final = 3.0  # degrees of freedom of the errors, where tails are heavy
_PMOL: Final = world.PMOL_L_PER_PG_ML


@dataclass(frozen=True)
class CohortDesign:
    """What is simulated; one seed gives one cohort.

    Attributes
    ----------
    n_men : int
        Men; half of them take the drug.
    n_draws : tuple of int
        Numbers of draws that men have, equally often.
    ms_share : float
        Share of men whose laboratory uses mass spectrometry.
    dose_law : {"emax", "log_linear"}
        How E2 falls with the dose.
    tails : {"normal", "heavy"}
        Of the readings' errors, at the same standard deviation.
    wrong_unit_share : float
        Share of results that are pmol/L and said to be pg/mL, or the reverse.
    drift_sd, drift_days : float
        SD of men's slow movement on the log scale, and its time constant.
    step_share, step_sd : float
        Share of men whose testosterone order changes once, and the SD of the lasting step that it brings.
    ia_slope, ia_constant_pg_ml : float
        What immunoassay reads on average: constant + slope x E2.
    seed : int
        Of all chance.
    """

    n_men: int = 800
    n_draws: tuple[int, ...] = DRAWS_OF_A_MAN
    ms_share: float = 0.5
    dose_law: Literal["emax", "log_linear"] = "emax"
    tails: Literal["normal", "heavy"] = "normal"
    wrong_unit_share: float = 0.0
    drift_sd: float = 0.0
    drift_days: float = world.DRIFT_DAYS
    step_share: float = 0.0
    step_sd: float = 0.2
    ia_slope: float = TRUE.assays.ia_slope
    ia_constant_pg_ml: float = TRUE.assays.ia_constant_pg_ml
    seed: int = 0

    @property
    def truth(self) -> Population:
        """Parameters common to the men of this plan."""
        step_sd = self.step_sd if self.step_share else 0.0
        return replace(
            TRUE,
            log_sd_movement=float(np.log(max(self.drift_sd, _NOTHING))),
            log_days_movement=float(np.log(self.drift_days)),
            log_sd_jump=float(np.log(max(step_sd, _NOTHING))),
            assays=self.assays,
        )

    @property
    def assays(self) -> Assays:
        """How the assays of this plan read."""
        return replace(
            TRUE.assays, ia_slope=self.ia_slope, ia_constant_pg_ml=self.ia_constant_pg_ml
        )


@dataclass(frozen=True)
class DoseCohort:
    """A cohort; the draws, and arrays of shape (n_men,).

    Attributes
    ----------
    draws : Draws
        In the order of time within a man: off the drug first.
    usual : ndarray, shape (n_men, 2)
        Covariates at which his E2 is asked for.
    dose_mg_per_week : ndarray
        His present dose; 0 if he never takes the drug.
    is_ms : ndarray of bool
        By which assay he is drawn.
    n_draws : ndarray of int
        How often.
    level_at_draws : ndarray, shape (n_draws of all men,)
        True log E2 on the day of each draw, at his usual testosterone.
    off_log_e2, now_log_e2 : ndarray
        True log E2 off the drug and at his dose, on the day that is asked about.
    day : ndarray
        That day: 0 to half a year after his last draw.
    segment : ndarray of int
        Changes of his testosterone order until then.
    """

    draws: Draws
    usual: Vector
    dose_mg_per_week: Vector
    is_ms: Flags
    n_draws: NDArray[np.int64]
    level_at_draws: Vector
    off_log_e2: Vector
    now_log_e2: Vector
    day: Vector
    segment: NDArray[np.int64]


def simulate(plan: CohortDesign) -> DoseCohort:
    """Simulate a cohort."""
    rng = np.random.default_rng(plan.seed)
    n = plan.n_men
    count = rng.choice(plan.n_draws, n)
    dose = np.where(rng.random(n) < 0.5, rng.choice(DOSES_MG_PER_WEEK, n), 0.0)
    is_ms = rng.random(n) < plan.ms_share
    limit = np.where(is_ms, *(rng.choice(limits, n) for limits in _LIMITS_PG_ML.values()))
    usual = np.column_stack([np.ones(n), rng.normal(0, world.TESTOSTERONE_BETWEEN_SD, n)])
    level = rng.normal(0, np.exp(TRUE.log_sd_level), n)
    response = TRUE.response_per_level * level + rng.normal(0, np.exp(TRUE.log_sd_response), n)
    falls = fall(dose, plan) + np.where(dose > 0, response, 0.0)
    off = usual @ TRUE.coefficients + level

    man = np.repeat(np.arange(n), count)
    place = np.arange(len(man)) - np.repeat(np.cumsum(count) - count, count)
    on = (place >= count[man] // 2) & (dose[man] > 0)
    swing = rng.normal(0, world.TESTOSTERONE_WITHIN_SD, len(man))
    of_draw = np.column_stack([np.ones(len(man)), usual[man, 1] + swing])
    moved = _movement(plan, count)
    level_at_draws = off[man] + np.where(on, falls[man], 0.0) + moved.at_draws
    eta = level_at_draws + TRUE.coefficients[1] * swing
    reading = read(eta, is_ms[man], plan, rng)
    slipped = rng.random(len(man)) < plan.wrong_unit_share
    factor = np.where(rng.random(len(man)) < 0.5, _PMOL, 1 / _PMOL)
    reading = np.where(slipped, reading * factor, reading)
    below = reading < limit[man]
    draws = Draws(
        man=man,
        low_pg_ml=np.where(below, 0.0, reading),
        high_pg_ml=np.where(below, limit[man], reading),
        ms=is_ms[man],
        dose_mg_per_week=np.where(on, dose[man], 0.0),
        covariates=of_draw,
        day=moved.day_of_draw,
        segment=moved.segment_of_draw,
        n_men=n,
    )
    off = off + moved.now
    now = off + falls
    return DoseCohort(
        draws, usual, dose, is_ms, count, level_at_draws, off, now, moved.day, moved.segment
    )


@dataclass(frozen=True)
class _Moved:
    """When men were drawn, how they had moved by then (m,), and by the day that is asked about (n,)."""

    day_of_draw: Vector
    segment_of_draw: NDArray[np.int64]
    at_draws: Vector
    day: Vector
    segment: NDArray[np.int64]
    now: Vector


def _movement(plan: CohortDesign, count: NDArray[np.int64]) -> _Moved:
    """Move men of some draws each, by chance of its own: what does not move is the same in every plan."""
    rng, n = np.random.default_rng([plan.seed, 1]), len(count)
    most = int(count.max(initial=0)) + 1
    # A draw every three to six months; the last of the columns is the day that is asked about.
    gaps = rng.uniform(90.0, 180.0, (n, most))
    is_asked = np.arange(most) == count[:, None]
    gaps = np.where(is_asked, rng.uniform(0.0, 180.0, (n, most)), gaps)
    gaps[:, 0] = np.where(count > 0, rng.uniform(0.0, 365.0, n), gaps[:, 0])
    day = np.cumsum(gaps, axis=1)
    noise = plan.drift_sd * rng.standard_normal((n, most))
    moved, kept = noise.copy(), np.exp(-gaps / plan.drift_days)
    for j in range(1, most):
        moved[:, j] = kept[:, j] * moved[:, j - 1] + np.sqrt(1 - kept[:, j] ** 2) * noise[:, j]
    at = np.arange(n), count
    changes_on = np.where(
        rng.random(n) < plan.step_share, day[:, 0] + rng.random(n) * (day[at] - day[:, 0]), np.inf
    )
    segment = (day >= changes_on[:, None]).astype(np.int64)
    moved = moved + segment * plan.step_sd * rng.standard_normal(n)[:, None]
    drawn = np.arange(most) < count[:, None]
    return _Moved(day[drawn], segment[drawn], moved[drawn], day[at], segment[at], moved[at])


def fall(dose_mg_per_week: Vector, plan: CohortDesign) -> Vector:
    """Return how far doses lower the average man's log E2 in a plan's world."""
    if plan.dose_law == "log_linear":
        return _LOG_E2_PER_MG * dose_mg_per_week
    return TRUE.effect(dose_mg_per_week).log_ratio


def read(log_e2: Vector, ms: Flags, plan: CohortDesign, rng: np.random.Generator) -> Vector:
    """Read log E2 as the two assays do, in pg/mL, before anything is censored."""
    assays, n = plan.assays, len(log_e2)
    error = rng.standard_normal(n)
    if plan.tails == "heavy":
        error = rng.standard_t(_TAILS, n) / np.sqrt(_TAILS / (_TAILS - 2))
    steep = assays.ia_cv * assays.ia_slope / assays.ia_sd_pg_ml * np.exp(log_e2)
    by_ia = np.sinh(np.arcsinh(steep) + assays.ia_cv * error) * assays.ia_sd_pg_ml / assays.ia_cv
    by_ms = np.exp(log_e2 + assays.sd_ms * error)
    return np.where(ms, by_ms, assays.ia_constant_pg_ml + by_ia)
