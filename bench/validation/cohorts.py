"""Simulated cohorts as arrays: the world of ``e2analytics simulate``, without its files.

In    number of men, seed
Out   ``Exposed``: scan pairs with their true E2 and with what draws and doses tell about it
      ``outcome``: yearly BMD change of these pairs under a true curve

Men, spells of the drug, draws, laboratories, scans and scanners come from ``simulate`` itself, the
posterior of E2 from the dose response that the product fits. Left out: days on the way between two
levels (the drug's half-life is two days), rounding, defects, letrozole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from e2analytics.exposure.dose_response.covariates import COVARIATE_PRIORS, COVARIATES
from e2analytics.models.dose_response import fit, predict
from e2analytics.models.dose_response.types import Draws
from e2analytics.models.rows import CurveData
from e2analytics.simulate import densitometry, laboratory, treatment
from e2analytics.simulate import parameters as world
from e2analytics.simulate.cohort import Integers, Men, Vector, recruit
from e2analytics.simulate.densitometry import Visits
from e2analytics.simulate.settings import SimulationSettings
from e2analytics.simulate.treatment import LETROZOLE, OPEN, REGIME_MG_WEEK, Spells
from e2analytics.simulate.truth import spine_change_pct

Shape = Literal["u", "bowl", "threshold", "rising", "falling", "flat", "confounded"]
Exposure = Literal["calibrated", "naive", "known"]

LOWEST_PAIR_YEARS, HIGHEST_PAIR_YEARS, LEAST_DRAWS = 0.5, 5.0, 2
BOWL_PG_ML: Final = (30.0, 90.0)
"""Shape ``bowl``: no loss at the first, the whole effect at the second, a parabola in log E2."""
CONFOUNDING_PER_LOG_TESTOSTERONE: Final = 3.0
"""Shape ``confounded``: what testosterone does, %/year per log unit, where E2 does nothing."""

_SPINE = 0
_OFF = len(REGIME_MG_WEEK)
_DOSES: Final = np.append(REGIME_MG_WEEK, 0.0)
_LETROZOLE_COLUMN = _OFF + 1


@dataclass(frozen=True)
class Exposed:
    """n usable scan pairs and their E2, before anything has happened to the bone.

    Attributes
    ----------
    man : ndarray of shape (n,)
    true_log_e2, share : ndarray of shape (n, k)
        True log E2 (log pg/mL) at each of k doses and the share of the days at it.
    posterior_mean, posterior_sd : ndarray of shape (n, k)
        The same as draws and doses tell it.
    naive_log_e2 : ndarray of shape (n,)
        Log of the mean of the interval's readings.
    covariates : ndarray of shape (n, 4)
        Age, BMI, log testosterone as measured in the interval, years on TRT.
    true_log_testosterone : ndarray of shape (n,)
        His own level.
    years, cv_pct : ndarray of shape (n,)
        Length, and precision of the scanner.
    deviation, error_pct : ndarray of shape (n,)
        What is neither curve nor covariates, %/year: the interval's own, and both scans' errors.
    """

    man: Integers
    true_log_e2: Vector
    share: Vector
    posterior_mean: Vector
    posterior_sd: Vector
    naive_log_e2: Vector
    covariates: Vector
    true_log_testosterone: Vector
    years: Vector
    cv_pct: Vector
    deviation: Vector
    error_pct: Vector


def spine_curve(shape: Shape, effect_pct_per_year: float, log_e2: Vector) -> Vector:
    """Return the true yearly change that E2 makes, %/year, zero where it does no harm."""
    if shape in ("flat", "confounded"):
        return np.zeros_like(log_e2)
    if shape == "bowl":
        best, end = np.log(BOWL_PG_ML)
        return np.asarray(-effect_pct_per_year * ((log_e2 - best) / (end - best)) ** 2)
    if shape == "falling":
        low, high = np.log(world.LOW_END_PG_ML), np.log(world.RISING_TOP_PG_ML)
        return np.asarray(-effect_pct_per_year * (log_e2 - low) / (high - low))
    asked = SimulationSettings(shape=shape, effect_pct_per_year=effect_pct_per_year)
    return spine_change_pct(log_e2, asked)


def true_level(
    exposed: Exposed, shape: Shape, effect_pct_per_year: float, log_e2: Vector
) -> Vector:
    """Return the true mean outcome at ``log_e2`` for pairs of the cohort's mean covariates."""
    return spine_curve(shape, effect_pct_per_year, log_e2) + _of_covariates(exposed, shape).mean()


def outcome(exposed: Exposed, shape: Shape, effect_pct_per_year: float) -> Vector:
    """Return the measured yearly BMD change at the spine of every pair, %/year."""
    along = spine_curve(shape, effect_pct_per_year, exposed.true_log_e2)
    by_e2 = (exposed.share * along).sum(axis=1)
    return np.asarray(
        by_e2 + _of_covariates(exposed, shape) + exposed.deviation + exposed.error_pct
    )


def _of_covariates(exposed: Exposed, shape: Shape) -> Vector:
    age, bmi, _, years_on_trt = exposed.covariates.T
    per_log_t = (
        CONFOUNDING_PER_LOG_TESTOSTERONE if shape == "confounded" else world.PER_LOG_TESTOSTERONE
    )
    return np.asarray(
        world.BASE_PCT_PER_YEAR
        + world.PER_AGE_YEAR * (age - world.AGE_YEARS[0])
        + world.PER_BMI_UNIT * (bmi - world.BMI_KG_M2[0])
        + per_log_t * (exposed.true_log_testosterone - np.log(world.TESTOSTERONE_NG_DL))
        + world.PER_YEAR_ON_TRT * years_on_trt
    )


def curve_data(
    exposed: Exposed,
    measured: Vector,
    exposure: Exposure = "calibrated",
    covariates: Vector | None = None,
) -> CurveData:
    """Return rows as the product would have them, or with another idea of E2."""
    chosen = exposed.covariates if covariates is None else covariates
    variance = 2 * exposed.cv_pct**2 / exposed.years**2
    if exposure == "naive":
        return CurveData.at_points(exposed.naive_log_e2, measured, exposed.man, chosen, variance)
    calibrated = exposure == "calibrated"
    mean = exposed.posterior_mean if calibrated else exposed.true_log_e2
    return CurveData(
        log_e2=(exposed.share * mean).sum(axis=1),
        log_e2_mean=mean,
        log_e2_sd=exposed.posterior_sd if calibrated else np.zeros_like(mean),
        episode_weight=exposed.share,
        covariates=chosen,
        outcome=measured,
        patient=exposed.man,
        sampling_variance=variance,
    )


def with_known_testosterone(exposed: Exposed) -> Vector:
    """Return the covariates with each man's own testosterone in place of its measurement."""
    known = exposed.covariates.copy()
    known[:, 2] = exposed.true_log_testosterone
    return known


def exposed(n_men: int, seed: int) -> Exposed:
    """Simulate men, doses, draws and scans, and what draws and doses tell about E2."""
    settings = SimulationSettings(patients=n_men)
    rng = np.random.default_rng([seed, n_men])
    men = recruit(settings, rng)
    spells = treatment.prescribe(men, settings, rng)
    held = _Held.of(men, spells)
    visits = densitometry.schedule(men, settings, rng)
    scanners = densitometry.install(settings, rng)
    readings = _readings(men, spells, held, settings, rng)
    pairs = _pairs(visits)
    share = held.shares(pairs)
    count, naive, log_t = _inside(pairs, readings)
    cv_pct = scanners.cv_pct[visits.scanner, _SPINE]
    error = cv_pct * rng.standard_normal(len(cv_pct))
    deviation = rng.normal(0, world.INTERVAL_SD_PCT_PER_YEAR, len(pairs.man))
    usable = (
        (visits.scanner[pairs.second] == visits.scanner[pairs.second - 1])
        & (pairs.years >= LOWEST_PAIR_YEARS)
        & (pairs.years <= HIGHEST_PAIR_YEARS)
        & (count >= LEAST_DRAWS)
        & (share[:, _LETROZOLE_COLUMN] == 0)
    )
    pairs, share = pairs.take(usable), share[usable, : _OFF + 1]
    regime, share = _compressed(share)
    posterior = _posterior(men, spells, readings, pairs.man, _DOSES[regime])
    return Exposed(
        man=pairs.man,
        true_log_e2=held.log_e2(pairs.man, regime),
        share=share,
        posterior_mean=posterior.mean,
        posterior_sd=posterior.sd,
        naive_log_e2=np.log(naive[usable]),
        covariates=np.column_stack(
            [
                men.age_years[pairs.man] + pairs.first_day / world.DAYS_PER_YEAR,
                men.bmi_kg_m2[pairs.man],
                log_t[usable],
                np.maximum(pairs.first_day - men.trt_start_day[pairs.man], 0) / world.DAYS_PER_YEAR,
            ]
        ),
        true_log_testosterone=men.log_testosterone[pairs.man],
        years=pairs.years,
        cv_pct=cv_pct[pairs.second],
        deviation=deviation[usable],
        error_pct=(error[pairs.second] - error[pairs.second - 1]) / pairs.years,
    )


@dataclass(frozen=True)
class _Pairs:
    man: Integers
    second: Integers
    first_day: Integers
    last_day: Integers

    @property
    def years(self) -> Vector:
        return np.asarray((self.last_day - self.first_day) / world.DAYS_PER_YEAR)

    def take(self, rows: NDArray[np.bool_]) -> _Pairs:
        return _Pairs(self.man[rows], self.second[rows], self.first_day[rows], self.last_day[rows])


def _pairs(visits: Visits) -> _Pairs:
    span = visits.intervals()
    return _Pairs(span.man, visits.second(), span.first_day, span.last_day)


@dataclass(frozen=True)
class _Held:
    """Stretches of one dose, or of none, of every man: sorted by man and day, without a gap."""

    man: Integers
    start_day: Integers
    end_day: Integers
    regime: Integers  # a row of ``_DOSES``; ``_LETROZOLE_COLUMN``
    first: Integers  # of man: his first stretch; one more at the end
    log_e2_off: Vector
    response: Vector

    @classmethod
    def of(cls, men: Men, spells: Spells) -> _Held:
        on = np.where(spells.regime == LETROZOLE, _LETROZOLE_COLUMN, spells.regime)
        n = len(men)
        last_of_man = np.append(np.diff(spells.man) != 0, True)
        next_start = np.where(last_of_man, OPEN, np.append(spells.start_day[1:], OPEN))
        # Off the drug before the first spell (all days of a man without one) and after each.
        first_start = np.full(n, OPEN)
        np.minimum.at(first_start, spells.man, spells.start_day)
        man = np.concatenate([np.arange(n), spells.man, spells.man])
        start = np.concatenate([np.full(n, -OPEN), spells.start_day, spells.end_day])
        end = np.concatenate([first_start, spells.end_day, next_start])
        off = np.full(n, _OFF)
        regime = np.concatenate([off, on, np.full(len(on), _OFF)])
        order = np.lexsort((start, man))
        order = order[(end > start)[order]]
        ordered = man[order]
        return cls(
            ordered,
            start[order],
            end[order],
            regime[order],
            np.searchsorted(ordered, np.arange(n + 1)),
            men.log_e2_off,
            men.response,
        )

    def at(self, man: Integers, day: Integers) -> Integers:
        """Return the regime of men on days."""
        key = self.man * (4 * OPEN) + self.start_day + OPEN
        place = np.searchsorted(key, man * (4 * OPEN) + day + OPEN, side="right") - 1
        return self.regime[place]

    def shares(self, pairs: _Pairs) -> Vector:
        """Return the share of each pair's days at each regime, shape (n, regimes + 2)."""
        first, count = self.first[pairs.man], np.diff(self.first)[pairs.man]
        pair = np.repeat(np.arange(len(pairs.man)), count)
        nth = np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count)
        stretch = first[pair] + nth
        begin = np.maximum(self.start_day[stretch], pairs.first_day[pair])
        end = np.minimum(self.end_day[stretch], pairs.last_day[pair])
        days = np.zeros((len(pairs.man), _LETROZOLE_COLUMN + 1))
        np.add.at(days, (pair, self.regime[stretch]), np.maximum(end - begin, 0))
        return np.asarray(days / (pairs.last_day - pairs.first_day)[:, None])

    def log_e2(self, man: Integers, regime: Integers) -> Vector:
        """Return true log E2 of men at regimes, the man along the first axis."""
        dose = _DOSES[regime]
        left = np.log(1 - world.EMAX * dose / (dose + world.ED50_MG_PER_WEEK))
        off, response = (
            values[man].reshape(-1, *[1] * (regime.ndim - 1))
            for values in (self.log_e2_off, self.response)
        )
        return np.asarray(off + left + response * (dose > 0))


@dataclass(frozen=True)
class _Readings:
    """What laboratories report of m draws."""

    man: Integers
    day: Integers
    dose_mg_per_week: Vector
    e2_pg_ml: Vector
    loq_pg_ml: Vector
    ms: NDArray[np.bool_]
    log_testosterone: Vector


def _readings(
    men: Men,
    spells: Spells,
    held: _Held,
    settings: SimulationSettings,
    rng: np.random.Generator,
) -> _Readings:
    drawn = laboratory.schedule(men, spells, settings, rng)
    regime = held.at(drawn.man, drawn.day)
    kept = regime != _LETROZOLE_COLUMN
    drawn, regime = laboratory.Draws(drawn.man[kept], drawn.day[kept]), regime[kept]
    n = len(drawn.man)
    swing = rng.normal(0, world.TESTOSTERONE_WITHIN_SD, n)
    level = held.log_e2(drawn.man, regime) + world.E2_PER_LOG_TESTOSTERONE * swing
    level = level + rng.normal(0, world.E2_WITHIN_SD, n)
    which = laboratory.laboratories(men, drawn, rng)
    error = rng.normal(0, world.TESTOSTERONE_CV, n)
    return _Readings(
        drawn.man,
        drawn.day,
        _DOSES[regime],
        laboratory.measured_e2(np.exp(level), which, rng),
        np.array([each.loq_pg_ml for each in world.LABORATORIES])[which],
        np.array([each.is_ms for each in world.LABORATORIES])[which],
        men.log_testosterone[drawn.man] + swing + error,
    )


def _inside(pairs: _Pairs, readings: _Readings) -> tuple[Integers, Vector, Vector]:
    """Return number, mean E2 and mean log testosterone of the draws within each pair's interval.

    A reading below the limit counts as the limit over the root of two.
    """
    key = readings.man * OPEN + readings.day
    begin = np.searchsorted(key, pairs.man * OPEN + pairs.first_day)
    end = np.searchsorted(key, pairs.man * OPEN + pairs.last_day, side="right")
    below = readings.e2_pg_ml < readings.loq_pg_ml
    reported = np.where(below, readings.loq_pg_ml / np.sqrt(2), readings.e2_pg_ml)
    count = end - begin
    sums = (np.append(0.0, np.cumsum(x)) for x in (reported, readings.log_testosterone))
    e2, log_t = ((total[end] - total[begin]) / np.maximum(count, 1) for total in sums)
    return count, np.asarray(e2), np.asarray(log_t)


def _compressed(share: Vector) -> tuple[Integers, Vector]:
    """Keep of each row the columns that are not zero, moved to the front: (columns, values)."""
    width = int((share > 0).sum(axis=1).max())
    columns = np.argsort(-share, axis=1, kind="stable")[:, :width]
    return columns, np.take_along_axis(share, columns, axis=1)


def _posterior(
    men: Men, spells: Spells, readings: _Readings, man: Integers, dose_mg_per_week: Vector
) -> predict.Predicted:
    """Return log E2 at doses as the product's dose response has it, fitted to this cohort."""
    ever = np.zeros(len(men))
    ever[readings.man[readings.dose_mg_per_week > 0]] = 1.0
    columns = _covariates(men, ever, readings)
    below = readings.e2_pg_ml < readings.loq_pg_ml
    draws = Draws(
        man=readings.man,
        low_pg_ml=np.where(below, 0.0, readings.e2_pg_ml),
        high_pg_ml=np.where(below, readings.loq_pg_ml, readings.e2_pg_ml),
        ms=readings.ms,
        dose_mg_per_week=readings.dose_mg_per_week,
        covariates=columns["of_draw"],
        day=readings.day.astype(float),
        segment=np.zeros(len(readings.day), np.int64),
        n_men=len(men),
    )
    model = fit.fit(draws, COVARIATES, priors={**fit.PRIORS, **COVARIATE_PRIORS})
    effects = predict.random_effects(model, draws)
    taken = effects.take(man)
    return predict.predict(model, taken, columns["of_man"][man], dose_mg_per_week)


def _covariates(men: Men, ever_on_drug: Vector, readings: _Readings) -> Mapping[str, Vector]:
    """Return the covariates of the dose response: of each draw, and of each man on average."""
    count = np.maximum(np.bincount(readings.man, minlength=len(men)), 1)
    usual = np.bincount(readings.man, readings.log_testosterone, minlength=len(men)) / count
    of_man = np.column_stack([np.ones(len(men)), usual, men.bmi_kg_m2, men.age_years, ever_on_drug])
    of_draw = of_man[readings.man].copy()
    of_draw[:, 1] = readings.log_testosterone
    return {"of_man": of_man, "of_draw": of_draw}
