"""One simulated cohort of 4,000 men for all tests of this folder."""

from pathlib import Path

import polars as pl
import pytest

from e2analytics.simulate import SimulationSettings, SimulationSummary, simulate

SETTINGS = SimulationSettings(patients=4000, seed=7)


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> SimulationSummary:
    return simulate(tmp_path_factory.mktemp("cohort"), SETTINGS)


@pytest.fixture(scope="session")
def men(cohort: SimulationSummary) -> pl.DataFrame:
    return pl.read_csv(cohort.truth / "men.csv")


@pytest.fixture(scope="session")
def intervals(cohort: SimulationSummary) -> pl.DataFrame:
    return pl.read_csv(cohort.truth / "intervals.csv")


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """The same cohort's drop without defects, by file name."""
    settings = SimulationSettings(patients=4000, seed=7, defects=False)
    drop: Path = simulate(tmp_path_factory.mktemp("clean"), settings).drop
    return {path.name: pl.read_csv(path, infer_schema=False) for path in drop.glob("*.csv")}
