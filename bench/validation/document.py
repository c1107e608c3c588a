"""The stored sections and the document that is made of them.

In    what sections returned
Out   ``bench/results/validation/NAME.json``, one per section, so that one can be run again alone
      ``docs/validation.md`` of all that are stored, charts in ``docs/validation/``
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import polars as pl
import vl_convert

from bench.validation.section import Chart, Section

ROOT: Final = Path(__file__).parents[2]
STORED: Final = Path("bench", "results", "validation")
DOCUMENT: Final = Path("docs", "validation.md")
CHARTS: Final = Path("docs", "validation")

_BEGINNING: Final = """# Validation against known truths

What e2analytics says of simulated data whose truth is known. `make validate` makes this page again; a
single section with `python -m bench.validation --section NAME`. What holds in these worlds holds in
them: each section says what its world leaves out.
"""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the numbers of a section come from."""

    made_on: str
    cores: int
    memory_gib: int
    minutes: float
    command: str
    replicates: int
    seed: int

    def line(self) -> str:
        """Say it in one line, to stand beneath a table."""
        return (
            f"*{self.replicates} replicates, seed {self.seed}; {self.made_on}, {self.cores} cores, "
            f"{self.memory_gib} GiB, {self.minutes:.0f} min: `{self.command}`*"
        )


def memory_gib() -> int:
    """Return the machine's memory."""
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def store(name: str, title: str, section: Section, provenance: Provenance, root: Path) -> None:
    """Keep a section's Markdown with where it comes from, and draw its charts."""
    charts = root / CHARTS
    charts.mkdir(parents=True, exist_ok=True)
    # A section that draws fewer than before leaves none behind.
    for old in charts.glob(f"{name}-*.svg"):
        old.unlink()
    text = []
    for part in section.parts:
        if isinstance(part, str):
            text.append(part.strip())
        elif isinstance(part, pl.DataFrame):
            text.append(f"{_table(part)}\n\n{provenance.line()}")
        else:
            file = f"{name}-{len(list(charts.glob(f'{name}-*.svg'))) + 1}.svg"
            (charts / file).write_text(_svg(part), encoding="utf-8")
            text.append(f"![{part.says}]({CHARTS.name}/{file})")
    kept = {"title": title, "markdown": "\n\n".join(text), **asdict(provenance)}
    folder = root / STORED
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(
        json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def compose(names: Sequence[str], root: Path) -> Path:
    """Write the document of the sections that are stored, in the order of ``names``."""
    parts = [_BEGINNING]
    for name in names:
        file = root / STORED / f"{name}.json"
        if file.exists():
            kept = json.loads(file.read_text(encoding="utf-8"))
            parts.append(f"## {kept['title']}\n\n{kept['markdown']}\n")
    document = root / DOCUMENT
    document.write_text("\n".join(parts), encoding="utf-8")
    return document


def _table(frame: pl.DataFrame) -> str:
    right = ["--:" if dtype.is_numeric() else "---" for dtype in frame.dtypes]
    lines = [frame.columns, right, *frame.rows()]
    return "\n".join(f"| {' | '.join(_cell(value) for value in line)} |" for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _svg(chart: Chart) -> str:
    return vl_convert.vegalite_to_svg(chart.picture.to_dict())
