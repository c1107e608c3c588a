"""A network with a story: the charts of its report signal what was planted, or do not.

In    40 clinics, 20,000 men, 36 months, simulated twice with the same seed: with the story and without
Out   what signals with the story and not without; unit slips found; how long the reports take

One clinic doses too high from month 20, one makes no scan from month 13, one laboratory labels its unit wrongly
in two months. Both arms share men, treatment and chance but for the story's own draws, so that what signals in
both is of the simulated world and of chance.

The world is simulated from five years before the record on and to a year after it, for men who were in care all
the time; of results the record's months alone are kept. A record that begins with the world shows how the
world fills: nobody was ever scanned, new starts are of newer and newer men, and in the last months nobody
starts. Charts signal that, and rightly so.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl

from bench.validation.section import Section
from e2analytics.exposure.patient_data import linked
from e2analytics.measures import restatement
from e2analytics.report.content import build
from e2analytics.report.external.report import release_reports
from e2analytics.report.formats import render
from e2analytics.report.sections.measure_figures import Signal
from e2analytics.run import job
from e2analytics.run.monthly import pinned_tables, tables_of_month_before
from e2analytics.settings import ReportSettings, Settings
from e2analytics.simulate import SimulationSettings, Story, simulate

NAME: Final = "network"
TITLE: Final = "The monthly report of a network with a story"
REPLICATES: Final = 1
MONTH: Final = "2026-09"
MEN: Final = 20_000
RECORD: Final = (date(2023, 10, 1), date(2026, 9, 30))
MONTHS_BEFORE: Final = 60
WORLD: Final = SimulationSettings(patients=31_000, clinics=40, years=9, ends_on=date(2027, 9, 30))
"""Seven in ten men of a simulation are in care from its first day on, and one in twenty leaves before the record."""
BASE: Final = ReportSettings().round_to
# The first run fixes the baseline of the charts; the month before is compared with.
RUNS_AS_OF: Final = (date(2025, 9, 30), date(2026, 8, 31), date(2026, 9, 30))
Place = tuple[str, str, bool]
_DAYS: Final = {
    "patients": "birth_date",
    "labs": "collected_at",
    "dxa": "scanned_on",
    "medications": "started_on",
    "events": "occurred_on",
}


def run(replicates: int, seed: int) -> Section:
    """Simulate both arms and compare what their reports signal; ``replicates`` is not used."""
    story = Story()
    with tempfile.TemporaryDirectory() as folder:
        store = published(Path(folder, "story"), story, seed)
        control = published(Path(folder, "control"), None, seed)
        tables = pinned_tables(store, MONTH)
        started, of_processor = time.perf_counter(), time.process_time()
        before = tables_of_month_before(store, tables)
        since = None if before is None else restatement.between(tables, before, linked)
        report = build(tables, month=MONTH, restated=since, before=before)
        outside = release_reports(tables, month=MONTH, base=BASE, before=before)[0]
        for version in (report, outside):
            render.render(version)
        seconds = time.perf_counter() - started
        of_processor = time.process_time() - of_processor
        alone = build(pinned_tables(control, MONTH), month=MONTH).measures.signals
    signals = report.measures.signals
    return Section(
        (
            _planted(story),
            "What signals with the story and not without it:",
            as_frame(only_in(signals, alone)),
            "What signals in both arms, and so is not of the story:",
            as_frame([each for each in signals if place(each) in map(place, alone)]),
            "Slips of unit that were found:",
            slips(tables["unit_slips"]),
            report.measures.chance,
            f"The report of all clinics, inside and outside, as page, PDF and workbook: {seconds:.0f} s, "
            f"{of_processor:.0f} s of processor.",
        )
    )


def published(folder: Path, story: Story | None, seed: int) -> str:
    """Simulate an arm, run it on the days, and return its store."""
    simulate(folder, replace(WORLD, seed=seed), _in_the_world(story) if story else None)
    drop = folder / "drop"
    keep_record(drop)
    store = str(folder / "store")
    for as_of in RUNS_AS_OF:
        job.run_job(job.Job(store=store, as_of=as_of, settings=Settings(), drop=drop))
    return store


def _in_the_world(story: Story) -> Story:
    """Count the months of a story from the first of the world instead of the record."""
    return replace(
        story,
        overdosing_from=story.overdosing_from + MONTHS_BEFORE,
        no_scans_from=story.no_scans_from + MONTHS_BEFORE,
        slips_in=tuple(month + MONTHS_BEFORE for month in story.slips_in),
    )


def keep_record(drop: Path) -> None:
    """Keep in a drop men who were in care from the world's first day on, and what the record holds of them."""
    first, last = (day.isoformat() for day in RECORD)
    tables = {name: pl.read_csv(drop / f"{name}.csv", infer_schema=False) for name in _DAYS}
    patients, events = tables["patients"], tables["events"]
    here = patients.filter(pl.col("trt_started_on") < WORLD.opens_on.isoformat())
    gone = events.filter(
        pl.col("kind").is_in(["left_clinic", "died"]), pl.col("occurred_on") < first
    )
    kept = here.join(gone, on="patient_id", how="anti").unique("patient_id", maintain_order=True)
    others = patients.join(kept.head(MEN), on="patient_id", how="anti")
    for name, day in _DAYS.items():
        of_men = tables[name].join(others, on="patient_id", how="anti", nulls_equal=True)
        date_of = pl.col(day).str.head(len(first))
        if name in ("labs", "dxa", "events"):
            of_men = of_men.filter(date_of.is_between(pl.lit(first), pl.lit(last)))
        elif name == "medications":
            of_men = of_men.filter(date_of <= last)
        of_men.write_csv(drop / f"{name}.csv")


def only_in(signals: tuple[Signal, ...], others: tuple[Signal, ...]) -> list[Signal]:
    """Return the signals of a measure and a place that the other arm does not have."""
    known = set(map(place, others))
    return [each for each in signals if place(each) not in known]


def place(signal: Signal) -> Place:
    """Say where and in which direction a signal is."""
    return signal.measure, signal.where, signal.worse


def as_frame(signals: list[Signal]) -> pl.DataFrame:
    """Set signals in a table."""
    rows = [
        (each.measure, each.where, each.words, "worse" if each.worse else "better")
        for each in signals
    ]
    return pl.DataFrame(rows, schema=["measure", "where", "signal", "for the"], orient="row")


def slips(found: pl.DataFrame) -> pl.DataFrame:
    """Set the slips of unit in a table."""
    return found.select("source_kind", "source", "analyte", "month", "n_suspects", "action").sort(
        "source_kind", "source", "month"
    )


def _planted(story: Story) -> str:
    slipping = " and ".join(map(str, story.slips_in))
    return (
        f"Planted: clinic {story.overdosing_clinic} gives every man on anastrozole 1 mg daily from month "
        f"{story.overdosing_from} of 36 on; clinic {story.not_scanning_clinic} makes no DXA scan from month "
        f"{story.no_scans_from} on; laboratory {story.slipping_laboratory} labels E2 in pmol/L as pg/mL in "
        f"months {slipping}."
    )
