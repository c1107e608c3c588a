"""Availability: which clinics send what a quality measure needs, and for how long.

In    the men's rows as of a day, the last days of the months
Out   unavailable   grain month_end, clinic_id, measure: why the measure is not counted

A measure is not counted where its clinic has not yet sent what the measure needs, has sent it for a shorter
time than the measure looks back, or has stopped sending.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Final

import polars as pl

from e2analytics.measures import treatment_history
from e2analytics.reference import measures
from e2analytics.tables.patient_data import BONE_SITES, PatientData
from e2analytics.tables.registry import EVENT_DATE

SILENT: Final = "nothing_came_in"
SHORT_RECORD: Final = "short_record_of_"
GRAIN: Final = ["month_end", "clinic_id", "measure"]


def unavailable(data: PatientData, month_ends: Sequence[date]) -> pl.DataFrame:
    """Return the first reason why a clinic's data do not allow a measure by the end of a month."""
    clinics = data.patients.select("patient_id", "clinic_id")
    defined = measures.load()
    needs = pl.DataFrame(
        [
            {"measure": name, "source": source, "look_back_days": each.days.get("record", 0)}
            for name, each in defined.measures.items()
            for source in each.needs
        ]
    )
    since = (
        _first_rows(data)
        .join(clinics, on="patient_id")
        .group_by("clinic_id", "source")
        .agg(since=pl.col("first_on").min())
    )
    missing = pl.col("since").is_null() | (pl.col("since") > pl.col("month_end"))
    recorded_days = (pl.col("month_end") - pl.col("since")).dt.total_days()
    silent = (pl.col("silent_days") > defined.silent_after_days) & (
        pl.col("silent_days") > 2 * pl.col("longest_gap_days")
    )
    reason = (
        pl.when(missing)
        .then(pl.format("no_{}", "source"))
        .when(silent)
        .then(pl.lit(SILENT))
        .when(recorded_days < pl.col("look_back_days"))
        .then(pl.format(f"{SHORT_RECORD}{{}}", "source"))
    )
    return (
        grid(clinics, month_ends)
        .join(needs, on="measure", maintain_order="left_right")
        .join(since, on=["clinic_id", "source"], how="left", maintain_order="left")
        .join(
            _silences(data, clinics, month_ends),
            on=["clinic_id", "month_end"],
            how="left",
            maintain_order="left",
        )
        .with_columns(not_measured=reason, is_there=~missing)
        .drop_nulls("not_measured")
        .group_by(GRAIN, maintain_order=True)
        # A source that never came matters more than one that came late.
        .agg(pl.col("not_measured").sort_by("is_there", maintain_order=True).first())
    )


def _silences(data: PatientData, clinics: pl.DataFrame, month_ends: Sequence[date]) -> pl.DataFrame:
    """Return how long before each month's end a clinic's last row lies, and its longest gap until then."""
    came = (getattr(data, table).select("patient_id", on=day) for table, day in EVENT_DATE.items())
    pending = data.pending.select("patient_id", on="happened_on")
    days = pl.concat([*came, pending]).unique()
    of_clinics = (
        days.join(clinics, on="patient_id")
        .select("clinic_id", "on")
        .unique()
        .sort("clinic_id", "on")
        .with_columns(gap_days=pl.col("on").diff().over("clinic_id").dt.total_days())
    )
    return (
        month_rows(month_ends)
        .join(of_clinics, how="cross")
        .filter(pl.col("on") <= pl.col("month_end"))
        .group_by("clinic_id", "month_end")
        .agg(
            silent_days=(pl.col("month_end").first() - pl.col("on").max()).dt.total_days(),
            longest_gap_days=pl.col("gap_days").max(),
        )
    )


def _first_rows(data: PatientData) -> pl.DataFrame:
    """Return each man's first day of each source of data."""
    scans, day = data.dxa, "scanned_on"
    defined = measures.load()
    analytes, kinds = defined.sources_of_kind("laboratory"), defined.sources_of_kind("event")
    laboratory = data.labs.filter(pl.col("analyte").is_in(analytes))
    events = data.events.filter(pl.col("kind").is_in(kinds))
    trt = treatment_history.on_testosterone(data.patients, data.medications)
    sources = [
        laboratory.select("patient_id", source="analyte", first_on="collected_on"),
        events.select("patient_id", source="kind", first_on="occurred_on"),
        trt.select("patient_id", source=pl.lit("trt"), first_on="trt_on"),
        data.medications.select("patient_id", source=pl.lit("medications"), first_on="started_on"),
        scans.filter(pl.col("site").is_in(BONE_SITES)).select(
            "patient_id", source=pl.lit("dxa"), first_on=day
        ),
        scans.drop_nulls("body_fat_pct").select(
            "patient_id", source=pl.lit("body_fat"), first_on=day
        ),
    ]
    return pl.concat(sources).group_by("patient_id", "source").agg(pl.col("first_on").min())


def month_rows(month_ends: Sequence[date]) -> pl.DataFrame:
    """Return a row a month."""
    return pl.DataFrame({"month_end": month_ends}, schema={"month_end": pl.Date})


def grid(clinics: pl.DataFrame, month_ends: Sequence[date]) -> pl.DataFrame:
    """Return a row a month, clinic and measure."""
    names = pl.DataFrame({"measure": list(measures.load().measures)})
    each_clinic = clinics.select("clinic_id").unique().sort("clinic_id")
    return month_rows(month_ends).join(each_clinic, how="cross").join(names, how="cross")
