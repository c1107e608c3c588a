"""On treatment: at which E2 draws an aromatase inhibitor was at work, and where that is unknown.

In    every row of labs, the spells of inhibitors, the clinic of each man
Out   for each row: true, false or null

It is unknown within the days to steady state and of washout, and before the first order of an inhibitor
in the man's clinic, which may not send its orders. Results of other analytes get null.
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics.reference.names import ESTRADIOL
from e2analytics.settings import FlagSettings
from e2analytics.tables.categoricals import to_categories

_SPELL: Final = ("patient_id", "started_on", "ended_on")


def on_drug(
    labs: pl.DataFrame, spells: pl.DataFrame, clinics: pl.DataFrame, settings: FlagSettings
) -> pl.Series:
    """Return for every row whether its man was on an inhibitor.

    Parameters
    ----------
    labs
        Compact rows.
    spells
        ``patient_id, started_on, ended_on``: of :func:`e2analytics.exposure.episodes.find_episodes`.
    clinics
        ``patient_id -> clinic_id``.
    settings
        Days to steady state and of washout.
    """
    draws = (
        labs.lazy()
        .with_row_index("draw")
        .filter(pl.col("analyte") == ESTRADIOL)
        .select("draw", "patient_id", "collected_on")
    )
    clinic = clinics.unique("patient_id", keep="first")
    first_order = (
        spells.join(clinic, on="patient_id").group_by("clinic_id").agg(pl.col("started_on").min())
    )
    orders_since = to_categories(clinic.join(first_order, on="clinic_id").drop("clinic_id").lazy())
    day = pl.col("collected_on")
    covered = draws.join(orders_since, on="patient_id").filter(day >= pl.col("started_on"))

    steady_on = pl.col("started_on") + pl.duration(days=settings.steady_state_days)
    washed_out_on = pl.col("ended_on") + pl.duration(days=settings.washout_days)
    at_work = (day >= steady_on) & (day < pl.col("ended_on")).fill_null(True)
    under = (
        draws.join(to_categories(spells.lazy().select(_SPELL)), on="patient_id")
        .filter(day >= pl.col("started_on"), (day < washed_out_on).fill_null(True))
        .group_by("draw")
        .agg(at_work=at_work.any())
    )
    known = pl.concat(
        [
            covered.select("draw", on_drug=pl.lit(False)),
            under.select("draw", on_drug=pl.when("at_work").then(True)),
        ]
    ).collect()
    unknown = pl.repeat(None, len(labs), dtype=pl.Boolean, eager=True)
    return unknown.scatter(known["draw"], known["on_drug"]).alias("on_drug")
