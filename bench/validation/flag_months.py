"""Months of runs over one clinic: which flags open, close and flip, why, and how long a man waits.

In    clinics, and the probability below which a flag closes
Out   parts of the section on flags
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import polars as pl

from bench.validation.flag_clinics import AS_OF, NOISE, Clinic, sources_and_truth
from bench.validation.section import Chart
from e2analytics.exposure.episodes import find_episodes
from e2analytics.ingest.read_drop import Sources
from e2analytics.run import run
from e2analytics.settings import FitSettings, FlagSettings, Settings
from e2analytics.tables.snapshot import Outputs, Snapshot

N_MEN_OF_MONTHS: Final = 2_000
CLOSING: Final = (0.5, 0.4)
WEEKS: Final = 13
NIGHTS: Final = 30
STEADY_DAYS: Final = 14
_URGENT: Final = ("critical", "high")
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
long they waited. Until a draw at the new dose a man is assessed by what is expected at it, unless that says too little.
Medians are of those who were not critical or high already, and were drawn, or flagged.
"""


class RunOfMonths(NamedTuple):
    """Runs of half a year over one clinic."""

    closing: float
    seed: int


class MonthsResult(NamedTuple):
    """What became of the flags of one clinic."""

    closing: float
    events: pl.DataFrame
    waits: pl.DataFrame
    n_men: int


def run_months(case: RunOfMonths) -> MonthsResult:
    """Run half a year over a clinic: every week, then every night."""
    clinic = Clinic("threshold", NOISE[0], "none", case.seed, N_MEN_OF_MONTHS)
    with tempfile.TemporaryDirectory() as folder:
        sources, truth = sources_and_truth(clinic, Path(folder))
    settings = Settings(
        fit=FitSettings(n_replicates=100), flag=FlagSettings(closing_probability=case.closing)
    )
    outputs = run(sources, settings, as_of=days()[0])
    for number, as_of in enumerate(days()[1:], start=2):
        outputs = run(
            Sources(),
            settings,
            as_of=as_of,
            before=Snapshot(outputs.tables, outputs.not_accepted),
            run_id=f"run-{number:06d}",
        )
    events = outputs.tables["flag_events"].filter(pl.col("as_of") > days()[0])
    n_men = len(outputs.tables["cohort"])
    return MonthsResult(case.closing, events, _waits(outputs, truth), n_men)


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


def months_of_runs(lived: list[MonthsResult]) -> tuple[str | pl.DataFrame | Chart, ...]:
    """Return text and tables of the months of runs."""
    return (
        _LIFE,
        pl.DataFrame([_lives([each for each in lived if each.closing == c], c) for c in CLOSING]),
        _REASONS,
        _why_changed([each for each in lived if each.closing == CLOSING[-1]]),
        _WAITS,
        _waited([each for each in lived if each.closing == CLOSING[-1]]),
    )


def _lives(lived: list[MonthsResult], closing: float) -> Mapping[str, Any]:
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


def _why_changed(lived: list[MonthsResult]) -> pl.DataFrame:
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


def _waited(lived: list[MonthsResult]) -> pl.DataFrame:
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
