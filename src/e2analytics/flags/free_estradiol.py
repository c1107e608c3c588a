"""Free estradiol of the men: calculated where E2 by mass spectrometry, testosterone and SHBG were measured.

In    E2 draws and laboratory results of the men
Out   grain patient_id: free E2 of the last such draw, with its interval

SHBG is never imputed, nor is testosterone: without one of them there is no free E2. Albumin may be: it hardly
matters, and the studies took one number for all men. E2 by immunoassay gives none: the line is of mass spectrometry.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl

from e2analytics.models import free_estradiol as mass_action
from e2analytics.models.free_estradiol import Constants, Sample
from e2analytics.reference import constants
from e2analytics.reference.names import TESTOSTERONE

_BESIDE: Final = {"testosterone": TESTOSTERONE, "shbg": "shbg", "albumin": "albumin"}
_SODERGARD: Final = Constants(
    constants.E2_SHBG.value,
    constants.E2_ALBUMIN.value,
    constants.TESTOSTERONE_SHBG.value,
    constants.TESTOSTERONE_ALBUMIN.value,
)
_OF_THE_LINE: Final = Constants(
    constants.E2_SHBG_OF_LINE.value,
    constants.E2_ALBUMIN_OF_LINE.value,
    constants.TESTOSTERONE_SHBG_OF_LINE.value,
    constants.TESTOSTERONE_ALBUMIN_OF_LINE.value,
)
COLUMNS: Final = (
    "free_e2_pg_ml",
    "free_e2_ci_low",
    "free_e2_ci_high",
    "free_e2_as_line_pg_ml",
    "free_e2_as_line_ci_low",
    "free_e2_as_line_ci_high",
)


def free_estradiol(draws: pl.DataFrame, labs: pl.DataFrame) -> pl.DataFrame:
    """Return each man's last free E2: ``free_e2_on`` and ``COLUMNS``.

    ``free_e2_pg_ml`` is by the constants of Södergård; ``free_e2_as_line_pg_ml`` by those that give 0.27 where
    total E2 is 16 pg/mL: only this may be held against the line.
    """
    found = _beside_e2(draws, labs)
    cv = _errors(found)
    sample = Sample(*(found[name].to_numpy() for name in ("e2", *_BESIDE)))
    values: list[np.ndarray] = []
    for which in (_SODERGARD, _OF_THE_LINE):
        free = mass_action.with_interval(sample, cv, which)
        values += [free.pg_ml, free.ci_low, free.ci_high]
    columns = [pl.Series(name, each) for name, each in zip(COLUMNS, values, strict=True)]
    return found.select("patient_id", free_e2_on="collected_on", free_e2_total="e2").with_columns(
        columns
    )


def _beside_e2(draws: pl.DataFrame, labs: pl.DataFrame) -> pl.DataFrame:
    """Return the last exact E2 by mass spectrometry of each man that has the others near it."""
    exact = (pl.col("value_low") == pl.col("value_high")) & (pl.col("value_low") > 0)
    found = (
        draws.filter(exact, pl.col("assay") == "ms")
        .sort("collected_at", "result_id")
        .select(pl.col("patient_id").cast(pl.String), "collected_on", e2="value_low")
        .with_row_index("draw")
    )
    for name, analyte in _BESIDE.items():
        near = (
            labs.filter(exact, pl.col("analyte").cast(pl.String) == analyte)
            .select(
                pl.col("patient_id").cast(pl.String), on="collected_on", value=pl.col("value_low")
            )
            .join(found.select("draw", "patient_id", "collected_on"), on="patient_id")
            .with_columns(away=(pl.col("on") - pl.col("collected_on")).dt.total_days().abs())
            .filter(pl.col("away") <= constants.E2_CARRY_DAYS.value)
            .sort("draw", "away", "on", "value")
            .unique("draw", keep="first", maintain_order=True)
            .select("draw", pl.col("value").alias(name))
        )
        found = found.join(near, on="draw", how="left", maintain_order="left")
    return (
        found.drop_nulls(["testosterone", "shbg"])
        .unique("patient_id", keep="last", maintain_order=True)
        .with_columns(
            albumin_known=pl.col("albumin").is_not_null(),
            albumin=pl.col("albumin").fill_null(constants.USUAL_ALBUMIN.value),
        )
        .sort("patient_id")
    )


def _errors(found: pl.DataFrame) -> Sample:
    known, n = found["albumin_known"].to_numpy(), len(found)
    return Sample(
        np.full(n, constants.E2_MS_CV.value),
        np.full(n, constants.TESTOSTERONE_CV.value),
        np.full(n, constants.SHBG_CV.value),
        np.where(known, constants.ALBUMIN_CV.value, constants.ALBUMIN_BETWEEN_MEN_CV.value),
    )
