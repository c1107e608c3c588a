"""Blood draws and what laboratories make of them.

A draw measures the man's true E2 of that day with the swing of that day and the assay's error; a
result below the laboratory's limit is reported as such.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from e2analytics.simulate import parameters as world
from e2analytics.simulate.cohort import Integers, Men, Vector, patient_ids
from e2analytics.simulate.settings import SimulationSettings
from e2analytics.simulate.treatment import OPEN, Spells
from e2analytics.simulate.worlds import AtDraws

HAEMATOCRIT_LOINC: Final = "20570-8"


@dataclass(frozen=True)
class Draws:
    """Blood draws sorted by man and day; arrays of shape (n_draws,)."""

    man: Integers
    day: Integers


def schedule(
    men: Men, spells: Spells, settings: SimulationSettings, rng: np.random.Generator
) -> Draws:
    """Draw the days: routine ones, some weeks after a change, shortly before the first drug; some missed."""
    planned = [_routine(men, settings, rng), *_around_changes(spells, rng)]
    man = np.concatenate([men_ for men_, _ in planned])
    day = np.concatenate([days for _, days in planned])
    # A result is on file only once it is reported.
    last = np.minimum(men.exit_day, settings.last_day - world.REPORTED_WITHIN_DAYS - 1)
    kept = (day >= men.entry_day[man]) & (day <= last[man])
    kept &= rng.random(len(man)) >= world.MISSED_DRAW_SHARE
    man, day = man[kept], day[kept]
    order = np.lexsort((day, man))
    man, day = man[order], day[order]
    too_soon = (np.diff(man) == 0) & (np.diff(day) < world.DRAWS_APART_DAYS)
    alone = np.concatenate([[True], ~too_soon])
    return Draws(man[alone], day[alone])


# Over 60 lines: one table, its columns in the order of the canonical drop.
def labs_table(
    men: Men,
    draws: Draws,
    log_e2: Vector,
    settings: SimulationSettings,
    rng: np.random.Generator,
    moved: AtDraws | None = None,
) -> pl.DataFrame:
    """Return `labs.csv`: E2 and testosterone of every draw, other analytes of some.

    Parameters
    ----------
    men, draws : Men, Draws
        Who was drawn when.
    log_e2 : ndarray of shape (n_draws,)
        Natural log of the true E2 (pg/mL) on the day of each draw.
    settings, rng : SimulationSettings, numpy.random.Generator
        The calendar and the stream of randomness.
    moved : AtDraws, optional
        What moves beside the drug; its E2 is part of `log_e2`, but for the swing of the day.
    """
    n = len(draws.man)
    swing = rng.normal(0, world.TESTOSTERONE_WITHIN_SD, n)
    if moved:
        swing = swing + moved.swing
    level = log_e2 + world.E2_PER_LOG_TESTOSTERONE * swing + rng.normal(0, world.E2_WITHIN_SD, n)
    t_error = rng.normal(0, world.TESTOSTERONE_CV, n)
    laboratory = laboratories(men, draws, rng)
    log_testosterone = men.log_testosterone[draws.man] + swing
    if moved:
        laboratory = moved.laboratory(laboratory)
        log_testosterone = log_testosterone + moved.log_testosterone
    base = (
        _collection(draws, settings, rng)
        .with_columns(
            pl.DataFrame(world.LABORATORIES, schema=world.Laboratory._fields, orient="row")[
                laboratory
            ],
            e2=measured_e2(np.exp(level), laboratory, rng),
            testosterone=np.exp(log_testosterone + t_error),
        )
        .with_columns(
            method=pl.when(pl.Series(rng.random(n)) >= pl.col("method_missing_share")).then(
                "method"
            )
        )
    )
    results = pl.concat(
        [
            _e2_results(base),
            _testosterone_results(base),
            *_other_results(base, rng),
            *_weights(base, moved),
        ]
    )
    ordered = results.sort("draw", "rank")
    return ordered.with_row_index("number", offset=1).select(
        result_ids(pl.col("number")),
        patient_id="patient_id",
        collected_at="collected_at",
        loinc="loinc",
        test_name="test_name",
        value="value",
        unit="unit",
        method="method",
        performing_lab="code",
        status=pl.lit("F"),
        reported_at="reported_at",
    )


def result_ids(number: pl.Expr) -> pl.Expr:
    """Return identifiers such as `R00000123`."""
    return pl.format("R{}", number.cast(pl.String).str.zfill(8)).alias("result_id")


def _routine(
    men: Men, settings: SimulationSettings, rng: np.random.Generator
) -> tuple[Integers, Integers]:
    shortest, longest = world.ROUTINE_DRAW_DAYS
    visits = 1 + settings.last_day // shortest
    gaps = rng.integers(shortest, longest, size=(len(men), visits))
    gaps[:, 0] = rng.integers(0, 14, size=len(men))
    day = men.entry_day[:, None] + gaps.cumsum(axis=1)
    return np.repeat(np.arange(len(men)), visits), day.ravel()


def _around_changes(spells: Spells, rng: np.random.Generator) -> list[tuple[Integers, Integers]]:
    """Return draws after every change of the drug, and one before each man's first spell."""
    n = len(spells.man)
    first = np.concatenate([[True], np.diff(spells.man) != 0])[:n]
    ended = spells.end_day != OPEN
    before = spells.start_day - rng.integers(*world.BEFORE_START_DAYS, size=n)
    after_start = spells.start_day + rng.integers(*world.AFTER_CHANGE_DAYS, size=n)
    after_end = spells.end_day + rng.integers(*world.AFTER_CHANGE_DAYS, size=n)
    return [
        (spells.man[first], before[first]),
        (spells.man, after_start),
        (spells.man[ended], after_end[ended]),
    ]


def laboratories(men: Men, draws: Draws, rng: np.random.Generator) -> Integers:
    """Return the laboratory of each draw: mostly the man's usual one, else another of his clinic."""
    cumulative = np.cumsum(world.LABORATORY_SHARES, axis=1)
    rows = cumulative[men.clinic % len(cumulative)]
    usual = (rng.random(len(men))[:, None] > rows).sum(axis=1)
    other = (rng.random(len(draws.man))[:, None] > rows[draws.man]).sum(axis=1)
    stays = rng.random(len(draws.man)) < world.USUAL_LABORATORY_SHARE
    return np.asarray(np.where(stays, usual[draws.man], other))


def measured_e2(e2: Vector, laboratory: Integers, rng: np.random.Generator) -> Vector:
    """Return E2 in pg/mL as each laboratory's assay reads it, before censoring."""
    z, scatter = rng.standard_normal((2, len(e2)))
    ms = e2 * np.exp(world.MS_CV * z)
    ia = (
        world.IA_SLOPE * e2 * np.exp(world.IA_CV * z)
        + world.IA_OFFSET_PG_ML
        + world.IA_SCATTER_PG_ML * scatter
    )
    is_ms = np.array([lab.is_ms for lab in world.LABORATORIES])[laboratory]
    return np.asarray(np.where(is_ms, ms, ia))


def _collection(
    draws: Draws, settings: SimulationSettings, rng: np.random.Generator
) -> pl.DataFrame:
    """Return when each sample was taken (mornings) and reported (afternoons, days later)."""
    n = len(draws.man)
    midnight = np.datetime64(settings.opens_on, "m") + draws.day.astype("timedelta64[D]")
    taken = midnight + rng.integers(7 * 60, 11 * 60 + 30, size=n).astype("timedelta64[m]")
    days_later = rng.integers(1, world.REPORTED_WITHIN_DAYS, size=n).astype("timedelta64[D]")
    afternoon = rng.integers(14 * 60, 19 * 60, size=n).astype("timedelta64[m]")
    return pl.DataFrame(
        {
            "draw": np.arange(n),
            "patient_id": patient_ids(draws.man),
            "collected_at": taken.astype("datetime64[ms]"),
            "reported_at": (midnight + days_later + afternoon).astype("datetime64[ms]"),
        }
    )


def _result(
    base: pl.DataFrame,
    rank: int,
    *,
    loinc: pl.Expr,
    name: pl.Expr,
    value: pl.Expr,
    unit: pl.Expr,
    method: pl.Expr,
) -> pl.DataFrame:
    return base.select(
        "draw",
        "patient_id",
        "collected_at",
        "reported_at",
        "code",
        rank=pl.lit(rank),
        loinc=loinc,
        test_name=name,
        value=value,
        unit=unit,
        method=method,
    )


def _e2_results(base: pl.DataFrame) -> pl.DataFrame:
    pmol = (pl.col("e2") * world.PMOL_L_PER_PG_ML).round(1)
    number = pl.when("molar").then(pmol).otherwise(pl.col("e2").round(1)).cast(pl.String)
    return _result(
        base,
        0,
        loinc=pl.col("e2_loinc"),
        name=pl.col("e2_name"),
        value=pl.when(pl.col("e2") < pl.col("loq_pg_ml")).then("loq_text").otherwise(number),
        unit=pl.when("molar").then(pl.lit("pmol/L")).otherwise(pl.lit("pg/mL")),
        method=pl.col("method"),
    )


def _testosterone_results(base: pl.DataFrame) -> pl.DataFrame:
    nmol = (pl.col("testosterone") * world.NMOL_L_PER_NG_DL).round(1).cast(pl.String)
    whole = pl.col("testosterone").round(0).cast(pl.Int64).cast(pl.String)
    number = pl.when("molar").then(nmol).otherwise(whole)
    # Only the immunoassays, which report mass, have an upper limit that men on TRT reach.
    above = pl.format(">{}", pl.col("t_above_ng_dl").cast(pl.Int64))
    too_high = (pl.col("testosterone") > pl.col("t_above_ng_dl")) & ~pl.col("molar")
    return _result(
        base,
        1,
        loinc=pl.col("t_loinc"),
        name=pl.col("t_name"),
        value=pl.when(too_high).then(above).otherwise(number),
        unit=pl.when("molar").then(pl.lit("nmol/L")).otherwise(pl.lit("ng/dL")),
        method=pl.col("method"),
    )


def _other_results(base: pl.DataFrame, rng: np.random.Generator) -> list[pl.DataFrame]:
    """Return haematocrit and 25-OH-D of some draws."""
    n = len(base)
    haematocrit = rng.normal(*world.HAEMATOCRIT_PCT, n).round(1)
    median, spread = world.VITAMIN_D_NG_ML
    vitamin_d = (median * np.exp(rng.normal(0, spread, n))).round(1)
    chosen = rng.random((2, n)) < np.array([[world.HAEMATOCRIT_SHARE], [world.VITAMIN_D_SHARE]])
    described = (
        (HAEMATOCRIT_LOINC, "Hematocrit", "%", haematocrit),
        ("62292-8", "Vitamin D, 25-hydroxy", "ng/mL", vitamin_d),
    )
    return [
        _result(
            base,
            2 + i,
            loinc=pl.lit(loinc),
            name=pl.lit(name),
            value=pl.lit(pl.Series(value).cast(pl.String)),
            unit=pl.lit(unit),
            method=pl.lit(None, pl.String),
        ).filter(pl.Series(chosen[i]))
        for i, (loinc, name, unit, value) in enumerate(described)
    ]


def _weights(base: pl.DataFrame, moved: AtDraws | None) -> list[pl.DataFrame]:
    """Return BMI of every draw, where a world shows it."""
    if moved is None or moved.bmi_kg_m2 is None:
        return []
    bmi = pl.Series(moved.bmi_kg_m2.round(1)).cast(pl.String)
    return [
        _result(
            base,
            4,
            loinc=pl.lit("39156-5"),
            name=pl.lit("Body mass index"),
            value=pl.lit(bmi),
            unit=pl.lit("kg/m2"),
            method=pl.lit(None, pl.String),
        )
    ]
