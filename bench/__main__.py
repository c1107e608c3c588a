"""Time what has to be fast, compared with what others need for the same.

In    the simulated cohorts of ``bench.curve``; a laboratory export of 1 GB (``bench.intake``); 1 M draws of
      100,000 men (``bench.dose_response``)
Out   a table on the terminal and ``bench/results/latest.json``

``python -m bench curve`` runs one section and prints it, no more.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from pathlib import Path

from bench import curve as bench_curve
from bench import dose_response, intake

HERE = Path(__file__).parent


def main(sections: list[str]) -> None:
    """Run the sections named, print their tables, and keep the numbers if it was all of them."""
    results = {name: SECTIONS[name]() for name in sections or SECTIONS}
    if results.keys() == SECTIONS.keys():
        keep(results)


def curve() -> dict:
    """Time the curve and print its table."""
    print("curve with 1,000 replicates; peers extrapolated from a few refits")
    return bench_curve.measured()


def taking_in() -> dict:
    """Take in the large export and print the row."""
    print("taking in a laboratory export: read, validate, store; polars only reads and writes it")
    result = intake.measured()
    print(intake.line(result), flush=True)
    return result


def responding() -> dict:
    """Fit the dose response, large and in the linear special case, and print the rows."""
    print("dose response: 1 M draws, and maximum likelihood where nlme, lme4 and statsmodels can")
    result = dose_response.measured()
    print("\n".join(dose_response.lines(result)), flush=True)
    return result


def keep(results: dict) -> None:
    """Write the numbers, and what they were measured on."""
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    report = {
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        **results,
    }
    (folder / "latest.json").write_text(json.dumps(report, indent=2) + "\n")


SECTIONS = {"curve": curve, "intake": taking_in, "dose_response": responding}

if __name__ == "__main__":
    main(sys.argv[1:])
