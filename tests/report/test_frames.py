"""The made-up run keeps the contracts, so what the page shows of it is what the store would give."""

from __future__ import annotations

import polars as pl
import pytest

from e2analytics.tables import registry
from tests.report.builders.published_run import published_run


@pytest.mark.parametrize("name", sorted(published_run()))
def test_frame_keeps_its_contract(tables: dict[str, pl.DataFrame], name: str) -> None:
    registry.TABLES[name].validate(tables[name])
