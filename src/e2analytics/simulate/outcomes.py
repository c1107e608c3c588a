"""Outcomes beyond bone: what happens to whom and when, by his true E2 of that day.

Symptoms by kind and fractures depend on E2 as `truth` says; a haematocrit above the line depends on testosterone
alone. An outcome may come again: each is a Poisson process whose rate follows the day's E2 or testosterone.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import polars as pl

from e2analytics.simulate import parameters as world
from e2analytics.simulate.cohort import Flags, Integers, Men, Vector, as_dates, patient_ids
from e2analytics.simulate.laboratory import HAEMATOCRIT_LOINC, result_ids
from e2analytics.simulate.parameters import OutcomeRate
from e2analytics.simulate.paths import on_days
from e2analytics.simulate.settings import SimulationSettings
from e2analytics.simulate.treatment import Spells
from e2analytics.simulate.truth import events_per_year, outcome_rates
from e2analytics.simulate.worlds import Moves


@dataclass(frozen=True)
class Outcomes:
    """What happened, sorted by man; arrays of shape (n,). `name` is that of an `OutcomeRate`."""

    man: Integers
    day: Integers
    name: np.ndarray

    def events(self) -> Self:
        """Return what is put on file as an event: all but haematocrit, which a laboratory reports."""
        return self._take(self.name != world.HAEMATOCRIT_RATE.name)

    def high_haematocrits(self) -> Self:
        """Return the days on which a haematocrit is above the line."""
        return self._take(self.name == world.HAEMATOCRIT_RATE.name)

    def _take(self, rows: Flags) -> Self:
        return type(self)(self.man[rows], self.day[rows], self.name[rows])


def happen(
    men: Men,
    taken: Spells,
    settings: SimulationSettings,
    rng: np.random.Generator,
    moves: Moves | None = None,
) -> Outcomes:
    """Draw what happens to each man from his first to his last day in care; one of a kind a day.

    Parameters
    ----------
    men, taken : Men, Spells
        The cohort and what it takes.
    settings, rng : SimulationSettings, numpy.random.Generator
        The truth and the stream of randomness.
    moves : Moves, optional
        What moves beside the drug.

    Notes
    -----
    Thinning: days are drawn at the highest rate there is, and each is kept with the share of it that the rate
    of that man and day has (Lewis and Shedler, Nav Res Logist Q 1979;26:403).
    """
    days = men.exit_day - men.entry_day
    drawn = [_drawn(each, men, days, rng) for each in outcome_rates()]
    number = np.repeat(np.arange(len(drawn)), [len(man) for man, _ in drawn])
    man, day = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    order = np.lexsort((day, number, man))
    man, day, number = man[order], day[order], number[order]
    log_e2 = on_days(men, taken, man, day, settings, moves)
    log_testosterone = men.log_testosterone[man]
    if moves:
        log_testosterone = log_testosterone + moves.ramps.at("log_testosterone", man, day)
    rate = np.zeros(len(man))
    most = np.array([_most(each) for each in outcome_rates()])[number]
    for which, outcome in enumerate(outcome_rates()):
        here = number == which
        rate[here] = _rate(outcome, log_e2[here], log_testosterone[here], settings)
    kept = rng.random(len(man)) * most < rate
    for_once = np.stack([man, number, day], axis=1)[kept]
    kept[kept] = np.append(True, (np.diff(for_once, axis=0) != 0).any(axis=1))[: len(for_once)]
    names = np.array([each.name for each in outcome_rates()])
    return Outcomes(man[kept], day[kept], names[number[kept]])


def _drawn(
    outcome: OutcomeRate, men: Men, days: Integers, rng: np.random.Generator
) -> tuple[Integers, Integers]:
    """Return men and days at the outcome's highest rate."""
    count = rng.poisson(_most(outcome) * days / world.DAYS_PER_YEAR)
    man = np.repeat(np.arange(len(men)), count)
    return man, men.entry_day[man] + (rng.random(len(man)) * days[man]).astype(np.int64)


def _most(outcome: OutcomeRate) -> float:
    if outcome is world.HAEMATOCRIT_RATE:
        return world.HAEMATOCRIT_RATE_AT_MOST
    return outcome.rate + outcome.low + outcome.high


def _rate(
    outcome: OutcomeRate, log_e2: Vector, log_testosterone: Vector, settings: SimulationSettings
) -> Vector:
    """Return events per man-year on each day."""
    rate = events_per_year(log_e2, outcome, settings)
    if outcome is not world.HAEMATOCRIT_RATE:
        return rate
    above = log_testosterone - np.log(world.TESTOSTERONE_NG_DL)
    by_testosterone = np.exp(world.HAEMATOCRIT_PER_LOG_TESTOSTERONE * above)
    return np.asarray(np.minimum(rate * by_testosterone, world.HAEMATOCRIT_RATE_AT_MOST))


def with_haematocrit(
    labs: pl.DataFrame, outcomes: Outcomes, settings: SimulationSettings, rng: np.random.Generator
) -> pl.DataFrame:
    """Return `labs.csv` with a haematocrit of every draw, and one above the line on each day of such.

    No other is above the line, so that what is on file is what happened. A day above the line has a sample of its
    own, reported the same afternoon, and no other haematocrit.
    """
    others = labs.filter(pl.col("loinc") != HAEMATOCRIT_LOINC)
    draws = others.unique(["patient_id", "collected_at"], keep="first", maintain_order=True)
    above = _above_the_line(outcomes, draws, settings, rng)
    ordinary = rng.normal(*world.HAEMATOCRIT_PCT, len(draws)).clip(35, world.HAEMATOCRIT_LINE_PCT)
    columns = ["patient_id", "collected_at", "reported_at", "performing_lab", "value"]
    haematocrits = (
        pl.concat([above, draws.with_columns(value=pl.Series(ordinary))], how="diagonal")
        .select(columns)
        .with_columns(pl.col("value").round(1).cast(pl.String), on=pl.col("collected_at").dt.date())
        .unique(["patient_id", "on"], keep="first", maintain_order=True)
        .drop("on")
        .with_columns(
            loinc=pl.lit(HAEMATOCRIT_LOINC),
            test_name=pl.lit("Hematocrit"),
            unit=pl.lit("%"),
            status=pl.lit("F"),
        )
    )
    return (
        pl.concat([others, haematocrits], how="diagonal")
        .sort("patient_id", "collected_at", maintain_order=True)
        .drop("result_id")
        .with_row_index("number", offset=1)
        .select(result_ids(pl.col("number")), *labs.columns[1:])
    )


def _above_the_line(
    outcomes: Outcomes, draws: pl.DataFrame, settings: SimulationSettings, rng: np.random.Generator
) -> pl.DataFrame:
    high = outcomes.high_haematocrits()
    midnight = as_dates(high.day, settings).cast(pl.Datetime("ms"))
    laboratory = draws.unique("patient_id", keep="first").select("patient_id", "performing_lab")
    return pl.DataFrame(
        {
            "patient_id": pl.Series(patient_ids(high.man), dtype=pl.String),
            "collected_at": midnight.dt.offset_by("9h"),
            "reported_at": midnight.dt.offset_by("15h"),
            "value": rng.uniform(*world.HAEMATOCRIT_ABOVE_PCT, len(high.man)),
        }
    ).join(laboratory, on="patient_id", how="left", maintain_order="left")
