"""Checks whether the draws of an assay, clinic, laboratory or dose fit the dose response.

In    draws with their z scores
Out   e2_checks   grain by, name
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from e2analytics.exposure.dose_response.tables import empty
from e2analytics.models.normal import Z95
from e2analytics.models.proportion import wilson

_GROUPS: Final = {
    "assay": "assay",
    "clinic": "clinic_id",
    "laboratory": "performing_lab",
    "dose": "dose_band",
}
_LEAST_DRAWS: Final = 30
_TOLERATED_OUTSIDE: Final = 0.10
_TOLERATED_SHIFT_SD: Final = 0.5
_DOSE_BANDS: Final = {
    "off the drug": 0.0,
    "up to 0.5 mg a week": 0.5,
    "0.5 to 1 mg a week": 1.0,
    "1 to 2 mg a week": 2.0,
    "above 2 mg a week": np.inf,
}


def check_draws(draws: pl.DataFrame) -> pl.DataFrame:
    """Check for every assay, clinic, laboratory and dose whether its exact draws fit the model."""
    exact = draws.filter(pl.col("value_low") == pl.col("value_high")).with_columns(
        dose_band=_dose_band()
    )
    groups = [
        exact.filter(pl.col(column).is_not_null())
        .group_by(name=column)
        .agg(
            n_draws=pl.len().cast(pl.Int64),
            n_outside=(pl.col("z").abs() > Z95).sum().cast(pl.Int64),
            mean_z=pl.col("z").mean(),
            sd_z=pl.col("z").std(),
        )
        .select(
            by=pl.lit(by),
            name="name",
            n_draws="n_draws",
            n_outside="n_outside",
            mean_z="mean_z",
            sd_z="sd_z",
        )
        for by, column in _GROUPS.items()
    ]
    checked = pl.concat(groups).sort("by", "name")
    outside = wilson(checked["n_outside"].to_numpy(), checked["n_draws"].to_numpy())
    enough = pl.col("n_draws") >= _LEAST_DRAWS
    far = pl.col("mean_z").abs() > _TOLERATED_SHIFT_SD + 2 / pl.col("n_draws").sqrt()
    return checked.with_columns(
        share_outside=pl.col("n_outside") / pl.col("n_draws"),
        fits=pl.when(enough).then(~far & (pl.Series(outside.ci_low) <= _TOLERATED_OUTSIDE)),
    ).select(empty("e2_checks").columns)


def _dose_band() -> pl.Expr:
    return pl.coalesce(
        pl.when(pl.col("dose_mg_per_week") <= most).then(pl.lit(name))
        for name, most in _DOSE_BANDS.items()
    )
