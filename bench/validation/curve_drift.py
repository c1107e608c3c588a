"""The curve where men's E2 drifts: whole clinics, with the exposure averaged along each man's path.

In    clinics of ``e2analytics.simulate``, the same men in the static world and in that of drift, read from files
      and taken through the stages of a run as far as the fit at the spine
Out   coverage, limits, verdicts and errors by world, each with the 99 % interval of its clinics

The truth is the simulator's: its curve at the covariates of the pairs that were fitted. Why a target is missed is
told by fits to the same pairs with the path that nobody has, and with the mean of their readings.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from bench.validation import curve_tables
from bench.validation.curve_cells import compared
from bench.validation.curve_tables import STRONG
from bench.validation.section import Section, in_parallel
from e2analytics.curve.fit import how_to_fit
from e2analytics.curve.rows import CHANGE, CurveRows, Measured, complete_rows
from e2analytics.exposure.dose_response.fit import DoseResponseResult
from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.read_drop import Sources
from e2analytics.models.curve import fit_curve
from e2analytics.models.rows import CurveData
from e2analytics.run import steps
from e2analytics.run.frames import Run
from e2analytics.settings import Settings
from e2analytics.simulate import Shape, SimulationSettings, WorldName, simulate, treatment, worlds
from e2analytics.simulate import parameters as world
from e2analytics.simulate.cohort import Men, recruit
from e2analytics.simulate.generate import streams
from e2analytics.simulate.paths import monthly
from e2analytics.simulate.truth import spine_change_pct
from e2analytics.tables.patient_data import PatientData
from e2analytics.tables.snapshot import Snapshot

NAME: Final = "curve_drift"
TITLE: Final = "The curve where men's E2 drifts"
REPLICATES: Final = 200
N_MEN: Final = 2_000
SHAPES: Final[tuple[Shape, ...]] = ("u", "threshold")
WORLDS: Final[tuple[WorldName, ...]] = ("static", "drift")
IDEAS: Final = {
    "naive": "naive mean",
    "calibrated": "posterior along the path (the product)",
    "known": "true path",
}
"""Ideas of the E2 of an interval, as ``curve_tables`` has them."""
SITE: Final = "lumbar_spine"
"""The simulator's curve is that of the spine; other sites have less of it."""
SETTINGS: Final = Settings()
_KEY: Final = b"the key of the validation, long enough"
_SEEDS_OF_A_RUN: Final = 100_000
ABOUT: Final = f"""
Clinics of {N_MEN:,} men as `e2analytics simulate` writes them, without planted defects: the same men, draws and scans
once as they are and once with a level that drifts (SD {world.DRIFT_SD:g} on the log scale, time constant
{world.DRIFT_DAYS:g} days). Files are read and taken through the stages of a run: draws with their dose, the dose
response with its movement, each interval's E2 averaged along the man's own path, the curve of the yearly change at the
spine with 1,000 replicates. The truth of an interval is the curve averaged over its days. Shapes and effect
(strong) are those of the section above.
"""


@dataclass(frozen=True)
class Job:
    """One world of one clinic."""

    world: WorldName
    seed: int
    n_men: int = N_MEN


class Stages(NamedTuple):
    """What the stages of a run make of a clinic."""

    data: PatientData
    response: DoseResponseResult
    rows: CurveRows


class Truth(NamedTuple):
    """The men of a clinic, and log E2 of each (n_men, k) on k days of the record, about a month apart."""

    settings: SimulationSettings
    men: Men
    days: NDArray[np.int64]
    log_e2: NDArray[np.float64]


def run(replicates: int, seed: int) -> Section:
    """Simulate ``replicates`` clinics in both worlds and report what held."""
    jobs = [
        Job(name, seed * _SEEDS_OF_A_RUN + number)
        for number in range(replicates)
        for name in WORLDS
    ]
    rows = [row for rows in in_parallel(repeat, jobs, "clinics") for row in rows]
    return describe(pl.DataFrame(rows, infer_schema_length=None))


def repeat(job: Job) -> list[dict[str, object]]:
    """Fit one clinic under every shape and idea of its E2, and say what held."""
    settings = SimulationSettings(
        patients=job.n_men,
        seed=job.seed,
        world=job.world,
        effect_pct_per_year=STRONG,
        defects=False,
    )
    truth = true_paths(settings)
    found, response = [], None
    for shape in SHAPES:
        of_shape = replace(settings, shape=shape)
        stages, pairs = through_stages(of_shape, response)
        # Scans alone differ by shape: the dose response is the same to the last digit.
        response = stages.response
        man = men_of(stages.rows, pairs)
        for idea, data in ideas(stages, truth, man).items():
            fit = fit_curve(data, how_to_fit(CHANGE, SETTINGS.fit))
            true = spine_change_pct(np.log(fit.e2_pg_ml), of_shape)
            true = true + of_covariates(stages.rows, truth, man).mean()
            found.append(
                {
                    "world": job.world,
                    "seed": job.seed,
                    "shape": shape,
                    "effect": STRONG,
                    "n_men": job.n_men,
                    "exposure": idea,
                    "sd_movement": movement(response),
                    **compared(fit, true),
                }
            )
    return found


def through_stages(
    settings: SimulationSettings, response: DoseResponseResult | None
) -> tuple[Stages, pl.DataFrame]:
    """Write a clinic's files and do what a run does with them; with the true intervals between scans."""
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), settings)
        drop = Path(folder, "drop")
        sources = Sources.from_drop(drop, load_feeds(), _KEY, today=settings.ends_on)
        intervals = pl.read_csv(Path(folder, "truth", "intervals.csv"))
    asked, before = Run(as_of=settings.ends_on, settings=SETTINGS), Snapshot()
    data = steps.link_all(steps.take_in(sources, before, asked), asked)
    if response is None:
        response = steps.respond_to_dose(data, before, None, asked)
    tables = steps.measure_exposure(data, response, asked)
    exposures, episodes = tables.exposures, tables.exposure_episodes
    # The curve of the yearly change does not look at the pairs of the risk form.
    measured = Measured(exposures, episodes, tables.levels, exposures.clear(), episodes.clear())
    rows = complete_rows(measured, SITE, CHANGE, SETTINGS.fit)
    return Stages(data, response, rows), intervals


def movement(response: DoseResponseResult) -> float:
    """Return the SD of slow movement that the dose response found, log scale."""
    if response.response is None:
        return np.nan
    return float(np.exp(response.response.model.population.log_sd_movement))


def true_paths(settings: SimulationSettings) -> Truth:
    """Return the men of a clinic and their E2 along time: its random streams, run once more."""
    rng = streams(settings)
    men = recruit(settings, rng["men"])
    spells = treatment.prescribe(men, settings, rng["spells"])
    moves = worlds.move(men, spells, settings, rng["moves"])
    days, log_e2 = monthly(men, moves.taken if moves else spells, settings, moves)
    return Truth(settings, men, days, log_e2)


def men_of(rows: CurveRows, intervals: pl.DataFrame) -> NDArray[np.int64]:
    """Return whose each row is: scans keep their names where men are given others."""
    named = intervals.select(
        "first_scan_id", man=pl.col("patient_id").str.slice(1).cast(pl.Int64) - 1
    )
    whose = rows.rows.join(named, on="first_scan_id", how="left", maintain_order="left")["man"]
    return whose.to_numpy()


def of_covariates(rows: CurveRows, truth: Truth, man: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the true part of each row that covariates make, %/year, as ``simulate.densitometry`` has it."""
    men, day = truth.men, _since_opening(rows.rows["first_on"], truth.settings)
    return np.asarray(
        world.BASE_PCT_PER_YEAR
        + world.PER_AGE_YEAR * (men.age_years[man] + day / world.DAYS_PER_YEAR - world.AGE_YEARS[0])
        + world.PER_BMI_UNIT * (men.bmi_kg_m2[man] - world.BMI_KG_M2[0])
        + world.PER_LOG_TESTOSTERONE
        * (men.log_testosterone[man] - np.log(world.TESTOSTERONE_NG_DL))
        + world.PER_YEAR_ON_TRT * (day - men.trt_start_day[man]) / world.DAYS_PER_YEAR
    )


def ideas(stages: Stages, truth: Truth, man: NDArray[np.int64]) -> dict[str, CurveData]:
    """Return the rows of a curve by how their E2 is known."""
    product = stages.rows.data()
    naive = CurveData.at_points(
        mean_of_readings(stages.rows, stages.data.draws),
        product.outcome,
        product.patient,
        product.covariates,
        product.sampling_variance,
    )
    known, share = along_truth(stages.rows, truth, man)
    on_the_way = replace(
        product,
        log_e2=(share * known).sum(axis=1),
        log_e2_mean=known,
        log_e2_sd=np.zeros_like(known),
        episode_weight=share,
    )
    return {"naive": naive, "calibrated": product, "known": on_the_way}


def along_truth(
    rows: CurveRows, truth: Truth, man: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the true log E2 of each row's months and their equal shares, (n, most months of a row)."""
    first, last = (
        np.searchsorted(truth.days, _since_opening(rows.rows[name], truth.settings))
        for name in ("first_on", "second_on")
    )
    month = first[:, None] + np.arange((last - first).max())
    there = month < last[:, None]
    log_e2 = truth.log_e2[man[:, None], np.where(there, month, first[:, None])]
    return log_e2, there / there.sum(axis=1, keepdims=True)


def mean_of_readings(rows: CurveRows, draws: pl.DataFrame) -> NDArray[np.float64]:
    """Return the log of the mean of the readings between each row's scans; "<24" is 24 / sqrt 2."""
    value = pl.when(pl.col("value_low") == 0).then(pl.col("value_high") / 2**0.5)
    between = (
        rows.rows.select("patient_id", "first_on", "second_on")
        .with_row_index("row")
        .join(draws, on="patient_id")
        .filter(pl.col("collected_on").is_between("first_on", "second_on"))
        .group_by("row")
        .agg(mean=value.otherwise("value_low").mean())
        .sort("row")
    )
    return between["mean"].log().to_numpy()


def _since_opening(days: pl.Series, settings: SimulationSettings) -> NDArray[np.int64]:
    return (days - settings.opens_on).dt.total_days().to_numpy()


def describe(rows: pl.DataFrame) -> Section:
    """Put the rows of all clinics into words and tables, both worlds side by side."""
    product = rows.filter(exposure="calibrated")
    by_world = {name: product.filter(world=name) for name in WORLDS if name in product["world"]}
    coverage, limits, verdicts, claims = (
        {name: table(of_world) for name, of_world in by_world.items()}
        for table in (
            curve_tables.coverage,
            curve_tables.limits,
            curve_tables.verdicts,
            curve_tables.false_claims,
        )
    )
    errors = {name: curve_tables.errors(rows.filter(world=name), IDEAS) for name in by_world}
    missed = "\n\n".join(
        f"World *{name}*:\n\n"
        + curve_tables.missed(coverage[name], limits[name], claims[name], of_world)
        for name, of_world in by_world.items()
    )
    return Section(
        (
            ABOUT,
            "### What nominal 95 % covers\n\nA share is followed by the 99 % interval of its clinics; *missed* "
            "where that does not meet 93-97 %. " + _movement_in_words(by_world),
            beside(coverage),
            "### Limits and best E2\n\nShare of the intervals that hold the true limit, among clinics that are given "
            "one; the share that are given none is a column of its own.",
            beside(limits),
            "### Verdicts",
            beside(verdicts),
            "Claims that must not be made: a U where there is none. *Missed* where the 99 % interval lies above 5 %.",
            beside(claims),
            "### How E2 is known\n\nMean error of the curve (%/year) at five levels of E2, and coverage there: with "
            "the naive mean of the interval's readings, with the product's posterior, and with the true path.",
            beside(errors),
            "### What was missed\n\n" + missed,
        )
    )


def beside(tables: dict[WorldName, pl.DataFrame]) -> pl.DataFrame:
    """Put the tables of both worlds into one, with the same truth in each world next to each other."""
    frames = [table.with_columns(world=pl.lit(name)) for name, table in tables.items()]
    together = pl.concat([each.select("world", pl.exclude("world")) for each in frames])
    return together.sort("truth", descending=True, maintain_order=True)


def _movement_in_words(by_world: dict[WorldName, pl.DataFrame]) -> str:
    said = [
        f"{np.mean(rows['sd_movement'].to_numpy()):.3f} in the {name} world"
        for name, rows in by_world.items()
    ]
    return f"The dose response finds a movement of SD {', '.join(said)}, on average."
