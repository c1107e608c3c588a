"""Equivalents of mass spectrometry: what each E2 result means on that scale, by the frozen dose response.

In    E2 draws, how the assays read by the frozen dose response
Out   the draws with ``MS_EQUIVALENT``

Of single results, without their scatter: what a man's E2 is, all his results together tell (``predict``).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from e2analytics.models.dose_response.assay import Assays, as_mass_spectrometry
from e2analytics.tables.patient_data import MS_EQUIVALENT


def with_ms_equivalents(draws: pl.DataFrame, assays: Assays | None) -> pl.DataFrame:
    """Add the ends between which mass spectrometry would read; an unknown assay counts as immunoassay.

    Without ``assays`` only mass spectrometry has them. A result without an upper end has none here.
    """
    ends = tuple(zip(MS_EQUIVALENT, ("value_low", "value_high"), strict=True))
    if assays is None:
        return draws.with_columns(
            pl.when(pl.col("assay") == "ms").then(value).alias(name) for name, value in ends
        )
    by_ms = (draws["assay"] == "ms").to_numpy()
    columns = [
        pl.Series(
            name,
            as_mass_spectrometry(
                draws[value].cast(pl.Float64).fill_null(np.nan).to_numpy(), by_ms, assays
            ),
        ).fill_nan(None)
        for name, value in ends
    ]
    return draws.with_columns(columns)
