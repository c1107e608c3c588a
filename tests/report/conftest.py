"""Fixtures of the report's tests."""

from __future__ import annotations

import pytest

from tests.report.builders.published_run import Tables, published_run


@pytest.fixture(scope="session")
def tables() -> Tables:
    """One published run; copy the dictionary before changing it."""
    return published_run()
