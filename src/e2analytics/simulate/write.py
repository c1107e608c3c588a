"""Write a simulated drop and its truth to disk."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from e2analytics.reference.simulation_marker import GENERATOR, MARKER_NAME, TRUTH_NAME
from e2analytics.simulate.defects import DefectiveDrop, plant_defects
from e2analytics.simulate.generate import generate, streams
from e2analytics.simulate.network import Story
from e2analytics.simulate.settings import SimulationSettings, SimulationSummary


def simulate(
    folder: Path, settings: SimulationSettings, story: Story | None = None
) -> SimulationSummary:
    """Write a cohort with a known truth: `folder/drop` and `folder/truth`.

    Parameters
    ----------
    folder : Path
        Made where missing; files of an earlier simulation are replaced.
    settings : SimulationSettings
        What to simulate. The same settings give the same bytes.
    story : Story, optional
        What some clinics and a laboratory do wrong.

    Returns
    -------
    SimulationSummary
        What was written, and the fates that a correct ingestion gives the rows.
    """
    return _write(folder / "drop", folder / TRUTH_NAME, settings, story)


def write_sample(folder: Path) -> SimulationSummary:
    """Write the shipped sample: the drop flat in `folder`, its truth in `folder/truth`."""
    return _write(folder, folder / TRUTH_NAME, SimulationSettings())


def _write(
    drop: Path, truth: Path, settings: SimulationSettings, story: Story | None = None
) -> SimulationSummary:
    rng = streams(settings)
    world = generate(settings, rng, story)
    planted = plant_defects(world.drop, settings, rng["defects"])
    summary = _summarise(drop, truth, world.truth["men.csv"], planted)
    drop.mkdir(parents=True, exist_ok=True)
    truth.mkdir(parents=True, exist_ok=True)
    _write_tables(drop, planted.drop)
    _write_tables(truth, world.truth | {"defects.csv": planted.answers})
    marker = {"generator": GENERATOR, "settings": settings.as_json()}
    _write_json(drop / MARKER_NAME, marker)
    answers = {
        "settings": settings.as_json(),
        "rows": summary.rows,
        "men": summary.men,
        "men_on_drug": summary.men_on_drug,
        "men_attributable": summary.men_attributable,
    }
    _write_json(truth / "summary.json", answers)
    return summary


def _summarise(
    drop: Path, truth: Path, men: pl.DataFrame, planted: DefectiveDrop
) -> SimulationSummary:
    return SimulationSummary(
        drop=drop,
        truth=truth,
        men=len(men),
        men_on_drug=int(men["on_drug"].sum()),
        men_attributable=len(men.filter("on_drug", "attributable")),
        rows=planted.rows,
    )


def _write_tables(folder: Path, tables: dict[str, pl.DataFrame]) -> None:
    for name, table in tables.items():
        table.write_csv(folder / name)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
