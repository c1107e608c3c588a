"""Validate the unit-slip detector: what it finds of planted slips, and what it finds where there is none.

In    simulated laboratories (12, with 20-400 results a month each, over 24 months) of two analytes
Out   a table on the terminal: sensitivity by share of the month that slipped and by size of the
      laboratory; false alarms per 1,000 laboratory-months, with everything that looks like a slip

Run ``python -m bench.validate_unit_slips``. Seeded: the same numbers every time.

A slip counts as found if at least half of its results are under suspicion. A false alarm is a source
(laboratory, clinic or feed) and month that is quarantined while less than half of its suspects slipped,
beside planted slips too; those of clinics and feeds are counted per laboratory-month and analyte as
well. ``unclear`` counts what is reported as not enough to tell and quarantines nothing.

The detector's constants were chosen while looking at such simulations, so a run with ``--seeds N``
(another offset of all seeds, never used for that) is the fair one. It is fair to this world alone:
nobody has labelled real laboratories' slips.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from e2analytics.simulate.slips import TROUBLES, Plan, Planted, Slipping, Trouble, simulate
from e2analytics.slip_settings import SlipSettings
from e2analytics.stages.slips import KEY, NOT_ENOUGH, Found, find

E2_UP = "E2 pmol/L as pg/mL"
FACTORS = {
    E2_UP: ("estradiol", 1 / 0.27238),
    "E2 pg/mL as pmol/L": ("estradiol", 0.27238),
    "T nmol/L as ng/dL": ("testosterone_total", 1 / 28.842),
    "T ng/dL as nmol/L": ("testosterone_total", 28.842),
    "T nmol/L as ng/mL": ("testosterone_total", 100 / 28.842),
    "T decimal point": ("testosterone_total", 10.0),
}
SHARES = (0.03, 0.10, 0.30, 1.00)
SIZES = {"20-60": (0, 4), "60-160": (4, 8), "160-400": (8, 12)}
ANALYTES = 2


class Cell(NamedTuple):
    """One planted slip and whether it was found."""

    factor: str
    share: str
    size: str
    found: bool


class Run(NamedTuple):
    """One simulation: its planted slips, and what was claimed beyond them."""

    cells: list[Cell]
    false_alarms: int
    unclear: int
    months: int


def main(seeds: int) -> None:
    """Run every scenario, with all seeds moved by ``seeds``, and print the tables."""
    runs = [*planted_months(3, seeds), *planted_from_the_first(4, seeds)]
    cells = pl.DataFrame([cell for run in runs for cell in run.cells])
    print("Share of planted slips found, by share of results and laboratory's results a month\n")
    print(table(cells))
    print("\nFalse alarms per 1,000 laboratory-months and analyte\n")
    print(line("beside planted slips", runs))
    for trouble in TROUBLES:
        print(line(trouble, quiet(trouble, 6, seeds)))


def planted_months(rounds: int, seeds: int) -> Iterator[Run]:
    """Plant one slip of one month in every laboratory, of every factor and share."""
    for factor, (analyte, by) in FACTORS.items():
        for share in SHARES:
            for seed in range(seeds, seeds + rounds):
                plan = Plan(seed=1000 + seed)
                month = np.random.default_rng(seed).integers(4, plan.n_months, plan.n_laboratories)
                planted = tuple(
                    Planted(analyte, lab, int(at), int(at), share, by)
                    for lab, at in enumerate(month)
                )
                yield judged(plan, planted, factor, f"{share:.0%}")


def planted_from_the_first(rounds: int, seeds: int) -> Iterator[Run]:
    """Plant a slip of all results from the first month on, in one laboratory of each size."""
    for factor, (analyte, by) in FACTORS.items():
        for seed in range(seeds, seeds + rounds):
            plan = Plan(seed=2000 + seed, n_months=12)
            slips = tuple(
                Planted(analyte, low + seed % 4, 0, plan.n_months - 1, 1.0, by)
                for low, _ in SIZES.values()
            )
            yield judged(plan, slips, factor, "all, from the first")


def quiet(trouble: Trouble, rounds: int, seeds: int) -> list[Run]:
    """Plant nothing: whatever is claimed is a false alarm."""
    plans = [Plan(trouble=trouble, seed=3000 + seeds + seed) for seed in range(rounds)]
    return [judged(plan, (), "", "") for plan in plans]


def judged(plan: Plan, planted: tuple[Planted, ...], factor: str, share: str) -> Run:
    """Say of every planted slip whether at least half of its results are under suspicion."""
    simulated = simulate(plan, planted)
    evidence, suspects = search(simulated)
    marked = simulated.labs.join(suspects, on=KEY, how="left").filter(
        pl.col("slipped") | pl.col("slip_id").is_not_null()
    )
    cells = []
    for slip in planted:
        own = marked.filter("slipped", performing_lab=f"lab_{slip.laboratory:02d}")
        # Three per cent of a small laboratory's month may be nobody.
        if len(own):
            caught = 2 * own["slip_id"].count() >= len(own)
            cells.append(Cell(factor, share, size_of(slip.laboratory), caught))
    blamed = marked.drop_nulls("slip_id").group_by("slip_id").agg(pl.col("slipped").mean())
    return Run(
        cells,
        false_alarms=int((blamed["slipped"] < 0.5).sum()),
        unclear=int((evidence["action"] == NOT_ENOUGH).sum()),
        months=plan.n_laboratories * plan.n_months * ANALYTES,
    )


def size_of(laboratory: int) -> str:
    """Return the class of size of a laboratory."""
    return next(name for name, (low, high) in SIZES.items() if low <= laboratory < high)


def search(simulated: Slipping) -> Found:
    """Run the detector as a night would."""
    labs = simulated.labs.drop("slipped")
    return find(labs, simulated.feeds, simulated.clinics, SlipSettings())


def line(name: str, runs: list[Run]) -> str:
    """Give one line of the table of false alarms."""
    months = sum(run.months for run in runs)
    alarms = sum(run.false_alarms for run in runs)
    unclear = sum(run.unclear for run in runs)
    return (
        f"{name:22}{1000 * alarms / months:6.2f} ({alarms})   "
        f"unclear {1000 * unclear / months:6.2f}   of {months}"
    )


def table(cells: pl.DataFrame) -> str:
    """Lay out the share found and the number planted."""
    shares = [f"{share:.0%}" for share in SHARES] + ["all, from the first"]
    lines = [f"{'':22}{'a month':>9}" + "".join(f"{share:>21}" for share in shares)]
    for factor in FACTORS:
        for size in SIZES:
            line = f"{factor:22}{size:>9}"
            for share in shares:
                own = cells.filter(factor=factor, size=size, share=share)
                text = f"{own['found'].sum() / len(own):.0%} of {len(own)}" if len(own) else "-"
                line += f"{text:>21}"
            lines.append(line)
    return "\n".join(lines)


if __name__ == "__main__":
    reader = argparse.ArgumentParser()
    reader.add_argument("--seeds", type=int, default=0)
    main(reader.parse_args().seeds)
