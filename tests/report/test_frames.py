"""The made-up run keeps the contracts, so what the page shows of it is what the store would give."""

from __future__ import annotations

import polars as pl
import pytest

from e2analytics.tables import registry

NAMES = (
    *(
        "patients",
        "files",
        "quality",
        "unit_slips",
        "quarantine",
        "attrition",
        "exposures",
        "levels",
        "curve",
    ),
    *("curve_summary", "cohort", "flags", "flag_events", "limits", "models", "measures", "runs"),
)


@pytest.mark.parametrize("name", NAMES)
def test_frame_keeps_its_contract(tables: dict[str, pl.DataFrame], name: str) -> None:
    registry.TABLES[name].validate(tables[name])
