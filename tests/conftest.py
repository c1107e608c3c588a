"""What tests share: a simulated clinic, and a key."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from hypothesis import settings
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from e2analytics.feeds.description import load_feeds
from e2analytics.feeds.text_columns import TEXT_COLUMNS
from e2analytics.ingest.read_drop import Sources, empty_rows
from e2analytics.run import run as run_pipeline
from e2analytics.settings import FitSettings, Settings
from e2analytics.simulate import SimulationSettings, simulate
from e2analytics.tables.snapshot import Outputs

os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
os.environ["DO_NOT_TRACK"] = "1"

# A slow machine is no failure; where a red run costs a day, the examples are the same every time.
settings.register_profile("steady", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("steady")

KEY = b"the key of the tests, long enough"
AS_OF = date(2026, 9, 30)
# Tests of what happens around the curve need not wait for 1,000 replicates.
QUICK = Settings(fit=FitSettings(n_replicates=100))


class OneServer(LoadFileScheduling):
    """Runs a file's tests in one worker, and those of the flows together: their server takes seconds to start."""

    def _split_scope(self, nodeid: str) -> str:
        scope: str = super()._split_scope(nodeid)
        return "tests/flows" if scope.startswith("tests/flows/") else scope


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneServer | None:
    return OneServer(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """Keep the settings of whoever runs the tests out of them."""
    with pytest.MonkeyPatch.context() as environment:
        for name in list(os.environ):
            if name.startswith("E2ANALYTICS_"):
                environment.delenv(name)
        yield


@pytest.fixture(scope="session")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated clinic of 600 men with planted defects: ``drop`` and ``truth``."""
    folder = tmp_path_factory.mktemp("clinic")
    simulate(folder, SimulationSettings(patients=600, shape="threshold", seed=7))
    return folder


@pytest.fixture(scope="session")
def sources(clinic: Path) -> Sources:
    return Sources.from_drop(clinic / "drop", load_feeds(), KEY, today=AS_OF)


@pytest.fixture(scope="session")
def outputs(sources: Sources) -> Outputs:
    return run_pipeline(sources, QUICK, as_of=AS_OF)


def text_rows(table: str, *rows: dict[str, str | None]) -> pl.DataFrame:
    """Return text rows of a table as a feed would give them, one file, a line each."""
    unknown = {name for row in rows for name in row} - set(TEXT_COLUMNS[table])
    assert not unknown, unknown
    known = {
        "source_file": "test-file",
        "source_part": 0,
        "source_order": 0,
        "namespace": "default",
        "imputed": "",
        "short_line": False,
    }
    filled = [{**known, "source_line": line, **row} for line, row in enumerate(rows, start=2)]
    empty = empty_rows(table)
    return pl.DataFrame(filled, schema=empty.schema) if filled else empty
