"""Whom the drug pushes below the range: the model's probabilities compared with naive rules and an oracle.

In    clinics of ``e2analytics.simulate``: men, orders, draws and true paths, without the detour by files
Out   how well each rule identifies them, cohort by cohort

What is scored is what a run does: draws with their dose, the dose response, then the probabilities.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import polars as pl

from bench.validation.dose_recovery import average_precision, calibration
from e2analytics.exposure.confounders import find_confounders
from e2analytics.exposure.dose_response.fit import DoseResponseResult, estimate
from e2analytics.exposure.dose_response.predict import AsOf, present_and_off_drug
from e2analytics.exposure.draws import link_draws
from e2analytics.exposure.episodes import find_episodes
from e2analytics.models.dose_response.exceedance import Levels, probabilities
from e2analytics.models.dose_response.fit import DoseResponse
from e2analytics.models.dose_response.frozen import FrozenDoseResponse
from e2analytics.reference import constants
from e2analytics.settings import FlagSettings
from e2analytics.simulate import laboratory, treatment
from e2analytics.simulate import parameters as world
from e2analytics.simulate.cohort import Men, as_dates, clinic_ids, patient_ids, recruit
from e2analytics.simulate.generate import streams
from e2analytics.simulate.paths import Spans, trace
from e2analytics.simulate.settings import SimulationSettings
from e2analytics.simulate.treatment import LETROZOLE, OPEN, Spells
from e2analytics.tables.snapshot import empty_table

N_MEN: Final = 4_000
LIMIT_PG_ML: Final = world.RANGE_LIMIT_PG_ML
SCENARIOS: Final = (
    "dense draws, the drug given at random",
    "prescribed by indication",
    "1-2 draws a man",
    "immunoassay only",
    "never seen off the drug",
    "20 % of spells not taken",
)
"""All but the first prescribe by indication; all but the third draw every 3-6 months for five years."""
RULES: Final = ("model", "oracle", "last value", "mean on the drug")
BINS: Final = np.array([0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1.0])
# Testosterone orders do not change in these clinics.
_NO_CHANGES: Final = pl.DataFrame(schema={"patient_id": pl.String, "changed_on": pl.Date})
_NOT_TAKEN: Final = 0.2
_NO_SPANS: Final = Spans(*(np.zeros(0, np.int64),) * 3)


class RuleScore(NamedTuple):
    """How one rule did in one cohort; NaN where it gives no probability."""

    scenario: str
    rule: str
    men: int
    pushed_below: int
    average_precision: float
    brier: float
    slope: float
    intercept: float


class Cohort(NamedTuple):
    """Scores of the rules in one cohort, and the model's probabilities in bins: p, so, men."""

    scores: list[RuleScore]
    bins: np.ndarray


class World(NamedTuple):
    """The frames a run would have, and the truth, a row per man."""

    drawn: pl.DataFrame
    patients: pl.DataFrame
    labs: pl.DataFrame
    episodes: pl.DataFrame
    men: pl.DataFrame
    true_model: np.ndarray


def score_rules(job: tuple[str, int]) -> Cohort:
    """Simulate a clinic and ask every rule about its men on the drug."""
    scenario, seed = job
    settings = SimulationSettings(patients=N_MEN, seed=seed, defects=False)
    clinic = simulated(scenario, settings)
    confounders = find_confounders(clinic.patients, empty_table("medications"), FlagSettings())
    frames = (clinic.drawn, clinic.patients, clinic.labs, clinic.episodes, _NO_CHANGES, confounders)
    as_of = AsOf(settings.ends_on, _NO_CHANGES)
    responded = estimate(*frames, as_of=settings.ends_on)
    oracle = estimate(*frames, as_of=settings.ends_on, before=knowing(responded, clinic.true_model))
    men = clinic.men.join(naive(clinic.drawn), on="patient_id")
    present = men.select("patient_id", present_mg_per_week="dose")
    for name, found in (("model", responded), ("oracle", oracle)):
        men = men.join(attributable(found, present, as_of).rename({"p": name}), on="patient_id")
    is_so = men["is_so"].to_numpy()
    scores = [rated(scenario, rule, men[rule].to_numpy(), is_so) for rule in RULES]
    p = men["model"].to_numpy()
    at = np.digitize(p, BINS[1:-1])
    bins = np.array([np.bincount(at, each, len(BINS) - 1) for each in (p, is_so, np.ones(len(p)))])
    return Cohort(scores, bins)


def rated(scenario: str, rule: str, score: np.ndarray, is_so: np.ndarray) -> RuleScore:
    """Rate a rule; a naive one ranks by its value, and says 1 below the limit and else 0."""
    ranked = average_precision(score, is_so)
    p, slope, intercept = score, np.nan, np.nan
    if rule in ("last value", "mean on the drug"):
        p = (score > -np.log(LIMIT_PG_ML)).astype(float)
    else:
        slope, intercept = calibration(score, is_so)
    brier = float(np.mean((p - is_so) ** 2))
    return RuleScore(scenario, rule, len(is_so), int(is_so.sum()), ranked, brier, slope, intercept)


def attributable(found: DoseResponseResult, present: pl.DataFrame, as_of: AsOf) -> pl.DataFrame:
    """Return the probability that the drug pushes a man below the limit."""
    men = present_and_off_drug(found.response, found.own_levels, present, as_of)
    names = ("off_mean", "off_sd", "on_mean", "on_sd", "covariance")
    levels = Levels(*(men[name].to_numpy() for name in names))
    p = probabilities(levels, np.array([LIMIT_PG_ML])).attributable
    return men.select("patient_id", p=pl.Series(p))


def naive(drawn: pl.DataFrame) -> pl.DataFrame:
    """Return minus the log of his last result, and of the mean of those on the drug; "<24" is 24 / sqrt 2."""
    value = pl.when(pl.col("value_low") == 0).then(pl.col("value_high") / 2**0.5)
    on_drug = drawn.filter("on_drug").with_columns(log=value.otherwise("value_low").log())
    return (
        on_drug.sort("patient_id", "collected_on")
        .group_by("patient_id", maintain_order=True)
        .agg(
            (-pl.col("log").last()).alias("last value"),
            (-pl.col("log").mean()).alias("mean on the drug"),
        )
    )


def knowing(responded: DoseResponseResult, vector: np.ndarray) -> DoseResponseResult:
    """Put the true parameters, without any doubt, in the place of the estimates."""
    response = responded.response
    model = replace(response.model, vector=vector, covariance=np.zeros((len(vector), len(vector))))
    assert isinstance(model, DoseResponse)  # noqa: S101
    known = FrozenDoseResponse(model, response.imputation)
    return DoseResponseResult(
        known, responded.own_levels.clear(), responded.effects, responded.checks
    )


def simulated(scenario: str, settings: SimulationSettings) -> World:
    """Simulate a clinic in one of the scenarios."""
    rng = streams(settings)
    men = recruit(settings, rng["men"])
    seen_by_the_doctor = men
    if scenario == SCENARIOS[0]:
        shuffled = rng["orders"].permutation(men.log_e2_off)
        seen_by_the_doctor = replace(men, log_e2_off=shuffled)
    ordered = treatment.prescribe(seen_by_the_doctor, settings, rng["spells"])
    share = _NOT_TAKEN if scenario == SCENARIOS[5] else 0.0
    taken = _some(ordered, rng["orders"].random(len(ordered.man)) >= share)
    draws = laboratory.schedule(men, ordered, settings, rng["draws"])
    traced = trace(men, taken, draws.man, draws.day, _NO_SPANS, settings)
    labs = _labs(scenario, men, draws, traced.draw_log_e2, settings, rng["labs"])
    episodes = find_episodes(_orders(ordered, settings))
    drawn = link_draws(labs, episodes, FlagSettings())
    if scenario == SCENARIOS[4]:
        users = episodes["patient_id"].unique().implode()
        drawn = drawn.filter(pl.col("on_drug") | ~pl.col("patient_id").is_in(users))
    return World(
        drawn,
        _patients(men, settings),
        labs,
        episodes,
        _asked(men, ordered, traced.now_log_e2, settings),
        _true_model(men, ordered),
    )


def _some(spells: Spells, rows: np.ndarray) -> Spells:
    columns = ("man", "start_day", "end_day", "regime", "as_directed")
    return Spells(*(getattr(spells, name)[rows] for name in columns))


def _labs(
    scenario: str,
    men: Men,
    draws: laboratory.Draws,
    log_e2: np.ndarray,
    settings: SimulationSettings,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Return E2 and testosterone of every draw, as the store would have them."""
    n = len(draws.man)
    swing = rng.normal(0, world.TESTOSTERONE_WITHIN_SD, n)
    level = log_e2 + world.E2_PER_LOG_TESTOSTERONE * swing + rng.normal(0, world.E2_WITHIN_SD, n)
    at = laboratory.laboratories(men, draws, rng)
    if scenario == SCENARIOS[3]:
        at = np.where(at < 2, at + 2, at)
    e2 = laboratory.measured_e2(np.exp(level), at, rng)
    limit = np.array([each.loq_pg_ml for each in world.LABORATORIES])[at]
    testosterone = np.exp(
        men.log_testosterone[draws.man] + swing + rng.normal(0, world.TESTOSTERONE_CV, n)
    )
    kept = np.ones(n, bool)
    if scenario == SCENARIOS[2]:
        latest_first = np.searchsorted(draws.man, draws.man, side="right") - 1 - np.arange(n)
        kept = latest_first < rng.integers(1, 3, len(men))[draws.man]
    common = {
        "patient_id": patient_ids(draws.man),
        "collected_on": as_dates(draws.day, settings),
        "collected_at": as_dates(draws.day, settings).cast(pl.Datetime("us", "UTC")),
        "assay": np.where(np.array([each.is_ms for each in world.LABORATORIES])[at], "ms", "ia"),
        "performing_lab": np.array([each.code for each in world.LABORATORIES])[at],
        "source_line": np.arange(n),
    }
    below = e2 < limit
    e2_rows = pl.DataFrame(common).with_columns(
        analyte=pl.lit("estradiol"),
        value_low=pl.Series(np.where(below, 0.0, e2)),
        value_high=pl.Series(np.where(below, limit, e2)),
    )
    t_rows = pl.DataFrame(common).with_columns(
        analyte=pl.lit("testosterone_total"),
        value_low=pl.Series(testosterone),
        value_high=pl.Series(testosterone),
    )
    return pl.concat(
        [e2_rows.filter(pl.Series(kept)), t_rows.filter(pl.Series(kept))]
    ).with_columns(
        result_id=pl.col("source_line").cast(pl.String),
        source_order=pl.lit(0),
        imputed=pl.lit(""),
    )


def _orders(spells: Spells, settings: SimulationSettings) -> pl.DataFrame:
    letrozole, ended = spells.regime == LETROZOLE, spells.end_day != OPEN
    drug = np.where(letrozole, "letrozole", "anastrozole")
    return pl.DataFrame(
        {
            "patient_id": patient_ids(spells.man),
            "drug": drug,
            "started_on": as_dates(spells.start_day, settings),
            "ended_on": as_dates(np.where(ended, spells.end_day, 0), settings),
            "dose": spells.mg_per_week(),
            # Letrozole counts whatever its dose, which the simulator does not have: 0 mg would be none.
            "vague": spells.as_directed | letrozole,
            "ended": ended & (spells.end_day <= settings.last_day),
            "source_line": np.arange(len(spells.man)),
        }
    ).select(
        "patient_id",
        "drug",
        "started_on",
        "source_line",
        drug_class=pl.lit("aromatase_inhibitor"),
        stopped_on=pl.when("ended").then("ended_on"),
        weekly_dose_mg=pl.when(~pl.col("vague")).then("dose"),
        weekdays=pl.lit(None, dtype=pl.String),
        listed_on=pl.lit(None, dtype=pl.Date),
        source_file=pl.lit("f"),
        source_order=pl.lit(0),
    )


def _patients(men: Men, settings: SimulationSettings) -> pl.DataFrame:
    born = np.rint(-constants.DAYS_PER_YEAR * men.age_years).astype(np.int64)
    return pl.DataFrame(
        {
            "patient_id": patient_ids(np.arange(len(men))),
            "clinic_id": clinic_ids(men.clinic),
            "birth_date": as_dates(born, settings),
            "height_cm": men.height_cm,
            "weight_kg": men.bmi_kg_m2 * (men.height_cm / 100) ** 2,
        }
    )


def _asked(
    men: Men, ordered: Spells, now_log_e2: np.ndarray, settings: SimulationSettings
) -> pl.DataFrame:
    """Return the men in care who have held one known dose of anastrozole for two weeks, and the truth."""
    last = settings.last_day
    held = (ordered.end_day > last) & (ordered.start_day <= last - 14)
    held &= (ordered.regime != LETROZOLE) & ~ordered.as_directed
    held &= ~(men.left | men.died)[ordered.man]
    man = ordered.man[held]
    log_limit = np.log(LIMIT_PG_ML)
    return pl.DataFrame(
        {
            "patient_id": patient_ids(man),
            "dose": ordered.mg_per_week()[held],
            "is_so": (now_log_e2[man] < log_limit) & (men.log_e2_off[man] >= log_limit),
        }
    )


def _true_model(men: Men, ordered: Spells) -> np.ndarray:
    """Return the true parameters in the order of the model's.

    How level depends on what the model sees, indication included, is taken from all men's true levels.
    """
    ever = np.zeros(len(men))
    ever[ordered.man[ordered.regime != LETROZOLE]] = 1.0
    seen = np.column_stack(
        [np.ones(len(men)), men.log_testosterone, men.bmi_kg_m2, men.age_years, ever]
    )
    coefficients = np.linalg.lstsq(seen, men.log_e2_off, rcond=None)[0]
    sd_level = np.std(men.log_e2_off - seen @ coefficients)
    within = np.hypot(
        world.E2_WITHIN_SD,
        # Of the swing of testosterone, what its own measurement leaves open.
        world.E2_PER_LOG_TESTOSTERONE * world.TESTOSTERONE_CV,
    )
    return np.array(
        [
            *coefficients,
            np.log(world.EMAX / (1 - world.EMAX)),
            np.log(world.ED50_MG_PER_WEEK),
            np.log(np.hypot(within, world.MS_CV)),
            np.log(world.IA_SLOPE),
            world.IA_OFFSET_PG_ML,
            np.log(np.hypot(within, world.IA_CV)),
            np.log(world.IA_SCATTER_PG_ML),
            np.log(sd_level),
            0.0,
            np.log(world.RESPONSE_SD),
            # Men of these clinics do not move.
            np.log(1e-6),
            np.log(270.0),
            np.log(1e-6),
        ]
    )
