"""Flags: statuses, tiers and their life, from files through the whole pipeline.

In    simulated clinics of ``e2analytics.simulate``, written as files, with planted defects
Out   precision and recall of the status, average precision and calibration of p_attributable, compared with the
      last value; the use of not_assessable where data are poor; four months of runs: what opened, closed,
      flipped, and why; how long a man who crossed the limit waits for his flag

The probabilities by themselves, with an oracle that knows the parameters, are another section's. Here truth is
E2 of the day of judgement: now below the limit in use, and off the drug not.
"""

from __future__ import annotations

from typing import Final

from bench.validation.flag_accuracy import accuracy, poor_data
from bench.validation.flag_clinics import NOISE, Clinic, DataGap, judge
from bench.validation.flag_months import CLOSING, RunOfMonths, months_of_runs, run_months
from bench.validation.section import Section, in_parallel
from e2analytics.simulate import Shape

NAME: Final = "flags"
TITLE: Final = "Flags"
REPLICATES: Final = 4
"""Cohorts of each of the six worlds; half as many of each kind of poor data, a quarter of lives."""
SHAPES: Final[tuple[Shape, ...]] = ("threshold", "u", "flat")
POOR: Final[tuple[DataGap, ...]] = (
    "sparse",
    "immunoassay only",
    "no off-drug draws",
    "half not taken",
)


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
        RunOfMonths(closing, first + 200 + n)
        for n in range(max(1, replicates // 4))
        for closing in CLOSING
    ]
    judged = in_parallel(judge, clinics, "clinics")
    judged_poor = in_parallel(judge, poor, "poor data")
    lived = in_parallel(run_months, lives, "months of runs")
    return Section((*accuracy(judged), *poor_data(judged, judged_poor), *months_of_runs(lived)))
