"""Tables of a frozen dose response, as the package makes them: without the ``model_id`` that a run adds."""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics.tables.registry import schema_of

TABLES: Final = ("own_levels", "dose_effects", "e2_checks")
"""Tables kept with a frozen model, in the order of ``fit.DoseResponseResult``."""


def empty(table: str) -> pl.DataFrame:
    """Return a table without rows."""
    return pl.DataFrame(schema=schema_of(table)).drop("model_id", strict=False)
