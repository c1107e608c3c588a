"""Run the statistical validation and write ``docs/validation.md``.

``python -m bench.validation [--section NAME ...] [--replicates N] [--seed S]``. Without ``--section``
all sections are run; the document is composed of all that were ever stored.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from datetime import date
from typing import Final

from bench.validation import (
    curve,
    curve_drift,
    curve_peers,
    dose_response,
    flags,
    immunoassay_clinics,
    moving_men,
    network,
    outcomes,
    time_to_flag,
    unit_slips,
)
from bench.validation.document import ROOT, Provenance, compose, memory_gib, store
from bench.validation.section import SectionModule

SECTIONS: Final[tuple[SectionModule, ...]] = (
    unit_slips,
    dose_response,
    immunoassay_clinics,
    moving_men,
    time_to_flag,
    flags,
    curve,
    curve_drift,
    curve_peers,
    outcomes,
    network,
)
"""In the order of reading."""


def main(arguments: list[str]) -> None:
    """Run the sections that are asked for, one after another."""
    asked = _asked(arguments)
    for section in SECTIONS:
        if asked.section and section.NAME not in asked.section:
            continue
        replicates = asked.replicates or section.REPLICATES
        started = time.perf_counter()
        said = section.run(replicates, asked.seed)
        provenance = Provenance(
            made_on=date.today().isoformat(),
            cores=os.cpu_count() or 1,
            memory_gib=memory_gib(),
            minutes=(time.perf_counter() - started) / 60,
            command=(
                f"python -m bench.validation --section {section.NAME} "
                f"--replicates {replicates} --seed {asked.seed}"
            ),
            replicates=replicates,
            seed=asked.seed,
        )
        store(section.NAME, section.TITLE, said, provenance, ROOT)
    print(compose([section.NAME for section in SECTIONS], ROOT).relative_to(ROOT))


def _asked(arguments: list[str]) -> argparse.Namespace:
    reader = argparse.ArgumentParser(prog="python -m bench.validation")
    names = [section.NAME for section in SECTIONS]
    reader.add_argument("--section", action="append", choices=names)
    reader.add_argument("--replicates", type=int)
    reader.add_argument("--seed", type=int, default=1)
    return reader.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
