"""The curve: what its intervals cover, what its verdicts claim, how well its limits are found.

In    cohorts of ``cohorts``: shapes, sizes, a strong (2.5 %/year) and a weak (1 %/year) effect
Out   coverage, verdicts, limits and bias, each with the 99 % interval of its replicates

A shape's true limits follow the definition that the fit uses, on the true curve over the points that
the fit supports.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import polars as pl

from bench.validation import curve_tables
from bench.validation.curve_cells import Cell, cohort_rows
from bench.validation.curve_tables import SIZES, STRONG, WEAK
from bench.validation.section import Section, in_parallel

NAME: Final = "curve"
TITLE: Final = "The curve, its verdict and its limits"
REPLICATES: Final = 1_000
SHAPES: Final = ("u", "threshold", "rising", "falling", "flat", "confounded")
POWER_REPLICATES: Final = 200
"""The weak effect, other ideas of E2 and the crude curve: as many cohorts, the first."""
ABOUT: Final = """
Cohorts are those of `e2analytics simulate` as arrays: its men, its spells of anastrozole by indication, its
draws at four laboratories (two of them immunoassay, some results below the limit), its scanners and their
errors; E2 of an interval is what the product's dose response, fitted to each cohort, says of it. About 1.35
usable scan pairs a man. Shapes: `threshold` loses 2.5 %/year (strong) or 1 %/year (weak) at 10 pg/mL against
20; `u` the same again at 90 against 45; `rising` and `falling` are straight lines of that effect between 10
and 80 pg/mL; `bowl` is a parabola with its best at 30, the one shape with a single best E2; under `confounded`
E2 does nothing, but testosterone does 3 %/year per log unit and raises E2, and is measured.
Settings are the product's: 20 splines, 1,000 replicates.

What this world leaves out: unmeasured confounding (shown once, below), men who change by more than their dose (the
next section), slips and defects, and men unlike those of the simulator. As nobody moves, a man's level at his last
draw stands for all days; a run takes his path.
"""


@dataclass(frozen=True)
class Job:
    """One cohort under every cell of its size."""

    n_men: int
    seed: int
    extras: bool


def run(replicates: int, seed: int) -> Section:
    """Simulate ``replicates`` cohorts of each size and report what held."""
    jobs = [
        Job(n_men, seed * 1_000_000 + number, number < POWER_REPLICATES)
        for number in range(replicates)
        for n_men in SIZES
    ]
    rows = [row for rows in in_parallel(repeat, jobs, "cohorts") for row in rows]
    return describe(pl.DataFrame(rows, infer_schema_length=None))


def repeat(job: Job) -> list[dict[str, object]]:
    """Fit one cohort under its cells."""
    return cohort_rows(job.n_men, job.seed, cells(job.n_men, extras=job.extras))


def cells(n_men: int, *, extras: bool) -> list[Cell]:
    """Return what is simulated at a size: always the strong effect; with ``extras`` the others."""
    chosen = [Cell(shape, STRONG, n_men) for shape in SHAPES]
    largest = n_men == max(SIZES)
    if largest:
        chosen.append(Cell("bowl", STRONG, n_men))
    if not extras:
        return chosen
    chosen += [Cell(shape, WEAK, n_men) for shape in ("u", "threshold", "rising", "falling")]
    if largest:
        chosen += [
            Cell(shape, STRONG, n_men, exposure)
            for shape in ("u", "threshold")
            for exposure in ("naive", "known")
        ]
        chosen.append(Cell("confounded", STRONG, n_men, adjusted=False))
    return chosen


def describe(rows: pl.DataFrame) -> Section:
    """Put the rows of all cohorts into words, tables and charts."""
    as_used = rows.filter((pl.col("exposure") == "calibrated") & pl.col("adjusted"))
    strong = as_used.filter(pl.col("effect") == STRONG)
    coverage = curve_tables.coverage(strong)
    limits = curve_tables.limits(strong)
    verdicts = curve_tables.verdicts(as_used)
    return Section(
        (
            ABOUT,
            "### What nominal 95 % covers\n\nStrong effect. A share is followed by the 99 % interval of its "
            "cohorts; *missed* where that does not meet 93-97 %.",
            coverage,
            curve_tables.coverage_chart(strong),
            "No smooth curve turns in a point: at a kink (20 pg/mL under `u` and `threshold`) a curve is rounded, and "
            "its intervals hold the truth less often than elsewhere (at 20 pg/mL itself see the table of how E2 is known). "
            "The worst of seven regions is below the average by chance, too.",
            "### Limits and best E2\n\nShare of the intervals that hold the true limit, among cohorts that are "
            "given one; the share that are given none is a column of its own. `best E2` holds where its interval "
            "meets the stretch of equally good E2 (one point only under `bowl`).",
            limits,
            "With 300 men few cohorts are given a limit, and those by luck: the loss looks larger than it is, so the "
            "limit lies too near the best (the mean error shows it). The interval is wider there by the chance that "
            "there would be none (`models/sweet_spot.py`).",
            "### Verdicts",
            verdicts,
            curve_tables.verdict_chart(as_used),
            "Claims that must not be made: a U where there is none, harm at low E2 where E2 does nothing. *Missed* "
            "where the 99 % interval lies above 5 %.",
            curve_tables.false_claims(as_used),
            "### How E2 is known\n\nMean error of the curve (%/year) at five levels of E2, and coverage there, "
            "4,000 men: with the naive mean of the interval's readings, with the product's posterior, and with "
            "the true E2 that nobody has.",
            curve_tables.by_exposure(rows),
            "### Confounding\n\n" + curve_tables.confounding(rows),
            "### What was missed\n\n"
            + curve_tables.missed(coverage, limits, curve_tables.false_claims(as_used), as_used),
        )
    )
