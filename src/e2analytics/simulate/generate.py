"""One simulated world: the tables of a clean drop, and the truth behind them."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from e2analytics.simulate import (
    densitometry,
    laboratory,
    network,
    outcomes,
    treatment,
    truth,
    worlds,
)
from e2analytics.simulate import parameters as world
from e2analytics.simulate.cohort import (
    Men,
    Vector,
    as_dates,
    clinic_ids,
    patient_ids,
    patients_table,
    recruit,
)
from e2analytics.simulate.densitometry import Visits
from e2analytics.simulate.events import events_table
from e2analytics.simulate.network import Story
from e2analytics.simulate.paths import Traced, monthly, trace
from e2analytics.simulate.settings import SimulationSettings
from e2analytics.simulate.treatment import LETROZOLE, Spells
from e2analytics.simulate.worlds import Moves

STREAMS: Final = ("men", "patients", "spells", "orders", "draws", "labs", "visits", "scanners",
                  "bone", "dxa", "events", "defects", "moves", "outcomes")  # fmt: skip


@dataclass(frozen=True)
class World:
    """A clean drop and its truth, each a table per file name."""

    drop: dict[str, pl.DataFrame]
    truth: dict[str, pl.DataFrame]


def streams(settings: SimulationSettings) -> dict[str, np.random.Generator]:
    """Return independent random streams by name: a change in one part leaves the others as they were."""
    seeds = np.random.SeedSequence(settings.seed).spawn(len(STREAMS))
    return {name: np.random.default_rng(seed) for name, seed in zip(STREAMS, seeds, strict=True)}


def generate(
    settings: SimulationSettings, rng: dict[str, np.random.Generator], story: Story | None = None
) -> World:
    """Simulate the men, their treatment, blood draws and scans; with a story, what some do wrong."""
    men = recruit(settings, rng["men"])
    spells = treatment.prescribe(men, settings, rng["spells"])
    if story:
        spells = network.overdose(spells, men, settings, story, rng["spells"])
    moves = worlds.move(men, spells, settings, rng["moves"])
    taken = moves.taken if moves else spells
    draws = laboratory.schedule(men, spells, settings, rng["draws"])
    visits = densitometry.schedule(men, settings, rng["visits"])
    if story:
        visits = network.stop_scanning(visits, men, settings, story)
    scanners = densitometry.install(settings, rng["scanners"])
    traced = trace(men, taken, draws.man, draws.day, visits.intervals(), settings, moves)
    change = densitometry.true_change_pct(men, visits, traced.interval_change_pct, rng["bone"])
    bmd = densitometry.true_bmd(men, visits, change, rng["bone"])
    seen = moves.at_draws(men, draws.man, draws.day) if moves else None
    labs = laboratory.labs_table(men, draws, traced.draw_log_e2, settings, rng["labs"], seen)
    happened = None
    if settings.has_outcomes:
        happened = outcomes.happen(men, taken, settings, rng["outcomes"], moves)
        labs = outcomes.with_haematocrit(labs, happened, settings, rng["outcomes"])
    if story:
        labs = network.slip_units(labs, settings, story)
    dxa = densitometry.dxa_table(men, visits, scanners, bmd, settings, rng["dxa"])
    changed = moves.orders if moves else None
    on_record = moves.as_of_last_day(men, settings) if moves else men
    drop = {
        "patients.csv": patients_table(on_record, settings, rng["patients"]),
        "labs.csv": labs,
        "dxa.csv": moves.with_fat_of_the_day(dxa, settings) if moves else dxa,
        "medications.csv": treatment.orders_table(men, spells, settings, rng["orders"], changed),
        "events.csv": events_table(men, settings, rng["events"], happened),
        "precision.csv": densitometry.precision_table(scanners, settings),
    }
    true = {
        "curve.csv": truth.curve(settings),
        "men.csv": _true_men(men, spells, traced, settings),
        "intervals.csv": _true_intervals(visits, traced, change),
    }
    if settings.has_outcomes:
        true["outcomes.csv"] = truth.outcomes(settings)
        true["outcome_limits.csv"] = truth.outcome_limits(settings)
    if moves:
        true["moves.csv"] = moves.truth(spells, settings)
        true["path.csv"] = _true_path(men, moves, settings)
    return World(drop, true)


def _true_path(men: Men, moves: Moves, settings: SimulationSettings) -> pl.DataFrame:
    """Return each man's E2, about once a month."""
    days, log_e2 = monthly(men, moves.taken, settings, moves)
    return pl.DataFrame(
        {
            "patient_id": patient_ids(np.repeat(np.arange(len(men)), len(days))),
            "on": as_dates(np.tile(days, len(men)), settings),
            "e2_pg_ml": np.exp(log_e2).ravel().round(3),
        }
    )


def _true_men(
    men: Men, spells: Spells, traced: Traced, settings: SimulationSettings
) -> pl.DataFrame:
    """Return each man's state on the last day: his dose and his E2 with and without the drug.

    Of a man who left or died (not `in_care`): what would be so had he stayed.
    """
    current = (spells.start_day <= settings.last_day) & (spells.end_day > settings.last_day)
    man, regime = spells.man[current], spells.regime[current]
    mg_week, vague, other = np.zeros(len(men)), np.zeros(len(men), bool), np.zeros(len(men), bool)
    mg_week[man] = spells.mg_per_week()[current]
    vague[man] = spells.as_directed[current]
    other[man] = regime == LETROZOLE
    return pl.DataFrame(
        {
            "patient_id": patient_ids(np.arange(len(men))),
            "clinic_id": clinic_ids(men.clinic),
            "in_care": ~(men.left | men.died),
            "on_drug": mg_week > 0,
            "weekly_anastrozole_mg": mg_week,
            "dose_on_file": ~vague,
            "other_inhibitor": other,
            "e2_now_pg_ml": np.exp(traced.now_log_e2).round(3),
            "e2_off_drug_pg_ml": np.exp(men.log_e2_off + traced.moved_log_e2).round(3),
        }
    ).with_columns(
        below_range=pl.col("e2_now_pg_ml") < world.RANGE_LIMIT_PG_ML,
        attributable=(pl.col("e2_now_pg_ml") < world.RANGE_LIMIT_PG_ML)
        & (pl.col("e2_off_drug_pg_ml") >= world.RANGE_LIMIT_PG_ML),
        below_red_line=pl.col("e2_now_pg_ml") < world.RED_LINE_PG_ML,
    )


def _true_intervals(visits: Visits, traced: Traced, change_pct: Vector) -> pl.DataFrame:
    """Return the truth of every pair of neighbouring scans, sorted by man, day and site."""
    second = visits.second()
    first = second - 1
    span = visits.intervals()
    per_site = [
        pl.DataFrame(
            {
                "visit": second,
                "patient_id": patient_ids(span.man),
                "site": site,
                "first_scan_id": densitometry.scan_ids(first, i),
                "second_scan_id": densitometry.scan_ids(second, i),
                "same_scanner": visits.scanner[first] == visits.scanner[second],
                "years": ((span.last_day - span.first_day) / world.DAYS_PER_YEAR).round(4),
                "mean_log_e2": traced.interval_log_e2.round(5),
                "curve_pct_per_year": (traced.interval_change_pct * world.SITE_SCALE[i]).round(5),
                "change_pct_per_year": change_pct[:, i].round(5),
            }
        )
        for i, site in enumerate(world.SITES)
    ]
    return pl.concat(per_site).sort("visit", maintain_order=True).drop("visit")
