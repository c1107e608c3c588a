"""Confounders: when a man's E2 results do not show what the dose of an aromatase inhibitor does.

In    the men, the accepted rows of medications
Out   spells   grain patient_id, why, began_on: from a day until another (excluded), and why

Until he is an adult, and while another drug that changes E2 acts (``reference.drugs.confounders``). Such results
leave the fit of the dose response; a man's own estimate has all of his.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics.reference.drugs import acts_until, confounders
from e2analytics.settings import FlagSettings
from e2analytics.tables.patient_data import NEVER, adult_on

UNDER_18: Final = "under_18"


def find_confounders(
    patients: pl.DataFrame, medications: pl.DataFrame, settings: FlagSettings
) -> pl.DataFrame:
    """Return the spells: ``patient_id``, ``why``, ``began_on``, ``ended_on``.

    A drug acts until it is washed out, or for as long as it is known to act on bone, whichever is longer.
    """
    washed_out = pl.col("stopped_on") + pl.duration(days=settings.washout_days)
    return pl.concat(
        [
            patients.drop_nulls("birth_date").select(
                pl.col("patient_id").cast(pl.String),
                why=pl.lit(UNDER_18),
                began_on="birth_date",
                ended_on=adult_on(),
            ),
            medications.filter(pl.col("drug_class").cast(pl.String).is_in(confounders())).select(
                pl.col("patient_id").cast(pl.String),
                why=pl.format("on_{}", pl.col("drug_class").cast(pl.String)),
                began_on="started_on",
                ended_on=pl.max_horizontal(washed_out, acts_until()).fill_null(NEVER),
            ),
        ]
    )


def why_confounded(draws: pl.DataFrame, spells: pl.DataFrame) -> pl.Series:
    """Return why each draw shows nothing of the inhibitor's effect, the first reason by name; null where it does."""
    numbered = draws.select(pl.col("patient_id").cast(pl.String), "collected_on").with_row_index(
        "draw"
    )
    found = (
        numbered.join(spells, on="patient_id")
        .filter(
            pl.col("began_on") <= pl.col("collected_on"),
            pl.col("collected_on") < pl.col("ended_on"),
        )
        .group_by("draw")
        .agg(pl.col("why").min())
    )
    return numbered.join(found, on="draw", how="left", maintain_order="left")["why"]
