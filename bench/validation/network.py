"""A network with a story: the charts of its report signal what was planted, or do not.

In    40 clinics, 20,000 men, 36 months, simulated twice with the same seed: with the story and without
Out   what signals with the story and not without; unit slips found; how long the reports take

One clinic doses too high from month 20, one makes no scan from month 13, one laboratory labels its unit wrongly
in two months. Both arms share men, treatment and chance but for the story's own draws, so that what signals in
both is of the simulated world (its doses drift) and of chance. What a slip takes away until it is settled
(results of mass spectrometry, the E2 before a start) is a consequence of the story.
"""

from __future__ import annotations

import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl

from bench.validation.section import Section
from e2analytics import job, recount
from e2analytics.monthly import pinned_tables, tables_of_month_before
from e2analytics.report import editions
from e2analytics.report.content import build
from e2analytics.report.measures import Signal
from e2analytics.report.outside import release_reports
from e2analytics.settings import ReportSettings, Settings
from e2analytics.simulate import SimulationSettings, Story, simulate

NAME: Final = "network"
TITLE: Final = "The monthly report of a network with a story"
REPLICATES: Final = 1
MONTH: Final = "2026-09"
BASE: Final = ReportSettings().round_to
# The first run fixes the baseline of the charts; the month before is compared with.
RUNS_AS_OF: Final = (date(2025, 9, 30), date(2026, 8, 31), date(2026, 9, 30))
Place = tuple[str, str, bool]


def run(replicates: int, seed: int) -> Section:
    """Simulate both arms and compare what their reports signal; ``replicates`` is not used."""
    story = Story()
    with tempfile.TemporaryDirectory() as folder:
        store = published(Path(folder, "story"), story, seed)
        control = published(Path(folder, "control"), None, seed)
        tables = pinned_tables(store, MONTH)
        started = time.perf_counter()
        before = tables_of_month_before(store, tables)
        since = None if before is None else recount.between(tables, before)
        report = build(tables, month=MONTH, recount=since, before=before)
        outside = release_reports(tables, month=MONTH, base=BASE, before=before)[0]
        for version in (report, outside):
            editions.render(version)
        seconds = time.perf_counter() - started
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
            f"The report of all clinics, inside and outside, as page, PDF and workbook: {seconds:.0f} s.",
        )
    )


def published(folder: Path, story: Story | None, seed: int) -> str:
    """Simulate an arm, run it on the days, and return its store."""
    settings = SimulationSettings(patients=20_000, clinics=40, years=3, seed=seed)
    simulate(folder, settings, story)
    store = str(folder / "store")
    for as_of in RUNS_AS_OF:
        drop = folder / "drop"
        job.perform(job.Job(store=store, as_of=as_of, settings=Settings(), drop=drop))
    return store


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
