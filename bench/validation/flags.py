"""Flags: statuses, tiers and their life, from files through the whole pipeline.

In    simulated clinics of ``e2analytics.simulate``, written as files, with planted defects
Out   precision and recall of the status, average precision and calibration of p_attributable, beside the
      last value; the use of not_assessable where data are poor; four months of runs: what opened, closed,
      flipped, and why; how long a man who crossed the limit waits for his flag

The probabilities by themselves, with an oracle that knows the parameters, are another section's. Here truth is
E2 of the day of judgement: now below the limit in use, and off the drug not.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple
from unittest.mock import patch

import altair as alt
import numpy as np
import polars as pl
from scipy.optimize import minimize
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score

from bench.validation.section import Chart, Section, in_parallel
from e2analytics.exposure.episodes import find_episodes
from e2analytics.feeds.description import load_feeds
from e2analytics.ingest.pseudonyms import pseudonym
from e2analytics.ingest.read_drop import Sources
from e2analytics.run import pipeline
from e2analytics.settings import FitSettings, FlagSettings, Settings
from e2analytics.simulate import Shape, SimulationSettings, simulate
from e2analytics.simulate import parameters as world
from e2analytics.tables.snapshot import Outputs, Snapshot

NAME: Final = "flags"
TITLE: Final = "Flags"
REPLICATES: Final = 4
"""Cohorts of each of the six worlds; half as many of each kind of poor data, a quarter of lives."""

N_MEN: Final = 4_000
N_MEN_OF_A_LIFE: Final = 2_000
AS_OF: Final = date(2026, 9, 30)
SHAPES: Final[tuple[Shape, ...]] = ("threshold", "u", "flat")
NOISE: Final = (world.E2_WITHIN_SD, 0.30)
CLOSING: Final = (0.5, 0.4)
WEEKS: Final = 13
NIGHTS: Final = 30
STEADY_DAYS: Final = 14
BINS: Final = np.array([0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 1.0])
_KEY: Final = b"the key of the validation, long enough"
_URGENT: Final = ("critical", "high")
_LAST: Final = 1e3  # pg/mL: stands for an open end
_BY_IMMUNOASSAY: Final = ((0.0, 0.0, 0.5, 0.5),)
Poverty = Literal["none", "sparse", "immunoassay only", "no off-drug draws", "half not taken"]
POOR: Final[tuple[Poverty, ...]] = (
    "sparse",
    "immunoassay only",
    "no off-drug draws",
    "half not taken",
)
Tables = dict[str, pl.DataFrame]


class Clinic(NamedTuple):
    """One simulated clinic."""

    shape: Shape
    noise: float
    poor: Poverty
    seed: int
    n_men: int = N_MEN


class Life(NamedTuple):
    """Runs of half a year over one clinic."""

    closing: float
    seed: int


class Lived(NamedTuple):
    """What became of the flags of one clinic."""

    closing: float
    events: pl.DataFrame
    waits: pl.DataFrame
    n_men: int


def run(replicates: int, seed: int) -> Section:
    """Simulate, run, compare."""
    first = 1_000 * seed
    clinics = [
        Clinic(shape, noise, "none", first + number)
        for shape in SHAPES
        for noise in NOISE
        for number in range(replicates)
    ]
    fewer = max(1, replicates // 2)
    poor = [
        Clinic("threshold", NOISE[0], kind, first + 100 + number)
        for kind in POOR
        for number in range(fewer)
    ]
    lives = [
        Life(closing, first + 200 + n)
        for n in range(max(1, replicates // 4))
        for closing in CLOSING
    ]
    judged = in_parallel(judge, clinics, "clinics")
    judged_poor = in_parallel(judge, poor, "poor data")
    lived = in_parallel(live, lives, "months of runs")
    return Section((*_accuracy(judged), *_poor_data(judged, judged_poor), *_life(lived)))


# --- one clinic -----------------------------------------------------------------------------------


def judge(clinic: Clinic) -> pl.DataFrame:
    """Return every man on the drug with what the run says of him and what is true."""
    with tempfile.TemporaryDirectory() as folder:
        sources, truth = _sources(clinic, Path(folder))
    outputs = pipeline.run(sources, Settings(fit=FitSettings(n_replicates=100)), as_of=AS_OF)
    men = outputs.tables["cohort"].join(truth, on="patient_id")
    limit = pl.col("lower_limit_pg_ml")
    return men.select(
        "status",
        "tier",
        "reasons",
        "p_attributable",
        "p_below_range",
        "assay",
        limit,
        shape=pl.lit(clinic.shape),
        noise=pl.lit(clinic.noise),
        poor=pl.lit(clinic.poor),
        seed=pl.lit(clinic.seed),
        last=pl.coalesce("last_e2_high_pg_ml", pl.lit(_LAST)),
        low=pl.col("e2_now_pg_ml") < limit,
        pushed=(pl.col("e2_now_pg_ml") < limit) & (pl.col("e2_off_drug_pg_ml") >= limit),
    )


def _sources(clinic: Clinic, folder: Path) -> tuple[Sources, pl.DataFrame]:
    """Write a clinic's files, spoil them as asked, read them as a run does; with the men's truth."""
    settings = SimulationSettings(patients=clinic.n_men, shape=clinic.shape, seed=clinic.seed)
    by_ia = clinic.poor == "immunoassay only"
    shares = _BY_IMMUNOASSAY if by_ia else world.LABORATORY_SHARES
    with (
        patch.object(world, "E2_WITHIN_SD", clinic.noise),
        patch.object(world, "LABORATORY_SHARES", shares),
    ):
        simulate(folder, settings)
    _impoverish(folder / "drop", clinic)
    sources = Sources.from_drop(folder / "drop", load_feeds(), _KEY, today=AS_OF)
    truth = pl.read_csv(folder / "truth" / "men.csv").filter("in_care", "on_drug")
    named = pl.col("patient_id").map_elements(
        lambda identifier: pseudonym(_KEY, "default", identifier), return_dtype=pl.String
    )
    return sources, truth.select(named, "e2_now_pg_ml", "e2_off_drug_pg_ml")


def _impoverish(drop: Path, clinic: Clinic) -> None:
    """Take away from a drop what poor data lack."""
    labs, orders = (
        pl.read_csv(drop / f"{name}.csv", infer_schema=False) for name in ("labs", "medications")
    )
    rng = np.random.default_rng(clinic.seed)
    day = pl.col("collected_at").str.slice(0, 10)
    match clinic.poor:
        case "sparse":
            # Of every man one or two days of draws, at random.
            kept = labs.select("patient_id", day=day).unique(maintain_order=True)
            order = pl.Series(rng.random(len(kept)))
            most = pl.Series(rng.integers(1, 3, len(kept)))
            kept = kept.with_columns(order=order, most=most).filter(
                pl.col("order").rank().over("patient_id")
                <= pl.col("most").first().over("patient_id")
            )
            labs = labs.with_columns(day=day).join(kept, on=["patient_id", "day"], how="semi")
            labs = labs.drop("day")
        case "no off-drug draws":
            anastrozole = pl.col("drug").str.to_lowercase().str.contains("anastrozole")
            first = (
                orders.filter(anastrozole).group_by("patient_id").agg(pl.col("started_on").min())
            )
            labs = labs.join(first, on="patient_id", how="left").filter(
                pl.col("started_on").is_null() | (day >= pl.col("started_on"))
            )
            labs = labs.drop("started_on")
        case "half not taken":
            # A quarter of the men take half of what they are ordered: orders say twice the dose.
            men = orders["patient_id"].unique(maintain_order=True)
            half = men.filter(pl.Series(rng.random(len(men)) < 0.25)).to_list()
            anastrozole = pl.col("drug").str.to_lowercase().str.contains("anastrozole")
            twice = (pl.col("dose_mg").cast(pl.Float64) * 2).cast(pl.String)
            doubled = anastrozole & pl.col("patient_id").is_in(half)
            orders = orders.with_columns(
                dose_mg=pl.when(doubled).then(twice).otherwise("dose_mg"),
                sig=pl.when(~doubled).then("sig"),
            )
    labs.write_csv(drop / "labs.csv")
    orders.write_csv(drop / "medications.csv")


# --- accuracy -------------------------------------------------------------------------------------


def measures(men: pl.DataFrame) -> dict[str, float]:
    """Return how well the status and the probability tell the men whom the drug pushes low."""
    assessed = men.filter(
        pl.col("status") != "not_assessable", pl.col("p_attributable").is_not_null()
    )
    pushed, p = assessed["pushed"].to_numpy(), assessed["p_attributable"].to_numpy()
    said = (assessed["status"] == "below_range").to_numpy()
    by_last = (assessed["last"] < assessed["lower_limit_pg_ml"]).to_numpy()
    low_without = assessed.filter("low", ~pl.col("pushed"))
    return {
        "men": len(men),
        "pushed low": int(men["pushed"].sum()),
        "precision": _share(pushed[said]),
        "recall": _share(said[pushed]),
        "precision of last value": _share(pushed[by_last]),
        "recall of last value": _share(by_last[pushed]),
        "average precision": float(average_precision_score(pushed, p)),
        "that of last value": float(average_precision_score(pushed, -assessed["last"].to_numpy())),
        "average precision, all men": _average_precision(men.drop_nulls("p_attributable")),
        "calibration slope": calibration_slope(p, pushed),
        "Brier": float(np.mean((p - pushed) ** 2)),
        "men low without the drug": len(low_without),
        "below_range of them": _share((low_without["status"] == "below_range").to_numpy()),
        "not assessable": _share((men["status"] == "not_assessable").to_numpy()),
        "of men pushed low, critical or high": _share(
            men.filter("pushed")["tier"].is_in(["critical", "high"]).to_numpy()
        ),
    }


def _average_precision(men: pl.DataFrame) -> float:
    return float(average_precision_score(men["pushed"], men["p_attributable"]))


def calibration_slope(p: np.ndarray[Any, Any], happened: np.ndarray[Any, Any]) -> float:
    """Return the slope of a logistic regression of what happened on the log odds: 1 is calibrated."""
    x = logit(np.clip(p, 1e-6, 1 - 1e-6))

    def loss(theta: np.ndarray[Any, Any]) -> float:
        odds = theta[0] + theta[1] * x
        return float(np.sum(np.logaddexp(0, odds) - happened * odds))

    def slope(theta: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        off = expit(theta[0] + theta[1] * x) - happened
        return np.array([off.sum(), off @ x])

    return float(minimize(loss, np.array([0.0, 1.0]), jac=slope, method="BFGS").x[1])


def _share(flags: np.ndarray[Any, Any]) -> float:
    return float(np.mean(flags)) if len(flags) else float("nan")


def _with_errors(cohorts: list[dict[str, float]]) -> dict[str, str]:
    """Say the mean over cohorts, with its standard error."""
    said = {}
    for name in cohorts[0]:
        values = np.array([each[name] for each in cohorts])
        if name in ("men", "pushed low", "men low without the drug"):
            said[name] = f"{values.mean():,.0f}"
        else:
            error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
            said[name] = f"{values.mean():.3f} ({error:.3f})"
    return said


def _accuracy(judged: list[pl.DataFrame]) -> tuple[str | pl.DataFrame | Chart, ...]:
    worlds: dict[str, list[dict[str, float]]] = {}
    for men in judged:
        name = f"{men['shape'][0]}, {men['noise'][0]:.2f}"
        worlds.setdefault(name, []).append(measures(men))
    every = [each for cohorts in worlds.values() for each in cohorts]
    table = pl.DataFrame(
        [
            {"truth, SD of one draw (log)": name, **_with_errors(cohorts)}
            for name, cohorts in {**worlds, "all": every}.items()
        ]
    )
    return (
        _ACCURACY,
        table.transpose(
            include_header=True, header_name="mean (SE)", column_names=table.columns[0]
        ),
        _reliability(pl.concat(judged)),
    )


def _reliability(men: pl.DataFrame) -> Chart:
    known = men.filter(pl.col("status") != "not_assessable").drop_nulls("p_attributable")
    binned = (
        known.with_columns(bin=pl.col("p_attributable").cut(BINS[1:-1].tolist()).cast(pl.String))
        .group_by("bin")
        .agg(said=pl.col("p_attributable").mean(), true=pl.col("pushed").mean(), men=pl.len())
        .sort("said")
    )
    points = alt.Chart(alt.Data(values=binned.to_dicts()))
    drawn = points.mark_line(point=True).encode(
        x=alt.X("said:Q", title="Mean p_attributable", scale=alt.Scale(domain=[0, 1])),
        y=alt.Y("true:Q", title="Share pushed low", scale=alt.Scale(domain=[0, 1])),
    )
    diagonal = [{"said": 0, "true": 0}, {"said": 1, "true": 1}]
    ideal = alt.Chart(alt.Data(values=diagonal)).mark_line(strokeDash=[4, 4], color="gray")
    says = "Reliability: " + ", ".join(
        f"said {row['said']:.2f} true {row['true']:.2f} ({row['men']:,} men)"
        for row in binned.to_dicts()
    )
    return Chart(
        (ideal.encode(x="said:Q", y="true:Q") + drawn).properties(width=360, height=360), says
    )


def _poor_data(
    usual: list[pl.DataFrame], judged: list[pl.DataFrame]
) -> tuple[str | pl.DataFrame | Chart, ...]:
    kinds: dict[str, list[pl.DataFrame]] = {
        "as it is": [
            men for men in usual if (men["shape"][0], men["noise"][0]) == ("threshold", NOISE[0])
        ]
    }
    for men in judged:
        kinds.setdefault(men["poor"][0], []).append(men)
    table = pl.DataFrame(
        [
            {"data": kind, **_with_errors([measures(men) | _why_not(men) for men in cohorts])}
            for kind, cohorts in kinds.items()
        ]
    )
    return (
        _POOR,
        table.transpose(include_header=True, header_name="mean (SE)", column_names="data"),
    )


def _why_not(men: pl.DataFrame) -> dict[str, float]:
    names = ("no_recent_e2", "no_e2_at_this_dose", "only_uninformative_e2")
    reasons = men["reasons"].str.split("; ")
    to_repeat = reasons.list.contains("repeat_by_mass_spectrometry")
    return {
        **{
            name.replace("_", " "): _share(reasons.list.contains(name).to_numpy()) for name in names
        },
        "to repeat by mass spectrometry": _share(to_repeat.to_numpy()),
        "critical by immunoassay alone": _share(
            (to_repeat & (men["tier"] == "critical")).to_numpy()
        ),
    }


# --- life -----------------------------------------------------------------------------------------


def live(life: Life) -> Lived:
    """Run half a year over a clinic: every week, then every night."""
    clinic = Clinic("threshold", NOISE[0], "none", life.seed, N_MEN_OF_A_LIFE)
    with tempfile.TemporaryDirectory() as folder:
        sources, truth = _sources(clinic, Path(folder))
    settings = Settings(
        fit=FitSettings(n_replicates=100), flag=FlagSettings(closing_probability=life.closing)
    )
    outputs = pipeline.run(sources, settings, as_of=days()[0])
    for number, as_of in enumerate(days()[1:], start=2):
        outputs = pipeline.run(
            Sources(),
            settings,
            as_of=as_of,
            before=Snapshot(outputs.tables, outputs.not_accepted),
            run_id=f"run-{number:06d}",
        )
    events = outputs.tables["flag_events"].filter(pl.col("as_of") > days()[0])
    n_men = len(outputs.tables["cohort"])
    return Lived(life.closing, events, _waits(outputs, truth), n_men)


def days() -> list[date]:
    """Return the days of the runs."""
    nights = [AS_OF - timedelta(days=NIGHTS - n) for n in range(1, NIGHTS + 1)]
    first = nights[0] - timedelta(days=7 * WEEKS)
    return [first + timedelta(days=7 * n) for n in range(WEEKS)] + nights


def _waits(outputs: Outputs, truth: pl.DataFrame) -> pl.DataFrame:
    """Return of men who crossed the limit in these months how long they waited for what."""
    tables = outputs.tables
    limit = float(tables["cohort"]["lower_limit_pg_ml"][0])
    pushed = truth.filter(pl.col("e2_now_pg_ml") < limit, pl.col("e2_off_drug_pg_ml") >= limit)
    spells = find_episodes(tables["medications"]).filter(pl.col("ended_on").is_null())
    crossed_on = pl.col("started_on") + timedelta(days=STEADY_DAYS)
    crossed = (
        pushed.join(spells.select("patient_id", crossed_on=crossed_on), on="patient_id")
        .filter(pl.col("crossed_on").is_between(days()[0], AS_OF))
        .join(tables["cohort"].select("patient_id", "tier"), on="patient_id")
    )
    draws = tables["labs"].filter(pl.col("analyte") == "estradiol", pl.col("collected_on") <= AS_OF)
    drawn = (
        crossed.join(draws.select("patient_id", "collected_on"), on="patient_id")
        .filter(pl.col("collected_on") >= pl.col("crossed_on"))
        .group_by("patient_id")
        .agg(drawn_on=pl.col("collected_on").min())
    )
    on_the_day = pl.col("as_of") <= pl.col("crossed_on")
    tiers = (
        crossed.drop("tier")
        .join(tables["flag_events"].filter(pl.col("event") != "status_changed"), on="patient_id")
        .with_columns(urgent=pl.col("now").is_in(_URGENT))
        .sort("patient_id", "as_of")
        .group_by("patient_id", maintain_order=True)
        .agg(
            already=pl.col("urgent").filter(on_the_day).last(),
            flagged_on=pl.col("as_of").filter("urgent", ~on_the_day).first(),
        )
    )
    return (
        crossed.join(drawn, on="patient_id", how="left")
        .join(tiers, on="patient_id", how="left")
        .with_columns(pl.col("already").fill_null(False))
    )


def _life(lived: list[Lived]) -> tuple[str | pl.DataFrame | Chart, ...]:
    return (
        _LIFE,
        pl.DataFrame([_lives([each for each in lived if each.closing == c], c) for c in CLOSING]),
        _REASONS,
        _why_changed([each for each in lived if each.closing == CLOSING[-1]]),
        _WAITS,
        _waited([each for each in lived if each.closing == CLOSING[-1]]),
    )


def _lives(lived: list[Lived], closing: float) -> Mapping[str, Any]:
    events = pl.concat(each.events.with_columns(life=pl.lit(n)) for n, each in enumerate(lived))
    last_nights = events.filter(pl.col("as_of") > AS_OF - timedelta(days=NIGHTS))
    happened = dict(last_nights["event"].value_counts().iter_rows())
    man = ["life", "patient_id"]
    closed = events.filter(pl.col("event") == "resolved").select(*man, closed_on="as_of")
    again = events.filter(pl.col("event").is_in(["new", "reopened"])).select(*man, open_on="as_of")
    back = closed.join(again, on=man).filter(
        pl.col("open_on").is_between("closed_on", pl.col("closed_on") + timedelta(days=60))
    )
    return {
        "closes below": closing,
        "men on the drug": sum(each.n_men for each in lived),
        "opened in 30 nights": happened.get("new", 0) + happened.get("reopened", 0),
        "resolved in 30 nights": happened.get("resolved", 0),
        "status changed in 30 nights": happened.get("status_changed", 0),
        "resolved in four months": len(closed),
        "of them reopened within 60 days": back.select(man).n_unique(),
        "changes without a reason": int(events["why"].str.contains("unexplained").sum()),
    }


def _why_changed(lived: list[Lived]) -> pl.DataFrame:
    events = pl.concat(each.events for each in lived)
    return (
        events.with_columns(pl.col("why").str.split("; "))
        .explode("why")
        .group_by("why", "event")
        .len()
        .pivot("event", index="why", values="len", sort_columns=True)
        .fill_null(0)
        .sort("why")
    )


def _waited(lived: list[Lived]) -> pl.DataFrame:
    waits = pl.concat(each.waits for each in lived)
    later = waits.filter(~pl.col("already"))

    def median_of(column: str) -> float | None:
        days_since = (later[column] - later["crossed_on"]).dt.total_days()
        return days_since.median()  # type: ignore[return-value]

    drawn = pl.col("drawn_on").is_not_null()
    urgent = pl.col("tier").is_in(_URGENT)
    return pl.DataFrame(
        {
            "crossed in four months": [len(waits)],
            "critical or high on that day already": [int(waits["already"].sum())],
            "of the others drawn since": [later.filter(drawn).height],
            "of these critical or high on the last day": [later.filter(drawn, urgent).height],
            "not drawn, yet critical or high": [later.filter(~drawn, urgent).height],
            "median days to the first draw": [median_of("drawn_on")],
            "median days to the flag": [median_of("flagged_on")],
        }
    )


_ACCURACY: Final = """
What a whole run says of men on anastrozole, from files with planted defects, cohorts of 4,000 men. A man is
*pushed low* if his E2 of the day lies below the limit in use (fitted in these cohorts, else 16 pg/mL) and off the
drug would not. Precision, recall, average precision, slope and Brier are of the assessed men; the last value
judges the same men by their last E2 alone. Noise is the SD of one draw around a man's own level.
"""
_POOR: Final = """
Where data are poor, men are to be `not_assessable` rather than guessed at. *Sparse*: one or two days of draws a
man in five years. *Immunoassay only*: every laboratory of the world measures so. *No off-drug draws*:
nothing was drawn before the first order. *Half not taken*: a quarter of the men take half of what is ordered.
"""
_LIFE: Final = """
Four months over clinics of 2,000 men: weekly runs, then 30 nights, the model refitted every month. A flag opens at
a probability of 0.5; closing at 0.5 is no hysteresis. A flip is a flag that was resolved and open again within 60
days.
"""
_REASONS: Final = """
Why flags and statuses changed in the four months (closing below 0.4; a change may have several reasons):
"""
_WAITS: Final = """
Men whose E2 crossed the limit in the four months (14 days after the start of the dose that pushes them low), and how
long they waited. Before a draw at the new dose a man is not assessable, but his tier may say already what is
probable of him. Medians are of those who were not critical or high already, and were drawn, or flagged.
"""
