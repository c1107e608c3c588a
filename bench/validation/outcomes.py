"""Outcomes beyond bone: what is claimed of symptoms, haematocrit and fractures where the truth is known.

In    clinics of ``e2analytics.simulate``, the same men where E2 does harm on two sides (``two_sides``) and where bone
      alone depends on it (``bone_only``), read from files and taken through the stages of a run
Out   verdicts, false claims, coverage, limits and upper ends, each with the 99 % interval of its clinics

The truth is the simulator's: the probability of an event within a year at each E2.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import altair as alt
import numpy as np
import polars as pl

from bench.validation import outcome_tables
from bench.validation.outcome_tables import WORLDS
from bench.validation.section import Chart, Section, in_parallel
from e2analytics.curve import hazards
from e2analytics.curve.hazards import FollowedUp
from e2analytics.curve.range_of_e2 import upper_end
from e2analytics.exposure.dose_response.fit import DoseResponseResult
from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.read_drop import Sources
from e2analytics.models import sweet_spot
from e2analytics.run import steps
from e2analytics.run.frames import Run
from e2analytics.settings import Settings
from e2analytics.simulate import SimulationSettings, simulate
from e2analytics.simulate import parameters as world
from e2analytics.simulate.cohort import Vector
from e2analytics.simulate.parameters import OutcomeRate
from e2analytics.simulate.truth import events_per_year, outcome_name, outcome_rates
from e2analytics.tables.snapshot import Snapshot

NAME: Final = "outcomes"
TITLE: Final = "Outcomes beyond bone"
REPLICATES: Final = 100
N_MEN: Final = 1_500
SETTINGS: Final = Settings()
DRAWN: Final = "mood"
"""The outcome that the picture shows, of the first clinic in both worlds."""
_KEY: Final = b"the key of the validation, long enough"
_SEEDS_OF_A_RUN: Final = 100_000
ABOUT: Final = f"""
Clinics of {N_MEN:,} men as `e2analytics simulate` writes them, without planted defects: the same men, treatment and
draws once where low and high E2 do harm (`two_sides`) and once where bone alone depends on E2 and the same things
happen at the rates of the plateau (`bone_only`). Files are read and taken through the stages of a run: draws, the dose
response, each man's time at risk with his E2 as it was known, the curve of each outcome, and Holm over all tests of
harm. Breast tenderness, gynaecomastia and fluid retention come more often above {world.HIGH_BEND_PG_ML:g} pg/mL; low
libido, joint pain and hot flushes below {world.PLATEAU_PG_ML:g}; mood on both sides; fractures a little more often
below {world.PLATEAU_PG_ML:g}; a haematocrit above 54 % depends on testosterone alone. What this world leaves out: no man
is more prone than another but by E2, nobody is prescribed a drug for a symptom, every symptom is on record, and every
draw has a haematocrit.
"""


@dataclass(frozen=True)
class Job:
    """One clinic, and whether its curves are kept for the picture."""

    seed: int
    keeps_curves: bool = False
    n_men: int = N_MEN


class Clinic(NamedTuple):
    """What held of a clinic in every world.

    Attributes
    ----------
    rows
        One for each outcome.
    ends
        The upper end of the sweet spot.
    points
        Of the curves that are kept for the picture.
    """

    rows: list[dict[str, object]]
    ends: list[dict[str, object]]
    points: list[pl.DataFrame]


def run(replicates: int, seed: int) -> Section:
    """Simulate ``replicates`` clinics in both worlds and report what held."""
    jobs = [Job(seed * _SEEDS_OF_A_RUN + each, each == 0) for each in range(replicates)]
    clinics = in_parallel(repeat, jobs, "clinics")
    rows, ends = (
        pl.DataFrame([row for each in several for row in each], infer_schema_length=None)
        for several in ([clinic.rows for clinic in clinics], [clinic.ends for clinic in clinics])
    )
    points = [frame for clinic in clinics for frame in clinic.points]
    return describe(rows, ends, pl.concat(points))


def repeat(job: Job) -> Clinic:
    """Fit the outcomes of one clinic in every world, and say what held."""
    rows: list[dict[str, object]] = []
    ends: list[dict[str, object]] = []
    kept: list[pl.DataFrame] = []
    response = None
    for shape in WORLDS:
        settings = SimulationSettings(patients=job.n_men, seed=job.seed, shape=shape, defects=False)
        # E2 and its draws are the same in both worlds: so is the dose response.
        followed, response = follow(settings, response)
        fitted = hazards.fit(followed, SETTINGS.fit, model_id="validation")
        end = asdict(upper_end(fitted.summary, SETTINGS.flag))
        ends.append({"world": shape, "seed": job.seed} | end)
        for outcome in outcome_rates():
            name = outcome_name(outcome)
            points = fitted.curve.filter(outcome=name).sort("e2_pg_ml")
            summary = fitted.summary.filter(outcome=name)
            true = true_risk(points["e2_pg_ml"].to_numpy(), outcome, settings, followed)
            said = {"world": shape, "outcome": outcome.name, "seed": job.seed}
            rows.append(said | held(points, summary, true))
            if job.keeps_curves and outcome.name == DRAWN:
                kept.append(points.with_columns(world=pl.lit(shape), true=pl.Series(true)))
    return Clinic(rows, ends, kept)


def follow(
    settings: SimulationSettings, response: DoseResponseResult | None
) -> tuple[FollowedUp, DoseResponseResult]:
    """Write a clinic's files and do what a run does with them, as far as men's time at risk and its E2."""
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), settings)
        sources = Sources.from_drop(
            Path(folder, "drop"), load_feeds(), _KEY, today=settings.ends_on
        )
    asked, before = Run(as_of=settings.ends_on, settings=SETTINGS), Snapshot()
    data = steps.link_all(steps.take_in(sources, before, asked), asked)
    response = response or steps.respond_to_dose(data, before, None, asked)
    return steps.follow_up(data, response, asked), response


def true_risk(
    e2_pg_ml: Vector, outcome: OutcomeRate, settings: SimulationSettings, followed: FollowedUp
) -> Vector:
    """Return the true probability of an event within a year, at the mean testosterone of the rows."""
    rate = events_per_year(np.log(e2_pg_ml), outcome, settings)
    if outcome is world.HAEMATOCRIT_RATE:
        at_risk = followed.at_risk.filter(outcome=outcome_name(outcome))
        rows = at_risk.join(followed.intervals, on=["patient_id", "started_on", "ended_on"])
        above = rows["log_testosterone"].mean() - np.log(world.TESTOSTERONE_NG_DL)
        rate = rate * np.exp(world.HAEMATOCRIT_PER_LOG_TESTOSTERONE * above)
    return np.asarray(-np.expm1(-rate))


def held(points: pl.DataFrame, summary: pl.DataFrame, true: Vector) -> dict[str, object]:
    """Say what of a curve holds, given the true risk at each of its points."""
    if summary.is_empty() or summary["verdict"][0] is None:
        events = None if summary.is_empty() else summary["n_events"][0]
        return {"n_events": events, "verdict": None}
    of = summary.row(0, named=True)
    supported = points["supported"].to_numpy()
    low, high = points["ci_low"].to_numpy(), points["ci_high"].to_numpy()
    inside = ((low <= true) & (true <= high))[supported]
    lowest, highest = points["band_low"].to_numpy(), points["band_high"].to_numpy()
    in_band = ((lowest <= true) & (true <= highest))[supported]
    said: dict[str, object] = {
        "n_events": of["n_events"],
        "verdict": of["verdict"],
        "pointwise": float(inside.mean()) if len(inside) else None,
        "band": bool(in_band.all()) if len(inside) else None,
    }
    if len(inside) > 1:
        log_e2 = np.log(points["e2_pg_ml"].to_numpy()[supported])
        spot = sweet_spot.find(log_e2, -true[None, supported], of["delta"])
        said |= _limit("lower", of, float(np.exp(spot.lower_log_e2[0])))
        said |= _limit("upper", of, float(np.exp(spot.upper_log_e2[0])))
    return said


def _limit(side: str, of: dict[str, Any], true: float) -> dict[str, object]:
    value, low, high = (of[f"{side}_limit_{part}"] for part in ("pg_ml", "ci_low", "ci_high"))
    exists = not np.isnan(true)
    return {
        side: value,
        f"{side} true": true if exists else None,
        f"{side} holds": bool(low <= true <= high) if exists and value is not None else None,
    }


def describe(rows: pl.DataFrame, ends: pl.DataFrame, points: pl.DataFrame) -> Section:
    """Put the rows of all clinics into words, tables and a picture."""
    claims, coverage, limits = (
        table(rows)
        for table in (outcome_tables.false_claims, outcome_tables.coverage, outcome_tables.limits)
    )
    false_limits = outcome_tables.false_limits(rows)
    sweet_spots = outcome_tables.upper_ends(ends, rows)
    return Section(
        (
            ABOUT,
            "### Verdicts\n\nShares of the clinics whose curve was fitted, after Holm over all outcomes of a clinic.",
            outcome_tables.verdicts(rows),
            "### False claims\n\nHarm at an end of E2 where there is none in truth. Of *any of them* it is the share of "
            "clinics in which at least one outcome is given such a claim. A share is followed by the 99 % interval of "
            "its clinics; *missed* where the whole interval lies above 5 %.",
            claims,
            "A limit where the truth has none, of any outcome of a clinic:",
            false_limits,
            picture(points),
            "### What nominal 95 % covers\n\n*missed* where the interval does not meet 93-97 %.",
            coverage,
            f"No smooth curve turns in a point. At {world.HIGH_BEND_PG_ML:g} pg/mL the log hazard of breast tenderness "
            "turns from level to a slope of 13 per log unit of E2: the curve is rounded there, and its intervals hold the "
            "truth less often than elsewhere, as those of bone do at a kink; a band that fails at the bend fails.",
            "### Limits\n\nShare of the intervals that hold the true limit, among clinics that are given one; the share "
            "that are given none is a column of its own.",
            limits,
            "### The upper end of the sweet spot\n\nThe lowest upper limit of the outcomes that show harm at high E2, "
            "beside the lowest there is in truth. Under `bone_only` every one is false.",
            sweet_spots,
            "### What was missed\n\n"
            + outcome_tables.missed(claims, false_limits, coverage, limits, sweet_spots),
        )
    )


def picture(points: pl.DataFrame) -> Chart:
    """Draw the curve of one outcome of the first clinic with its band and its truth, in both worlds."""
    supported = points.filter("supported").with_columns(
        pl.col("estimate", "band_low", "band_high", "true") * 100
    )
    risk = alt.Axis(title="first event within a year, %")
    base = alt.Chart(supported).encode(
        x=alt.X("e2_pg_ml:Q", title="E2, pg/mL", scale=alt.Scale(type="log", nice=False))
    )
    layers = (
        base.mark_area(opacity=0.25).encode(y=alt.Y("band_low:Q", axis=risk), y2="band_high:Q")
        + base.mark_line().encode(y=alt.Y("estimate:Q", axis=risk))
        + base.mark_line(strokeDash=[4, 4], color="black").encode(y=alt.Y("true:Q", axis=risk))
    )
    drawn = layers.properties(width=300, height=200).facet(column=alt.Column("world:N", title=None))
    return Chart(
        drawn,
        f"The curve of {DRAWN} with its simultaneous band, and the truth (dashed), in the first clinic of both worlds",
    )
