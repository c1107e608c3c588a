"""Treatment history: courses of aromatase inhibitors, time on testosterone, absences from the clinic.

In    dosing episodes, orders and events
Out   starts, changes and courses; first and last days on testosterone; absences
"""

from __future__ import annotations

from typing import Final

import polars as pl

from e2analytics.reference import constants
from e2analytics.reference.drugs import gives_testosterone
from e2analytics.tables.patient_data import NEVER

_SPELL: Final = ["patient_id", "started_on", "drug"]


def with_starts_and_changes(episodes: pl.DataFrame, new_start_after_days: int) -> pl.DataFrame:
    """Return the spells with ``is_start`` and ``is_change``; ``ended_on`` is far ahead if still in force.

    A spell is a start if the man was on no inhibitor for more than ``new_start_after_days``. Any other
    spell at another dose, or of another inhibitor, than the one before is a change.
    """
    spells = (
        episodes.select(*_SPELL, "ended_on", "weekly_dose_mg")
        .sort(_SPELL)
        .with_columns(pl.col("ended_on").fill_null(NEVER))
    )
    on_until = pl.col("ended_on").cum_max().shift(1).over("patient_id")
    off_days = (pl.col("started_on") - on_until).dt.total_days()
    is_start = (off_days > new_start_after_days).fill_null(True)
    changed = pl.any_horizontal(
        pl.col(name).ne_missing(pl.col(name).shift(1).over("patient_id"))
        for name in ("drug", "weekly_dose_mg")
    )
    return spells.with_columns(is_start=is_start, is_change=~is_start & changed)


def courses(spells: pl.DataFrame) -> pl.DataFrame:
    """Return each course from its start to the end of its last spell; pauses in it do not end it."""
    return (
        spells.with_columns(course=pl.col("is_start").cum_sum().over("patient_id"))
        .group_by("patient_id", "course", maintain_order=True)
        .agg(pl.col("started_on").first(), pl.col("ended_on").max())
        .drop("course")
    )


def lowerings(spells: pl.DataFrame) -> pl.DataFrame:
    """Return the days, ``lowered_on``, on which an inhibitor was cut or stopped, and none begun in its place.

    Another dose that nobody can read is no lower one; a known one after it is compared with the last known one.
    """
    of_drug = ["patient_id", "drug"]
    until = pl.col("ended_on").shift(1).over(of_drug)
    is_new = (until < pl.col("started_on")).fill_null(True)
    spells = spells.sort(*of_drug, "started_on").with_columns(
        treatment=is_new.cum_sum().over(of_drug)
    )
    before = pl.col("weekly_dose_mg").forward_fill().shift(1).over(*of_drug, "treatment")
    cut = pl.col("weekly_dose_mg") < before
    goes_on = pl.col("started_on").shift(-1).over(of_drug) <= pl.col("ended_on")
    stopped = (pl.col("ended_on") < NEVER) & ~goes_on.fill_null(False)
    stops = spells.filter(stopped).select("patient_id", "drug", lowered_on="ended_on")
    in_its_place = (
        stops.join(spells.select("patient_id", "started_on", begun="drug"), on="patient_id")
        .filter(
            pl.col("begun") != pl.col("drug"),
            (pl.col("started_on") - pl.col("lowered_on")).dt.total_days().abs()
            <= constants.RENEWAL_GAP_DAYS.value,
        )
        .select("patient_id", "drug", "lowered_on")
    )
    return pl.concat(
        [
            spells.filter(cut).select("patient_id", lowered_on="started_on"),
            stops.join(in_its_place, on=["patient_id", "drug", "lowered_on"], how="anti").select(
                "patient_id", "lowered_on"
            ),
        ]
    )


def on_testosterone(patients: pl.DataFrame, medications: pl.DataFrame) -> pl.DataFrame:
    """Return the first known day on testosterone and the day it ended, far ahead if it did not."""
    orders = (
        medications.filter(gives_testosterone())
        .group_by("patient_id")
        .agg(
            first_ordered_on=pl.col("started_on").min(),
            trt_ended_on=pl.col("stopped_on").fill_null(NEVER).max(),
        )
    )
    return (
        patients.select("patient_id", "trt_started_on")
        .join(orders, on="patient_id", how="left")
        .select(
            "patient_id",
            trt_on=pl.min_horizontal("trt_started_on", "first_ordered_on"),
            trt_ended_on=pl.col("trt_ended_on").fill_null(NEVER),
        )
        .drop_nulls("trt_on")
    )


def absences(events: pl.DataFrame, medications: pl.DataFrame) -> pl.DataFrame:
    """Return from when until when (excluded) a man was gone: for good, or until his next order."""
    gone = events.filter(pl.col("kind").is_in(["died", "left_clinic"])).select(
        "patient_id", "kind", gone_on="occurred_on"
    )
    back = (
        gone.filter(pl.col("kind") == "left_clinic")
        .join(medications.select("patient_id", "started_on"), on="patient_id")
        .filter(pl.col("started_on") > pl.col("gone_on"))
        .group_by("patient_id", "kind", "gone_on")
        .agg(back_on=pl.col("started_on").min())
    )
    return gone.join(back, on=["patient_id", "kind", "gone_on"], how="left").select(
        "patient_id", "gone_on", back_on=pl.col("back_on").fill_null(NEVER)
    )


def while_present(units: pl.DataFrame, away: pl.DataFrame, first: str, last: str) -> pl.DataFrame:
    """Leave out units whose man was gone on any day from ``first`` to ``last``."""
    numbered_units = units.with_row_index("unit_number")
    missed = (
        numbered_units.select("unit_number", "patient_id", first, pl.col(last).alias("_last"))
        .join(away, on="patient_id")
        .filter(pl.col("gone_on") <= pl.col("_last"), pl.col("back_on") > pl.col(first))
    )
    return numbered_units.join(missed, on="unit_number", how="anti").drop("unit_number")
