"""Worlds in which men's E2 moves beside the drug: what happens to whom, and when.

In    the men, their spells as ordered, the world of the settings
Out   ramps of testosterone and weight, drift, spells as taken, orders and laboratories that change

What moves goes up or down in ramps, from one day to another; a step is a short one. Drift comes on top.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
import polars as pl
from scipy.signal import lfilter

from e2analytics.simulate import parameters as world
from e2analytics.simulate.cohort import Integers, Men, Vector, as_dates, patient_ids
from e2analytics.simulate.settings import SimulationSettings
from e2analytics.simulate.treatment import OPEN, NewOrders, Spells

_OTHER_LABORATORY: Final = np.array([2, 3, 0, 1])
"""With which a clinic goes on: mass spectrometry for immunoassay, or the reverse."""


@dataclass(frozen=True)
class Ramps:
    """Changes that come in little by little and stay; arrays of shape (n_ramps,), sorted by man.

    Attributes
    ----------
    man, start_day, days : ndarray of int
        Whose, from when, and until how many days later it is complete.
    log_testosterone, log_e2, bmi_kg_m2 : ndarray
        By how much each rises.
    """

    man: Integers
    start_day: Integers
    days: Integers
    log_testosterone: Vector
    log_e2: Vector
    bmi_kg_m2: Vector

    def at(self, what: str, man: Integers, day: Integers) -> Vector:
        """Return how far `what` has risen in men (n,) by a day of each (n,)."""
        first, stop = (np.searchsorted(self.man, man, side) for side in ("left", "right"))
        count = stop - first
        row = np.repeat(np.arange(len(man)), count)
        ramp = np.repeat(first, count) + np.arange(len(row))
        ramp = ramp - np.repeat(np.cumsum(count) - count, count)
        share = ((day[row] - self.start_day[ramp]) / self.days[ramp]).clip(0, 1)
        risen = np.bincount(row, share * getattr(self, what)[ramp], len(man))
        return risen.astype(np.float64)


@dataclass(frozen=True)
class Moves:
    """What moves in a world.

    Attributes
    ----------
    taken : Spells
        Spells as they are taken; what is ordered may differ.
    ramps : Ramps
        Changes of testosterone and weight.
    orders : NewOrders
        Changes of testosterone, as they are on file.
    drift_sd : float
        Of log E2 over time.
    seed : int
        Of drift.
    assay_changes_day : ndarray of int, shape (n_clinics,)
        From when a clinic sends its samples elsewhere; `OPEN` for never.
    draw_swing : float
        How far log testosterone lies above the middle at a draw at peak, below it at trough.
    shows_weight : bool
        Whether BMI is put on file with each draw.
    """

    taken: Spells
    ramps: Ramps
    orders: NewOrders
    drift_sd: float
    seed: int
    assay_changes_day: Integers
    draw_swing: float
    shows_weight: bool

    def daily_log_e2(self, block: slice, n_days: int) -> Vector:
        """Return by how much a block of men have moved, shape (men, days)."""
        n = block.stop - block.start
        man, day = np.repeat(np.arange(n), n_days), np.tile(np.arange(n_days), n)
        moved = np.zeros((n, n_days))
        first, stop = np.searchsorted(self.ramps.man, [block.start, block.stop])
        if stop > first:
            moved += self.ramps.at("log_e2", man + block.start, day).reshape(n, n_days)
        if self.drift_sd:
            moved += self._drift(block, n_days)
        return moved

    def _drift(self, block: slice, n_days: int) -> Vector:
        """Return stationary Ornstein-Uhlenbeck paths, the same whenever they are asked for."""
        rng = np.random.default_rng([self.seed, block.start])
        kept = np.exp(-1 / world.DRIFT_DAYS)
        noise = rng.standard_normal((block.stop - block.start, n_days)) * np.sqrt(1 - kept**2)
        noise[:, 0] /= np.sqrt(1 - kept**2)
        return np.asarray(self.drift_sd * lfilter([1], [1, -kept], noise, axis=1))

    def at_draws(self, men: Men, man: Integers, day: Integers) -> "AtDraws":
        """Return what there is to see at draws."""
        swing = np.zeros(len(man))
        if self.draw_swing:
            rng = np.random.default_rng([self.seed, 1])
            swing = self.draw_swing * rng.choice([-1.0, 1.0], len(man))
        return AtDraws(
            self.ramps.at("log_testosterone", man, day),
            swing,
            men.bmi_kg_m2[man] + self.ramps.at("bmi_kg_m2", man, day)
            if self.shows_weight
            else None,
            day >= self.assay_changes_day[men.clinic[man]],
        )

    def as_of_last_day(self, men: Men, settings: SimulationSettings) -> Men:
        """Return the men with the weight that their record shows on the last day."""
        last = np.full(len(men), settings.last_day)
        lost = self.ramps.at("bmi_kg_m2", np.arange(len(men)), last)
        return replace(men, bmi_kg_m2=men.bmi_kg_m2 + lost)

    def with_fat_of_the_day(self, dxa: pl.DataFrame, settings: SimulationSettings) -> pl.DataFrame:
        """Return the scans with the body fat of men who have lost weight."""
        man = dxa["patient_id"].str.slice(1).cast(pl.Int64).to_numpy() - 1
        day = (dxa["scanned_on"] - settings.opens_on).dt.total_days().to_numpy()
        change = world.BODY_FAT_PCT_PER_BMI * self.ramps.at("bmi_kg_m2", man, day)
        fat = (pl.col("body_fat_pct") + pl.Series(change)).clip(5, 60).round(1)
        return dxa.with_columns(body_fat_pct=fat)

    def truth(self, ordered: Spells, settings: SimulationSettings) -> pl.DataFrame:
        """Return what moved whom, from when until when, as `moves.csv` has it; drift is in `path.csv`."""
        ramps, lapses = self.ramps, _lapses(ordered, self.taken)
        return pl.concat(
            [
                pl.DataFrame(
                    {
                        "patient_id": pl.Series(patient_ids(ramps.man), dtype=pl.String),
                        "started_on": as_dates(ramps.start_day, settings),
                        "ended_on": as_dates(ramps.start_day + ramps.days, settings),
                        "log_testosterone": ramps.log_testosterone.round(5),
                        "bmi_kg_m2": ramps.bmi_kg_m2.round(3),
                        "log_e2": ramps.log_e2.round(5),
                    }
                ).with_columns(what=pl.lit("ramp")),
                pl.DataFrame(
                    {
                        "patient_id": pl.Series(patient_ids(lapses[0]), dtype=pl.String),
                        "started_on": as_dates(lapses[1], settings),
                        "ended_on": as_dates(lapses[2], settings),
                    }
                ).with_columns(what=pl.lit("not_taken")),
            ],
            how="diagonal",
        ).sort("patient_id", "started_on")


@dataclass(frozen=True)
class AtDraws:
    """What moves show at draws, shape (n_draws,).

    Attributes
    ----------
    log_testosterone, swing : ndarray
        What has come on top for good, and at peak or trough of that day.
    bmi_kg_m2 : ndarray or None
        As measured with the draw.
    elsewhere : ndarray of bool
        Whether the sample goes to the clinic's other laboratory.
    """

    log_testosterone: Vector
    swing: Vector
    bmi_kg_m2: Vector | None
    elsewhere: np.ndarray

    def laboratory(self, usual: Integers) -> Integers:
        """Return where the samples go."""
        return np.where(self.elsewhere, _OTHER_LABORATORY[usual], usual)


def move(
    men: Men, ordered: Spells, settings: SimulationSettings, rng: np.random.Generator
) -> Moves | None:
    """Draw what moves in the world of the settings; nothing in the static one."""
    if settings.world == "static":
        return None
    still = Moves(
        taken=ordered,
        ramps=_ramps([]),
        orders=NewOrders(*(np.zeros(0, np.int64),) * 2, np.zeros(0)),
        drift_sd=0.0,
        seed=int(rng.integers(2**31)),
        assay_changes_day=np.full(settings.clinics, OPEN),
        draw_swing=0.0,
        shows_weight=False,
    )
    match settings.world:
        case "drift":
            return replace(still, drift_sd=world.DRIFT_SD)
        case "testosterone_steps":
            ramps, orders = _testosterone_steps(men, settings, rng)
            return replace(still, ramps=ramps, orders=orders)
        case "weight_loss":
            return replace(still, ramps=_weight_losses(men, settings, rng), shows_weight=True)
        case "lapses":
            return replace(still, taken=_with_lapses(ordered, settings, rng))
        case "assay_change":
            at = rng.uniform(*world.ASSAY_CHANGES_AT, settings.clinics) * settings.last_day
            return replace(still, assay_changes_day=at.astype(np.int64))
        case "peak_or_trough":
            return replace(still, draw_swing=world.PEAK_LOG_TESTOSTERONE)


def _ramps(rows: Iterable[tuple[int, int, int, float, float, float]]) -> Ramps:
    """Return ramps of rows: man, start, days, log testosterone, log E2, BMI."""
    columns = np.array(sorted(rows), dtype=np.float64).reshape(-1, 6).T
    return Ramps(*columns[:3].astype(np.int64), *columns[3:])


def _testosterone_steps(
    men: Men, settings: SimulationSettings, rng: np.random.Generator
) -> tuple[Ramps, NewOrders]:
    """Change the testosterone order of some men once, at any time of their care."""
    ramps: list[tuple[int, int, int, float, float, float]] = []
    orders: list[tuple[int, int, float]] = []
    kinds = rng.choice(list(world.STEP_SHARES), len(men), p=list(world.STEP_SHARES.values()))
    for man in np.flatnonzero(rng.random(len(men)) < world.STEP_SHARE).tolist():
        kind = kinds[man]
        day = int(rng.integers(men.entry_day[man] + 60, settings.last_day - 60))
        own = world.STEP_OWN_SD * rng.standard_normal()
        if kind == "pellets":
            put_in = range(day, settings.last_day, world.PELLETS_EVERY_DAYS)
            orders.extend((man, each, np.nan) for each in put_in)
            ramps.extend(_worn_off(man, put_in))
            continue
        level = np.log(world.STOPPED_NG_DL) - men.log_testosterone[man]
        rise = float(level if kind == "stopped" else np.log(world.STEP_FACTORS[kind]))
        log_e2 = world.E2_PER_LOG_TESTOSTERONE * rise + own
        ramps.append((man, day, world.STEP_TAKES_DAYS, rise, log_e2, 0.0))
        orders.append((man, day, world.STEP_FACTORS.get(kind, 0.0)))
    man_of, day_of, factor = np.array(orders).reshape(-1, 3).T
    return _ramps(ramps), NewOrders(man_of.astype(np.int64), day_of.astype(np.int64), factor)


def _worn_off(
    man: int, put_in: Iterable[int]
) -> Iterable[tuple[int, int, int, float, float, float]]:
    """Yield the fall after each implantation has held its time, and the rise with the next."""
    fall = float(np.log(world.PELLETS_WEAR_TO))
    e2 = world.E2_PER_LOG_TESTOSTERONE * fall
    for number, day in enumerate(put_in):
        if number:
            yield man, day, world.STEP_TAKES_DAYS, -fall, -e2, 0.0
        holds = day + world.PELLETS_HOLD_DAYS
        yield man, holds, world.PELLETS_EVERY_DAYS - world.PELLETS_HOLD_DAYS, fall, e2, 0.0


def _weight_losses(men: Men, settings: SimulationSettings, rng: np.random.Generator) -> Ramps:
    man = np.flatnonzero(rng.random(len(men)) < world.WEIGHT_LOSS_SHARE)
    lost = men.bmi_kg_m2[man] * rng.uniform(*world.WEIGHT_LOST, len(man))
    days = rng.integers(*world.WEIGHT_LOSS_DAYS, size=len(man))
    start = rng.integers(
        men.entry_day[man], np.maximum(settings.last_day - 180, men.entry_day[man] + 1)
    )
    none = np.zeros(len(man))
    return Ramps(man, start, days, none, -world.E2_PER_BMI_LOST * lost, -lost)


def _with_lapses(ordered: Spells, settings: SimulationSettings, rng: np.random.Generator) -> Spells:
    """Leave a stretch out of some spells."""
    n = len(ordered.man)
    begins = np.maximum(ordered.start_day, 0)
    until = np.minimum(ordered.end_day, settings.last_day)
    days = rng.integers(*world.LAPSE_DAYS, size=n)
    room = until - begins - days
    lapses = (rng.random(n) < world.LAPSE_SHARE) & (room > 1)
    since = begins + 1 + (rng.random(n) * np.maximum(room - 1, 0)).astype(np.int64)
    before = replace(ordered, end_day=np.where(lapses, since, ordered.end_day))
    after = replace(ordered, start_day=since + days)
    parts = [
        np.concatenate([getattr(before, field.name), getattr(after, field.name)[lapses]])
        for field in fields(Spells)
    ]
    order = np.lexsort((parts[1], parts[0]))
    return Spells(*(part[order] for part in parts))


def _lapses(ordered: Spells, taken: Spells) -> tuple[Integers, Integers, Integers]:
    """Return man, first day and end of the stretches that were ordered and not taken."""
    ends = set(zip(ordered.man.tolist(), ordered.end_day.tolist(), strict=True))
    stops = [
        row
        for row in range(len(taken.man))
        if (int(taken.man[row]), int(taken.end_day[row])) not in ends
    ]
    at = np.array(stops, dtype=np.int64)
    return taken.man[at], taken.end_day[at], taken.start_day[at + 1] if len(at) else at
