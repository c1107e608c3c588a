"""A headless Chromium by subprocess; tests of pages are skipped where there is none."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

Chromium = Callable[..., str]

REPORT_CONFTEST = Path(__file__).parents[1] / "report" / "conftest.py"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-dev-shm-usage", "--no-pdf-header-footer"),
)


@pytest.fixture(scope="session")
def made_up() -> ModuleType:
    """The made-up run of the report's tests, which live in another folder."""
    spec = importlib.util.spec_from_file_location("made_up_run", REPORT_CONFTEST)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tables(made_up: ModuleType) -> dict[str, pl.DataFrame]:
    published: dict[str, pl.DataFrame] = made_up.published_run()
    return published


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Chromium:
    """Run Chromium with some more flags and return what it prints."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("there is no chromium on this machine")
    profile = tmp_path_factory.mktemp("chromium")

    def run(*flags: str) -> str:
        done = subprocess.run(  # noqa: S603
            [program, *FLAGS, f"--user-data-dir={profile}", *flags],
            capture_output=True,
            check=True,
            timeout=120,
        )
        return done.stdout.decode()

    return run
