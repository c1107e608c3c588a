"""What every builder needs: the run's day, its men and clinics, a frame with the columns of its contract."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import Any

import polars as pl

from e2analytics.tables import registry

AS_OF = date(2026, 9, 30)


RUN_ID = "2026-09-30-7c1f"


MODEL_ID = "model-2026-09"


CLINICS = ("central", "harbour", "north")


N_MEN = 600


LIMIT = 16.0


def pseudonym(number: int) -> str:
    return "p" + hashlib.sha256(f"man {number}".encode()).hexdigest()[:20]


def frame(table: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a frame with the contract's columns, types and order."""
    return pl.DataFrame(rows, schema=registry.schema_of(table), orient="row")
