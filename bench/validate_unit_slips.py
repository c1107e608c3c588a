"""Validate the unit-slip detector: what it finds of planted slips, and what it finds where there is none.

In    simulated laboratories (12, with 20-400 results a month each, over 24 months) of two analytes
Out   a table on the terminal: sensitivity by share of the month that slipped and by size of the
      laboratory; false alarms per 1,000 laboratory-months, with everything that looks like a slip

Run ``python -m bench.validate_unit_slips``. Seeded: the same numbers every time.

A slip counts as found if at least half of its results are under suspicion. A false alarm is a source
(laboratory, clinic or feed) and month that is quarantined while less than half of its suspects slipped;
it is counted per laboratory-month and analyte, so clinics and feeds weigh in. ``unclear`` counts what is
reported as not enough to tell and quarantines nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import polars as pl

from e2analytics.simulate.slips import FIRST_MONTH, TROUBLES, Plan, Planted, Slipping, simulate
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


def main() -> None:
    """Run every scenario and print the tables."""
    cells = pl.DataFrame([*planted_months(rounds=3), *planted_from_the_first(rounds=4)])
    print("Share of planted slips found, by share of results and laboratory's results a month\n")
    print(table(cells))
    print("\nFalse alarms per 1,000 laboratory-months and analyte\n")
    for trouble in TROUBLES:
        alarms, unclear, months = quiet(trouble, rounds=6)
        print(
            f"{trouble:22} {1000 * alarms / months:6.2f}   unclear {1000 * unclear / months:6.2f}"
            f"   of {months} laboratory-months"
        )


def planted_months(rounds: int) -> Iterator[Cell]:
    """Plant one slip of one month in every laboratory, of every factor and share."""
    for factor, (analyte, by) in FACTORS.items():
        for share in SHARES:
            for seed in range(rounds):
                plan = Plan(seed=1000 + seed)
                month = np.random.default_rng(seed).integers(4, plan.n_months, plan.n_laboratories)
                planted = tuple(
                    Planted(analyte, lab, int(at), int(at), share, by)
                    for lab, at in enumerate(month)
                )
                yield from judged(plan, planted, factor, f"{share:.0%}")


def planted_from_the_first(rounds: int) -> Iterator[Cell]:
    """Plant a slip of all results from the first month on, in one laboratory of each size."""
    for factor, (analyte, by) in FACTORS.items():
        for seed in range(rounds):
            plan = Plan(seed=2000 + seed, n_months=12)
            slips = tuple(
                Planted(analyte, low + seed % 4, 0, plan.n_months - 1, 1.0, by)
                for low, _ in SIZES.values()
            )
            yield from judged(plan, slips, factor, "all, from the first")


def judged(plan: Plan, planted: tuple[Planted, ...], factor: str, share: str) -> Iterator[Cell]:
    """Say of every planted slip whether at least half of its results are under suspicion."""
    simulated = simulate(plan, planted)
    found = search(simulated)
    marked = (
        simulated.labs.filter("slipped")
        .join(found.suspects, on=KEY, how="left")
        .with_columns(caught=pl.col("slip_id").is_not_null())
    )
    for slip in planted:
        own = marked.filter(
            (pl.col("performing_lab") == f"lab_{slip.laboratory:02d}")
            & (pl.col("analyte") == slip.analyte)
        )
        # Three per cent of a small laboratory's month may be nobody.
        if len(own):
            caught = bool(own["caught"].cast(pl.Float64).mean() >= 0.5)  # type: ignore[operator]
            yield Cell(factor, share, size_of(slip.laboratory), caught)


def size_of(laboratory: int) -> str:
    """Return the class of size of a laboratory."""
    return next(name for name, (low, high) in SIZES.items() if low <= laboratory < high)


def quiet(trouble: str, rounds: int) -> tuple[int, int, int]:
    """Return false alarms, reports of not enough to tell, and laboratory-months, where nothing slipped."""
    alarms = unclear = months = 0
    for seed in range(rounds):
        plan = Plan(trouble=trouble, seed=3000 + seed)  # type: ignore[arg-type]
        evidence = search(simulate(plan)).evidence
        alarms += int((evidence["action"] == "quarantined").sum())
        unclear += int((evidence["action"] == NOT_ENOUGH).sum())
        months += plan.n_laboratories * plan.n_months * ANALYTES
    return alarms, unclear, months


def search(simulated: Slipping) -> Found:
    """Run the detector as a night would."""
    labs = simulated.labs.drop("slipped")
    return find(labs, simulated.feeds, simulated.clinics, SlipSettings())


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
    print(f"first month of the simulation: {FIRST_MONTH // 12}-{FIRST_MONTH % 12 + 1:02d}")
    main()
